#pragma once
// Internal.
#include "autodiff/freeze/steps.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/function_ref.h"

namespace wengert::detail::frozen {

/// Runs `run` on x on a tape and makes a plan of the operations that it records. The states are set to `start`, which has their shapes.
Plan read_plan(FunctionRef<Tensor(const Tensor&)> run, std::span<Tensor* const> state, std::span<const Tensor> start, const Tensor& x,
               Location site);

}  // namespace wengert::detail::frozen
