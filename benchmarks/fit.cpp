// nn::fit beside the loop that it saves people from writing: the same epochs over the same batches. A ratio of 1 / 1.02 or more is what the
// project asks for.
#include <memory>
#include <vector>

#include "autodiff/autodiff.h"
#include "benchmarks/harness.h"
#include "nn/nn.h"
#include "optim/optim.h"

namespace wengert::benchmark {
namespace {

constexpr Index kBatch = 64, kBatches = 50;

struct Training {
  Generator generator{1};
  Tensor x = generator.normal({kBatch * kBatches, 784}), labels = generator.integers({kBatch * kBatches}, 0, 10);
  nn::Sequential model{nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(), nn::Linear(128, 10)};
  optim::SGD descent{model.parameters(), {.lr = 0.01}};
  nn::DataLoader loader{x, labels, {.batch_size = kBatch, .shuffle = true, .generator = &generator}};

  void fit() { nn::fit(model, descent, nn::cross_entropy, loader, {.epochs = 1, .progress = false}); }

  void run_loop() {
    double sum = 0;
    for (const nn::Batch& batch : loader) {
      Tape tape;
      const Tensor loss = nn::cross_entropy(model(batch.x), batch.y);
      sum += loss.item();
      descent.step(tape.gradient(loss, model.parameters()));
    }
    mean = sum / kBatches;
  }
  double mean = 0;  // which a training prints
};

void run(const Options& options) {
  std::vector<Row> rows;
  const std::string name = "fit/mlp_b64";
  if (options.wants(name)) {
    set_num_threads(1);
    const auto fitted = std::make_shared<Training>(), looped = std::make_shared<Training>();
    const std::vector<std::function<void()>> contestants{[fitted] { fitted->fit(); }, [looped] { looped->run_loop(); }};
    const std::vector<double> us = medians_in_turns(contestants, Time::of_this_thread, options.quick);
    rows.push_back({.name = name, .peer = "own loop", .ours_us = us[0], .peer_us = us[1]});
  }
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
