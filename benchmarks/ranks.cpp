// Steps of a training that ranks share: `mpirun -n 2 ranks [steps]`. For docs/scale.md.
//
// For each network, in milliseconds, the fastest of all steps on the slowest rank: the whole step; the step if nothing is sent before the
// sweep has ended; the computing of the rank's own blocks alone.
#include <autodiff/autodiff.h>
#include <fmt/format.h>
#include <nn/nn.h>
#include <optim/distributed/mpi.h>
#include <optim/optim.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

using namespace wengert;

namespace {

constexpr Index kBlocks = 8;

double now() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of this rank's number.
double largest(optim::Ranks& ranks, double own) {
  double most = own;
  for (const std::vector<double>& of_rank : optim::gather_numbers(ranks, {&own, 1})) most = std::max(most, of_rank[0]);
  return most;
}

enum class Sending { during_the_sweep, behind_the_sweep, never };

double milliseconds(optim::Ranks& ranks, nn::Sequential& net, const Shape& input, Index classes, int steps, Sending sending) {
  Generator g(1);
  const Tensor x = g.normal(input), y = g.integers({input[0]}, 0, classes);
  optim::SGD sgd(net.parameters(), {.lr = 1e-3});
  optim::BlockSums sums(ranks, net.parameters());
  std::vector<double> times;
  for (int step = 0; step < steps; ++step) {
    largest(ranks, 0);  // all begin together
    const double began = now();
    sums.begin(kBlocks);
    for (Index b = sums.own().first; b < sums.own().last; ++b) {
      Tape tape;
      const Tensor loss = nn::cross_entropy(net(x), y);
      if (sending == Sending::during_the_sweep) {
        sums.add(tape, loss, 1);
      } else {
        sums.add(tape.gradient(loss, net.parameters()), 1);
      }
      if (sending == Sending::never && b + 1 == sums.own().last) times.push_back(now() - began);
    }
    const Gradients gradients = sums.finish();
    sgd.step(gradients);
    if (sending != Sending::never) times.push_back(now() - began);
  }
  return largest(ranks, *std::min_element(times.begin(), times.end()));
}

void measure(optim::Ranks& ranks, const char* name, nn::Sequential net, const Shape& input, Index classes, int steps) {
  const auto time_of = [&](Sending sending) { return milliseconds(ranks, net, input, classes, steps, sending); };
  const double whole = time_of(Sending::during_the_sweep), behind = time_of(Sending::behind_the_sweep), alone = time_of(Sending::never);
  if (ranks.is_first())
    fmt::print("| {} | {:.2f} | {} | {} | {:.1f} | {:.1f} | {:.1f} |\n", name, static_cast<double>(net.parameter_count()) / 1e6, input[0],
               ranks.size(), whole, behind, alone);
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::max(std::atoi(argv[1]), 1) : 100;
  return optim::train_on_mpi([&](optim::Ranks& ranks) {
    if (ranks.size() > kBlocks)
      throw ValueError(fmt::format("ranks: at most {} ranks have blocks, but there are {}", kBlocks, ranks.size()));
    Generator g(2);
    measure(ranks, "mnist_cnn",
            nn::Sequential(nn::Conv2d(1, 16, 5, {}, g), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(16, 32, 5, {}, g), nn::ReLU(),
                           nn::MaxPool2d(2), nn::Flatten(), nn::Linear(512, 128, {}, g), nn::ReLU(), nn::Linear(128, 10, {}, g)),
            {32, 1, 28, 28}, 10, steps);
    measure(ranks, "mlp 784-256-128-10",
            nn::Sequential(nn::Linear(784, 256, {}, g), nn::ReLU(), nn::Linear(256, 128, {}, g), nn::ReLU(), nn::Linear(128, 10, {}, g)),
            {64, 784}, 10, steps);
    measure(
        ranks, "mlp 2048-2048-1024-10",
        nn::Sequential(nn::Linear(2048, 2048, {}, g), nn::ReLU(), nn::Linear(2048, 1024, {}, g), nn::ReLU(), nn::Linear(1024, 10, {}, g)),
        {64, 2048}, 10, steps);
  });
}
