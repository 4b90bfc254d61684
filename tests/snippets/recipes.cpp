#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
#include <limits>
using namespace wengert;

int main() {
  Generator generator(1);
  const Tensor raw = generator.normal({200, 3}, 5, 2);
  const Tensor y = sum(raw, 1, {.keepdim = true}) + generator.normal({200, 1}, 0, 0.1);

  // [standardize]
  const Tensor middle = mean(raw, 0), width = stddev(raw, 0);  // one for each column
  const Tensor x = (raw - middle) / width;
  // [standardize]

  // [split]
  const nn::Split parts =
      nn::split_examples(x, y, {.validation = 0.25, .generator = &generator});
  nn::DataLoader loader(parts.train.x, parts.train.y,
                        {.batch_size = 25, .shuffle = true, .generator = &generator});
  // [split]

  // [early]
  nn::Sequential net(nn::Linear(3, 16, {}, generator), nn::Tanh(),
                     nn::Linear(16, 1, {}, generator));
  optim::Adam adam(net.parameters(), {.lr = 0.02});
  nn::Sequential best = net;  // a copy, with weights of its own
  double least = std::numeric_limits<double>::infinity();
  int epoch = 0;
  for (int since_best = 0; since_best < 10 && epoch < 300; ++epoch, ++since_best) {
    for (const auto& [batch, target] : loader) {
      Tape tape;
      adam.step(tape.gradient(nn::mse(net(batch), target), net.parameters()));
    }
    const double loss = nn::mse(net(parts.validation.x), parts.validation.y).item();
    if (loss < least) {
      least = loss;
      best = net;
      since_best = 0;
    }
  }
  // [early]
  std::printf("early stopping: %s\n", epoch < 300 ? "before epoch 300" : "not needed");
  std::printf("the best network fits: %s\n", least < 0.1 ? "yes" : "no");

  // [accumulate]
  optim::SGD sgd(net.parameters(), {.lr = 0.01});
  Gradients total;
  int batches = 0;
  for (const auto& [batch, target] : loader) {
    Tape tape;
    Gradients g = tape.gradient(nn::mse(net(batch), target), net.parameters());
    if (batches++ == 0)
      total = std::move(g);
    else
      total += g;
  }
  total *= 1.0 / batches;
  sgd.step(total);
  // [accumulate]

  // [freeze]
  net[0].freeze();  // a constant for every tape; the optimizer skips it
  optim::Adam fine(net.parameters(), {.lr = 1e-3});
  // [freeze]
  std::printf("%d batches, %zu parameters in the list\n", batches,
              net.parameters().size());
}
