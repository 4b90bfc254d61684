#include "autodiff/explain/trace.h"

#include <algorithm>
#include <cmath>

#include "autodiff/explain/finite.h"
#include "autodiff/program/opcode.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tape/sweep_scope.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

bool TracedValue::finite() const { return scalar ? std::isfinite(number) : all_finite(tensor); }

// ---- the list ---------------------------------------------------------------------------------------------------------------

Trace::Trace(TapeState& t) : tape(t), slots_(t.slots.size(), kNoIndex), scalars_(t.next(), kNoIndex) {
  t.close();
  add_leaves();
  std::vector<std::pair<std::uint32_t, double>> arguments;
  std::uint32_t current = 0;
  const auto flush = [&] {
    if (current) add_statement(current, arguments);
    current = 0;
    arguments.clear();
  };
  ForwardStatements<double> statements(t);
  const auto up_to = [&](std::uint32_t end) {
    statements.up_to(end, [&](std::uint32_t s, std::uint32_t i, double partial) {
      if (s != current) flush();
      current = s;
      arguments.emplace_back(i, partial);
    });
    flush();
  };
  std::uint32_t k = 0;
  t.walk_forward(up_to, [&](const TapeNode&) { add_node(k++); });
  find_known_tensors();
}

void Trace::add_leaves() {
  const History* history = history_of(tape);
  for (const Leaves::Leaf& leaf : tape.leaves.all()) {
    const Slot& slot = tape.slots[leaf.slot];
    const Tensor value = slot.saved.defined() ? slot.saved : leaf.parameter->value;
    slots_[leaf.slot] = add({.kind = TracedValue::Kind::parameter,
                             .known = true,
                             .tensor = value.constant(),
                             .shape = slot.shape,
                             .dtype = slot.dtype,
                             .name = leaf.parameter->name,
                             .site = value.made_at(),
                             .index = leaf.slot});
  }
  if (!history) return;
  for (const auto& [slot, site] : history->variables) {
    const auto known = history->tensors.find(slot);
    const bool has = known != history->tensors.end();
    slots_[slot] = add({.kind = TracedValue::Kind::variable,
                        .known = has,
                        .tensor = has ? known->second : Tensor(),
                        .shape = tape.slots[slot].shape,
                        .dtype = tape.slots[slot].dtype,
                        .site = site,
                        .index = slot});
  }
}

// The value of a scalar that no step before has computed: a variable.
std::uint32_t Trace::scalar_leaf(std::uint32_t index) {
  std::uint32_t& known = scalars_[index];
  if (known != kNoIndex) return known;
  TracedValue value{.kind = TracedValue::Kind::variable, .scalar = true, .index = index};
  if (const History* history = history_of(tape)) {
    const auto number = history->numbers.find(index);
    if (number != history->numbers.end()) {
      value.known = true;
      value.number = number->second.value;
      value.site = number->second.site;
    }
    const auto name = history->names.find(tape.base + index);
    if (name != history->names.end()) value.name = name->second;
  }
  return known = add(std::move(value));
}

void Trace::add_statement(std::uint32_t index, std::vector<std::pair<std::uint32_t, double>>& arguments) {
  const History* history = history_of(tape);
  if (history) {
    const auto formula = history->formulas_of.find(index);
    if (formula != history->formulas_of.end()) return add_formula(index, formula->second, arguments);
  }
  TracedStep step{.name = "statement", .statement = static_cast<int>(index)};
  for (const auto& [argument, partial] : arguments) {
    step.operands.push_back(scalar_leaf(argument));
    step.partials.push_back(partial);
  }
  TracedValue result{.scalar = true, .index = index, .step = static_cast<int>(steps.size())};
  if (history) {
    const auto name = history->names.find(tape.base + index);
    if (name != history->names.end()) result.name = name->second;
  }
  scalars_[index] = add(std::move(result));
  step.results.push_back(scalars_[index]);
  steps.push_back(std::move(step));
}

void Trace::add_formula(std::uint32_t index, const Formula& formula, const std::vector<std::pair<std::uint32_t, double>>&) {
  const History& history = *history_of(tape);
  std::vector<std::uint32_t> stack;
  for (std::size_t k = 0; k < formula.steps.size(); ++k) {
    const KeptStep& kept = formula.steps[k];
    if (!kept.function) {
      if (kept.scalar) {
        const std::uint32_t leaf = scalar_leaf(kept.scalar);
        if (!values[leaf].known) {
          values[leaf].known = true;
          values[leaf].number = kept.value;
        }
        stack.push_back(leaf);
      } else {
        stack.push_back(add({.kind = TracedValue::Kind::constant,
                             .scalar = true,
                             .known = true,
                             .literal = kept.literal,
                             .number = kept.value,
                             .site = formula.site}));
      }
      continue;
    }
    const bool last = k + 1 == formula.steps.size();
    TracedStep step{.name = kept.function->name,
                    .site = formula.site,
                    .previous = formula.previous,
                    .options = kept.options,
                    .statement = static_cast<int>(index),
                    .last = last};
    const auto operands = static_cast<std::size_t>(kept.function->operands);
    step.operands.assign(stack.end() - static_cast<std::ptrdiff_t>(operands), stack.end());
    stack.resize(stack.size() - operands);
    TracedValue result{.scalar = true, .known = true, .number = kept.value, .site = formula.site, .step = static_cast<int>(steps.size())};
    if (last) {
      result.index = index;
      const auto name = history.names.find(tape.base + index);
      if (name != history.names.end()) result.name = name->second;
    }
    const std::uint32_t value = add(std::move(result));
    if (last) scalars_[index] = value;
    step.results.push_back(value);
    stack.push_back(value);
    steps.push_back(std::move(step));
  }
  // A copy, `Scalar y = +x`, has no function: it is the value itself.
  if (scalars_[index] == kNoIndex) scalars_[index] = stack.back();
}

void Trace::add_node(std::uint32_t k) {
  const TapeNode& node = tape.nodes[k];
  const History* history = history_of(tape);
  TracedStep step{.name = node.operation                 ? node.operation->name()
                          : node.kind == TapeNode::stack ? "stack"
                                                         : "element",
                  .site = node.site(),
                  .node = &node};
  if (node.kind == TapeNode::element) step.options[0] = static_cast<double>(node.flat);
  const std::vector<Tensor>* operands = nullptr;
  if (history) {
    const auto kept = history->operands.find(k);
    if (kept != history->operands.end()) operands = &kept->second;
    step.in_sweep = k < history->in_sweep.size() && history->in_sweep[k];
  }
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    const Input& x = tape.input(node, i);
    if (x.tracked() && x.scalar) {
      step.operands.push_back(scalar_leaf(x.index));
    } else if (x.tracked()) {
      std::uint32_t& value = slots_[x.index];
      if (value == kNoIndex)
        value = add({.kind = TracedValue::Kind::variable,
                     .shape = tape.slots[x.index].shape,
                     .dtype = tape.slots[x.index].dtype,
                     .index = x.index});
      step.operands.push_back(value);
    } else {
      const Tensor t = operands && i < operands->size() ? (*operands)[i] : x.saved;
      TracedValue constant{.kind = TracedValue::Kind::constant, .scalar = x.scalar, .known = t.defined(), .tensor = t.constant()};
      if (t.defined()) {
        constant.shape = t.shape();
        constant.dtype = t.dtype();
        constant.site = t.made_at();
      }
      step.operands.push_back(add(std::move(constant)));
    }
    TracedValue& operand = values[step.operands.back()];
    if (!operand.scalar && !operand.known) {
      operand.tensor = (operands && i < operands->size() ? (*operands)[i] : x.saved).constant();
      operand.known = operand.tensor.defined();
      if (operand.known && !operand.site.line) operand.site = operand.tensor.made_at();
    }
  }
  const auto name_of = [&](std::uint64_t number) {
    if (!history) return std::string();
    const auto name = history->names.find(number);
    return name == history->names.end() ? std::string() : name->second;
  };
  if (node.kind == TapeNode::element) {
    TracedValue result{.scalar = true,
                       .name = name_of(tape.base + node.first_output),
                       .site = node.site(),
                       .index = node.first_output,
                       .step = static_cast<int>(steps.size())};
    const TracedValue& from = values[step.operands[0]];
    if (from.known) {
      result.known = true;
      result.number = from.tensor.element(node.flat);
    }
    scalars_[node.first_output] = add(std::move(result));
    step.results.push_back(scalars_[node.first_output]);
  } else {
    for (std::uint32_t j = 0; j < node.outputs; ++j) {
      const std::uint32_t index = node.first_output + j;
      const Slot& slot = tape.slots[index];
      TracedValue result{.tensor = slot.saved.constant(),
                         .shape = slot.shape,
                         .dtype = slot.dtype,
                         .name = name_of(tape.tensor_base + index),
                         .site = node.site(),
                         .index = index,
                         .step = static_cast<int>(steps.size())};
      if (history && !result.tensor.defined()) {
        const auto kept = history->tensors.find(index);
        if (kept != history->tensors.end()) result.tensor = kept->second;
      }
      result.known = result.tensor.defined();
      slots_[index] = add(std::move(result));
      step.results.push_back(slots_[index]);
    }
  }
  steps.push_back(std::move(step));
}

// Values that later operations saved are known by now; what is elementwise is computed again, in program order.
void Trace::find_known_tensors() {
  const PauseForSweep pause(true);
  for (TracedStep& step : steps) {
    if (!step.node) continue;
    if (step.node->kind == TapeNode::element) {
      TracedValue& result = values[step.results[0]];
      const TracedValue& from = values[step.operands[0]];
      if (!result.known && from.known) {
        result.known = true;
        result.number = from.tensor.element(step.node->flat);
      }
      continue;
    }
    const bool missing = std::any_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return !values[v].known; });
    const bool ready = std::all_of(step.operands.begin(), step.operands.end(), [&](std::uint32_t v) { return values[v].known; });
    if (!missing || !ready) continue;
    if (step.node->kind == TapeNode::stack) {
      std::vector<double> numbers;
      for (std::uint32_t v : step.operands) numbers.push_back(values[v].scalar ? values[v].number : 0);
      TracedValue& result = values[step.results[0]];
      result.tensor = Tensor::from(std::span<const double>(numbers), result.shape, step.site).to(result.dtype, step.site);
      result.known = true;
      continue;
    }
    if (!opcode_named(step.name)) continue;
    std::vector<Tensor> x, y(step.results.size());
    for (std::uint32_t v : step.operands) x.push_back(values[v].tensor);
    const CallSite site = CallSite::of_rule(step.site);
    if (!step.node->operation->recompute(x, y)) continue;
    for (std::size_t j = 0; j < y.size(); ++j) {
      values[step.results[j]].tensor = y[j].constant();
      values[step.results[j]].known = true;
    }
  }
}

std::vector<char> Trace::needed_by(std::uint32_t target) const {
  std::vector<char> needed(values.size());
  needed[target] = true;
  for (std::size_t s = steps.size(); s-- > 0;) {
    const TracedStep& step = steps[s];
    if (std::none_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed[v]; })) continue;
    for (std::uint32_t v : step.operands) needed[v] = true;
  }
  return needed;
}

std::vector<char> Trace::depending_on(std::uint32_t source) const {
  std::vector<char> depends(values.size());
  depends[source] = true;
  for (const TracedStep& step : steps) {
    if (std::none_of(step.operands.begin(), step.operands.end(), [&](std::uint32_t v) { return depends[v]; })) continue;
    for (std::uint32_t v : step.results) depends[v] = true;
  }
  return depends;
}

std::vector<int> Trace::road(std::uint32_t from, std::uint32_t target) const {
  const std::vector<char> depends = depending_on(from);
  std::vector<int> road;
  for (std::uint32_t v = target; v != from && depends[v] && values[v].step >= 0;) {
    road.push_back(values[v].step);
    const TracedStep& step = steps[static_cast<std::size_t>(values[v].step)];
    v = *std::find_if(step.operands.begin(), step.operands.end(), [&](std::uint32_t operand) { return depends[operand]; });
  }
  std::reverse(road.begin(), road.end());
  return road;
}

// ---- derivatives ------------------------------------------------------------------------------------------------------------

std::vector<double> rule_of(const std::string& name, const std::array<double, 2>& options, std::span<const double> x, double y, double m) {
  return visit_function(*opcode_named(name), options.data(), [&]<class F>(const F& f) -> std::vector<double> {
    if constexpr (requires { f.left(m, x[0], x[1], y); }) {
      return {static_cast<double>(f.left(m, x[0], x[1], y)), static_cast<double>(f.right(m, x[0], x[1], y))};
    } else if constexpr (requires { f.pullback(m, x[0], y); }) {
      return {static_cast<double>(f.pullback(m, x[0], y))};
    } else {
      return std::vector<double>(x.size());
    }
  });
}

TracedSweep::TracedSweep(Trace& trace, std::uint32_t target, const Tensor& seed, Visitor* visitor)
    : scalars_(trace.values.size()), tensors_(trace.values.size()), partials_(trace.steps.size()) {
  const PauseForSweep pause(true);
  const TracedValue& y = trace.values[target];
  if (y.scalar) {
    scalars_[target] = seed.defined() ? seed.item() : 1;
  } else {
    tensors_[target] = seed.defined() ? seed.constant() : Tensor::ones(y.shape, y.dtype);
  }
  for (int s = static_cast<int>(trace.steps.size()); s-- > 0;) {
    if (trace.steps[static_cast<std::size_t>(s)].node) {
      step_of_tensors(trace, s, visitor);
    } else {
      step_of_scalars(trace, s, visitor);
    }
  }
}

void TracedSweep::step_of_scalars(Trace& trace, int s, Visitor* visitor) {
  const TracedStep& step = trace.steps[static_cast<std::size_t>(s)];
  const double y_bar = scalars_[step.results[0]];
  std::vector<double> x_bar = step.partials;
  std::vector<double>& partials = partials_[static_cast<std::size_t>(s)];
  if (step.name == "statement") {
    partials = step.partials;
    for (double& p : x_bar) p *= y_bar;
  } else {
    std::vector<double> x;
    for (std::uint32_t v : step.operands) x.push_back(trace.values[v].number);
    const double y = trace.values[step.results[0]].number;
    partials = rule_of(step.name, step.options, x, y, 1);
    x_bar = rule_of(step.name, step.options, x, y, y_bar);
  }
  // A statement passes nothing on where its own adjoint is 0; within an expression, 0 times an infinite slope is NaN.
  if (step.last) active_ = y_bar != 0;
  if (!active_) return;
  for (std::size_t i = 0; i < x_bar.size(); ++i) scalars_[step.operands[i]] += x_bar[i];
  if (visitor) visitor->scalars(s, y_bar, x_bar);
}

void TracedSweep::step_of_tensors(Trace& trace, int s, Visitor* visitor) {
  const TracedStep& step = trace.steps[static_cast<std::size_t>(s)];
  const TapeNode& node = *step.node;
  TapeState& tape = trace.tape;
  if (node.kind == TapeNode::element) {
    const double adjoint = scalars_[step.results[0]];
    if (adjoint == 0) return;
    const TracedValue& x = trace.values[step.operands[0]];
    const Tensor g = scatter_element(Tensor::full({}, adjoint, x.dtype), x.shape, node.flat, step.site);
    Tensor& sum = tensors_[step.operands[0]];
    sum = sum.defined() ? add(sum, g, step.site) : g;
    return;
  }
  if (node.kind == TapeNode::stack) {
    const Tensor& y_bar = tensors_[step.results[0]];
    if (!y_bar.defined()) return;
    for (std::size_t i = 0; i < step.operands.size(); ++i) scalars_[step.operands[i]] += y_bar.element(static_cast<Index>(i));
    return;
  }
  std::vector<Tensor> y_bar, x_bar(node.inputs);
  bool any = false;
  for (std::uint32_t v : step.results) {
    y_bar.push_back(tensors_[v]);
    any |= y_bar.back().defined();
  }
  if (!any) return;
  std::vector<Slot*> slots(node.inputs);
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    const Input& x = tape.input(node, i);
    slots[i] = x.tracked() && is_floating(tape.slots[x.index].dtype) ? &tape.slots[x.index] : nullptr;
  }
  try {
    const CallSite rule = CallSite::of_rule(step.site);
    Cotangents to(x_bar.data(), slots.data(), false);
    node.operation->vjp(Saved(tape, node), y_bar, to);
  } catch (...) {
    if (!visitor) throw;
    return visitor->failed(s);
  }
  for (std::uint32_t i = 0; i < node.inputs; ++i) {
    if (!slots[i] || !x_bar[i].defined()) continue;
    if (x_bar[i].shape() != slots[i]->shape) x_bar[i] = sum_to(x_bar[i], slots[i]->shape, step.site);
    Tensor& sum = tensors_[step.operands[i]];
    sum = sum.defined() ? add(sum, x_bar[i], step.site) : x_bar[i].constant();
  }
  if (visitor) visitor->tensors(s, y_bar, x_bar);
}

}  // namespace wengert::detail
