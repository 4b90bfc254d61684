#pragma once
// Products of matrices of the sizes that networks have.
#include <algorithm>

#include "autodiff/kernels/scratch.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// A matrix to read: element (i, j) is data[i * row + j * column].
template <class T> struct MatrixView {
  const T* data;
  Index row, column;

  MatrixView transposed() const { return {data, column, row}; }
};

/// What a product does with its sums.
template <class T> struct ProductOptions {
  bool accumulate = false;  ///< C += A B
  const T* bias = nullptr;  ///< C = A B + bias, one for each column; not with accumulate
  bool relu = false;        ///< C = max(..., 0); NaN stays
};

/// C = A B, where A is m x k, B is k x n and C is m x n with dense rows at a distance of c_row; T is float or double. Sums run through k
/// in order, so the bits depend neither on num_threads() nor on how the work is cut. They do depend on isa(). No other kernel is needed
/// for any size; for which sizes this one is the fastest, product.h knows.
template <class T> void gemm(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                             const ProductOptions<T>& options = {});

inline constexpr Index kMostInSmallProducts = 16;  ///< rows, columns and terms
/// Whether products of this size are for small_products: to call gemm for each would take several times as long as to multiply.
template <class T> constexpr bool are_small_products(Index m, Index n, Index k) {
  const bool may_be_dots = (m <= 4 || n == 1) && k >= static_cast<Index>(64 / sizeof(T));  // way_of() in gemm.cpp; k = 1: an outer product
  return std::max({m, n, k}) <= kMostInSmallProducts && k > 1 && (m > 1 || n > 1) && !may_be_dots;
}
/// C[i] = A[i] B[i] for i in [first, last), with the bits of gemm. A[i] and B[i] begin `a_step` and `b_step` elements after the ones
/// before; the C[i] are dense, and lie behind each other.
template <class T> struct SmallProducts {
  Index m, n, k;
  MatrixView<T> a, b;
  Index a_step, b_step;
  T* c;
};
template <class T> void small_products(const SmallProducts<T>& p, Index first, Index last);

/// C -= rate * (A B), where each element of A B is rounded before, as if it had been stored. k is at most kMaxDescentDepth.
template <class T> void gemm_descent(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T rate, T* c, Index c_row);
inline constexpr Index kMaxDescentDepth = 264;

/// The right factor of many products, copied once into the order in which they read it.
template <class T> class PackedMatrix {
 public:
  /// B is k x n.
  PackedMatrix(Index k, Index n, const MatrixView<T>& b);

  Index rows() const { return k_; }
  Index columns() const { return n_; }
  const T* data() const { return data_.data(); }

 private:
  Index k_, n_;
  Scratch<T> data_;
};

/// C = A B for an A of m rows.
template <class T>
void gemm(Index m, const MatrixView<T>& a, const PackedMatrix<T>& b, T* c, Index c_row, const ProductOptions<T>& options = {});

}  // namespace wengert::kernels
