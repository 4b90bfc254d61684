#include "nn/init.h"

#include <fmt/format.h>

#include <cmath>

namespace wengert::nn::init {
namespace {

/// Uniform with mean 0: on [-a, a) the variance is a^2 / 3.
void uniform_of_variance(Parameter& p, double variance, Generator& generator) {
  const double a = std::sqrt(3 * variance);
  uniform(p, -a, a, generator);
}

double xavier_variance(const Parameter& p, const XavierOptions& options) {
  const auto [in, out] = fans(p.shape());
  return options.gain * options.gain * 2 / static_cast<double>(in + out);
}

double kaiming_variance(const Parameter& p, const KaimingOptions& options) {
  const auto [in, out] = fans(p.shape());
  return options.gain * options.gain / static_cast<double>(options.mode == Fan::in ? in : out);
}

}  // namespace

Fans fans(const Shape& weight) {
  if (weight.rank() < 2)
    throw ShapeError(fmt::format("init: a weight has at least 2 dimensions (out, in, ...), not the shape {}", to_string(weight)));
  Index kernel = 1;
  for (int i = 2; i < weight.rank(); ++i) kernel *= weight[i];
  return {weight[1] * kernel, weight[0] * kernel};
}

void constant(Parameter& p, double value) { p.set(Tensor::full(p.shape(), value, p.dtype())); }

void uniform(Parameter& p, double low, double high, Generator& generator) { p.set(generator.uniform(p.shape(), low, high, p.dtype())); }

void normal(Parameter& p, double mean, double stddev, Generator& generator) { p.set(generator.normal(p.shape(), mean, stddev, p.dtype())); }

void xavier_uniform(Parameter& p, Generator& generator, XavierOptions options) {
  uniform_of_variance(p, xavier_variance(p, options), generator);
}

void xavier_normal(Parameter& p, Generator& generator, XavierOptions options) {
  normal(p, 0, std::sqrt(xavier_variance(p, options)), generator);
}

void kaiming_uniform(Parameter& p, Generator& generator, KaimingOptions options) {
  uniform_of_variance(p, kaiming_variance(p, options), generator);
}

void kaiming_normal(Parameter& p, Generator& generator, KaimingOptions options) {
  normal(p, 0, std::sqrt(kaiming_variance(p, options)), generator);
}

}  // namespace wengert::nn::init
