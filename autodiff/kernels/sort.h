#pragma once
// Sorting.
#include <cstdint>

#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// The positions of the first k elements in ascending or descending order, for each of `rows` rows of n elements. Equal elements keep their
/// order; 0 equals -0, and NaN counts as larger than every number. T is float, double, std::int64_t or bool.
template <class T> void positions_in_order(const T* x, Index rows, Index n, Index k, bool descending, std::int64_t* positions);

}  // namespace wengert::kernels
