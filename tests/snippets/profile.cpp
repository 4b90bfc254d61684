#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  nn::Sequential model(nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 10));
  const ParameterList parameters = model.parameters();
  optim::Adam adam(parameters);
  const Tensor x = Tensor::ones({64, 784}), labels = Tensor::zeros({64}, int64);
  // [profile]
  Profile profile;
  for (int step = 0; step < 100; ++step) {
    Tape tape;
    const Tensor loss = cross_entropy(model(x), labels);
    adam.step(tape.gradient(loss, parameters));
  }
  for (const ProfileRow& row : profile.lines())
    std::printf("%s\n%llu calls\n", row.name.c_str(), (unsigned long long)row.calls);
  std::fprintf(stderr, "%s", profile.report().c_str());
  // [profile]
}
