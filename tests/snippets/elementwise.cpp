#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [swish]
  const auto swish =
      elementwise("swish", [](auto x, auto beta) { return x * sigmoid(beta * x); });
  const Tensor x = Tensor::from({-2.0, 0.0, 2.0}, float64);
  Tape tape;
  const Tensor v = tape.variable(x);
  const Scalar beta = tape.variable(1.5);
  const Tensor y = swish(v, beta);
  const auto [by_x, by_beta] = tape.gradient(sum(y), v, beta);
  // [swish]
  for (Index i = 0; i < 3; ++i)
    std::printf("x %+.0f   swish %+.4f   by x %+.4f\n", x.element(i), y.element(i),
                by_x.element(i));
  std::printf("by beta %.4f\n", by_beta);
}
