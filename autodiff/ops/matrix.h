#pragma once
// Stacks of matrices, for the operations of linear algebra.
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// A ShapeError unless x is (..., m, n), a DtypeError unless it is floating.
void check_matrix(const char* operation, const Tensor& x);
/// The same, with m = n.
void check_square(const char* operation, const Tensor& x);
/// A MatrixError: `what` is wrong with one matrix of x, the `matrix`th in row-major order.
[[noreturn]] void wrong_matrix(const char* operation, const Tensor& x, Index matrix, const std::string& what);

/// The factors of each matrix A^T = P L U of x (..., n, n), as kernels/blas.h has them.
struct Factors {
  Tensor lu;
  pool::Vector<std::int32_t> pivots;      // n a matrix
  pool::Vector<std::int64_t> zero_pivot;  // of each matrix: 0, or the first position (from 1) on U's diagonal that is 0
};
Factors factorize(const Tensor& x, Location site);

}  // namespace wengert::detail
