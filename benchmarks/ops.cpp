// Every operation of the menu compared with libtorch, in float32 and float64: its value, and value and gradient together. The sides must
// agree in an element of each before anything is timed. The slowest rows, relative to libtorch, are printed first.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "benchmarks/operations.h"
#include "benchmarks/side.h"

namespace wengert::benchmark {
namespace {

// Whether the sides agree, as far as float32 sums of many terms do.
bool agree(const std::string& row, Side& ours, Side& peer) {
  constexpr double kTolerance = 2e-3;
  const double a = ours.check(1)[0], b = peer.check(1)[0];
  const bool close = std::abs(a - b) <= kTolerance * (1 + std::abs(b));
  if (!close) fmt::print(stderr, "{}: the value is {:.9g}, but {:.9g} by libtorch\n", row, a, b);
  return close;
}

void summarize(const std::vector<Row>& rows) {
  if (rows.empty()) return;
  const auto below = std::count_if(rows.begin(), rows.end(), [](const Row& r) { return r.ratio() < 1; });
  fmt::print("{} of {} rows below 1.0, median ratio {:.2f}\n", below, rows.size(), rows[rows.size() / 2].ratio());
}

void run(const Options& options) {
  const std::filesystem::path folder = benchmark_folder();
  if (!std::filesystem::exists(folder / "ops_libtorch")) {
    fmt::print("ops: built without libtorch, so there is nothing to compare with\n");
    return report({}, options);
  }
  std::vector<Row> rows;
  bool all_agree = true;
  Side ours(folder / "ops_ours", 1, plain_environment()), peer(folder / "ops_libtorch", 1, libtorch_environment(1));
  for (const OperationWork& work : operations())
    for (const char* dtype : {"float32", "float64"})
      for (const bool backward : {false, true}) {
        const std::string name = row_name(work, dtype, backward);
        if ((backward && !work.differentiable) || !options.wants(name)) continue;
        if (!ours.start(name) || !peer.start(name)) {
          fmt::print(stderr, "{}: not on both sides\n", name);
          std::exit(1);
        }
        if (!work.random) all_agree &= agree(name, ours, peer);
        rows.push_back(compare({name, 0}, ours, peer, 1, options.quick ? Turns{1500, 5} : Turns{5000, 15}));
      }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ratio() < b.ratio(); });
  report(rows, options);
  summarize(rows);
  if (!all_agree) std::exit(1);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
