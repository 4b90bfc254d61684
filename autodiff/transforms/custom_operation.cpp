#include "autodiff/transforms/custom_operation.h"

#include <fmt/format.h>

#include <memory>

#include "autodiff/ops.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/forward_sweep.h"
#include "autodiff/tape/reachability.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {
namespace {

using Tensors = pool::Vector<Tensor>;

Tensors dense(std::span<const Tensor> x) {
  Tensors all;
  for (const Tensor& each : x) all.push_back(each.contiguous());
  return all;
}

// Tracks which values recorded from now on depend on given existing values.
class Dependents {
 public:
  explicit Dependents(TapeState& tape) : tape_(tape), first_node_(tape.nodes.size()), marked_(tape.slots.size()) {}
  void add(const Tensor& t) { marked_[tape_.slot_of(t)] = true; }
  bool holds(const Tensor& t) {
    marked_.resize(tape_.slots.size());
    mark_dependents(
        tape_, first_node_, false, [&](std::uint32_t slot) { return marked_[slot] != 0; },
        [&](std::uint32_t slot) { marked_[slot] = true; });
    return tape_.holds(t) && marked_[tape_.slot_of(t)];  // a value of an ended tape has no slot
  }

 private:
  TapeState& tape_;
  std::uint32_t first_node_;
  pool::Vector<char> marked_;
};

class CustomCall : public Operation {
 public:
  explicit CustomCall(const CustomRules& rules) : rules_(rules.copy()) {}
  const char* name() const override { return rules_->name(); }
  // All inputs, constants too, because the rules take them all as arguments.
  ValueSet saved_for(int) const override { return 0x3f | output(); }

  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensors x = inputs(s);
    Tensors result(x.size());
    if (recording()) {
      recorded_vjp(y_bar[0], s.y().contiguous(), x, result);
    } else {
      rules_->vjp(y_bar[0].contiguous(), s.y().contiguous(), x, result);
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x_bar.needs(static_cast<int>(i)) || !result[i].defined()) continue;
      check_like(fmt::format("the cotangent of input {}", i), result[i], x[i],
                 "; hint: sum_to(cotangent, x.shape()) adds up what broadcasting has repeated");
      x_bar[static_cast<int>(i)] = result[i];
    }
  }

  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    if (!rules_->has_jvp()) throw NoForwardMode(fmt::format("{}: forward mode needs a jvp, but the operation has none", name()));
    const Tensors x = inputs(s);
    Tensors tangents;
    for (std::size_t i = 0; i < x.size(); ++i)
      tangents.push_back(x_dot[i].defined() ? x_dot[i].contiguous() : Tensor::zeros(x[i].shape(), x[i].dtype()));
    y_dot[0] = rules_->jvp(tangents, s.y().contiguous(), x);
    if (!y_dot[0].defined()) throw TapeError(fmt::format("{}: its jvp returned an undefined tensor", name()));
    check_like("the tangent", y_dot[0], s.y());
  }
  bool recompute(std::span<const Tensor> x, std::span<Tensor> y) const override {
    const CallSite own_lines = CallSite::of_user_code();
    y[0] = rules_->forward(dense(x));
    return true;
  }

 private:
  static Tensors inputs(const Saved& s) {
    Tensors x;
    for (int i = 0; i < s.inputs(); ++i) x.push_back(s.x(i).contiguous());
    return x;
  }

  // The hint is for a t to whose shape `like` broadcasts.
  void check_like(const std::string& what, const Tensor& t, const Tensor& like, const char* hint = "") const {
    if (!(t.shape() == like.shape()))
      throw ShapeError(fmt::format("{}: {} {} must have the shape of {}{}", name(), what, describe(t), describe(like),
                                   broadcasts_to(like, t.shape()) ? hint : ""));
    if (t.dtype() != like.dtype())
      throw DtypeError(fmt::format("{}: {} {} must have the dtype of {}", name(), what, describe(t), describe(like)));
  }

  // Checks that the rule's results were recorded: each must depend on the cotangent, and unless the operation is linear, at least one must
  // depend on the inputs or on y. Otherwise the rule reads raw data, and second derivatives would be lost.
  void recorded_vjp(const Tensor& y_bar, const Tensor& y, const Tensors& x, Tensors& result) const {
    TapeState& tape = *active_tape();
    const auto on_tape = [&](const Tensor& t) { return tape.slot_of(t) == kNoIndex ? tape.variable(t) : t; };
    const Tensor seed = on_tape(y_bar.contiguous());
    Tensors inputs;  // constants become variables, to detect whether the rule reads them
    for (const Tensor& each : x) inputs.push_back(is_floating(each.dtype()) ? on_tape(each) : each);
    Dependents of_cotangent(tape), of_values(tape);
    of_cotangent.add(seed);
    of_values.add(y);
    for (const Tensor& each : inputs)
      if (each.number()) of_values.add(each);
    rules_->vjp(seed, y, inputs, result);
    bool any = false, of_any_value = rules_->linear();
    for (const Tensor& each : result) {
      if (!each.defined()) continue;
      if (!of_cotangent.holds(each)) past_the_tape("the cotangent");
      any = true;
      of_any_value = of_any_value || of_values.holds(each);
    }
    if (any && !of_any_value) past_the_tape("its inputs");
  }
  [[noreturn]] void past_the_tape(const char* what) const {
    throw TapeError(fmt::format(
        "{}: there is no second derivative, because the operation's vjp does not compute from {} by recorded operations; hint: write it "
        "in public operations, declare the operation linear if its derivative is constant, or return an undefined tensor where the "
        "result is 0",
        name(), what));
  }

  std::unique_ptr<const CustomRules> rules_;
};

}  // namespace

Tensor apply_custom(const CustomRules& rules, std::span<const Tensor> x, Location site) {
  pool::Vector<const Tensor*> pointers;
  for (const Tensor& each : x) {
    if (!each.defined())
      throw ValueError(fmt::format("{}: an input is undefined: it was default-constructed, or moved from", rules.name()));
    pointers.push_back(&each);
  }
  const bool tracked = any_tracked(pointers);
  Tensor y;
  {
    const NoRecord forward;
    y = rules.forward(dense(x));
  }
  if (!y.defined()) throw ValueError(fmt::format("{}: its forward returned an undefined tensor", rules.name()));
  y = y.constant();
  if (tracked && is_floating(y.dtype())) record_all(CustomCall(rules), site, pointers, {&y, 1});
  return y;
}

}  // namespace wengert::detail
