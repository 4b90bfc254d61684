#pragma once
// Tensors as the matrices that the products of kernels/product.h multiply.
#include <algorithm>

#include "autodiff/kernels/product.h"
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// x (..., n) as (rows, n), for `operation`, which its error names.
inline Tensor rows_of(const char* operation, const Tensor& x) {
  return x.rank() == 2 ? x : reshape(x, {checked_size(operation, x.shape(), 0, x.rank() - 1), x.shape().back()});
}

/// The last dimension of a dense tensor as the columns of a matrix.
template <class T> kernels::MatrixView<T> matrix_view(const Tensor& x) { return {x.data<T>(), std::max<Index>(x.shape().back(), 1), 1}; }

}  // namespace wengert::detail
