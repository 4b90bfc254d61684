// A program that uses the installed library. Prints "consumer: ok".
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
#include <string>

using namespace wengert;

// A line through four points, learnt from its gradients.
static bool learns_a_line() {
  const Tensor x = Tensor::from({0, 1, 2, 3}, {4, 1}), y = 2 * x - 1;
  nn::Sequential model(nn::Linear(1, 1));
  optim::SGD descent(model.parameters(), {.lr = 0.1, .momentum = 0.5});
  for (int step = 0; step < 300; ++step) {
    Tape tape;
    descent.step(tape.gradient(nn::mse(model(x), y), model.parameters()));
  }
  const nn::Linear& line = model.layer<nn::Linear>(0);
  return std::abs(line.weight.value().item() - 2) < 1e-3 && std::abs(line.bias.value().item() + 1) < 1e-3;
}

// Scalars and tensors on one tape.
static bool derives_formulas() {
  Tape tape;
  const Scalar a = tape.variable(0.5);
  const Tensor products = matmul(stack({a, 2 * a}), Tensor::from({3, 4}));
  return tape.gradient(Scalar(products) * a, a) == 11;  // 11 a^2
}

int main() {
  if (std::string(version()) != WENGERT_VERSION_STRING) return 1;
  if (to_string(Location::here()) != "main.cpp:35") return 1;
  if (!learns_a_line()) return 1;
  if (!derives_formulas()) return 1;
  std::puts("consumer: ok");
}
