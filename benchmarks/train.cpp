// Training steps compared with libtorch. Each side is a separate process (train_server.h), in an environment chosen here. The losses must
// agree before anything is timed; then the sides run in turns.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "autodiff/ops.h"
#include "autodiff/runtime.h"
#include "benchmarks/harness.h"
#include "benchmarks/side.h"

namespace wengert::benchmark {
namespace {

// Compares the first steps, from the same weights and data. (Only a few: Adam and RMSprop turn a gradient that is only rounding errors
// into a full step, so the sides diverge eventually.)
void compare_losses(const std::string& row, Side& ours, Side& peer) {
  constexpr int kSteps = 3;
  constexpr double kTolerance = 1e-4;
  const std::vector<double> a = ours.check(kSteps), b = peer.check(kSteps);
  for (int i = 0; i < kSteps; ++i) {
    if (std::abs(a[i] - b[i]) <= kTolerance * std::abs(b[i])) continue;
    fmt::print(stderr, "{}: the value of step {} is {:.9g}, but {:.9g} by libtorch\n", row, i, a[i], b[i]);
    std::exit(1);
  }
}

// The memory that a row needs in a separate process: first use of libraries, the model and its data, and the steps.
double memory_of(const std::string& row, Side&& side) {
  constexpr int kSteps = 3;
  if (!side.start(row)) return 0;
  side.check(kSteps);
  return side.memory();
}

// GFLOP/s of a product of matrices that fit the cache.
double sgemm_peak(int threads) {
  constexpr Index n = 512;
  const Tensor a = Tensor::full({n, n}, 0.5), b = a;
  set_num_threads(threads);
  const auto multiply = [&] { matmul(a, b); };
  const std::function<void()> contestants[] = {multiply};
  return 2e-3 * n * n * n / medians_in_turns(contestants, threads == 1 ? Time::of_this_thread : Time::passing, true)[0];
}

void run(const Options& options) {
  const std::filesystem::path folder = benchmark_folder();
  if (!std::filesystem::exists(folder / "train_libtorch")) {
    fmt::print("train: built without libtorch, so there is nothing to compare with\n");
    return report({}, options);
  }
  std::vector<Row> rows;
  for (const int threads : {1, 2}) {
    if (threads > static_cast<int>(std::thread::hardware_concurrency())) continue;
    const double peak = sgemm_peak(threads);
    const auto start_ours = [&] { return Side(folder / "train_ours", threads, plain_environment()); };
    const auto start_peer = [&] { return Side(folder / "train_libtorch", threads, libtorch_environment(threads)); };
    for (const Side::Work& work : start_ours().list()) {
      if (!options.wants(work.name)) continue;
      Side ours = start_ours(), peer = start_peer();  // new processes for each row, without memory or threads left over from others
      if (!ours.start(work.name) || !peer.start(work.name)) {
        fmt::print(stderr, "{}: not on both sides\n", work.name);
        std::exit(1);
      }
      compare_losses(work.name, ours, peer);
      Row row = compare(work, ours, peer, threads, {10000, options.quick ? 7 : 31});
      row.peak = peak;
      row.ours_mb = memory_of(work.name, start_ours());
      row.peer_mb = memory_of(work.name, start_peer());
      rows.push_back(row);
    }
  }
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
