#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

// The same on every rank: all make the network and the loader; fit shares the work.
void train(optim::Ranks& ranks) {
  Generator g(1);
  const Tensor x = g.normal({1000, 2}), y = sum(square(x), 1, {.keepdim = true});
  nn::Sequential net(nn::Linear(2, 32, {}, g), nn::Tanh(), nn::Linear(32, 1, {}, g));
  optim::Adam adam(net.parameters(), {.lr = 0.03});
  // A step has 64 examples: 8 batches of 8, shared by the ranks.
  const nn::DataLoader loader(x, y,
                              {.batch_size = 8, .shuffle = true, .generator = &g});
  const nn::FitResult result =
      nn::fit(net, adam, nn::mse, loader,
              {.epochs = 20, .accumulate = 8, .ranks = &ranks, .progress = false});
  if (ranks.is_first())
    std::printf("%s\n", result.history.values("train loss").back() < 0.1
                            ? "trained"
                            : "not trained");
}

int main() {
  optim::OneRank alone;
  train(alone);
}
