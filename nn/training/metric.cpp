#include "nn/training/metric.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"
#include "nn/training/metrics.h"

namespace wengert::nn {
namespace {

// sums: a weighted sum and the weight
void add_mean(Metric::Sums& sums, double mean, Index weight) {
  sums.resize(2);
  if (weight == 0) return;
  const auto w = static_cast<double>(weight);
  sums[0] += w * mean;
  sums[1] += w;
}

void merge_means(Metric::Sums& sums, const Metric::Sums& other) {
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += other[i];
}

double mean_in(const Metric::Sums& sums) { return sums[0] / sums[1]; }

Tensor in_a_row(const Tensor& labels) { return labels.rank() == 1 ? labels : flatten(labels); }

// Of the targets the number, the mean and the sum of squared deviations (Chan, Golub and LeVeque 1979); of the errors the sum of squares.
struct SquaredSums {
  double n = 0, mean = 0, deviations = 0, errors = 0;

  explicit SquaredSums(const Metric::Sums& sums) : n(sums[0]), mean(sums[1]), deviations(sums[2]), errors(sums[3]) {}
  void store(Metric::Sums& sums) const { sums = {n, mean, deviations, errors}; }
};

void add_squares(Metric::Sums& sums, const Tensor& prediction, const Tensor& target, Location site) {
  wengert::detail::check_defined("r_squared", prediction, "the prediction");
  wengert::detail::check_defined("r_squared", target, "the target");
  if (!(prediction.shape() == target.shape()))
    throw ShapeError(
        fmt::format("r_squared: the prediction {} and the target {} must have the same shape", describe(prediction), describe(target)),
        CallSite::of(site));
  sums.resize(4);
  SquaredSums s(sums);
  const std::vector<double> y_hat = prediction.to_vector<double>(), y = target.to_vector<double>();
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double from_mean = y[i] - s.mean;
    s.n += 1;
    s.mean += from_mean / s.n;
    s.deviations += from_mean * (y[i] - s.mean);
    s.errors += (y[i] - y_hat[i]) * (y[i] - y_hat[i]);
  }
  s.store(sums);
}

// The deviations of two sets from their common mean (Chan, Golub and LeVeque 1979).
void merge_squares(Metric::Sums& sums, const Metric::Sums& other) {
  SquaredSums s(sums);
  const SquaredSums o(other);
  const double n = s.n + o.n, apart = o.mean - s.mean;
  if (o.n == 0) return;
  s.mean += apart * (o.n / n);
  s.deviations += o.deviations + apart * apart * (s.n * o.n / n);
  s.errors += o.errors;
  s.n = n;
  s.store(sums);
}

double r_squared_in(const Metric::Sums& sums) {
  const SquaredSums s(sums);
  if (s.n < 2) return std::numeric_limits<double>::quiet_NaN();
  if (s.deviations == 0 && s.errors == 0) return 1;
  return 1 - s.errors / s.deviations;
}

}  // namespace

double Metric::undefined() { return std::numeric_limits<double>::quiet_NaN(); }

Metric Metric::mean_of(std::string name, SharedFunction<double(const Tensor&, const Tensor&)> function) {
  const auto add = [function = std::move(function)](Sums& sums, const Tensor& prediction, const Tensor& target, Location) {
    add_mean(sums, function(prediction, target), target.rank() == 0 ? 1 : target.size(0));
  };
  return {std::move(name), add, merge_means, mean_in};
}

Metric Metric::mean(std::string name, Loss function) {
  return mean_of(std::move(name), [function = std::move(function)](const Tensor& prediction, const Tensor& target) {
    return function(prediction, target).item();
  });
}

Metric Metric::accuracy() {
  const auto add = [](Sums& sums, const Tensor& logits, const Tensor& labels, Location site) {
    add_mean(sums, nn::accuracy(logits, in_a_row(labels), site), labels.size());
  };
  return {"accuracy", add, merge_means, mean_in};
}

Metric Metric::top_k_accuracy(Index k) {
  const auto add = [k](Sums& sums, const Tensor& logits, const Tensor& labels, Location site) {
    add_mean(sums, nn::top_k_accuracy(logits, in_a_row(labels), k, site), labels.size());
  };
  return {fmt::format("top-{} accuracy", k), add, merge_means, mean_in};
}

Metric Metric::binary_accuracy(double threshold) {
  const auto add = [threshold](Sums& sums, const Tensor& output, const Tensor& labels, Location site) {
    add_mean(sums, nn::binary_accuracy(output, labels, {.threshold = threshold}, site), labels.size());
  };
  return {"accuracy", add, merge_means, mean_in};
}

Metric Metric::r_squared() { return {"R^2", add_squares, merge_squares, r_squared_in}; }

}  // namespace wengert::nn
