// Elementwise operations from recorded programs.
//
//   y = f(x_1, x_2, ...):   x_bar_k = y_bar df/dx_k,   y_dot = sum_k df/dx_k x_dot_k
//
// Operands of one element are parameters of the program, the others its data; the elements are its lanes. Outside recording the reverse
// rule is one reverse sweep over each block of lanes. While a sweep is recorded, and in forward mode, the rules are elementwise operations
// in turn, of the programs vjp(f) and jvp(f), which have several results.
#include "autodiff/transforms/elementwise.h"

#include <fmt/format.h>

#include <bit>
#include <limits>
#include <mutex>
#include <vector>

#include "autodiff/ops/broadcast.h"
#include "autodiff/program/evaluate.h"
#include "autodiff/program/transform.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {
namespace {

using Tensors = pool::Vector<Tensor>;
template <class T> using Pointers = pool::Vector<T*>;

// A program on elements, and those of its derivatives, made when they are needed first.
class ElementProgram {
 public:
  ElementProgram(const char* name, Program program)
      : name(name),
        program(std::move(program)),
        costly_(this->program.list().guards.empty() ? costly_values(this->program.list()).size() : 0) {}

  const std::shared_ptr<const ElementProgram>& vjp() const {
    std::call_once(vjp_once_, [&] { vjp_ = std::make_shared<ElementProgram>(name, wengert::vjp(program, Wrt::inputs)); });
    return vjp_;
  }
  const std::shared_ptr<const ElementProgram>& jvp() const {
    std::call_once(jvp_once_, [&] { jvp_ = std::make_shared<ElementProgram>(name, wengert::jvp(program, Wrt::inputs)); });
    return jvp_;
  }
  // How many values a forward run keeps for the reverse sweep. Elements that may take another way through the program keep none.
  std::size_t costly() const { return costly_; }
  int parameters() const { return program.parameters(); }
  int inputs() const { return program.parameters() + program.data(); }

  const char* const name;
  const Program program;

 private:
  const std::size_t costly_;
  mutable std::once_flag vjp_once_, jvp_once_;
  mutable std::shared_ptr<const ElementProgram> vjp_, jvp_;
};

Tensors apply(const std::shared_ptr<const ElementProgram>& program, std::span<const Tensor> x, const Shape& shape, Location site);

// The inputs of a request: one element of each parameter, and the elements of the data in the shape of the result.
template <class T> class Lanes {
 public:
  Lanes(const ElementProgram& program, std::span<const Tensor> x, const Shape& shape) {
    const auto parameters = static_cast<std::size_t>(program.parameters());
    for (const Tensor& p : x.first(parameters)) parameters_.push_back(*data<T>(p));
    for (const Tensor& d : x.subspan(parameters)) {
      const bool dense = d.shape() == shape && d.is_row_major();
      if (!dense) expanded_.push_back(expand(d.constant(), shape).contiguous());
      columns_.push_back(data<T>(dense ? d : expanded_.back()));
    }
    request.parameters = parameters_;
    request.columns = columns_.data();
    request.lanes = shape.size();
  }
  // Values of the program that need not be computed.
  void give(std::span<const Tensor> costly) {
    if (costly.empty()) return;
    for (const Tensor& each : costly) columns_.push_back(data<T>(each));
    request.columns = columns_.data();
    request.costly = Costly::given;
  }

  Request<T> request;

 private:
  pool::Vector<T> parameters_;
  Pointers<const T> columns_;
  Tensors expanded_;
};

void check_lanes(const char* name, Index lanes) {
  if (lanes >= static_cast<Index>(std::numeric_limits<std::uint32_t>::max()))
    throw ShapeError(fmt::format("{}: {} elements are too many for one call", name, lanes));
}

class ElementwiseCall : public Operation {
 public:
  // `kept` are the costly values of the program, where the forward run has written them.
  ElementwiseCall(std::shared_ptr<const ElementProgram> program, Tensors kept) : program_(std::move(program)), kept_(std::move(kept)) {}
  const char* name() const override { return program_->name; }
  ValueSet saved_for(int) const override {
    ValueSet all = kNoValues;
    for (int i = 0; i < program_->inputs(); ++i) all |= input(i);
    return all;
  }

  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Shape& shape = s.y_shape();
    Tensors seeds;
    for (std::size_t j = 0; j < y_bar.size(); ++j) seeds.push_back(y_bar[j].defined() ? y_bar[j] : zeros_like_result(s));
    Tensors x = inputs(s);
    if (!recording()) return sweep(x, seeds, shape, x_bar);
    for (Tensor& seed : seeds) x.push_back(std::move(seed));
    Tensors all = apply(program_->vjp(), x, shape, Location::here());
    for (int i = 0; i < program_->inputs(); ++i)
      if (x_bar.needs(i)) x_bar[i] = std::move(all[static_cast<std::size_t>(i)]);
  }

  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensors x = inputs(s);
    Tensors all;
    const auto add = [&](int begin, int end) {
      for (int i = begin; i < end; ++i) all.push_back(x[static_cast<std::size_t>(i)]);
      for (int i = begin; i < end; ++i) {
        const Tensor& dot = x_dot[static_cast<std::size_t>(i)];
        all.push_back(dot.defined() ? dot : Tensor::zeros(s.x_shape(i), s.x_dtype(i)));
      }
    };
    add(0, program_->parameters());
    add(program_->parameters(), program_->inputs());
    Tensors y = apply(program_->jvp(), all, s.y_shape(), Location::here());
    for (std::size_t j = 0; j < y.size(); ++j) y_dot[j] = std::move(y[j]);
  }

 private:
  Tensors inputs(const Saved& s) const {
    Tensors x;
    for (int i = 0; i < program_->inputs(); ++i) x.push_back(s.x(i));
    return x;
  }
  static Tensor zeros_like_result(const Saved& s) { return Tensor::zeros(s.y_shape(), s.x_dtype(0)); }

  // One reverse sweep over all elements.
  void sweep(const Tensors& x, Tensors& seeds, const Shape& shape, Cotangents& x_bar) const {
    const int parameters = program_->parameters();
    dispatch_floating(x[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      Lanes<T> lanes(*program_, x, shape);
      lanes.give(kept_);
      Request<T>& request = lanes.request;
      for (Tensor& seed : seeds) seed = seed.contiguous();
      Tensor joined;
      if (seeds.size() > 1) joined = stack(std::span<const Tensor>(seeds.data(), seeds.size()), 0);
      request.seeds = data<T>(seeds.size() > 1 ? joined : seeds[0]);

      pool::Vector<T> of_parameters(static_cast<std::size_t>(parameters));
      bool any = false;
      for (int i = 0; i < parameters; ++i) any |= x_bar.needs(i);
      if (any) request.parameters_gradient = of_parameters.data();

      Pointers<T> rows;
      bool any_data = false;
      for (int i = parameters; i < program_->inputs(); ++i) {
        rows.push_back(nullptr);
        if (!x_bar.needs(i)) continue;
        any_data = true;
        x_bar[i] = Tensor::uninitialized(shape, x[0].dtype());
        rows.back() = data<T>(x_bar[i]);
      }
      if (any_data) request.data_gradient_rows = rows.data();

      evaluate(*ProgramAccess::paths(program_->program), request);
      for (int i = 0; i < parameters; ++i) {
        if (!x_bar.needs(i)) continue;
        const auto k = static_cast<std::size_t>(i);
        x_bar[i] = Tensor::full(x[k].shape(), of_parameters[k], x[k].dtype());
      }
    });
  }

  std::shared_ptr<const ElementProgram> program_;
  Tensors kept_;
};

// All results of the program, recorded as one operation. Parameters have one element each; data broadcast to `shape`.
Tensors apply(const std::shared_ptr<const ElementProgram>& program, std::span<const Tensor> x, const Shape& shape, Location site) {
  pool::Vector<const Tensor*> inputs;
  for (const Tensor& each : x) inputs.push_back(&each);
  const auto uninitialized = [&](std::size_t count) {
    Tensors t;
    for (std::size_t j = 0; j < count; ++j) t.push_back(Tensor::uninitialized(shape, x[0].dtype(), site));
    return t;
  };
  Tensors y = uninitialized(static_cast<std::size_t>(program->program.outputs()));
  Tensors kept = any_tracked(inputs) ? uninitialized(program->costly()) : Tensors();
  dispatch_floating(x[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    Lanes<T> lanes(*program, x, shape);
    check_lanes(program->name, lanes.request.lanes);
    Pointers<T> rows;
    for (Tensors* group : {&y, &kept})
      for (Tensor& each : *group) rows.push_back(data<T>(each));
    lanes.request.value_rows = rows.data();
    if (!kept.empty()) lanes.request.costly = Costly::written;
    evaluate(*ProgramAccess::paths(program->program), lanes.request);
  });
  record_all(ElementwiseCall(program, std::move(kept)), site, inputs, y);
  return y;
}

// f with the operands that are parameters first.
class InOrder : public RecordedFunction {
 public:
  InOrder(std::shared_ptr<const ElementFunction> f, std::uint32_t parameters) : f_(std::move(f)), parameters_(parameters) {}
  void call(std::span<const Recorded> inputs, std::size_t parameters, std::vector<Recorded>& outputs) override {
    std::vector<Recorded> x;
    std::size_t parameter = 0, datum = parameters;
    x.reserve(static_cast<std::size_t>(f_->operands));
    for (int i = 0; i < f_->operands; ++i) x.push_back(inputs[parameters_ >> i & 1 ? parameter++ : datum++]);
    outputs.push_back(f_->call(x));
  }

 private:
  std::shared_ptr<const ElementFunction> f_;
  std::uint32_t parameters_;  // a set of bits
};

}  // namespace

class ElementwisePrograms {
 public:
  explicit ElementwisePrograms(std::shared_ptr<const ElementFunction> f) : f(std::move(f)) {}

  // The program for a set of operands that have one element.
  std::shared_ptr<const ElementProgram> with(std::uint32_t parameters, std::span<const double> example) {
    const std::scoped_lock lock(mutex_);
    for (const auto& [its, program] : programs_)
      if (its == parameters) return program;
    const int count = std::popcount(parameters);
    Program program = record(std::make_shared<InOrder>(f, parameters), {.parameters = count, .data = f->operands - count}, example);
    return programs_.emplace_back(parameters, std::make_shared<ElementProgram>(f->name, std::move(program))).second;
  }

  const std::shared_ptr<const ElementFunction> f;

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::uint32_t, std::shared_ptr<const ElementProgram>>> programs_;
};

std::shared_ptr<ElementwisePrograms> make_elementwise(std::shared_ptr<const ElementFunction> f) {
  return std::make_shared<ElementwisePrograms>(std::move(f));
}

Tensor apply_elementwise(const std::shared_ptr<ElementwisePrograms>& programs, std::span<Operand* const> x) {
  const char* name = programs->f->name;
  const Location site = x[0]->site;
  Dtype dtype = float64;  // that of the first tensor
  for (std::size_t i = x.size(); i-- > 0;) {
    if (!x[i]->is_tensor()) continue;
    check_defined(name, x[i]->tensor(), fmt::format("operand {}", i).c_str());
    dtype = x[i]->tensor().dtype();
  }
  Tensors operands;
  for (Operand* each : x) {
    const Tensor& t = each->as(dtype, name);
    check_floating(name, t);
    if (!operands.empty()) check_same_dtype(name, operands[0], t);
    operands.push_back(t);
  }
  Shape shape = operands[0].shape();
  for (std::size_t i = 1; i < operands.size(); ++i) {
    if (const auto together = broadcast(shape, operands[i].shape())) {
      shape = *together;
      continue;
    }
    for (std::size_t j = 0; j < i; ++j) broadcast_shape(name, operands[j], operands[i]);  // throws for the first that does not fit
  }
  const Index elements = shape.size();
  std::uint32_t parameters = 0;
  Tensors in_order;
  if (elements != 1) {
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].size() != 1) continue;
      parameters |= 1u << i;
      in_order.push_back(operands[i]);
    }
  }
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (!(parameters >> i & 1)) in_order.push_back(operands[i]);

  std::vector<double> example;
  for (const Tensor& t : in_order) {
    double first = 1;
    if (t.size() > 0) dispatch_floating(dtype, [&](auto zero) { first = static_cast<double>(*data<decltype(zero)>(t)); });
    example.push_back(first);
  }
  return std::move(apply(programs->with(parameters, example), in_order, shape, site)[0]);
}

}  // namespace wengert::detail
