// A forward pass, read from the tape that it ran on. The tape's watch is shown every operation with the values of its operands, so what
// does not depend on x (weights, statistics, what is computed from them) is a constant here without further work. Operations that only
// move elements need no knowledge of their options: their rule of forward mode is the operation itself, so numbers in place of the elements
// show where each goes.
#include "autodiff/freeze/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "autodiff/kernels/direct_convolution.h"
#include "autodiff/ops.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail::frozen {
namespace {

[[noreturn]] void refuse(Location site, const std::string& what) { throw ValueError("freeze: " + what, site); }

struct Call {
  const Operation* operation;
  Location site;
  std::vector<Tensor> x, y;
};

// Keeps the operations of a tape with all their operands.
class Trace final : public TapeWatch {
 public:
  explicit Trace(std::vector<Call>& calls) : TapeWatch(false, false), calls_(calls) {}

  void before_operation(TapeState&, const Operation& operation, Location site, std::span<const Tensor* const> x,
                        std::span<const Tensor> y) override {
    Call call{&operation, site, {}, std::vector<Tensor>(y.size())};
    for (const Tensor* operand : x) call.x.push_back(*operand);
    calls_.push_back(std::move(call));
  }
  void after_operation(TapeState&, std::span<const Tensor* const>, std::span<const Tensor> y) noexcept override {
    std::copy(y.begin(), y.end(), calls_.back().y.begin());
  }
  void before_stack(TapeState&, std::span<const double>, const Tensor&, Location site) override { refuse_scalars(site); }
  void after_stack(TapeState&, std::span<const double>, const Tensor&) noexcept override {}
  void before_element(TapeState&, const Tensor&, Location site) override { refuse_scalars(site); }
  void after_element(TapeState&, const Tensor&, std::uint32_t, double) noexcept override {}
  void before_statement(TapeState&, std::span<const ExpressionStep>, Location site) override { refuse_scalars(site); }
  void after_statement(TapeState&, std::uint32_t, std::span<const ExpressionStep>, Location) noexcept override {}
  void variable(TapeState&, std::uint32_t, double, Location) override {}
  void variable(TapeState&, const Tensor&, Location) override {}
  void after_sweep(TapeState&, const Source&, std::uint32_t, const Tensor&, std::span<const Source>) override {}
  void discard() noexcept override {}

 private:
  [[noreturn]] static void refuse_scalars(Location site) {
    refuse(site, "the function computes with Scalars; hint: write it with tensor operations");
  }
  std::vector<Call>& calls_;
};

template <class... Names> bool is_one_of(std::string_view name, Names... names) { return ((name == names) || ...); }

class Reader {
 public:
  explicit Reader(TapeState& tape) : tape_(tape) {}

  // A place for what calls write.
  Place value(Index size) {
    const Place place{plan_.size, kValues};
    plan_.size += rounded_up(size);
    return place;
  }
  // The input, before all other values: a place in the caller's memory, or in the copy of it.
  void input(const Tensor& x) { place_of_[slot_of(x)].emplace(Place{value(x.size()).offset, kInput}); }
  // A leaf of the tape.
  Place variable(const Tensor& x) { return place_of_[slot_of(x)].emplace(value(x.size())); }
  // An operand, the result or a state.
  void count_use(const Tensor& x) {
    if (!x.defined() || !tape_.holds(x)) return;
    const std::size_t slot = slot_of(x);
    uses_.resize(place_of_.size());
    ++uses_[slot];
  }
  // The node numbered k.
  void read(std::uint32_t k, const Call& call) {
    if (!std::any_of(call.x.begin(), call.x.end(), [&](const Tensor& x) { return depends(x); })) return;
    for (const auto* tensors : {&call.x, &call.y})
      for (const Tensor& t : *tensors)
        if ((depends(t) || tensors == &call.y) && t.dtype() != float32)
          throw DtypeError(fmt::format("freeze: {}: {} computes with {}; only float32 can be frozen; hint: model.to(float32)",
                                       to_string(call.site), call.operation->name(), describe(t)));
    read_operation(k, call);
  }
  // Where a tensor's elements are, in row-major order.
  Place place(const Tensor& x) {
    if (depends(x)) return *place_of_[slot_of(x)];
    return constant(elements_of(x));
  }
  // A copy of a value if it is one of the states, which are about to be overwritten; otherwise the value itself.
  Place apart_from(const std::vector<Place>& states, Place from, Index size) {
    if (from.base != kValues || std::none_of(states.begin(), states.end(), [&](Place s) { return s.offset == from.offset; })) return from;
    const Place copy = value(size);
    auto step = std::make_unique<Move>();
    step->runs.push_back({from, 1, copy.offset, size});
    add(std::move(step));
    return copy;
  }
  Plan& plan() { return plan_; }

 private:
  static constexpr Index kUnit = 16;  // floats of a cache line; more than a PackedLayer's overrun
  static Index rounded_up(Index size) { return (size + kUnit - 1) / kUnit * kUnit + kUnit; }

  std::size_t slot_of(const Tensor& x) {
    const auto slot = static_cast<std::size_t>(x.number() - tape_.tensor_base);
    if (slot >= place_of_.size()) place_of_.resize(std::max<std::size_t>(tape_.slots.size(), slot + 1));
    return slot;
  }
  // Whether it depends on x.
  bool depends(const Tensor& x) { return x.defined() && tape_.holds(x) && place_of_[slot_of(x)].has_value(); }

  template <class T = float> static std::vector<T> elements_of(const Tensor& x) { return x.constant().contiguous().to_vector<T>(); }
  // The numbers 0, 1, ... in the given shape; moved about, they show where elements go.
  static Tensor numbered(const Shape& shape) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(shape.size()));
    std::iota(numbers.begin(), numbers.end(), 0);
    return Tensor::from(numbers, shape);
  }
  // The places of the elements of those numbers, of a value at `first`.
  static std::vector<Place> places_of(Place first, const std::vector<std::int64_t>& numbers) {
    std::vector<Place> places;
    places.reserve(numbers.size());
    for (const std::int64_t number : numbers) places.push_back({first.offset + number, first.base});
    return places;
  }
  Place constant(const std::vector<float>& elements) {
    const Place place{static_cast<Index>(plan_.constants.size()), kConstants};
    plan_.constants.insert(plan_.constants.end(), elements.begin(), elements.end());
    plan_.constants.resize(plan_.constants.size() + kUnit);  // what reads whole vectors may read beyond
    return place;
  }
  Place result(const Call& call, std::size_t j = 0) { return place_of_[slot_of(call.y[j])].emplace(value(call.y[j].size())); }
  template <class S> void add(std::unique_ptr<S> step) { plan_.steps.push_back(std::move(step)); }
  // Weights and the like.
  std::vector<float> constant_operand(const Call& call, std::size_t i) {
    if (depends(call.x[i]))
      refuse(call.site,
             fmt::format("operand {} of {} depends on the function's input; it must be a constant", i + 1, call.operation->name()));
    return elements_of(call.x[i]);
  }
  static OperationOptions options_of(const Call& call) {
    const auto* const operation = dynamic_cast<const OperationWithOptions*>(call.operation);
    if (!operation) unknown(call);
    OperationOptions options;
    operation->options(options);
    return options;
  }
  // The windows along dimension `dim` of x, with element k of the options.
  static kernels::WindowAxis axis_of(const OperationOptions& options, std::size_t k, const Shape& x, int dim, Index kernel) {
    kernels::WindowAxis axis{.in = x[dim], .kernel = kernel, .stride = options.integers("stride")[k]};
    axis.padding = options.integers("padding")[k];
    axis.dilation = options.integers("dilation")[k];
    axis.out = (axis.in + 2 * axis.padding - axis.dilation * (kernel - 1) - 1) / axis.stride + 1;
    return axis;
  }
  [[noreturn]] static void unknown(const Call& call) { refuse(call.site, fmt::format("{} has no frozen form", call.operation->name())); }

  void read_operation(std::uint32_t k, const Call& call) {
    const std::string_view name = call.operation->name();
    if (const auto* const f = dynamic_cast<const ElementwiseOperation*>(call.operation)) return elementwise(call, *f);
    if (is_one_of(name, "linear", "linear_relu")) return layer(call, name == "linear_relu");
    if (name == "recurrent_gates") return gate_sum(call);
    if (name == "lstm_cell") return lstm_cell(call);
    if (name == "gru_cell") return gru_cell(call);
    if (name == "lstm") return lstm_layer(call);
    if (name == "gru") return gru_layer(call);
    if (name == "rnn") return rnn_layer(call);
    if (name == "matmul") return matmul(call);
    if (is_one_of(name, "conv1d", "conv2d", "conv2d_relu", "conv2d_relu_max_pool2d")) return convolution(call);
    if (is_one_of(name, "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool2d"))
      return pool(call);
    if (is_one_of(name, "softmax", "log_softmax")) return softmax(call, name == "log_softmax");
    if (name == "normalization") return normalization(call);
    if (name == "scale_and_shift") return scale_and_shift(call);
    if (is_one_of(name, "sum", "mean")) return sum(call, name == "mean");
    if (is_one_of(name, "reshape", "contiguous", "permute", "transpose", "expand", "slice", "pad_slice", "select", "concat", "pad", "flip",
                  "index_select", "gather", "slice_update", "index_put", "scatter"))
      return move(k, call);
    unknown(call);
  }

  // ---- products ----

  Place add_layer(Place x, Place h, Place y, Index rows, bool relu, LayerWeights weights) {
    add(std::make_unique<Layer>(x, h, y, rows, relu, std::move(weights)));
    return y;
  }
  void layer(const Call& call, bool relu) {
    LayerWeights weights{call.x[1].size(0), call.x[1].size(1), 0, constant_operand(call, 1), {}, {}};
    if (call.x.size() == 3) weights.bias = constant_operand(call, 2);
    const Index rows = weights.out > 0 ? call.y[0].size() / weights.out : 0;
    const Place x = place(call.x[0]);
    add_layer(x, {}, result(call), rows, relu, std::move(weights));
  }
  // Of recurrent layers: the operands x, W, h, U and, at `bias`, b if there is one.
  LayerWeights gate_weights(const Call& call, std::size_t bias) {
    LayerWeights weights{call.x[1].size(0), call.x[1].size(1), call.x[3].size(1), constant_operand(call, 1), constant_operand(call, 3), {}};
    if (call.x.size() > bias) weights.bias = constant_operand(call, bias);
    return weights;
  }
  void gate_sum(const Call& call) {
    const Place x = place(call.x[0]), h = place(call.x[2]);
    add_layer(x, h, result(call), call.y[0].size(0), false, gate_weights(call, 4));
  }
  void matmul(const Call& call) {
    const Tensor &a = call.x[0], &b = call.x[1];
    const Index m = a.size(-2), k = a.size(-1), n = b.size(-1);
    if (!depends(b) && b.rank() == 2) {
      LayerWeights weights{n, k, 0, elements_of(transpose(b.constant(), 0, 1)), {}, {}};
      const Place x = place(a);
      add_layer(x, {}, result(call), n > 0 ? call.y[0].size() / n : 0, false, std::move(weights));
      return;
    }
    const Index batch = m * n > 0 ? call.y[0].size() / (m * n) : 0;
    const bool one_b = b.size() == k * n;
    if (a.size() != batch * m * k || (!one_b && b.size() != batch * k * n))
      refuse(call.site, "the leading dimensions of matmul's operands must be equal in a frozen function");
    auto step = std::make_unique<Product>();
    step->a = place(a);
    step->b = place(b);
    step->c = result(call);
    step->batch = batch;
    step->m = m, step->k = k, step->n = n;
    step->b_batch = !one_b;
    add(std::move(step));
  }

  // ---- cells ----

  void add_lstm_gates(Index rows, Index hidden, Place sums, Place c, Place h_next, Place c_next) {
    auto step = std::make_unique<LstmGates>();
    step->rows = rows, step->hidden = hidden;
    step->sums = sums;
    step->gates = sums.base == kValues ? sums : value(4 * rows * hidden);
    step->c = c, step->h_next = h_next, step->c_next = c_next;
    add(std::move(step));
  }
  void lstm_cell(const Call& call) {
    const Place sums = place(call.x[0]), c = place(call.x[1]);
    const Place h_next = result(call, 0), c_next = result(call, 1);
    // The gates are an output of the operation that rules alone read.
    add_lstm_gates(call.x[1].size(0), call.x[1].size(1), sums, c, h_next, c_next);
  }
  void add_gru_gates(Index rows, Index hidden, Place a, Place b, Place h, Place h_next, Place gates) {
    auto step = std::make_unique<GruGates>();
    step->rows = rows, step->hidden = hidden;
    step->a = a, step->b = b, step->h = h;
    step->gates = gates, step->h_next = h_next;
    add(std::move(step));
  }
  void gru_cell(const Call& call) {
    const Place a = place(call.x[0]), b = place(call.x[1]), h = place(call.x[2]);
    add_gru_gates(call.x[2].size(0), call.x[2].size(1), a, b, h, result(call, 0), value(4 * call.x[2].size()));
  }
  // f(x_t, h before it, h_t, distance of the state from that of the first position) for each step of a layer with the operands x, W, h, ...
  template <class Step> void for_steps(const Call& call, const Step& f) {
    const bool backward = options_of(call).flag("backward");
    const Index steps = call.x[0].size(0), rows = call.x[0].size(1), in = call.x[0].size(2), hidden = call.x[2].size(1);
    const Place x = place(call.x[0]), h = result(call, 0);
    Place before = place(call.x[2]);
    for (Index k = 0; k < steps; ++k) {
      const Index t = backward ? steps - 1 - k : k, state = t * rows * hidden;
      f(x.at(t * rows * in), before, h.at(state), state);
      before = h.at(state);
    }
  }
  void lstm_layer(const Call& call) {
    const Index rows = call.x[0].size(1), hidden = call.x[2].size(1);
    const Place c = result(call, 1), sums = value(4 * rows * hidden);
    Place before_c = place(call.x[4]);
    const LayerWeights weights = gate_weights(call, 5);
    for_steps(call, [&](Place x, Place before, Place h, Index state) {
      add_layer(x, before, sums, rows, false, weights);
      add_lstm_gates(rows, hidden, sums, before_c, h, c.at(state));
      before_c = c.at(state);
    });
  }
  void gru_layer(const Call& call) {
    const Index rows = call.x[0].size(1), hidden = call.x[2].size(1), gates = 3 * hidden;
    LayerWeights of_x{gates, call.x[1].size(1), 0, constant_operand(call, 1), {}, {}};
    LayerWeights of_h{gates, hidden, 0, constant_operand(call, 3), {}, {}};
    if (call.x.size() > 4) of_x.bias = constant_operand(call, 4), of_h.bias = constant_operand(call, 5);
    const Place a = value(rows * gates), b = value(rows * gates), scratch = value(4 * rows * hidden);
    for_steps(call, [&](Place x, Place before, Place h, Index) {
      add_layer(x, {}, a, rows, false, of_x);
      add_layer(before, {}, b, rows, false, of_h);
      add_gru_gates(rows, hidden, a, b, before, h, scratch);
    });
  }
  void rnn_layer(const Call& call) {
    const Index rows = call.x[0].size(1), hidden = call.x[2].size(1);
    const bool relu = options_of(call).flag("relu");
    const LayerWeights weights = gate_weights(call, 4);
    const Place sums = value(rows * hidden);
    for_steps(call, [&](Place x, Place before, Place h, Index) {
      add_layer(x, before, relu ? h : sums, rows, relu, weights);
      if (relu) return;
      auto step = elementwise_step(hyperbolic_tangent(), rows * hidden);
      step->operands = 1;
      step->x[0] = step->x[1] = sums;
      step->y = h;
      add(std::move(step));
    });
  }

  // ---- elements ----

  void elementwise(const Call& call, const ElementwiseOperation& f) {
    if (std::string_view(f.name()) == "relu") {
      if (Convolution* const before = fusable(call.x[0]); before && !before->relu) {
        before->relu = true;
        place_of_[slot_of(call.y[0])] = before->y;
        return;
      }
    }
    auto step = elementwise_step(f, call.y[0].size());
    step->operands = static_cast<int>(call.x.size());
    for (std::size_t i = 0; i < call.x.size(); ++i) set_operand(*step, i, call.x[i], call.y[0].shape());
    if (call.x.size() == 1) step->x[1] = step->x[0];
    step->y = result(call);
    add(std::move(step));
  }
  // (x - center) weight + bias: the operands x, weight, bias, and the center if there is one.
  void scale_and_shift(const Call& call) {
    Parts parts{{&multiplication(), 1}, {&addition(), 2}};
    if (call.x.size() > 3) parts.insert(parts.begin(), {&subtraction(), 3});
    add_parts(call, parts, std::nullopt);
  }
  // Operations, one after the other, with the operands of these numbers; on the first operand, or on what is at a place.
  using Parts = std::vector<std::pair<const ElementwiseOperation*, std::size_t>>;
  void add_parts(const Call& call, const Parts& parts, std::optional<Place> so_far) {
    for (const auto& [f, i] : parts) {
      auto step = elementwise_step(*f, call.y[0].size());
      step->operands = 2;
      if (so_far) {
        step->x[0] = *so_far;
      } else {
        set_operand(*step, 0, call.x[0], call.y[0].shape());
      }
      set_operand(*step, 1, call.x[i], call.y[0].shape());
      step->y = i == 2 ? result(call) : value(step->size);
      so_far = step->y;
      add(std::move(step));
    }
  }
  static std::unique_ptr<Elementwise> elementwise_step(const ElementwiseOperation& f, Index size) {
    auto step = std::make_unique<Elementwise>();
    step->name = f.name();
    step->call = f.call();
    step->options = f.numbers();
    step->size = size;
    return step;
  }
  // Operand i is x, broadcast to the given shape.
  void set_operand(Elementwise& step, std::size_t i, const Tensor& x, const Shape& shape) {
    if (!depends(x)) {
      step.x[i] = constant(elements_of(expand(x.constant(), shape)));
      step.repeated[i] = repeated(x, shape);
    } else if (x.shape() == shape) {
      step.x[i] = place(x);
    } else {
      step.x[i] = value(step.size);
      add_move(places_of(place(x), elements_of<std::int64_t>(expand(numbered(x.shape()), shape))), step.x[i]);
    }
  }
  // How a constant is repeated in the given shape: whole dimensions in front, whole ones behind; else as it is.
  static Repeated repeated(const Tensor& x, const Shape& shape) {
    int first = shape.rank() - x.rank(), last = shape.rank();
    const auto is_one = [&](int d) { return x.shape()[d - (shape.rank() - x.rank())] == 1; };
    while (first < last && is_one(first)) ++first;
    while (last > first && is_one(last - 1)) --last;
    Repeated r{1, elements_of(x)};
    for (int d = last; d < shape.rank(); ++d) r.inner *= shape[d];
    for (int d = first; d < last; ++d)
      if (x.shape()[d - (shape.rank() - x.rank())] != shape[d]) return {1, elements_of(expand(x.constant(), shape))};
    return r;
  }

  // y[i] = the element at places[i].
  void add_move(const std::vector<Place>& places, Place y) {
    auto step = std::make_unique<Move>();
    for (std::size_t i = 0; i < places.size();) {
      std::size_t count = 1;
      const auto follows = [&](std::size_t at) { return at < places.size() && places[at].base == places[i].base; };
      const Index stride = follows(i + 1) ? places[i + 1].offset - places[i].offset : 1;
      while (follows(i + count) && places[i + count].offset == places[i].offset + static_cast<Index>(count) * stride) ++count;
      step->runs.push_back({places[i], stride, y.offset + static_cast<Index>(i), static_cast<Index>(count)});
      i += count;
    }
    add(std::move(step));
  }
  void move(std::uint32_t k, const Call& call) {
    constexpr Index kMost = Index(1) << 24;  // numbers that a float32 can tell apart
    // Every element of an operand that depends on x has a number, from 1 on; 0 is what no element goes to.
    std::vector<Tensor> x_dot(call.x.size());
    std::vector<Place> place_of_number{{}};
    Index next = 1;
    for (std::size_t i = 0; i < call.x.size(); ++i) {
      const Tensor& x = call.x[i];
      if (!depends(x)) continue;
      const Place first = place(x);
      std::vector<float> numbers(static_cast<std::size_t>(x.size()));
      for (float& number : numbers) {
        number = static_cast<float>(next++);
        place_of_number.push_back({first.offset + static_cast<Index>(&number - numbers.data()), first.base});
      }
      if (next > kMost) refuse(call.site, fmt::format("{} has too many elements", call.operation->name()));
      x_dot[i] = Tensor::from(numbers, x.shape());
    }
    Tensor y_dot;
    {
      const NoRecord pause;
      call.operation->jvp(Saved(tape_, tape_.nodes[k]), x_dot, {&y_dot, 1});
    }
    const std::vector<float> from = elements_of(y_dot);
    const bool is_same = std::adjacent_find(from.begin(), from.end(), [](float a, float b) { return b != a + 1; }) == from.end() &&
                         (from.empty() || from[0] != 0);
    if (is_same && !from.empty()) {
      const Place first = place_of_number[static_cast<std::size_t>(from[0])];
      const Place last = place_of_number[static_cast<std::size_t>(from.back())];
      if (last.base == first.base && last.offset - first.offset == static_cast<Index>(from.size()) - 1 && first.offset % kUnit == 0) {
        place_of_[slot_of(call.y[0])] = first;  // the same elements in the same order
        return;
      }
    }
    std::vector<Place> places;
    const Place known = std::find(from.begin(), from.end(), 0.f) == from.end() ? Place{} : constant(elements_of(call.y[0]));
    for (std::size_t i = 0; i < from.size(); ++i)
      places.push_back(from[i] == 0 ? Place{known.offset + static_cast<Index>(i), kConstants}
                                    : place_of_number[static_cast<std::size_t>(from[i])]);
    add_move(places, result(call));
  }

  // ---- windows ----

  // Bytes or 32-bit integers.
  Place bytes(Index count) { return value((count + 3) / 4); }

  static kernels::Convolution sizes_of(const Call& call) {
    const OperationOptions options = options_of(call);
    const Shape &x = call.x[0].shape(), &weight = call.x[1].shape();
    kernels::Convolution c;
    c.batch = x[0], c.in_channels = x[1], c.out_channels = weight[0];
    c.groups = options.integer("groups");
    if (x.rank() == 4) c.height = axis_of(options, 0, x, 2, weight[2]);
    c.width = axis_of(options, x.rank() == 4 ? 1 : 0, x, x.rank() - 1, weight.back());
    return c;
  }
  void convolution(const Call& call) {
    const std::string_view name = call.operation->name();
    auto step = std::make_unique<Convolution>();
    step->sizes = sizes_of(call);
    step->relu = name.starts_with("conv2d_relu");
    step->pool = name == "conv2d_relu_max_pool2d";
    step->x = place(call.x[0]);
    step->weight = constant_operand(call, 1);
    if (call.x.size() > (step->pool ? 3u : 2u)) step->bias = constant_operand(call, 2);
    step->y = result(call);
    if (step->pool) step->positions = bytes(call.x.back().size());
    add(std::move(step));
  }
  // The last step, if it is a convolution for the direct kernel that computes x, which nothing else reads.
  Convolution* fusable(const Tensor& x) {
    auto* const last = plan_.steps.empty() ? nullptr : dynamic_cast<Convolution*>(plan_.steps.back().get());
    if (!last || !depends(x) || uses_[slot_of(x)] != 1 || last->pool || !kernels::is_direct(last->sizes)) return nullptr;
    const Place its = place(x);
    return its.base == last->y.base && its.offset == last->y.offset ? last : nullptr;
  }
  // Whether these are maxima of windows of 2 x 2 that cover everything once.
  static bool is_simple(const PoolingForm& form) {
    const auto halves = [](const kernels::WindowAxis& a) {
      return a.kernel == 2 && a.stride == 2 && a.padding == 0 && a.dilation == 1 && a.in == 2 * a.out;
    };
    return form.maximum && halves(form.sizes.height) && halves(form.sizes.width);
  }
  static PoolingForm pooling_of(const Call& call) {
    const OperationOptions options = options_of(call);
    const Shape &x = call.x[0].shape(), &y = call.y[0].shape();
    const bool maximum = std::string_view(call.operation->name()).starts_with("max_pool");
    const std::vector<Index>& kernel = options.integers("kernel");
    PoolingForm form{{}, maximum, kernels::Divisor::padded};
    form.sizes.planes = x.size(0, 2);
    if (x.rank() == 4) form.sizes.height = axis_of(options, 0, x, 2, kernel[0]);
    form.sizes.width = axis_of(options, kernel.size() - 1, x, x.rank() - 1, kernel.back());
    if (x.rank() == 4) form.sizes.height.out = y[2];  // windows may hang over the end
    form.sizes.width.out = y.back();
    if (!maximum && options.flag("adaptive")) {
      form.divisor = kernels::Divisor::adaptive;
    } else if (!maximum && !options.flag("count_include_pad")) {
      form.divisor = kernels::Divisor::inside;
    }
    return form;
  }
  void pool(const Call& call) {
    const PoolingForm form = pooling_of(call);
    if (Convolution* const before = fusable(call.x[0]); before && before->relu && is_simple(form)) {
      before->pool = true;
      before->y = result(call);
      before->positions = bytes(before->sizes.batch * kernels::pooled_positions(before->sizes));
      return;
    }
    auto step = std::make_unique<Pool>();
    step->form = form;
    step->x = place(call.x[0]);
    step->y = result(call);
    if (step->form.maximum) step->positions = bytes(4 * call.y[0].size());
    add(std::move(step));
  }

  // ---- sums ----

  void softmax(const Call& call, bool logarithm) {
    const Shape& shape = call.y[0].shape();
    const int dim = static_cast<int>(options_of(call).integer("dim"));
    auto step = std::make_unique<Softmax>();
    step->lines = {shape.size(0, dim), shape[dim], shape.size(dim + 1, shape.rank())};
    step->logarithm = logarithm;
    step->x = place(call.x[0]);
    step->y = result(call);
    add(std::move(step));
  }
  void normalization(const Call& call) {
    const bool scaled = call.x.size() > 1;  // by the operand 1, and shifted by the operand 2
    const OperationOptions options = options_of(call);
    const std::vector<Index>& sizes = options.integers("sizes");
    auto step = std::make_unique<Normalization>();
    step->outer = sizes[0], step->groups = sizes[1], step->inner = sizes[2];
    step->eps = options.number("eps");
    step->x = place(call.x[0]);
    step->y = scaled ? value(call.y[0].size()) : result(call);
    const Place y = step->y;
    add(std::move(step));
    if (scaled) add_parts(call, {{&multiplication(), 1}, {&addition(), 2}}, y);
  }
  void sum(const Call& call, bool mean) {
    const Tensor& x = call.x[0];
    std::vector<bool> reduced(static_cast<std::size_t>(x.rank()));
    const OperationOptions options = options_of(call);
    for (const Index d : options.integers("dims")) reduced[static_cast<std::size_t>(d)] = true;
    auto step = std::make_unique<Sum>();
    step->size = call.y[0].size();
    step->n = step->size > 0 ? x.size() / step->size : 0;
    step->divisor = mean ? static_cast<double>(step->n) : 1;
    // The elements of each sum side by side.
    Shape order, last;
    for (int d = 0; d < x.rank(); ++d) (reduced[static_cast<std::size_t>(d)] ? last : order).push_back(d);
    for (const Index d : last) order.push_back(d);
    const std::vector<std::int64_t> from = elements_of<std::int64_t>(permute(numbered(x.shape()), order));
    step->x = place(x);
    if (!std::is_sorted(from.begin(), from.end())) {
      const std::vector<Place> places = places_of(step->x, from);
      step->x = value(x.size());
      add_move(places, step->x);
    }
    step->y = result(call);
    add(std::move(step));
  }

  TapeState& tape_;
  Plan plan_;
  std::vector<std::optional<Place>> place_of_;  // by slot, as the next
  std::vector<int> uses_;
};

}  // namespace

Plan read_plan(FunctionRef<Tensor(const Tensor&)> run, std::span<Tensor* const> state, std::span<const Tensor> start, const Tensor& x,
               Location site) {
  std::vector<Call> calls;
  const Tape tape({.isolated = true});
  TapeState& records = TapeAccess::state(tape);
  records.watch = std::make_unique<Trace>(calls);
  std::vector<Tensor> before;
  for (std::size_t i = 0; i < state.size(); ++i) *state[i] = before.emplace_back(records.variable(start[i]));
  const Tensor input = records.variable(x), output = run(input);

  const NoRecord pause;
  Reader reader(records);
  Plan& plan = reader.plan();
  plan.input = x.shape();
  plan.output = output.shape();
  reader.input(input);
  std::vector<Place> states;
  states.reserve(before.size());
  for (const Tensor& s : before) states.push_back(reader.variable(s));
  for (const Call& call : calls)
    for (const Tensor& operand : call.x) reader.count_use(operand);
  reader.count_use(output);
  for (const Tensor* const s : state) reader.count_use(*s);
  for (std::uint32_t k = 0; k < calls.size(); ++k) reader.read(k, calls[k]);
  if (output.dtype() != float32)
    throw DtypeError(fmt::format("freeze: the result is {}; only float32 can be frozen", describe(output)), CallSite::of(site));
  plan.y = reader.place(output);
  for (std::size_t i = 0; i < state.size(); ++i) {
    if (!(state[i]->shape() == start[i].shape()))
      throw ShapeError(fmt::format("freeze: a state of shape {} has become {}; it must keep its shape", to_string(start[i].shape()),
                                   describe(*state[i])),
                       CallSite::of(site));
    const Place next = reader.place(*state[i]);
    if (next.base != kValues || next.offset != states[i].offset)
      plan.kept.push_back({reader.apart_from(states, next, start[i].size()), states[i], start[i].size()});
  }
  if (!plan.steps.empty() && plan.steps.back()->redirect(plan.y, plan.output.size())) {
    for (Kept& k : plan.kept)
      if (k.from.base == plan.y.base && k.from.offset == plan.y.offset) k.from = {0, kOutput};
    plan.y = {0, kOutput};
  }
  return std::move(plan);
}

}  // namespace wengert::detail::frozen
