#pragma once
// Matrix products of any floating type, by the kernel that is the fastest for their size.
#include <type_traits>

#include "autodiff/kernels/gemm.h"

namespace wengert::kernels {

/// C = A B, where A is m x k, B is k x n and C is m x n with dense rows at a distance of c_row; then what `options` say. In A and in B rows
/// or columns must be dense (row or column is 1). The bits do not depend on num_threads(). Where k is large,
/// float32 products are added in double, span by span: one running sum would lose the later terms. Throws what blas::gemm throws.
template <class T> void product(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                                const ProductOptions<T>& options = {});

/// The right factor B of many products, k x n. Its elements must outlive it.
template <class T> struct RightFactor {
  RightFactor(Index k, Index n, const MatrixView<T>& b) : k(k), n(n), b(b) {}
  Index k, n;
  MatrixView<T> b;
};
template <> struct RightFactor<float> : PackedMatrix { using PackedMatrix::PackedMatrix; };

/// C = A B for an A of m rows, as above.
template <class T>
void product(Index m, const MatrixView<T>& a, const RightFactor<T>& b, T* c, Index c_row, const ProductOptions<T>& options = {}) {
  if constexpr (std::is_same_v<T, float>) {
    gemm(m, a, b, c, c_row, options);
  } else {
    product(m, b.n, b.k, a, b.b, c, c_row, options);
  }
}

}  // namespace wengert::kernels
