#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  const Tensor X = Tensor::from({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, float64);
  const Tensor Y = Tensor::from({{0}, {1}, {1}, {0}}, float64);
  Generator generator(1);
  const Parameter W1(generator.normal({2, 3}, 0, 1, float64), "W1");
  const Parameter W2(generator.normal({3, 1}, 0, 1, float64), "W2");
  // [derivation]
  Tape tape({.formulas = true});
  const Tensor A = matmul(X, W1);
  const Tensor H = tanh(A);
  const Tensor Y_hat = matmul(H, W2);
  const Tensor R = Y_hat - Y;
  const Tensor E = 0.5 * sum(square(R));
  std::printf("%s", explain(tape, E, W1, W2).text().c_str());
  // [derivation]
}
