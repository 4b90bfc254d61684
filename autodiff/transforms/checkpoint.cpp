// Checkpoints: recompute values instead of storing them.
//
//   y = f(x, p)   (x_bar, p_bar) = J^T y_bar,   y_dot = J (x_dot, p_dot),   with J from a tape on which f is recorded once more
//
// p are the parameters that f reads. A recorded sweep (for second derivatives) records the checkpoint of the function
// (x, y_bar) -> J^T y_bar.
#include "autodiff/transforms/checkpoint.h"

#include "autodiff/ops.h"
#include "autodiff/tape/forward_sweep.h"
#include "autodiff/tape/reverse_sweep.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/draws.h"

namespace wengert::detail {
namespace {

using Tensors = pool::Vector<Tensor>;
using Flags = pool::Vector<char>;

// A parameter that the function reads, and its value at that time.
struct Read {
  ParameterRef parameter;
  Tensor value;
};

// Everything that one call of the function depends on, so that the call can be repeated.
struct Run {
  std::shared_ptr<const Block> f;
  Tensors x;     // constants; may be undefined
  Flags varies;  // which of them are tracked
  pool::Vector<Read> reads;
  Draws draws;
  Flags tracked;  // which results depend on tracked inputs
  bool higher_order;
};

// One call of the function, recorded on a separate tape.
class Recording {
 public:
  Tensors x, p, y;  // on this tape: inputs, parameters whose values are fixed, results

  // `again`: repeats the random numbers of the first call.
  Recording(Run& run, bool again)
      : tape_({.higher_order = run.higher_order, .isolated = true, .reject_outer_values = true}), state_(*active_tape()) {
    for (std::size_t i = 0; i < run.x.size(); ++i) x.push_back(run.varies[i] ? state_.variable(run.x[i]) : run.x[i]);
    for (const Read& read : run.reads) p.push_back(state_.bind_parameter(*read.parameter.get(), read.value));
    const CallSite own_lines = CallSite::of_user_code();
    const DrawScope draws(run.draws, again);
    y = (*run.f)(x);
    if (!draws.all_drawn())
      throw TapeError("checkpoint: the function drew fewer random numbers when it was called again; it must do the same each time");
  }

  TapeState& tape() { return state_; }
  bool tracks(const Tensor& t) { return state_.slot_of(t) != kNoIndex; }

 private:
  Tape tape_;
  TapeState& state_;
};

Tensors select_flagged(const Tensors& all, const Flags& flags) {
  Tensors some;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (flags[i]) some.push_back(all[i]);
  return some;
}

// The sources of the gradients, in the order of the node's inputs: x where it varies, then p.
pool::Vector<Source> sources_of(std::span<const Tensor> x, const Flags& varies, const Tensors& p) {
  pool::Vector<Source> sources;
  for (std::size_t i = 0; i < varies.size(); ++i)
    if (varies[i]) sources.emplace_back(x[i]);
  sources.insert(sources.end(), p.begin(), p.end());
  return sources;
}

// sum_j <y_j, y_bar_j>: its gradient is J^T y_bar, to the bit.
Tensor inner_product(const Tensors& y, std::span<const Tensor> y_bar) {
  Tensor total;
  for (std::size_t j = 0; j < y.size(); ++j) {
    if (!y_bar[j].defined()) continue;
    const Tensor term = sum(y[j] * y_bar[j]).to(float64);
    total = total.defined() ? total + term : term;
  }
  return total;
}

Gradients pull(TapeState& tape, const Tensors& y, std::span<const Tensor> y_bar, std::span<const Source> sources, bool recorded) {
  GradientOptions options{.differentiable = recorded, .unreached = Unreached::zero};
  if (y.size() > 1) return sweep_back(tape, Source(inner_product(y, y_bar)), sources, options);
  options.seed = y_bar[0];
  return sweep_back(tape, Source(y[0]), sources, options);
}

Tensors call_and_record(Run run, std::span<const Tensor> x, bool again, Location site);

// (x, y_bar) -> J^T y_bar for one run, recorded on the active tape.
class PullBlock final : public Block {
 public:
  explicit PullBlock(const Run& run) : f_(run.f), varies_(run.varies), tracked_(run.tracked) {
    for (const Read& read : run.reads) parameters_.push_back(read.parameter);
  }
  Tensors operator()(std::span<const Tensor> inputs) const override {
    const std::span<const Tensor> x = inputs.first(varies_.size()), y_bar = inputs.subspan(varies_.size());
    const Tensors y = select_flagged((*f_)(x), tracked_);
    TapeState& tape = *active_tape();
    Tensors p;
    for (const ParameterRef& parameter : parameters_) p.push_back(tape.leaf(*parameter.get()));
    const Gradients g = pull(tape, y, y_bar, sources_of(x, varies_, p), true);
    return {g.begin(), g.end()};
  }

 private:
  std::shared_ptr<const Block> f_;
  Flags varies_, tracked_;
  pool::Vector<ParameterRef> parameters_;
};

class CheckpointCall : public Operation {
 public:
  explicit CheckpointCall(Run run) : run_(std::move(run)) {}
  const char* name() const override { return "checkpoint"; }
  ValueSet saved_for(int) const override { return kNoValues; }

  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (recording()) return recorded_vjp(s, y_bar, x_bar);
    Recording again(run_, true);
    const Tensors y = same_results(again, s);
    const Gradients g = pull(again.tape(), y, y_bar, sources_of(again.x, run_.varies, again.p), false);
    for (std::size_t i = 0; i < g.size(); ++i) x_bar[static_cast<int>(i)] = g[i];
  }

  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Recording again(run_, true);
    const Tensors y = same_results(again, s);
    const pool::Vector<Source> sources = sources_of(again.x, run_.varies, again.p);
    Tensors tangents;
    for (std::size_t i = 0; i < sources.size(); ++i)
      tangents.push_back(x_dot[i].defined() ? x_dot[i] : Tensor::zeros(sources[i].tensor->shape(), sources[i].tensor->dtype()));
    for (std::size_t j = 0; j < y.size(); ++j) y_dot[j] = sweep_forward(again.tape(), Source(y[j]), sources, tangents);
  }
  bool recompute(std::span<const Tensor> /*x*/, std::span<Tensor> y) const override {
    Recording again(run_, true);
    const Tensors all = select_flagged(again.y, run_.tracked);
    for (std::size_t j = 0; j < all.size(); ++j) y[j] = all[j].constant();
    return true;
  }

 private:
  // The results that are tracked. A TapeError unless they are the same as in the first call.
  Tensors same_results(Recording& again, const Saved& s) const {
    bool same = again.y.size() == run_.tracked.size() && again.tape().leaves.all().size() == run_.reads.size();
    Tensors y;
    if (same) y = select_flagged(again.y, run_.tracked);
    for (std::size_t j = 0; j < y.size(); ++j) same &= again.tracks(y[j]) && y[j].shape() == s.y_shape(static_cast<int>(j));
    if (!same)
      throw TapeError(
          "checkpoint: the function read other parameters or gave other results when it was called again; it must do the same each time");
    return y;
  }

  void recorded_vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    Run run = run_;
    Tensors inputs;
    int varying = 0;
    for (std::size_t i = 0; i < run_.x.size(); ++i) {
      Tensor value = run_.x[i];
      inputs.push_back(run_.varies[i] ? Tensor(value.take(), s.x_number(varying++)) : value);
    }
    for (const Tensor& each : y_bar) {
      inputs.push_back(each);
      run.x.push_back(each.defined() ? each.constant() : each);
      run.varies.push_back(each.defined() && active_tape()->slot_of(each) != kNoIndex);
    }
    run.f = std::allocate_shared<PullBlock>(pool::Allocator<PullBlock>(), run_);
    const Tensors g = call_and_record(std::move(run), inputs, true, CallSite::of({}));
    for (std::size_t i = 0; i < g.size(); ++i) x_bar[static_cast<int>(i)] = g[i];
  }

  mutable Run run_;
};

// The parameters whose values are fixed on the active tape, because a checkpoint is repeating a call. Nested checkpoints must see the same
// values.
pool::Vector<Read> fixed_parameters(TapeState& tape) {
  pool::Vector<Read> fixed;
  for (const Leaves::Leaf& leaf : tape.leaves.all())
    if (tape.slots[leaf.slot].saved.defined()) fixed.push_back({leaf.parameter, tape.slots[leaf.slot].saved});
  return fixed;
}

// Calls the function and records the call on the active tape. x: run.x with its numbers on that tape.
Tensors call_and_record(Run run, std::span<const Tensor> x, bool again, Location site) {
  TapeState& tape = *active_tape();
  Tensors y;
  {
    Recording first(run, again);
    run.tracked.clear();
    for (const Tensor& each : first.y) {
      run.tracked.push_back(first.tracks(each));
      y.push_back(each.constant());
    }
    const auto leaves = first.tape().leaves.all();
    for (std::size_t k = run.reads.size(); k < leaves.size(); ++k) run.reads.push_back({leaves[k].parameter, leaves[k].parameter->value});
  }
  Tensors inputs, results = select_flagged(y, run.tracked);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (run.varies[i]) inputs.push_back(x[i]);
  for (const Read& read : run.reads) inputs.push_back(tape.leaf(*read.parameter.get()));
  pool::Vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) pointers.push_back(&input);
  const Flags tracked = run.tracked;
  if (!results.empty()) record_all(CheckpointCall(std::move(run)), site, pointers, results);
  for (std::size_t i = 0, j = 0; i < y.size(); ++i)
    if (tracked[i]) y[i] = results[j++];
  return y;
}

}  // namespace

Tensors checkpointed(const std::shared_ptr<const Block>& f, std::span<const Tensor> x, Location site) {
  if (!recording()) return (*f)(x);
  TapeState& tape = *active_tape();
  Run run{.f = f, .x = {}, .varies = {}, .reads = fixed_parameters(tape), .draws = {}, .tracked = {}, .higher_order = tape.higher_order};
  for (const Tensor& each : x) {
    run.x.push_back(each.constant());
    run.varies.push_back(tape.slot_of(each) != kNoIndex);
  }
  return call_and_record(std::move(run), x, false, site);
}

}  // namespace wengert::detail
