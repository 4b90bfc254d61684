#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  optim::OneRank ranks;  // or what train_on_mpi gives
  Generator g(1);
  const Tensor x = g.normal({100, 2}), y = sum(square(x), 1, {.keepdim = true});
  nn::Sequential net(nn::Linear(2, 32, {}, g), nn::Tanh(), nn::Linear(32, 1, {}, g));
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  // [loop]
  constexpr Index kRows = 16;  // of a block
  optim::BlockSums sums(ranks, net.parameters());
  for (int step = 0; step < 300; ++step) {
    sums.begin(7);  // of 16 examples each, but the last of 4
    for (Index b = sums.own().first; b < sums.own().last; ++b) {
      const Index first = b * kRows, last = first + kRows < 100 ? first + kRows : 100;
      Tape tape;
      const Tensor loss =
          nn::mse(net(slice(x, 0, first, last)), slice(y, 0, first, last));
      sums.add(tape, loss, static_cast<double>(last - first));
    }
    adam.step(sums.finish());
  }
  // [loop]
  std::printf("loss below 0.1: %s\n", nn::mse(net(x), y).item() < 0.1 ? "yes" : "no");
}
