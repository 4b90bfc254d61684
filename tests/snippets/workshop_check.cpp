#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

int main() {
  // [check]
  const double x = 2, y = 1, w = 0.5, b = -0.25;
  const auto E = [&](const Scalar& W, const Scalar& B) {
    return 0.5 * square(y - atan(W * x + B));  // a node with f(h) = arctan h
  };

  const double h = w * x + b, f = std::atan(h), f_prime = 1 / (1 + h * h);
  const double dE_dw = -(y - f) * f_prime * x, dE_db = -(y - f) * f_prime;
  const GradientCheck right =
      check_gradient(E, {w, b}, {.by_hand = {Tensor::from({dE_dw, dE_db}, float64)}});
  std::printf("with x:    %s\n", right ? "right" : right.to_string().c_str());

  // The factor x is forgotten.
  const GradientCheck wrong =
      check_gradient(E, {w, b}, {.by_hand = {Tensor::from({dE_db, dE_db}, float64)}});
  for (const GradientCheck::Row& row : wrong.rows())
    if (!row.passed)
      std::printf("without x: %.6f by the tape, %.6f by hand\n", row.value,
                  row.expected);
  // [check]
}
