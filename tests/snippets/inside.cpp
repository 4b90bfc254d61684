#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <cstdio>
#include <vector>
using namespace wengert;

// A recurrence of 20 steps, h = tanh(W h + x), and the norms of the gradients with
// respect to each of its states.
std::vector<double> norms(double strength) {
  Generator generator(1);
  const Tensor W = generator.normal({16, 16}, 0, strength / 4);
  Tape tape;
  std::vector<Tensor> states{tape.variable(Tensor::zeros({16}))};
  while (states.size() < 20)
    states.push_back(tanh(matmul(W, states.back()) + generator.normal({16}, 0, 0.1)));
  return nn::gradient_norms(tape.gradient(sum(square(states.back())), states));
}

int main() {
  const std::vector<double> weak = norms(0.3), strong = norms(1.5);
  for (const int t : {1, 10, 20})
    std::printf("step %2d   weak %.1e   strong %.1e\n", t, weak[t - 1], strong[t - 1]);

  const nn::Sequential net(nn::Linear(16, 8), nn::ReLU(), nn::Linear(8, 2));
  for (const auto& [name, value] : net.activations(Tensor::ones({1, 16})))
    std::printf("layer %s: %s\n", name.c_str(), to_string(value.shape()).c_str());
}
