#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
#include <vector>
using namespace wengert;

int main() {
  // [unrolled]
  // h_t = tanh(w h_(t-1) + u x_t): the same w and u at every step.
  const std::vector<double> x{1, 0, 0, 0, 0, 0};
  const double y = 0.5;
  double w = 0.8, u = 0.5;
  for (int epoch = 0; epoch <= 60; ++epoch) {
    Tape tape;
    const Scalar W = tape.variable(w), U = tape.variable(u);
    std::vector<Scalar> h{0};
    for (const double x_t : x) h.push_back(tanh(W * h.back() + U * x_t));
    const Scalar E = 0.5 * square(y - h.back());
    const auto [dE_dw, dE_du] = tape.gradient(E, W, U);

    // By hand: h_bar runs back through the steps, and each step adds its part to dE/dw.
    double h_bar = h.back().value() - y, by_hand = 0;
    for (std::size_t t = x.size(); t > 0; --t) {
      const double slope = 1 - h[t].value() * h[t].value();
      by_hand += h_bar * slope * h[t - 1].value();
      h_bar *= slope * w;
    }
    if (epoch % 20 == 0)
      std::printf("epoch %2d  h_6 %.4f  E %.5f  dE/dw %+.5f (by hand %+.5f)\n", epoch,
                  h.back().value(), E.value(), dE_dw, by_hand);
    w -= 0.5 * dE_dw;
    u -= 0.5 * dE_du;
  }
  // [unrolled]
}
