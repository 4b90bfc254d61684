#include "autodiff/explain/history.h"

#include <fmt/format.h>

#include <cmath>

#include "autodiff/explain/autopsy.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

std::unique_ptr<TapeWatch> make_watch(const TapeOptions& options) {
  if (!options.formulas && !options.check_finite) return nullptr;
  return std::make_unique<History>(options.formulas, options.check_finite);
}

void History::before_operation(TapeState& tape, const Operation& operation, Location site, std::span<const Tensor* const> x,
                               std::span<const Tensor> y) {
  saw(site);
  if (check_finite) check_operation(tape, operation, site, x, y);
}

void History::after_operation(TapeState& tape, std::span<const Tensor* const> x, std::span<const Tensor> y) noexcept {
  note_node(tape);
  if (!formulas) return;
  const std::uint32_t node = tape.nodes.size() - 1, first = tape.nodes[node].first_output;
  std::vector<Tensor>& kept = operands[node];
  for (const Tensor* each : x) kept.push_back(each->constant());
  for (std::size_t j = 0; j < y.size(); ++j) tensors[first + static_cast<std::uint32_t>(j)] = y[j].constant();
}

void History::before_stack(TapeState&, std::span<const double> x, const Tensor& y, Location site) {
  saw(site);
  if (check_finite) check_stack(x, y, site);
}
void History::after_stack(TapeState& tape, std::span<const double>, const Tensor& y) noexcept {
  note_node(tape);
  if (formulas) tensors[tape.nodes[tape.nodes.size() - 1].first_output] = y.constant();
}

void History::before_element(TapeState&, const Tensor&, Location site) { saw(site); }
void History::after_element(TapeState& tape, const Tensor&, std::uint32_t index, double value) noexcept {
  note_node(tape);
  if (formulas) numbers[index] = {value, last_site_};
}

void History::before_statement(TapeState& tape, std::span<const ExpressionStep> steps, Location site) {
  if (check_finite) check_statement(tape, *this, steps, site);
}

void History::after_statement(TapeState& tape, std::uint32_t index, std::span<const ExpressionStep> steps, Location site) noexcept {
  Formula& formula = formulas_of[index];
  formula.steps.reserve(steps.size());
  formula.site = site;
  formula.previous = last_site_;
  for (const ExpressionStep& step : steps) {
    KeptStep kept{.function = step.function, .value = step.value, .literal = step.literal};
    if (step.function) {
      step.function->options(step.object, kept.options.data());
    } else if (step.number && step.number - tape.base < tape.next()) {
      kept.scalar = static_cast<std::uint32_t>(step.number - tape.base);
    }
    formula.steps.push_back(kept);
  }
  numbers[index] = {steps.back().value, site};
  saw(site);
}

void History::variable(TapeState&, std::uint32_t index, double value, Location site) {
  saw(site);
  if (formulas) numbers[index] = {value, site};
}
void History::variable(TapeState& tape, const Tensor& value, Location site) {
  saw(site);
  const std::uint32_t slot = tape.slot_of(value);
  variables[slot] = site;
  if (formulas) tensors[slot] = value.constant();
}

void History::after_sweep(TapeState& tape, const Source& target, std::uint32_t target_index, const Tensor& seed,
                          std::span<const Source> sources) {
  if (check_finite) check_gradients(tape, target, target_index, seed, sources);
}

void History::discard() noexcept {
  formulas_of.clear();
  numbers.clear();
  tensors.clear();
  variables.clear();
  operands.clear();
  names.clear();
  in_sweep.clear();
}

}  // namespace wengert::detail
