#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

// A training with a loop of its own. It may end after any epoch, and resumes there.
double train(int epochs) {
  Generator g(1);
  const Tensor x = g.normal({200, 2}), y = sum(square(x), 1, {.keepdim = true});
  nn::Sequential net(nn::Linear(2, 32, {}, g), nn::Tanh(), nn::Dropout(0.1, g),
                     nn::Linear(32, 1, {}, g));
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  const nn::DataLoader loader(x, y,
                              {.batch_size = 32, .shuffle = true, .generator = &g});
  int epoch = 0;

  nn::Checkpoint checkpoint("run.checkpoint", {.keep = 2});
  checkpoint("net", net)("adam", adam)("generator", g)("epoch", epoch);
  checkpoint.resume();  // false, and nothing is done, if there is no file yet
  for (; epoch < epochs; checkpoint.save()) {
    for (const auto& [inputs, targets] : loader) {
      Tape tape;
      adam.step(tape.gradient(nn::mse(net(inputs), targets), net.parameters()));
    }
    ++epoch;
  }
  net.eval();
  return nn::mse(net(x), y).item();
}

int main() {
  const double undisturbed = train(10);
  for (const char* file : {"run.checkpoint", "run.checkpoint.1"}) std::remove(file);
  train(4);
  const double resumed = train(10);
  std::printf("equal to the bit: %s\n", resumed == undisturbed ? "yes" : "no");

  nn::Linear other(3, 1);
  nn::Checkpoint checkpoint("run.checkpoint");
  checkpoint("net", other);
  try {
    checkpoint.resume();
  } catch (const DataError& error) {
    std::puts(error.what());
  }
  for (const char* file : {"run.checkpoint", "run.checkpoint.1"}) std::remove(file);
}
