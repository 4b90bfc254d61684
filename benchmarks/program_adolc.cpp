// ADOL-C: a trace that is made once, and forward and reverse passes over it at other inputs.
#include <adolc/adolc.h>

#include <array>

#include "benchmarks/program_functions.h"
#include "benchmarks/program_sides.h"

namespace wengert::benchmark {
namespace {

template <class F> std::function<void(std::span<const double>, std::span<double>)> gradient(short tag, const F& f) {
  const std::vector<double> start = f.start();
  std::vector<adouble> inputs(start.size());
  trace_on(tag);
  for (std::size_t i = 0; i < start.size(); ++i) inputs[i] <<= start[i];
  adouble y = f(std::span<const adouble>(inputs));
  double value = 0;
  y >>= value;
  trace_off();
  return [tag](std::span<const double> x, std::span<double> x_bar) {
    const int n = static_cast<int>(x.size());
    double value = 0, weight = 1;
    zos_forward(tag, 1, n, 1, x.data(), &value);
    fos_reverse(tag, 1, n, &weight, x_bar.data());
  };
}

using Columns = std::vector<std::vector<double>>;

std::function<void(const Columns&, std::span<double>)> bundle(short tag) {
  using B = BundleObservation;
  const Columns columns = B::columns();
  std::array<adouble, B::kInputs> inputs;
  trace_on(tag);
  for (std::size_t i = 0; i < B::kInputs; ++i) inputs[i] <<= columns[i][0];
  std::array<adouble, 2> errors = B()(inputs);
  double value = 0;
  for (adouble& error : errors) error >>= value;
  trace_off();
  return [tag](const Columns& columns, std::span<double> blocks) {
    constexpr int n = static_cast<int>(B::kInputs);
    std::array<double, B::kInputs> x, rows[2];
    double* jacobian[] = {rows[0].data(), rows[1].data()};
    double first[] = {1, 0}, second[] = {0, 1}, errors[2];
    double* seeds[] = {first, second};
    for (std::size_t k = 0; k < B::kObservations; ++k) {
      for (std::size_t i = 0; i < B::kInputs; ++i) x[i] = columns[i][k];
      zos_forward(tag, 2, n, 1, x.data(), errors);
      fov_reverse(tag, 2, n, 2, seeds, jacobian);
      for (std::size_t row = 0; row < 2; ++row)
        for (std::size_t i = 0; i < B::kVariables; ++i) blocks[(2 * k + row) * B::kVariables + i] = rows[row][i];
    }
  };
}

}  // namespace

AdolcRuns adolc_runs() { return {gradient(11, LogisticRegression()), gradient(12, GaussianMixture()), bundle(13)}; }

}  // namespace wengert::benchmark
