#include "nn/layers/basic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace wengert::nn {

Linear::Linear(Index in, Index out, LinearOptions options, Generator& generator) {
  if (in < 0 || out < 0) throw ShapeError(fmt::format("Linear({}, {}): sizes cannot be negative", in, out));
  const double k = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  weight = Parameter(generator.uniform({out, in}, -k, k));
  if (options.bias) bias = Parameter(generator.uniform({out}, -k, k));
}

void Linear::check(const Tensor& x, Location site) const {
  if (x.rank() == 0 || x.shape().back() != in()) {
    throw ShapeError(
        fmt::format("{} at {}: the last size of the input must be {}, but the input is {}", label(), to_string(site), in(), describe(x)));
  }
}

// Y = X W^T + b
Tensor Linear::operator()(const Tensor& x, Location site) const {
  check(x, site);
  return bias.ref().get() ? linear(x, weight, bias, site) : linear(x, weight, site);
}

Tensor Linear::with_relu(const Tensor& x, Location site) const {
  check(x, site);
  return bias.ref().get() ? linear_relu(x, weight, bias, site) : linear_relu(x, weight, site);
}

std::string Linear::label() const { return fmt::format("Linear({}, {})", in(), out()); }

Embedding::Embedding(Index rows, Index features, EmbeddingOptions options, Generator& generator) : padding_idx(options.padding_idx) {
  if (rows < 1 || features < 0) throw ShapeError(fmt::format("Embedding({}, {}): no such table", rows, features));
  if (padding_idx && (*padding_idx < 0 || *padding_idx >= rows))
    throw ShapeError(fmt::format("Embedding({}, {}): the padding row {} is not in [0, {})", rows, features, *padding_idx, rows));
  Tensor start = generator.normal({rows, features});
  if (padding_idx) std::fill_n(start.mutable_data<float>() + *padding_idx * features, features, 0.f);
  weight = Parameter(start);
}

std::string Embedding::label() const { return fmt::format("Embedding({}, {})", weight.shape()[0], weight.shape()[1]); }

Dropout::Dropout(double p, Generator& generator) : p(p), generator(generator.fork()) {
  if (!(p >= 0 && p <= 1)) throw Error(fmt::format("Dropout({}): no probability", p));
}

std::string Dropout::label() const { return fmt::format("Dropout({})", p); }

}  // namespace wengert::nn
