#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

// [rates]
// E after 20 steps of gradient descent on E(w) = 1/2 (3 - 2 w)^2, whose minimum is at
// w = 1.5 and whose second derivative is 4.
double error_after(int steps, double eta) {
  double w = 0, E_last = 0;
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    const Scalar W = tape.variable(w);
    const Scalar E = 0.5 * square(3 - 2 * W);
    E_last = E.value();
    w -= eta * tape.gradient(E, W);
  }
  return E_last;
}

int main() {
  for (const double eta : {0.01, 0.1, 0.25, 0.45, 0.5, 0.55})
    std::printf("eta %.2f   E after 20 steps %.3g\n", eta, error_after(21, eta));
}
// [rates]
