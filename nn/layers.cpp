#include "nn/layers.h"

#include <fmt/format.h>

#include <cmath>

namespace wengert::nn {

Linear::Linear(Index in, Index out, LinearOptions options, Generator& generator) {
  if (in < 0 || out < 0) throw ShapeError(fmt::format("Linear({}, {}): sizes cannot be negative", in, out));
  const double k = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  weight = Parameter(generator.uniform({out, in}, -k, k));
  if (options.bias) bias = Parameter(generator.uniform({out}, -k, k));
}

void Linear::check(const Tensor& x, Location where) const {
  if (x.rank() == 0 || x.shape().back() != in()) {
    throw ShapeError(
        fmt::format("{} at {}: the last size of the input must be {}, but the input is {}", label(), to_string(where), in(), describe(x)));
  }
}

// Y = X W^T + b
Tensor Linear::operator()(const Tensor& x, Location where) const {
  check(x, where);
  return bias.ref().get() ? linear(x, weight, bias, where) : linear(x, weight, where);
}

Tensor Linear::with_relu(const Tensor& x, Location where) const {
  check(x, where);
  return bias.ref().get() ? linear_relu(x, weight, bias, where) : linear_relu(x, weight, where);
}

std::string Linear::label() const { return fmt::format("Linear({}, {})", in(), out()); }

}  // namespace wengert::nn
