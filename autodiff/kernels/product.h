#pragma once
// Matrix products of any floating type, by the kernel that is the fastest for their size.
#include "autodiff/kernels/gemm.h"

namespace wengert::kernels {

/// C = A B, where A is m x k, B is k x n and C is m x n with dense rows at a distance of c_row; then what `options` say. In A and in B rows
/// or columns must be dense (row or column is 1). The bits do not depend on num_threads(). Where k is large,
/// float32 products are added in double, span by span: one running sum would lose the later terms. Throws what blas::gemm throws.
template <class T> void product(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                                const ProductOptions<T>& options = {});

}  // namespace wengert::kernels
