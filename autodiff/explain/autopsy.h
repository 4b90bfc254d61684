#pragma once
// Internal.
// The checks of a tape with .check_finite. Each throws FoundNotFinite (explain/diagnose.h).
#include <span>

#include "autodiff/explain/history.h"

namespace wengert::detail {

void check_operation(TapeState& tape, const Operation& operation, Location site, std::span<const Tensor* const> x,
                     std::span<const Tensor> y);
void check_stack(std::span<const double> x, const Tensor& y, Location site);
void check_statement(TapeState& tape, const History& history, std::span<const ExpressionStep> steps, Location site);
void check_gradients(TapeState& tape, const Source& target, std::uint32_t target_index, const Tensor& seed,
                     std::span<const Source> sources);

}  // namespace wengert::detail
