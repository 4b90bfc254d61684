#pragma once
// Products of float32 matrices of the sizes that networks have.
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

/// C = A B, where A is m x k, B is k x n and C is m x n with dense rows at a distance of c_row. Sums run through k in order, so the bits
/// depend neither on num_threads() nor on how the work is cut. They do depend on isa(). No other kernel is needed for any size; for which
/// sizes this one is the fastest, product.h knows.
void gemm(Index m, Index n, Index k, const MatrixView<float>& a, const MatrixView<float>& b, float* c, Index c_row,
          const ProductOptions<float>& options = {});

/// C -= rate * (A B), where each element of A B is rounded before, as if it had been stored. k is at most most_descent_depth.
void gemm_descent(Index m, Index n, Index k, const MatrixView<float>& a, const MatrixView<float>& b, float rate, float* c, Index c_row);
inline constexpr Index kMaxDescentDepth = 264;

/// The right factor of many products of float32 matrices, copied once into the order in which they read it.
class PackedMatrix {
 public:
  /// B is k x n.
  PackedMatrix(Index k, Index n, const MatrixView<float>& b);

  Index rows() const { return k_; }
  Index columns() const { return n_; }
  const float* data() const { return data_.data(); }

 private:
  Index k_, n_;
  Scratch<float> data_;
};

/// C = A B for an A of m rows.
void gemm(Index m, const MatrixView<float>& a, const PackedMatrix& b, float* c, Index c_row, const ProductOptions<float>& options = {});

}  // namespace wengert::kernels
