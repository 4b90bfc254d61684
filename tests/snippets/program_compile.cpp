#include <autodiff/autodiff.h>

#include <cstdio>
#include <vector>
using namespace wengert;

int main() {
  const auto error = [](auto p, auto d) {
    return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1]));
  };
  const Program E = record(error, {.parameters = 2, .data = 2}, {0.5, -0.25, 2.0, 1.0});
  // [compile]
  const CompiledProgram fast = compile(E);  // $CXX, or c++
  const std::vector<double> w_and_b{0.5, -0.25}, x{2, -1, 0.5}, y{1, 0, 1};
  const auto [total, dE] = fast.sum_and_gradient(w_and_b, {x, y});
  std::printf("E %.6f  dE/dw %+.6f  dE/db %+.6f\n", total, dE[0], dE[1]);
  // [compile]
}
