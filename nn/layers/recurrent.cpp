#include "nn/layers/recurrent.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

#include "nn/module/optional_parameter.h"

namespace wengert::nn {

RecurrentParameters::RecurrentParameters(Index gates, Index in, Index hidden, bool bias, Generator& generator) {
  if (in < 1 || hidden < 1)
    throw ShapeError(fmt::format("a recurrent layer of {} inputs and {} hidden units: both must be positive", in, hidden));
  const double k = 1 / std::sqrt(static_cast<double>(hidden));
  const auto start = [&](const Shape& shape) { return Parameter(generator.uniform(shape, -k, k)); };
  weight_ih = start({gates * hidden, in});
  weight_hh = start({gates * hidden, hidden});
  if (!bias) return;
  bias_ih = start({gates * hidden});
  bias_hh = start({gates * hidden});
}

RecurrentParameters::operator RecurrentWeights() const { return {weight_ih, weight_hh, or_undefined(bias_ih), or_undefined(bias_hh)}; }

std::string RecurrentCell::label() const { return fmt::format("{}({}, {})", Module::label(), in(), hidden()); }

Tensor RecurrentCell::or_zeros(const Tensor& state, const Tensor& x) const {
  return state.defined() ? state : Tensor::zeros({x.rank() > 0 ? x.size(0) : 0, hidden()}, x.dtype(), x.made_at());
}

RecurrentLayer::RecurrentLayer(Index gates, Index in, Index hidden, RecurrentLayerOptions options, Generator& generator)
    : in(in), hidden(hidden), options(options), generator(0) {
  if (options.layers < 1) throw ShapeError(fmt::format("a recurrent network of {} layers: it must have at least one", options.layers));
  const Index directions = options.bidirectional ? 2 : 1;
  for (Index layer = 0; layer < options.layers; ++layer)
    for (Index d = 0; d < directions; ++d)
      weights.emplace_back(gates, layer == 0 ? in : directions * hidden, hidden, options.bias, generator);
  this->generator = generator.fork();
}

void RecurrentLayer::visit(Visitor& v) {
  const std::size_t directions = options.bidirectional ? 2 : 1;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto name = [&](const char* kind, Parameter& p) {
      char text[48];  // a std::string would take memory at every step of a training
      const auto end = fmt::format_to_n(text, std::size(text), "{}_l{}{}", kind, i / directions, i % directions ? "_reverse" : "").out;
      v(std::string_view(text, static_cast<std::size_t>(end - text)), p);
    };
    name("weight_ih", weights[i].weight_ih);
    name("weight_hh", weights[i].weight_hh);
    name("bias_ih", weights[i].bias_ih);
    name("bias_hh", weights[i].bias_hh);
  }
}

std::string RecurrentLayer::label() const { return fmt::format("{}({}, {})", Module::label(), in, hidden); }

pool::Vector<RecurrentWeights> RecurrentLayer::all_weights() const { return {weights.begin(), weights.end()}; }

RecurrentOptions RecurrentLayer::run_options(const Tensor& lengths) const {
  return {.bidirectional = options.bidirectional,
          .batch_first = options.batch_first,
          .dropout = training() ? options.dropout : 0,
          .generator = &generator,
          .lengths = lengths};
}

}  // namespace wengert::nn
