#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

struct Net : nn::Module {
  nn::Linear hidden{1, 32}, out{32, 1};
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("out", out);
  }
  ParameterList weights() const { return {hidden.weight, out.weight}; }
  ParameterList biases() const { return {hidden.bias, out.bias}; }
};

int main() {
  const Tensor x = reshape(Tensor::linspace(-3, 3, 64), {64, 1}), y = sin(x);
  const auto train = [&](Net& net, optim::Optimizer& optimizer, int steps) {
    for (int step = 0; step < steps; ++step) {
      Tape tape;
      const Tensor loss = nn::mse(net(x), y);
      optimizer.step(tape.gradient(loss, net.parameters()),
                     {.clip_norm = 1, .check_finite = true});
    }
    return nn::mse(net(x), y).item();
  };

  Net net;
  optim::AdamW adam({{net.weights(), {.lr = 0.01, .weight_decay = 0.1}},
                     {net.biases(), {.lr = 0.01, .weight_decay = 0}}});
  train(net, adam, 100);
  nn::save(net, "net.safetensors");
  optim::save(adam, "adam.safetensors");
  const double undisturbed = train(net, adam, 100);

  Net again;
  optim::AdamW resumed({{again.weights(), {}}, {again.biases(), {}}});
  nn::load(again, "net.safetensors");
  optim::load(resumed, "adam.safetensors");
  std::printf("equal to the bit: %s\n",
              train(again, resumed, 100) == undisturbed ? "yes" : "no");

  optim::Adam other(again.parameters());
  try {
    optim::load(other, "adam.safetensors");
  } catch (const DataError& error) {
    std::puts(error.what());
  }
  std::remove("net.safetensors");
  std::remove("adam.safetensors");
}
