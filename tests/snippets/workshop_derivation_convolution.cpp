#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [derivation]
  // Two rows of the edge, in the red channel: the window has two positions.
  Tape tape({.formulas = true});
  const double x00 = 0, x01 = 1, x02 = 1, x10 = 0, x11 = 1, x12 = 1;
  const Scalar w00 = tape.variable(-0.5), w01 = tape.variable(0.5);
  const Scalar w10 = tape.variable(-0.5), w11 = tape.variable(0.5);
  const Scalar h0 = w00 * x00 + w01 * x01 + w10 * x10 + w11 * x11;
  const Scalar h1 = w00 * x01 + w01 * x02 + w10 * x11 + w11 * x12;
  const Scalar E = 0.5 * square(1 - h0) + 0.5 * square(1 - h1);
  Derivation d = explain(tape, E, w00, w11);
  for (Equation& e : d.forward) e.numbers.clear();  // they would be long
  std::printf("%s", d.text().c_str());
  // [derivation]
}
