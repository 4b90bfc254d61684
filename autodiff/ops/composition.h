#pragma once
// For operations that are written in other operations.
#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

/// sqrt(x), and 0 with all derivatives where x is 0.
Tensor sqrt_or_zero(const Tensor& x);

}  // namespace wengert::detail
