#include <autodiff/autodiff.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

int main() {
  // [pendulum]
  // Periods in s of a pendulum for five lengths in m, each known to 0.01 s.
  const Tensor length = Tensor::from({0.20, 0.40, 0.60, 0.80, 1.00}, float64);
  const Tensor period = Tensor::from({0.903, 1.263, 1.560, 1.787, 2.012}, float64);
  // T = 2 pi sqrt((l + l0) / g): the effective length may be off by a constant l0.
  const auto residuals = [&](const Tensor& p) {
    return (2 * M_PI * sqrt((length + p[1]) / p[0]) - period) / 0.01;
  };
  const auto fit = optim::fit_least_squares(residuals, Tensor::from({9, 0}, float64),
                                            {.known_errors = true});
  const Tensor error = fit.errors();
  std::printf("g  = (%.2f +- %.2f) m/s^2\n", fit.parameters.element(0),
              error.element(0));
  std::printf("l0 = (%.4f +- %.4f) m\n", fit.parameters.element(1), error.element(1));
  std::printf("chi^2 = %.2f for %d degrees of freedom\n", fit.chi2,
              static_cast<int>(fit.degrees_of_freedom));
  // [pendulum]
}
