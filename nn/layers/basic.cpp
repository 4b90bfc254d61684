#include "nn/layers/basic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"
#include "nn/layers/layer_checks.h"

namespace wengert::nn {

Linear::Linear(Index in, Index out, LinearOptions options, Generator& generator, Location site) {
  const std::string name = fmt::format("Linear({}, {})", in, out);
  OptionChecks(name, site).at_least(0, "in", in).at_least(0, "out", out);
  const double k = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  weight = new_parameter(generator.uniform({out, in}, -k, k, float32, site), "weight", name);
  if (options.bias) bias = new_parameter(generator.uniform({out}, -k, k, float32, site), "bias", name);
}

void Linear::check(const Tensor& x, Location site) const {
  if (x.rank() > 0 && x.shape().back() == in()) return check_input_dtype(*this, x, weight, "weight", site);
  const Index features = x.rank() > 0 ? x.shape().size(1, x.rank()) : 1;  // of an example
  throw ShapeError(wengert::detail::ErrorText(label(), "the last size of the input must be {}", in())
                       .operand("input", x)
                       .hint(x.rank() > 2 && features == in() ? "flatten(input, 1), or a Flatten layer before this one" : ""),
                   CallSite::of(site));
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

Embedding::Embedding(Index rows, Index features, EmbeddingOptions options, Generator& generator, Location site)
    : padding_idx(options.padding_idx) {
  const std::string name = fmt::format("Embedding({}, {})", rows, features);
  const OptionChecks checks(name, site);
  checks.at_least(1, "rows", rows).at_least(0, "features", features);
  if (padding_idx && (*padding_idx < 0 || *padding_idx >= rows))
    checks.size_error(fmt::format("padding_idx must be in [0, {}), but it is {}", rows, *padding_idx));
  Tensor start = generator.normal({rows, features}, 0, 1, float32, site);
  if (padding_idx) std::fill_n(start.mutable_data<float>() + *padding_idx * features, features, 0.f);
  weight = new_parameter(start, "weight", name);
}

std::string Embedding::label() const { return fmt::format("Embedding({}, {})", weight.shape()[0], weight.shape()[1]); }

Dropout::Dropout(double p, Generator& generator, Location site) : p(p), generator(0) {
  OptionChecks(Dropout::label(), site).unit_interval("p", p);
  this->generator = generator.fork();
}

std::string Dropout::label() const { return fmt::format("Dropout({})", p); }

}  // namespace wengert::nn
