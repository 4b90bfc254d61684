#include "autodiff/kernels/product.h"

#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/blas.h"

namespace wengert::kernels {
namespace {

/// OpenBLAS packs A as well, which pays where every element of it is used very often.
bool openblas_is_faster(Index m, Index n, Index k) { return std::min({m, n, k}) >= 640 || (m >= 64 && std::min(n, k) >= 1024); }

template <class T> void product_by_openblas(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                                            const ProductOptions<T>& options) {
  if (options.bias)
    for (Index i = 0; i < m; ++i) std::copy_n(options.bias, n, c + i * c_row);
  const auto distance = [](const MatrixView<T>& x, bool transposed, Index length) {
    return std::max({transposed ? x.column : x.row, length, Index(1)});
  };
  const bool a_transposed = a.column != 1, b_transposed = b.column != 1;
  blas::gemm<T>(a_transposed, b_transposed, m, n, k, 1, a.data, distance(a, a_transposed, a_transposed ? m : k), b.data,
                distance(b, b_transposed, b_transposed ? k : n), options.accumulate || options.bias ? 1 : 0, c, std::max(c_row, n));
  if (!options.relu) return;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) c[i * c_row + j] = c[i * c_row + j] <= 0 ? 0 : c[i * c_row + j];
}

}  // namespace

template <class T> void product(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                                const ProductOptions<T>& options) {
  if constexpr (std::is_same_v<T, float>)
    if (!openblas_is_faster(m, n, k)) return gemm(m, n, k, a, b, c, c_row, options);
  product_by_openblas(m, n, k, a, b, c, c_row, options);
}

template void product(Index, Index, Index, const MatrixView<float>&, const MatrixView<float>&, float*, Index, const ProductOptions<float>&);
template void product(Index, Index, Index, const MatrixView<double>&, const MatrixView<double>&, double*, Index,
                      const ProductOptions<double>&);

}  // namespace wengert::kernels
