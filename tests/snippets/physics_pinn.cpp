#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// [pinn]
int main() {
  // A damped oscillator, u'' + 0.4 u' + 4 u = 0 with u(0) = 1 and u'(0) = 0.
  Generator generator(1);
  nn::Sequential net(nn::Linear(1, 16, {}, generator), nn::Tanh(),
                     nn::Linear(16, 16, {}, generator), nn::Tanh(),
                     nn::Linear(16, 1, {}, generator));
  net.to(float64);
  // u(t) = 1 + t^2 net(t) has the initial values whatever the network returns.
  const auto u = [&](const Tensor& t) { return 1 + square(t) * net(t); };
  const Tensor t = reshape(Tensor::linspace(0, 4, 24, float64), {24, 1});
  const auto loss = [&] {
    // Each u(t_i) depends on its own t_i only, so the gradient of the sum is u'.
    const auto sum_of_u = [&](const Tensor& s) { return sum(u(s)); };
    const auto sum_of_slopes = [&](const Tensor& s) {
      return sum(gradient(sum_of_u, s));
    };
    const Tensor slope = gradient(sum_of_u, t), curvature = gradient(sum_of_slopes, t);
    return mean(square(curvature + 0.4 * slope + 4 * u(t)));
  };
  optim::LBFGS lbfgs(net.parameters());
  for (int step = 0; step <= 30; ++step) {
    const double value = lbfgs.step(loss);
    if (step % 30 == 0)
      std::printf("step %2d  mean squared residual below 0.001: %s\n", step,
                  value < 0.001 ? "yes" : "no");
  }
  const double w = std::sqrt(4 - 0.04);
  for (const double at : {1.0, 2.0, 3.0, 4.0}) {
    const double exact =
        std::exp(-0.2 * at) * (std::cos(w * at) + 0.2 / w * std::sin(w * at));
    const double network = u(Tensor::full({1, 1}, at, float64)).item();
    std::printf("u(%.0f) exact %+.3f, the network within 0.01: %s\n", at, exact,
                std::abs(network - exact) < 0.01 ? "yes" : "no");
  }
}
// [pinn]
