#include <autodiff/autodiff.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  // Counts of a decaying sample in 8 intervals of one hour, with a constant background.
  const Tensor t = Tensor::linspace(0, 7, 8, float64),
               counts = Tensor::from({532, 319, 218, 140, 101, 66, 64, 43}, float64);
  const Tensor errors = sqrt(counts);  // of a Poisson distribution
  const auto residuals = [&](const Tensor& p) {
    return (p[0] * exp(-t / p[1]) + p[2] - counts) / errors;
  };
  const auto fit = optim::fit_least_squares(
      residuals, Tensor::from({400, 1, 10}, float64), {.known_errors = true});

  const Tensor error = fit.errors();
  const char* const names[] = {"amplitude", "lifetime / h", "background"};
  for (Index k = 0; k < 3; ++k)
    std::printf("%-12s %7.2f +- %.2f\n", names[k], fit.parameters.element(k),
                error.element(k));
  std::printf("chi^2 = %.2f, %d degrees of freedom; %s\n", fit.chi2,
              static_cast<int>(fit.degrees_of_freedom), optim::to_string(fit.stop));
  const double correlation =
      fit.covariance.at({0, 2}) / (error.element(0) * error.element(2));
  std::printf("correlation of amplitude and background: %.2f\n", correlation);
}
