#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

// [derivation]
template <class F> void derive(F f) {
  Tape tape({.formulas = true});
  const double x = 2, b = -1, y = 1;
  const Scalar w = tape.variable(0.3);
  const Scalar h = w * x + b;
  const Scalar y_hat = named("y_hat", f(h));
  const Scalar E = 0.5 * square(y - y_hat);

  std::printf("explain_gradient: %s\n", to_string(explain_gradient(tape, E, w).reason));
  Derivation d = explain(tape, E, w);
  d.forward.clear();  // the chain rule only
  d.remarks.clear();  // the reason, in words
  std::printf("%s", d.text().c_str());
}

int main() {
  derive([](const Scalar& h) -> Scalar { return step(h); });
  std::printf("\n");
  derive([](const Scalar& h) -> Scalar { return sigmoid(h); });
}
// [derivation]
