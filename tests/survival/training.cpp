// A training that is killed by tests/survival/run: it has everything that a checkpoint must keep.
//
//     survival_training train FILE        trains, or goes on from FILE
//     survival_training check FILE...     status 0 if every file is a whole checkpoint of this training
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "tests/support/classifier.h"

using namespace wengert;
using wengert::testing::Classifier, wengert::testing::points_in_classes;

namespace {

void train(const std::string& path) {
  Generator g(7);
  const nn::Batch data = points_in_classes(700, g), held_out = points_in_classes(100, g);
  Classifier net(192, g);
  optim::Adam adam(net.parameters(), {.lr = 3e-3});
  optim::EMA average(net.parameters(), {.decay = 0.9});
  optim::PlateauSchedule plateau(3e-3, {.factor = 0.5, .patience = 0});
  Generator order(8), noise(9);
  const auto noisy = [](nn::Batch b, Generator& from) { return nn::Batch{b.x + from.normal(b.x.shape(), 0, 0.01), b.y}; };
  const nn::DataLoader loader(data, {.batch_size = 32, .shuffle = true, .prefetch = 2, .transform = noisy, .generator = &order});
  const auto forward = [&](const Tensor& x) { return net.training() ? net(x + noise.normal(x.shape(), 0, 0.01)) : net(x); };
  nn::fit({net, forward}, adam, nn::cross_entropy, loader,
          {.epochs = 5,
           .validation = held_out,
           .metrics = {nn::Metric::accuracy(), nn::Metric::top_k_accuracy(2)},
           .plateau = &plateau,
           .accumulate = 2,
           .step = {.clip_norm = 5},
           .best = {.restore = true},
           .checkpoint = {.path = path,
                          .resume = true,
                          .every_steps = 1,
                          .keep = 3,
                          .parts = [&](nn::Checkpoint& c) { c("average", average)("noise", noise); }},
           .generators = {&noise},
           .progress = false,
           .log = path + ".csv",
           .after_step = [&](const nn::StepReport&) { average.update(); }});
}

// Whether a file is whole: the library would refuse it otherwise.
void check(const std::string& path) {
  Index epochs = -1;
  nn::Checkpoint checkpoint(path);
  checkpoint("unknown", epochs);
  try {
    checkpoint.resume();
  } catch (const DataError& error) {
    if (std::string_view(error.what()).find("of another training") == std::string_view::npos) throw;  // whole, but of other parts
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view mode = argc > 2 ? argv[1] : "";
  if (mode == "train") {
    train(argv[2]);
  } else if (mode == "check") {
    for (int i = 2; i < argc; ++i) check(argv[i]);
  } else {
    std::fputs("survival_training train FILE | check FILE...\n", stderr);
    return 2;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "survival_training: %s\n", error.what());
  return 1;
}
