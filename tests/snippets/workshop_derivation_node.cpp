#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [derivation]
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar y_hat = sigmoid(h);
  const Scalar E = 0.5 * square(y - y_hat);
  std::printf("%s", explain(tape, E, w, b).text().c_str());
  // [derivation]
}
