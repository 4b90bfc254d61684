#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// Bumps at places that are learnt: x (n, 1) -> exp(-((x - center) / width)^2), with
// a column for each bump.
struct Bumps : nn::Module {
  Parameter center, width;

  explicit Bumps(Index count)
      : center(Tensor::linspace(-3, 3, count, float64)),
        width(Tensor::ones({count}, float64)) {}
  Tensor operator()(const Tensor& x) const {
    return exp(-square((x - center) / width));
  }
  void visit(nn::Visitor& v) override {
    v("center", center);
    v("width", width);
  }
};

int main() {
  const Tensor x = reshape(Tensor::linspace(-3, 3, 64, float64), {64, 1}), y = sin(x);
  nn::Sequential net(Bumps(6), nn::Linear(6, 1));
  net.to(float64);
  nn::check(net, x);  // does visit name all that operator() reads?
  const auto loss = [&] { return nn::mse(net(x), y); };
  const GradientCheck check = check_gradient(loss, net.parameters());
  std::printf("derivatives: %s\n", check ? "right" : check.to_string().c_str());

  optim::Adam adam(net.parameters(), {.lr = 0.02});
  for (int step = 0; step < 500; ++step) {
    Tape tape;
    adam.step(tape.gradient(loss(), net.parameters()));
  }
  std::printf("error %.3f\n%s", std::sqrt(loss().item()), nn::to_string(net).c_str());
}
