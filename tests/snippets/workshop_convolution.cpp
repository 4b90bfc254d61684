#include <autodiff/autodiff.h>

#include <cstdio>
#include <iostream>
using namespace wengert;

int main() {
  // [edge]
  // An RGB image of 4 x 4: the right half is red. Shape (n, channels, height, width).
  Tensor image = Tensor::zeros({1, 3, 4, 4}, float64);
  for (Index row = 0; row < 4; ++row)
    for (Index column = 2; column < 4; ++column) image.set({0, 0, row, column}, 1);

  // One filter for a step from dark to bright, in the red channel only.
  Tensor filter = Tensor::zeros({1, 3, 2, 2}, float64);
  for (Index row = 0; row < 2; ++row) {
    filter.set({0, 0, row, 0}, -0.5);
    filter.set({0, 0, row, 1}, 0.5);
  }
  const Tensor map = conv2d(image, filter);
  std::cout << "the map of the edge: " << map[0][0] << '\n';
  // [edge]
  // [gradient]
  Tape tape;
  const Tensor w = tape.variable(filter);
  const Tensor h = conv2d(image, w);  // (1, 1, 3, 3)
  const Tensor E = 0.5 * sum(square(1 - h));
  const Tensor w_bar = tape.gradient(E, w);

  // By hand: each weight meets one pixel for each position of the window.
  double by_hand = 0;
  for (Index row = 0; row < 3; ++row)
    for (Index column = 0; column < 3; ++column)
      by_hand -= (1 - h.at({0, 0, row, column})) * image.at({0, 0, row, column + 1});
  std::printf("dE/dw[0, 1] %+.4f by the tape, %+.4f by hand\n", w_bar.at({0, 0, 0, 1}),
              by_hand);
  // [gradient]
}
