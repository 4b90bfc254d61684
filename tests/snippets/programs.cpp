// What docs/programs.md quotes.
#include <autodiff/autodiff.h>

#include <cstdio>
#include <vector>

using namespace wengert;

// [ball]
/// How high a ball is after 1.5 s that is thrown with the speed d[0] from the height
/// d[1]. p[0] is gravity, and a bounce multiplies the speed by -p[1].
const auto ball = [](auto p, auto d) {
  auto speed = d[0], height = d[1];
  const double h = 0.125;
  for (int step = 0; step < 12; ++step) {
    speed -= p[0] * h;
    height += speed * h;
    if (height < 0) {
      height = -height * p[1];
      speed = -speed * p[1];
    }
  }
  return height;
};
// [ball]

int main() {
  // [record]
  const auto error = [](auto p, auto d) {
    return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1]));
  };
  const Program E = record(error, {.parameters = 2, .data = 2}, {0.5, 0.1, 1.0, 0.0});

  const std::vector<double> w_and_b{0.5, 0.1}, inputs{-1, 0, 1, 2}, targets{0, 0, 1, 1};
  const auto [total, slope] = E.sum_and_gradient(w_and_b, {inputs, targets});
  std::printf("E = %.6f, dE/dw = %.6f, dE/db = %.6f\n", total, slope[0], slope[1]);
  // [record]

  // [derivatives]
  const Program dE = gradient(E), H = hessian(E);
  const std::vector<double> h =
      H.values(std::vector{0.5, 0.1, 2.0, 1.0});  // at one record
  std::printf("E has %zu operations, its gradient %zu, its Hessian %zu\n",
              E.list().instructions.size(), dE.list().instructions.size(),
              H.list().instructions.size());
  std::printf("H = (%.6f, %.6f; %.6f, %.6f)\n", h[0], h[1], h[2], h[3]);
  // [derivatives]

  // [report]
  std::vector<double> speeds, heights;
  for (int i = 0; i < 10000; ++i) {
    speeds.push_back(0.0004 * i - 2);
    heights.push_back(2 + 0.02 * (i % 100));
  }
  const std::vector<double> gravity_and_rest{9.81, 0.8};
  const Program program =
      record(ball, {.parameters = 2, .data = 2}, {9.81, 0.8, 0.0, 2.0});
  const std::vector<double> height =
      program.values(gravity_and_rest, {speeds, heights});
  std::printf("lane 0 ends at %.6f m, lane 9999 at %.6f m\n", height[0], height[9999]);
  std::printf("%s",
              to_string(program.report(gravity_and_rest, {speeds, heights})).c_str());
  // [report]

  // [where]
  const Program loss =
      record([](auto x) { return where(x[0] > 0, sqrt(x[0]), x[0] * x[0]); },
             {.data = 1}, {1.0});
  std::printf("%zu guards, slope at 0: %g\n", loss.list().guards.size(),
              gradient(loss)(std::vector{0.0}));
  // [where]
}
