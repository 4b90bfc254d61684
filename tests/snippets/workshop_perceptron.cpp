#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [rule]
  // The perceptron learns AND by its own rule: w += (y - y_hat) x.
  const double x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y[4] = {0, 0, 0, 1};
  double w[2] = {0, 0}, b = 0;
  for (int epoch = 1, wrong = 1; wrong > 0; ++epoch) {
    wrong = 0;
    for (int i = 0; i < 4; ++i) {
      const double y_hat = w[0] * x[i][0] + w[1] * x[i][1] + b >= 0;
      if (y_hat == y[i]) continue;
      ++wrong;
      for (int k = 0; k < 2; ++k) w[k] += (y[i] - y_hat) * x[i][k];
      b += y[i] - y_hat;
    }
    std::printf("epoch %d  %d wrong  w (%+.0f, %+.0f)  b %+.0f\n", epoch, wrong, w[0],
                w[1], b);
  }
  // [rule]
  // [gradient]
  Tape tape;
  const Scalar v = tape.variable(0.3);
  const Scalar E = 0.5 * square(1 - step(2 * v - 1));
  std::printf("E %.1f, but dE/dw %g\n", E.value(), tape.gradient(E, v));
  // [gradient]
}
