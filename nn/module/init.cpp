#include "nn/module/init.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::nn::init {
namespace {

// Uniform with mean 0: on [-a, a) the variance is a^2 / 3.
void uniform_of_variance(Parameter& p, double variance, Generator& generator) {
  const double a = std::sqrt(3 * variance);
  uniform(p, -a, a, generator);
}

double xavier_variance(const Parameter& p, XavierOptions options) {
  const auto [in, out] = fans(p.shape());
  return options.gain * options.gain * 2 / static_cast<double>(in + out);
}

double kaiming_variance(const Parameter& p, KaimingOptions options) {
  const auto [in, out] = fans(p.shape());
  return options.gain * options.gain / static_cast<double>(options.mode == Fan::in ? in : out);
}

// The probability that a normal number is below x.
double normal_probability(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// The x in [low, high] with normal_probability(x) = p, by halving the interval until no double is between.
double normal_quantile(double p, double low, double high) {
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (normal_probability(middle) < p ? low : high) = middle;
  }
}

// Makes row i of n columns orthogonal to the rows before it, and of length 1. Done twice, because once is inaccurate.
void orthonormalize_row(std::vector<double>& rows, Index i, Index n) {
  double* const row = rows.data() + i * n;
  for (int round = 0; round < 2; ++round)
    for (Index k = 0; k < i; ++k) {
      const double* const other = rows.data() + k * n;
      const double along = std::inner_product(row, row + n, other, 0.0);
      for (Index j = 0; j < n; ++j) row[j] -= along * other[j];
    }
  const double length = std::sqrt(std::inner_product(row, row + n, row, 0.0));
  for (Index j = 0; j < n; ++j) row[j] /= length;
}

}  // namespace

Fans fans(const Shape& weight) {
  if (weight.rank() < 2)
    throw ShapeError(fmt::format("init: a weight has at least 2 dimensions (out, in, ...), not the shape {}", to_string(weight)));
  const Index kernel = weight.size(2, weight.rank());
  return {weight[1] * kernel, weight[0] * kernel};
}

void constant(Parameter& p, double value, Location site) { p.set(Tensor::full(p.shape(), value, p.dtype(), site)); }

void uniform(Parameter& p, double low, double high, Generator& generator, Location site) {
  p.set(generator.uniform(p.shape(), low, high, p.dtype(), site));
}

void normal(Parameter& p, double mean, double stddev, Generator& generator, Location site) {
  p.set(generator.normal(p.shape(), mean, stddev, p.dtype(), site));
}

void xavier_uniform(Parameter& p, Generator& generator, XavierOptions options, Location site) {
  const CallSite scope(site);
  uniform_of_variance(p, xavier_variance(p, options), generator);
}

void xavier_normal(Parameter& p, Generator& generator, XavierOptions options, Location site) {
  const CallSite scope(site);
  normal(p, 0, std::sqrt(xavier_variance(p, options)), generator);
}

void kaiming_uniform(Parameter& p, Generator& generator, KaimingOptions options, Location site) {
  const CallSite scope(site);
  uniform_of_variance(p, kaiming_variance(p, options), generator);
}

void kaiming_normal(Parameter& p, Generator& generator, KaimingOptions options, Location site) {
  const CallSite scope(site);
  normal(p, 0, std::sqrt(kaiming_variance(p, options)), generator);
}

// The Gram-Schmidt process on a matrix of normal numbers gives the Q of its QR factorisation with a positive diagonal of R, which is
// uniform.
void orthogonal(Parameter& p, Generator& generator, OrthogonalOptions options, Location site) {
  const CallSite scope(site);
  fans(p.shape());
  const Index rows = p.shape()[0], columns = rows > 0 ? p.size() / rows : 0, few = std::min(rows, columns), many = std::max(rows, columns);
  std::vector<double> q = generator.normal({few, many}, 0, 1, float64).to_vector<double>();
  for (Index i = 0; i < few; ++i) orthonormalize_row(q, i, many);
  Tensor matrix = options.gain * Tensor::from(q, {few, many});
  if (rows > columns) matrix = transpose(matrix);
  p.set(reshape(matrix, p.shape()).to(p.dtype()));
}

// Inverse transform sampling: quantiles of numbers that are uniform between the probabilities of both ends, on the left side of the
// distribution, where probabilities are accurate.
void truncated_normal(Parameter& p, Generator& generator, TruncatedNormalOptions options, Location site) {
  const CallSite scope(site);
  double low = (options.low - options.mean) / options.stddev, high = (options.high - options.mean) / options.stddev;
  const bool mirrored = low > 0;
  if (mirrored) std::tie(low, high) = std::pair(-high, -low);
  const double from = normal_probability(low), to = normal_probability(high);
  if (!(options.stddev > 0 && low < high && from < to))
    throw ValueError(fmt::format("truncated_normal: mean {}, standard deviation {} and the interval [{}, {}] leave nothing to draw",
                                 options.mean, options.stddev, options.low, options.high));
  low = std::max(low, -40.0);  // beyond, probabilities are 0
  high = std::min(high, 40.0);
  std::vector<double> values = generator.uniform(p.shape(), from, to, float64).to_vector<double>();
  for (double& v : values) {
    const double z = normal_quantile(v, low, high);
    v = options.mean + options.stddev * (mirrored ? -z : z);
  }
  p.set(Tensor::from(values, p.shape()).to(p.dtype()));
}

}  // namespace wengert::nn::init
