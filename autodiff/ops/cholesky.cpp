// The Cholesky factor of the symmetric part of a matrix.
//
//   A = L L^T:   A_bar = the symmetric part of L^-T F(L^T L_bar) L^-1,   L_dot = L F(L^-1 A_dot L^-T)
//
// where F keeps the lower triangle and halves the diagonal. (I. Murray, "Differentiation of the Cholesky decomposition", 2016.)
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/blas.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/matrix.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

Tensor symmetric_part(const Tensor& x) { return 0.5 * (x + transpose(x)); }

class Cholesky : public Operation {
 public:
  const char* name() const override { return "cholesky"; }
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor& l = s.y();
    const Tensor middle = half(matmul(transpose(l), tril(y_bar[0])));
    x_bar[0] = symmetric_part(transpose(solve_from_left(l, transpose(solve_from_left(l, middle)))));
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor& l = s.y();
    const Tensor left = solve_triangular(l, symmetric_part(x_dot[0]));
    y_dot[0] = matmul(l, half(transpose(solve_triangular(l, transpose(left)))));
  }

 private:
  static Tensor half(const Tensor& x) { return 0.5 * (tril(x) + tril(x, -1)); }
  // L^-T x
  static Tensor solve_from_left(const Tensor& l, const Tensor& x) { return solve_triangular(transpose(l), x, true); }
};

// The lower triangle of the symmetric part, and zeros above it. Tile by tile, because x is also read down its columns.
template <class T> void write_symmetric_part(const T* x, Index n, T* to) {
  constexpr Index kTile = 32;
  for (Index top = 0; top < n; top += kTile)
    for (Index left = 0; left < n; left += kTile)
      for (Index row = top; row < std::min(top + kTile, n); ++row) {
        const Index end = std::min(left + kTile, n), diagonal = std::clamp(row + 1, left, end);
        for (Index column = left; column < diagonal; ++column) to[row * n + column] = (x[row * n + column] + x[column * n + row]) * T(0.5);
        std::fill(to + row * n + diagonal, to + row * n + end, T(0));
      }
}

template <class T> void factorize(const Tensor& of, Index n, Tensor& y) {
  const Tensor dense = of.constant().contiguous();
  const T* x = dense.data<T>();
  T* a = y.mutable_data<T>();
  const Index matrices = y.size() == 0 ? 0 : y.size() / (n * n);
  for (Index i = 0; i < matrices; ++i, x += n * n, a += n * n) {
    write_symmetric_part(x, n, a);
    if (const Index minor = blas::factor_cholesky(n, a); minor != 0)
      detail::wrong_matrix("cholesky", of, i,
                           fmt::format("is not positive definite: its leading minor of order {} is not positive", minor));
  }
}

}  // namespace

Tensor cholesky(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("cholesky", a);
  Tensor y = Tensor::uninitialized(a.shape(), a.dtype(), site);
  detail::dispatch_floating(a.dtype(), [&](auto zero) { factorize<decltype(zero)>(a, a.size(-1), y); });
  return record(Cholesky(), site, {&a}, std::move(y));
}

}  // namespace wengert
