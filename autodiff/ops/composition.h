#pragma once
// Shared by operations that are composed of other operations.
#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

/// sqrt(x); where x is 0, the value and all derivatives are 0.
Tensor sqrt_or_zero(const Tensor& x);

}  // namespace wengert::detail
