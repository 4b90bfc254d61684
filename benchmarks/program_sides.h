#pragma once
// The peers of the benchmark `program` that have a source of their own.
#include <functional>
#include <span>
#include <vector>

namespace wengert::benchmark {

/// Runs of ADOL-C: each traces its program once, here, and replays it for values and derivatives.
struct AdolcRuns {
  std::function<void(std::span<const double> x, std::span<double> x_bar)> logreg, gmm;
  /// [observation][2][15], of inputs by columns.
  std::function<void(const std::vector<std::vector<double>>& columns, std::span<double> blocks)> bundle;
};
AdolcRuns adolc_runs();

}  // namespace wengert::benchmark
