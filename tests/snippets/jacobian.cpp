#include <autodiff/autodiff.h>

#include <array>
#include <cstdio>
using namespace wengert;

// [functor]
// A decay with a background, measured at four times, as Ceres Solver wants it.
struct Residuals {
  std::array<double, 4> t{0, 1, 2, 3}, counts{532, 319, 218, 140};
  template <class T>
  bool operator()(const T* const decay, const T* const background, T* residuals) const {
    using std::exp;
    for (std::size_t i = 0; i < 4; ++i)
      residuals[i] = decay[0] * exp(-t[i] / decay[1]) + background[0] - counts[i];
    return true;
  }
};
// [functor]

int main() {
  // [program]
  const auto polar = []<class T>(std::span<const T> p) {
    return std::array<T, 2>{p[0] * cos(p[1]), p[0] * sin(p[1])};
  };
  const auto [xy, j] = value_and_jacobian(polar, std::array{2.0, 0.5});  // 2 x 2
  // [program]
  std::printf("dx/dr %+.4f  dx/dphi %+.4f\ndy/dr %+.4f  dy/dphi %+.4f\n", j[0], j[1],
              j[2], j[3]);

  // [cost]
  const auto cost = cost_function<4, 2, 1>(Residuals());  // 4 residuals, 2 + 1 numbers
  const auto of_cost = jacobian(cost, std::array{500.0, 2.0, 30.0});  // 4 x 3
  // [cost]
  std::printf("residual 1 by amplitude, lifetime, background: %.4f %.2f %.0f\n",
              of_cost[3], of_cost[4], of_cost[5]);

  // [tape]
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::array{1.0, 2.0, 3.0});
  std::vector<Scalar> y;
  for (int i = 0; i < 32; ++i) y.push_back(x[0] * exp(-i * x[1]) + x[2]);
  const std::vector<double> rows = tape.jacobian(y, x);  // 32 x 3, in four sweeps
  // [tape]
  std::printf("row 1: %.4f %.4f %.0f\n", rows[3], rows[4], rows[5]);
}
