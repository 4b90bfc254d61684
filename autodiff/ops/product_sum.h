#pragma once
// The gradient of a factor that was broadcast.
#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// The sums of x y, which have the same shape, over the dimensions that broadcasting `shape` to it repeats: without a tensor of the
/// products. Undefined unless x and y are row-major, and the dimensions of `shape` that are not repeated neighbours.
Tensor sum_of_products(const Tensor& x, const Tensor& y, const Shape& shape);

}  // namespace wengert::detail
