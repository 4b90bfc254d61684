#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  const Tensor x = reshape(Tensor::linspace(-3, 3, 64), {64, 1});
  nn::Sequential net(nn::Linear(1, 32), nn::Tanh(), nn::Linear(32, 1));
  optim::AdamW adam(net.parameters());
  const optim::CosineSchedule rate{.lr = 0.02, .steps = 500};
  for (int step = 0; step < 500; ++step) {
    Tape tape;
    Gradients gradients = tape.gradient(nn::mse(net(x), sin(x)), net.parameters());
    gradients.clip_norm(1);
    adam.set_learning_rate(rate(step));
    adam.step(gradients);
  }
  nn::save(net, "sine.safetensors");

  nn::Sequential again(nn::Linear(1, 32), nn::Tanh(), nn::Linear(32, 1));
  nn::load(again, "sine.safetensors");
  const Tensor at = Tensor::full({1, 1}, 2);
  std::printf("the trained network says %.1f, the loaded one %.1f\n", net(at).item(),
              again(at).item());

  nn::Sequential other(nn::Linear(1, 32), nn::Tanh(),
                       nn::Linear(32, 1, {.bias = false}), nn::Linear(1, 1));
  try {
    nn::load(other, "sine.safetensors");
  } catch (const DataError& error) {
    std::puts(error.what());
  }
  std::remove("sine.safetensors");
}
