#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [eigen]
  Tape tape;
  const Scalar x = tape.variable(2);
  Eigen::Matrix<Scalar, 2, 2> a;
  a << x, 1, 0.5, x * x;
  Eigen::Vector2d b(1, 3);
  const Eigen::Matrix<Scalar, Eigen::Dynamic, 1> y =
      eigen::solve(a, b);  // one operation, with a rule of its own
  const Scalar z =
      y.dot(a * y);  // one statement for each element, one for the dot product
  const double slope = tape.gradient(z, x);
  // [eigen]
  std::printf("%.4f %.4f\n", z.value(), slope);
}
