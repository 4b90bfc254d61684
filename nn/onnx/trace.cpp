#include "nn/onnx/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "autodiff/ops/composition_scope.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/storage.h"

namespace wengert::nn::onnx {
namespace {

using wengert::detail::TapeState;

// The same elements in the same places.
bool same_elements(const Tensor& a, const Tensor& b) {
  return a.elements() == b.elements() && a.shape() == b.shape() && a.strides() == b.strides();
}

// How many of its operands an operation was called with. Those behind them are results in disguise: the positions of maxima, which rules
// read.
std::size_t operands_of_call(std::string_view operation, std::size_t recorded) {
  if (operation == "max_pool1d" || operation == "max_pool2d" || operation == "max_pool2d_with_indices") return 1;
  return operation == "conv2d_relu_max_pool2d" ? recorded - 1 : recorded;
}

class Watch final : public wengert::detail::TapeWatch, public wengert::detail::CompositionObserver {
 public:
  Watch(Trace& trace, const Tensor& input, std::span<const std::string_view> known)
      : TapeWatch(false, false), trace_(trace), input_(input.constant()), known_(known) {
    for (std::size_t i = 0; i < trace.state.size(); ++i) state_[trace.state[i].value.elements()] = static_cast<int>(i);
  }

  void set_input(std::uint64_t number) { sources_[number] = {.kind = Operand::Kind::input}; }

  void before_operation(TapeState&, const Operation& operation, Location site, std::span<const Tensor* const> x,
                        std::span<const Tensor>) override {
    if (hidden_ > 0) return;
    pending_ = start(operation.name(), site, x);
    if (const auto* has = dynamic_cast<const OperationWithOptions*>(&operation)) has->options(pending_.options);
    if (!open_.empty()) pending_.whole = open_.back();
  }
  void after_operation(TapeState&, std::span<const Tensor* const>, std::span<const Tensor> y) noexcept override {
    if (hidden_ > 0) return;
    for (const Tensor& each : y) add_result(pending_, each);
    trace_.operations.push_back(std::move(pending_));
  }
  void begin_composition(const char* name, Location site, std::span<const Tensor* const> x, const OperationOptions& options) override {
    if (hidden_ > 0 || std::find(known_.begin(), known_.end(), name) != known_.end()) {
      if (hidden_++ > 0) return;
      whole_ = start(name, site, x);
      whole_.options = options;
    } else {
      open_.emplace_back(name);
    }
  }
  void end_composition(std::span<const Tensor* const> y) noexcept override {
    if (hidden_ == 0) return open_.pop_back();
    if (--hidden_ > 0 || y.empty()) return;
    for (const Tensor* each : y) add_result(whole_, *each);
    trace_.operations.push_back(std::move(whole_));
  }

  void before_stack(TapeState&, std::span<const double>, const Tensor&, Location site) override { refuse_scalars(site); }
  void before_element(TapeState&, const Tensor&, Location site) override { refuse_scalars(site); }
  void after_stack(TapeState&, std::span<const double>, const Tensor&) noexcept override {}
  void after_element(TapeState&, const Tensor&, std::uint32_t, double) noexcept override {}
  void before_statement(TapeState&, std::span<const wengert::detail::ExpressionStep>, Location) override {}
  void after_statement(TapeState&, std::uint32_t, std::span<const wengert::detail::ExpressionStep>, Location) noexcept override {}
  void variable(TapeState&, std::uint32_t, double, Location) override {}
  void variable(TapeState&, const Tensor&, Location) override {}
  void after_sweep(TapeState&, const wengert::detail::Source&, std::uint32_t, const Tensor&,
                   std::span<const wengert::detail::Source>) override {
    throw Error("export_onnx: the model computes a gradient in its forward pass, which has no counterpart in ONNX");
  }
  void discard() noexcept override {}

  Operand operand_of(const Tensor& t) {
    if (!t.defined()) return {};
    Operand o{.kind = Operand::Kind::constant, .shape = t.shape(), .dtype = t.dtype()};
    if (const auto found = sources_.find(t.number()); t.number() && found != sources_.end()) {
      o.kind = found->second.kind;
      o.index = found->second.index;
      return o;
    }
    if (same_elements(t, input_)) {
      o.kind = Operand::Kind::input;
      return o;
    }
    o.value = t.constant();
    const auto found = state_.find(t.elements());
    if (found != state_.end() && same_elements(trace_.state[static_cast<std::size_t>(found->second)].value, t)) {
      o.kind = Operand::Kind::state;
      o.index = found->second;
    }
    return o;
  }

 private:
  struct Source {
    Operand::Kind kind = Operand::Kind::result;
    int index = -1;
  };

  TracedOperation start(const char* name, Location site, std::span<const Tensor* const> x) {
    TracedOperation operation{.name = name, .site = site};
    for (const Tensor* each : x.first(operands_of_call(name, x.size()))) operation.operands.push_back(operand_of(*each));
    return operation;
  }

  // A result of an operation; a composition may return an operand, or something that is not recorded.
  void add_result(TracedOperation& operation, const Tensor& y) {
    const int index = static_cast<int>(trace_.results.size());
    trace_.results.push_back({y.shape(), y.dtype()});
    operation.results.push_back(index);
    if (y.number()) sources_[y.number()] = {.index = index};
  }

  [[noreturn]] static void refuse_scalars(Location site) {
    throw Error(
        "export_onnx: the model turns elements of tensors into Scalars, or Scalars into a tensor, which has no counterpart in ONNX; "
        "hint: compute with tensors there",
        site);
  }

  Trace& trace_;
  Tensor input_;
  std::span<const std::string_view> known_;
  std::unordered_map<const void*, int> state_;         // by elements
  std::unordered_map<std::uint64_t, Source> sources_;  // by number
  TracedOperation pending_, whole_;
  int hidden_ = 0;                 // how many compositions are open from a known one on
  std::vector<std::string> open_;  // those that are seen as their parts
};

// Makes the watch the observer of compositions, for a scope.
class Observed {
 public:
  explicit Observed(Watch& watch) : outer_(std::exchange(wengert::detail::composition_observer, &watch)) {}
  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;
  ~Observed() { wengert::detail::composition_observer = outer_; }

 private:
  wengert::detail::CompositionObserver* outer_;
};

}  // namespace

Trace trace(Forward f, const Tensor& x, std::span<const NamedTensor> state, std::span<const std::string_view> known) {
  Trace result{.input_shape = x.shape(), .input_dtype = x.dtype(), .state = {state.begin(), state.end()}};
  Tape tape;
  TapeState& records = wengert::detail::TapeAccess::state(tape);
  const Tensor dense = x.contiguous();  // an input that shares its elements with nothing else
  auto owned = std::make_unique<Watch>(result, dense, known);
  Watch& watch = *owned;
  records.watch = std::move(owned);
  const Observed observed(watch);
  const Tensor in = is_floating(x.dtype()) ? tape.variable(dense) : dense;
  if (in.number()) watch.set_input(in.number());
  for (NamedTensor& y : f(in)) {
    result.outputs.push_back(watch.operand_of(y.value));
    result.output_names.push_back(std::move(y.name));
  }
  return result;
}

}  // namespace wengert::nn::onnx
