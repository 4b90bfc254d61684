#pragma once
// Derivatives of analytic functions by the complex step, as a reference for gradients. Not part of autodiff.h, because <complex> costs
// compile time.
#include <complex>
#include <initializer_list>
#include <span>
#include <vector>

#include "autodiff/transforms/gradcheck.h"

namespace wengert {

/// The gradient of an analytic function of real numbers, without the cancellation of finite differences: Im f(x + i h) / h with h = 1e-100.
/// f takes `std::span<const std::complex<double>>`, or one complex number for each element of x. Use it for `.instead_of_differences`.
template <class F> Tensor complex_step(F&& f, std::span<const double> x) {
  constexpr double h = 1e-100;
  std::vector<double> gradient(x.size());
  std::vector<std::complex<double>> z(x.begin(), x.end());
  for (std::size_t i = 0; i < x.size(); ++i) {
    z[i] += std::complex<double>(0, h);
    gradient[i] = detail::apply_to_all<std::complex<double>>(f, std::span<const std::complex<double>>(z)).imag() / h;
    z[i] = x[i];
  }
  return Tensor::from(gradient);
}
template <class F> Tensor complex_step(F&& f, std::initializer_list<double> x) { return complex_step(f, std::span(x.begin(), x.size())); }

}  // namespace wengert
