// The Cholesky factor of the symmetric part of a matrix.
//
//   A = L L^T:   A_bar = the symmetric part of L^-T F(L^T L_bar) L^-1,   L_dot = L F(L^-1 A_dot L^-T)
//
// where F keeps the lower triangle and halves the diagonal. (I. Murray, "Differentiation of the Cholesky decomposition", 2016.)
#include <fmt/format.h>

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

template <class T> void factorize(Tensor& y, const Tensor& of, Index n) {
  T* a = y.mutable_data<T>();
  const Index matrices = y.size() == 0 ? 0 : y.size() / (n * n);
  for (Index i = 0; i < matrices; ++i, a += n * n) {
    if (const Index minor = blas::factor_cholesky(n, a); minor != 0)
      detail::wrong_matrix("cholesky", of, i,
                           fmt::format("is not positive definite: its leading minor of order {} is not positive", minor));
    for (Index row = 0; row < n; ++row)
      for (Index column = row + 1; column < n; ++column) a[row * n + column] = 0;
  }
}

}  // namespace

Tensor cholesky(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("cholesky", a);
  Tensor y = symmetric_part(a.constant());
  detail::dispatch_floating(a.dtype(), [&](auto zero) { factorize<decltype(zero)>(y, a, a.size(-1)); });
  return record(Cholesky(), site, {&a}, std::move(y));
}

}  // namespace wengert
