#include <autodiff/autodiff.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// [heat]
// A rod of 1 m, both ends at 0: the temperature after 0.1 s, by explicit steps.
Tensor after(const Tensor& start, const Tensor& conductivity) {
  const Index n = 40;
  const double dx = 1.0 / n, dt = 2e-4;
  const Tensor edge = Tensor::zeros({1}, float64);
  Tensor u = start;
  for (int step = 0; step < 500; ++step) {
    const Tensor padded = concat({edge, u, edge});
    const Tensor curvature =
        slice(padded, 0, 2, n + 1) - 2 * u + slice(padded, 0, 0, n - 1);
    u = u + dt / (dx * dx) * conductivity * curvature;
  }
  return u;
}

int main() {
  const Tensor x = Tensor::linspace(1.0 / 40, 39.0 / 40, 39, float64);
  const Tensor start = 100 * exp(-square((x - 0.3) / 0.1));
  // What a thermometer at each point shows, for a rod whose right half conducts less.
  const Tensor truth = where(x < 0.5, 1.0, 0.4) + 0 * x;
  const Tensor measured = after(start, truth);

  const Parameter rate(Tensor::full({39}, 0.7, float64), "conductivity");
  optim::LBFGS lbfgs({rate});
  for (int step = 0; step < 10; ++step) {
    const double loss =
        lbfgs.step([&] { return sum(square(after(start, rate) - measured)); });
    if (step % 3 == 0)
      std::printf("step %d  misfit below 1e%+.0f\n", step, std::ceil(std::log10(loss)));
  }
  for (const Index i : {7, 15, 23, 31})
    std::printf("x = %.2f m  conductivity %.1f, in truth %.1f\n", x.element(i),
                rate.value().element(i), truth.element(i));
}
// [heat]
