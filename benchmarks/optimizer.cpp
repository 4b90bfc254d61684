// An update of many parameters beside a plain loop over the same arrays: each is limited by the memory, not by its arithmetic. A ratio of
// 1 / 1.3 or more is what the project asks for.
#include <algorithm>
#include <memory>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/kernels/parallel.h"
#include "benchmarks/harness.h"
#include "optim/optim.h"

namespace wengert::benchmark {
namespace {

constexpr Index kParameters = 10'000'000;

struct Update {
  Parameter p{Tensor::full({kParameters}, 0.5)};
  optim::Adam adam{{p}, {.lr = 1e-6}};
  Gradients gradients;

  Update() { gradients.add(Tensor::full({kParameters}, 0.1), p.ref().get()); }
};

// Reads what Adam reads and writes what it writes: four arrays in, three out.
struct Stream {
  static std::vector<float> array(float value) { return std::vector<float>(static_cast<std::size_t>(kParameters), value); }
  std::vector<float> g = array(0.1F), p = array(0.5F), m = array(0), v = array(0);

  void run() {
    constexpr Index kBlock = 32768;
    parallel_blocks((kParameters + kBlock - 1) / kBlock, [&](Index block) {
      const auto first = static_cast<std::size_t>(block * kBlock);
      const auto end = static_cast<std::size_t>(std::min((block + 1) * kBlock, kParameters));
      for (std::size_t i = first; i < end; ++i) {
        m[i] += g[i];
        v[i] += m[i];
        p[i] += v[i];
      }
    });
  }
};

void run(const Options& options) {
  std::vector<Row> rows;
  const int all = num_threads();
  for (const int threads : {1, all}) {
    const std::string name = "optimizer/adam_10m";
    if (!options.wants(name) || (threads == all && !rows.empty() && all == 1)) continue;
    set_num_threads(threads);
    const auto ours = std::make_shared<Update>();
    const auto stream = std::make_shared<Stream>();
    const std::vector<std::function<void()>> contestants{[ours] { ours->adam.step(ours->gradients); }, [stream] { stream->run(); }};
    const std::vector<double> us = medians_in_turns(contestants, Time::passing, options.quick);
    rows.push_back({.name = name, .peer = "plain loop", .threads = threads, .ours_us = us[0], .peer_us = us[1]});
  }
  set_num_threads(all);
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
