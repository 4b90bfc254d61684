#include "autodiff/tape/reverse_sweep.h"

#include <algorithm>
#include <exception>

#include "autodiff/tape/reachability.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

namespace {

// The cotangent of a slot with what waits to be added to it. `products` may be null if nothing does.
inline Tensor& whole_cotangent(detail::Slot& slot, detail::PendingProducts* products) {
  if (slot.awaits_terms) [[unlikely]]
    products->add_to(slot);
  return slot.cotangent.tensor();
}

}  // namespace

// ---- receiving the cotangents that a rule computes --------------------------------------------------------------------------

Tensor* Cotangents::accumulator(int i) {
  if (recorded_) return nullptr;
  Tensor& sum = whole_cotangent(*slots_[i], products_);
  return sum.may_write_in_place() ? &sum : nullptr;
}

void Cotangents::add_product(int i, const MatrixFactor& left, const MatrixFactor& right) {
  detail::Slot& slot = *slots_[i];
  const bool may_defer = slot.may_defer && !slot.cotangent.defined() && left.transposed && !right.transposed;
  if (may_defer && detail::Cotangent::can_be_deferred(left.matrix, right.matrix)) {
    slot.cotangent = detail::Cotangent::product(left.matrix, right.matrix);
    return;
  }
  if (products_ && slot.cotangent.defined() && products_->take(slot, left, right)) return;
  Tensor* const sum = accumulator(i);
  if (!sum || !detail::add_product_in_place(*sum, left, right)) x_bar_[i] = detail::multiply(left, right);
}

namespace detail {

static thread_local constinit std::uint64_t sweeps_begun = 0;
std::uint64_t sweeps_of_thread() noexcept { return sweeps_begun; }

// ---- the sweep --------------------------------------------------------------------------------------------------------------

ReverseSweep::ReverseSweep(TapeState& tape, const GradientOptions& o, bool variables_only)
    : t_(tape),
      consume_(!o.retain && !o.differentiable),
      record_(o.differentiable),
      variables_only_(variables_only),
      adjoints_(tape.adjoints()),
      clean_up_{tape, consume_, variables_only, tape.slots.size(), std::uncaught_exceptions()},
      pause_(!o.differentiable) {
  ++sweeps_begun;
  t_.in_sweep = true;
  if (t_.timer) [[unlikely]]
    t_.timer->before_sweep();
  if (record_) t_.recorded_adjoints.resize(t_.next());
}

ReverseSweep::CleanUp::~CleanUp() {
  const bool failed = std::uncaught_exceptions() > exceptions;
  t.in_sweep = false;
  if (t.timer) [[unlikely]]
    t.timer->after_sweep();
  if (failed) t.arrays.clear();
  if (failed || !variables_only) {
    t.clear_adjoints(t.adjoints());
  } else {
    t.clear_variable_adjoints(t.adjoints());
  }
  t.recorded_adjoints.clear();
  if (consume) {
    t.discard_records();
    return;
  }
  for (std::uint32_t k = 0; k < slots; ++k) {
    Slot& slot = t.slots[k];
    slot.cotangent = Cotangent();
    slot.needs_cotangent = slot.is_source = slot.may_defer = slot.awaits_terms = false;
  }
}

void ReverseSweep::request(std::uint32_t slot, bool may_defer) {
  Slot& s = t_.slots[slot];
  s.needs_cotangent = s.is_source = true;
  s.may_defer = may_defer && !record_;
}

inline Tensor& ReverseSweep::cotangent_of(Slot& slot) { return whole_cotangent(slot, &t_.arrays.products); }

void ReverseSweep::run(const Source& target, std::uint32_t index, const Tensor& seed, const AfterNode* after) {
  // Only what depends on a source needs a cotangent. Scalars always have one.
  mark_dependents(
      t_, 0, true, [&](std::uint32_t slot) { return t_.slots[slot].needs_cotangent; },
      [&](std::uint32_t slot) { t_.slots[slot].needs_cotangent = true; });
  set_seed(target, index, seed);
  collects_products_ = !record_ && !after;  // a callback after a node reads cotangents, so they must be complete
  ReverseStatements<double> statements(t_, adjoints_, variables_only_);
  t_.walk_back([&](std::uint32_t first) { statements.down_to(first); },
               [&](const TapeNode& node) {
                 reverse(node);
                 if (after) [[unlikely]]
                   (*after)(node);
               });
  t_.arrays.products.add_all();
}

void ReverseSweep::set_seed(const Source& target, std::uint32_t index, const Tensor& seed) {
  if (!target.scalar) {
    Slot& slot = t_.slots[index];
    slot.cotangent = seed.defined() ? seed : Tensor::ones(slot.shape, slot.dtype);
  } else if (record_) {
    t_.recorded_adjoints[index] = seed.defined() ? seed.to(float64) : Tensor::ones({}, float64);
  } else {
    adjoints_[index] = seed.defined() ? seed.item() : 1;
  }
}

void ReverseSweep::reverse(const TapeNode& node) {
  switch (node.kind) {
    case TapeNode::tensors:
      if (t_.timer) [[unlikely]] {
        reverse_measured(node);
      } else {
        reverse_operation(node);
      }
      break;
    case TapeNode::stack:
      reverse_stack(node);
      break;
    case TapeNode::element:
      reverse_element(node);
      break;
  }
  if (consume_ && !t_.watch) release_saved(node);
}

void ReverseSweep::reverse_measured(const TapeNode& node) {
  t_.timer->before_rule();
  reverse_operation(node);
  t_.timer->after_rule(t_, node);
}

// The sweep has passed this node, so its saved values are no longer needed.
void ReverseSweep::release_saved(const TapeNode& node) {
  for (std::uint32_t i = 0; i < node.inputs; ++i) t_.input(node, i).saved = Tensor();
  if (node.kind == TapeNode::element) return;
  for (std::uint32_t j = 0; j < node.outputs; ++j) t_.slots[node.first_output + j].saved = Tensor();
}

// ---- operations: x_bar += rule(y_bar) -----------------------------------------------------------------------------------------

// [node]
void ReverseSweep::reverse_operation(const TapeNode& node) {
  SweepArrays& a = t_.arrays;
  a.make_room(node.inputs, node.outputs);
  if (!take_cotangents_of_outputs(node)) return;
  const CallSite rule = CallSite::of_rule(node.site());
  if (find_inputs(node)) {
    Cotangents x_bar(a.x_bar.data(), a.slots.data(), record_, collects_products_ ? &a.products : nullptr);
    node.operation->vjp(Saved(t_, node), {a.y_bar.data(), node.outputs}, x_bar);
  }
  accumulate_inputs(node);
}
// [node]

// Moves the cotangents of the outputs into arrays.y_bar. Returns whether any is defined.
bool ReverseSweep::take_cotangents_of_outputs(const TapeNode& node) {
  bool any = false;
  for (std::uint32_t j = 0; j < node.outputs; ++j) {
    Slot& slot = t_.slots[node.first_output + j];
    Tensor& y_bar = t_.arrays.y_bar[j];
    if (slot.is_source) {
      y_bar = cotangent_of(slot);
    } else {
      y_bar = std::move(cotangent_of(slot));
    }
    any |= y_bar.defined();
  }
  return any;
}

// Collects the slots of the inputs in arrays.slots. Returns whether any input needs a cotangent.
bool ReverseSweep::find_inputs(const TapeNode& node) {
  bool any = false;
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    const Input& x = t_.input(node, i);
    Slot* const slot = x.tracked() ? &t_.slots[x.index] : nullptr;
    t_.arrays.slots[i] = slot && slot->needs_cotangent ? slot : nullptr;
    // A node may have two products for one slot. Deferring the first would add the second in place, with other bits than without
    // deferral, so neither is deferred.
    if (slot && slot->may_defer && std::find(t_.arrays.slots.begin(), t_.arrays.slots.begin() + i, slot) != t_.arrays.slots.begin() + i)
      slot->may_defer = false;
    any |= t_.arrays.slots[i] != nullptr;
  }
  return any;
}

void ReverseSweep::accumulate_inputs(const TapeNode& node) {
  SweepArrays& a = t_.arrays;
  // A rule may have passed an output's cotangent on unchanged. Dropping it here leaves the input as the only owner, so that further terms
  // can be added in place.
  for (std::uint32_t j = 0; j < node.outputs; ++j) a.y_bar[j] = Tensor();
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    Tensor g = std::move(a.x_bar[i]);
    if (a.slots[i] && g.defined()) accumulate(*a.slots[i], std::move(g), node.site());
  }
}

// [accumulate]
void ReverseSweep::accumulate(Slot& slot, Tensor g, Location site) {
  Tensor& sum = cotangent_of(slot);
  const bool in_place = !record_ && sum.may_write_in_place();
  if (g.shape() != slot.shape) {
    if (in_place) return add_sum_in_place(sum, g, site);
    g = sum_to(g, slot.shape, site);
  }
  if (!sum.defined()) {
    sum = std::move(g);
  } else if (in_place) {
    add_in_place(sum, g);
  } else if (!record_ && g.may_write_in_place()) {
    add_in_place(g, sum);
    sum = std::move(g);
  } else {
    sum = add(sum, g, site);
  }
}
// [accumulate]

// ---- crossings between the two sides ------------------------------------------------------------------------------------------

// Tensor cotangent -> scalar adjoints.
void ReverseSweep::reverse_stack(const TapeNode& node) {
  Slot& slot = t_.slots[node.first_output];
  const Tensor g = slot.is_source ? cotangent_of(slot) : std::move(cotangent_of(slot));
  if (!g.defined()) return;
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    const Input& x = t_.input(node, i);
    if (!x.tracked()) continue;
    if (record_) {
      Tensor& sum = t_.recorded_adjoints[x.index];
      Tensor e = gather_element(g, i, node.site()).to(float64, node.site());
      sum = sum.defined() ? add(sum, e, node.site()) : e;
    } else {
      adjoints_[x.index] += g.element(i);
    }
  }
}

// Scalar adjoint -> one element of a tensor cotangent, in place: a loop over the elements of a tensor stays linear.
void ReverseSweep::reverse_element(const TapeNode& node) {
  Slot& slot = t_.slots[t_.input(node, 0).index];
  if (!slot.needs_cotangent) return;
  if (record_) {
    const Tensor g = t_.recorded_adjoints[node.first_output];
    if (g.defined()) accumulate(slot, scatter_element(g.to(slot.dtype, node.site()), slot.shape, node.flat, node.site()), node.site());
    return;
  }
  const double adjoint = adjoints_[node.first_output];
  if (adjoint == 0) return;
  Tensor& sum = cotangent_of(slot);
  if (!sum.defined()) {
    sum = Tensor::zeros(slot.shape, slot.dtype, node.site());
  } else if (!sum.may_write_in_place()) {
    sum = sum.clone(node.site());
  }
  if (slot.dtype == float32) {
    sum.mutable_data<float>()[node.flat] += static_cast<float>(adjoint);
  } else {
    sum.mutable_data<double>()[node.flat] += adjoint;
  }
}

}  // namespace detail
}  // namespace wengert
