// A training on the ranks of mpirun, which tests/distributed/run starts, disturbs and compares.
//
//     distributed_training alone|mpi FILE EPOCHS [WHAT STEP RANK]
//
// trains, or goes on from FILE; `alone` without MPI. At that step that rank does WHAT: `kill` ends it with SIGKILL, `stop` stops it,
// `throw` throws an exception.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/distributed/mpi.h>
#include <optim/optim.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/support/classifier.h"

using namespace wengert;
using wengert::testing::Classifier, wengert::testing::points_in_classes;

namespace {

constexpr double kTimeout = 4;  // seconds

struct Accident {
  std::string_view what;
  Index step = 0;
  int rank = 0;

  void happen(Index at, int to) const {
    if (what.empty() || at != step || to != rank) return;
    if (what == "kill") std::raise(SIGKILL);
    if (what == "stop") std::raise(SIGSTOP);
    if (what == "throw") throw std::runtime_error("an accident");
  }
};

// 350 examples in batches of 8, five of which make a step: the last step of an epoch has four, the last of 6 examples.
void train(optim::Ranks& ranks, const std::string& path, Index epochs, const Accident& accident) {
  Generator data_generator(7), weights(ranks.is_first() ? 8 : 100);  // all begin with what rank 0 has
  const nn::Batch data = points_in_classes(350, data_generator), held_out = points_in_classes(50, data_generator);
  Classifier net(96, weights);
  optim::Adam adam(net.parameters(), {.lr = 3e-3});
  Generator order(9);
  const nn::DataLoader loader(data, {.batch_size = 8, .shuffle = true, .generator = &order});
  nn::fit(net, adam, nn::cross_entropy, loader,
          {.epochs = epochs,
           .validation = nn::DataLoader(held_out, {.batch_size = 16}),
           .metrics = {nn::Metric::accuracy(), nn::Metric::top_k_accuracy(2)},
           .accumulate = 5,
           .ranks = &ranks,
           .step = {.clip_norm = 5},
           .best = {.restore = true},
           .checkpoint = {.path = path, .resume = true, .every_steps = 2},
           .progress = false,
           .after_step = [&](const nn::StepReport& r) { accident.happen(r.step, ranks.rank()); },
           .after_epoch =
               [&](const nn::EpochReport& r) {
                 if (ranks.is_first()) std::printf("epoch %td of %d ranks: train loss %.17g\n", r.epoch, ranks.size(), r["train loss"]);
               }});
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if ((argc != 4 && argc != 7) || (mode != "alone" && mode != "mpi")) {
    std::fputs("distributed_training alone|mpi FILE EPOCHS [kill|stop|throw STEP RANK]\n", stderr);
    return 2;
  }
  const std::string path = argv[2];
  const Index epochs = std::atoi(argv[3]);
  Accident accident;
  if (argc == 7) accident = {argv[4], std::atoi(argv[5]), std::atoi(argv[6])};
  if (mode == "mpi") return optim::train_on_mpi([&](optim::Ranks& r) { train(r, path, epochs, accident); }, {.timeout = kTimeout});
  optim::OneRank alone;
  train(alone, path, epochs, accident);
} catch (const std::exception& error) {
  std::fprintf(stderr, "distributed_training: %s\n", error.what());
  return 1;
}
