#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

int main() {
  const Tensor x = reshape(Tensor::linspace(-3, 3, 64, float64), {64, 1}), y = sin(x);
  nn::Sequential net(nn::Linear(1, 32), nn::Tanh(), nn::Linear(32, 1));
  net.to(float64);
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  for (int step = 0; step < 2000; ++step) {
    Tape tape;
    adam.step(tape.gradient(nn::mse(net(x), y), net.parameters()));
  }
  for (const double at : {-2.0, 1.0, 2.0}) {
    const auto [value, slope] =
        value_and_gradient(net, Tensor::full({1, 1}, at, float64));
    std::printf("x %+.0f   net %+.2f  sin %+.2f   net' %+.2f  cos %+.2f\n", at,
                value.item(), std::sin(at), slope.item(), std::cos(at));
  }
}
