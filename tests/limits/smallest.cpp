#include <autodiff/autodiff.h>

#include <cstdio>

int main() {
  wengert::Tape tape;
  const wengert::Tensor x = tape.variable(wengert::Tensor::from({1, 2, 3}));
  const wengert::Tensor g = tape.gradient(sum(x * x), x);
  std::printf("%g %g %g\n", g.at({0}), g.at({1}), g.at({2}));
}
