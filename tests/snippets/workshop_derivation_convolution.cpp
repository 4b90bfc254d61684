#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [derivation]
  // Two rows of the edge, in the red channel: the window has two positions.
  {
    Tape tape({.formulas = true});
    const Tensor x = Tensor::from({0, 1, 1, 0, 1, 1}, float64).reshape({1, 1, 2, 3});
    const Tensor filter = Tensor::from({-0.5, 0.5, -0.5, 0.5}, float64);
    const Tensor w = tape.variable(filter.reshape({1, 1, 2, 2}));
    const Tensor h = conv2d(x, w);
    const Tensor R = h - 1;
    const Tensor E = 0.5 * sum(square(R));
    const Derivation d = explain(tape, E, w);
    std::printf("conv2d: %s = %s\n\n", d.backward.back().left.c_str(),
                d.backward.back().symbols.c_str());
  }
  // The same, position by position.
  Tape tape({.formulas = true});
  const double x00 = 0, x01 = 1, x02 = 1, x10 = 0, x11 = 1, x12 = 1;
  const Scalar w00 = tape.variable(-0.5), w01 = tape.variable(0.5);
  const Scalar w10 = tape.variable(-0.5), w11 = tape.variable(0.5);
  const Scalar h0 = w00 * x00 + w01 * x01 + w10 * x10 + w11 * x11;
  const Scalar h1 = w00 * x01 + w01 * x02 + w10 * x11 + w11 * x12;
  const Scalar E = 0.5 * square(1 - h0) + 0.5 * square(1 - h1);
  std::printf("%s", explain(tape, E, w00, w01, w10, w11).text().c_str());
  // [derivation]
}
