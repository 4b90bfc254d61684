#include "autodiff/kernels/product.h"

#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/blas.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/scratch.h"

namespace wengert::kernels {
namespace {

// OpenBLAS packs A as well, which pays where every element of it is used very often.
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

constexpr Index kSpan = 8192;  // terms that are summed in float32

// One row times one column: products are rounded to T.
template <class T> void inner_product(Index k, const T* a, Index a_step, const T* b, Index b_step, T& c, const ProductOptions<T>& options) {
  const auto finish = [&](Index, double sum) {
    const double start = options.bias ? static_cast<double>(*options.bias) : options.accumulate ? static_cast<double>(c) : 0;
    c = static_cast<T>(start + sum);
    if (options.relu && c <= 0) c = 0;
  };
  const auto sum_up = [&](const auto& term) { sum_all_lines<double>({1, k, 1}, 2 * cost::kCopy<T>, term, finish); };
  if (a_step == 1 && b_step == 1) {
    sum_up([ a, b ](Index i, Index) __attribute__((always_inline)) { return a[i] * b[i]; });
  } else {
    sum_up([=](Index i, Index) __attribute__((always_inline)) { return a[i * a_step] * b[i * b_step]; });
  }
}

// Of long rows and columns: in spans, which are added in double.
void product_by_spans(Index m, Index n, Index k, const MatrixView<float>& a, const MatrixView<float>& b, float* c, Index c_row,
                      const ProductOptions<float>& options) {
  const Scratch<double> sums(m * n);
  const Scratch<float> part(m * n);
  std::fill_n(sums.data(), m * n, 0.0);
  for (Index first = 0; first < k; first += kSpan) {
    product<float>(m, n, std::min(kSpan, k - first), {a.data + first * a.column, a.row, a.column},
                   {b.data + first * b.row, b.row, b.column}, part.data(), n);
    for (Index i = 0; i < m * n; ++i) sums.data()[i] += static_cast<double>(part.data()[i]);
  }
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) {
      float& to = c[i * c_row + j];
      const double start = options.bias ? static_cast<double>(options.bias[j]) : options.accumulate ? static_cast<double>(to) : 0;
      to = static_cast<float>(start + sums.data()[i * n + j]);
      if (options.relu && to <= 0) to = 0;
    }
}

}  // namespace

template <class T> void product(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row,
                                const ProductOptions<T>& options) {
  if (m == 1 && n == 1 && k > 0) return inner_product(k, a.data, a.column, b.data, b.row, *c, options);
  if constexpr (std::is_same_v<T, float>)
    if (k > kSpan) return product_by_spans(m, n, k, a, b, c, c_row, options);
  if (!openblas_is_faster(m, n, k)) return gemm(m, n, k, a, b, c, c_row, options);
  product_by_openblas(m, n, k, a, b, c, c_row, options);
}

template void product(Index, Index, Index, const MatrixView<float>&, const MatrixView<float>&, float*, Index, const ProductOptions<float>&);
template void product(Index, Index, Index, const MatrixView<double>&, const MatrixView<double>&, double*, Index,
                      const ProductOptions<double>&);

}  // namespace wengert::kernels
