#pragma once
// Batches of matrices, for the operations of linear algebra.
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// A ShapeError unless x is (..., m, n); a DtypeError unless it is floating.
void check_matrix(const char* operation, const Tensor& x);
/// The same, with m = n.
void check_square(const char* operation, const Tensor& x);
/// Throws a MatrixError: `what` is wrong with the `matrix`th matrix of x in row-major order.
[[noreturn]] void wrong_matrix(const char* operation, const Tensor& x, Index matrix, const std::string& what);

/// The LU factors of each matrix of x (..., n, n): A^T = P L U, as in kernels/blas.h.
struct Factors {
  Tensor lu;
  pool::Vector<std::int32_t> pivots;      // n for each matrix
  pool::Vector<std::int64_t> zero_pivot;  // for each matrix: the first position (from 1) of a 0 on U's diagonal, or 0 if there is none
};
Factors factorize(const Tensor& x, Location site);
/// A^-1 b (or A^-T b) for the factors of regular matrices (..., n, n): `columns` (..., k, n) holds the vectors b as rows, and is
/// overwritten.
void solve_with(const Factors& f, bool transpose, Tensor& columns);

}  // namespace wengert::detail
