#include "nn/layers/recurrent.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"
#include "nn/layers/layer_checks.h"
#include "nn/module/optional_parameter.h"

namespace wengert::nn {

RecurrentParameters::RecurrentParameters(Index gates, Index in, Index hidden, bool bias, const std::string& layer,
                                         const std::string& suffix, Generator& generator, Location site) {
  const double k = 1 / std::sqrt(static_cast<double>(hidden));
  const auto start = [&](const char* name, const Shape& shape) {
    return new_parameter(generator.uniform(shape, -k, k, float32, site), name + suffix, layer);
  };
  weight_ih = start("weight_ih", {gates * hidden, in});
  weight_hh = start("weight_hh", {gates * hidden, hidden});
  if (!bias) return;
  bias_ih = start("bias_ih", {gates * hidden});
  bias_hh = start("bias_hh", {gates * hidden});
}

RecurrentParameters::operator RecurrentWeights() const { return {weight_ih, weight_hh, or_undefined(bias_ih), or_undefined(bias_hh)}; }

namespace {

// "LSTM(3, 5)", after its sizes have been checked.
std::string checked_label(const char* name, Index in, Index hidden, Location site) {
  std::string label = fmt::format("{}({}, {})", name, in, hidden);
  OptionChecks(label, site).at_least(1, "in", in).at_least(1, "hidden", hidden);
  return label;
}

}  // namespace

RecurrentCell::RecurrentCell(const char* name, Index gates, Index in, Index hidden, RecurrentCellOptions options, Generator& generator,
                             Location site)
    : weights(gates, in, hidden, options.bias, checked_label(name, in, hidden, site), "", generator, site) {}

std::string RecurrentCell::label() const { return fmt::format("{}({}, {})", Module::label(), in(), hidden()); }

void RecurrentCell::check_input(const Tensor& x, Location site) const {
  if (x.rank() != 2 || x.size(1) != in())
    throw ShapeError(wengert::detail::ErrorText(label(), "the input must be (n, {})", in())
                         .operand("input", x)
                         .hint(x.rank() == 1 && x.size() == in() ? "unsqueeze(input, 0)" : ""),
                     CallSite::of(site));
  check_input_dtype(*this, x, weights.weight_ih, "weight_ih", site);
}

Tensor RecurrentCell::or_zeros(const Tensor& state, const Tensor& x) const {
  return state.defined() ? state : Tensor::zeros({x.rank() > 0 ? x.size(0) : 0, hidden()}, x.dtype(), x.made_at());
}

RecurrentLayer::RecurrentLayer(const char* name, Index gates, Index in, Index hidden, RecurrentLayerOptions options, Generator& generator,
                               Location site)
    : in(in), hidden(hidden), options(options), generator(0) {
  const std::string label = checked_label(name, in, hidden, site);
  OptionChecks(label, site).at_least(1, "layers", options.layers).unit_interval("dropout", options.dropout);
  const Index directions = options.bidirectional ? 2 : 1;
  for (Index layer = 0; layer < options.layers; ++layer)
    for (Index d = 0; d < directions; ++d)
      weights.emplace_back(gates, layer == 0 ? in : directions * hidden, hidden, options.bias, label,
                           fmt::format("_l{}{}", layer, d == 1 ? "_reverse" : ""), generator, site);
  this->generator = generator.fork();
}

void RecurrentLayer::check_input(const Tensor& x, Location site) const {
  if (x.rank() != 3 || x.size(2) != in) {
    const char* const hint = x.rank() == 3 && x.size(1) == in   ? "transpose(input, 1, 2)"
                             : x.rank() != 2 || x.size(1) != in ? ""
                             : options.batch_first              ? "unsqueeze(input, 0)"
                                                                : "unsqueeze(input, 1)";
    throw ShapeError(wengert::detail::ErrorText(label(), "the input must be ({}, {})", options.batch_first ? "n, t" : "t, n", in)
                         .operand("input", x)
                         .hint(hint),
                     CallSite::of(site));
  }
  check_input_dtype(*this, x, weights[0].weight_ih, "weight_ih_l0", site);
}

void RecurrentLayer::visit(Visitor& v) {
  const std::size_t directions = options.bidirectional ? 2 : 1;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto name = [&](const char* kind, Parameter& p) {
      char text[48];  // a std::string would allocate at every training step
      const auto end = fmt::format_to_n(text, std::size(text), "{}_l{}{}", kind, i / directions, i % directions ? "_reverse" : "").out;
      v(std::string_view(text, static_cast<std::size_t>(end - text)), p);
    };
    name("weight_ih", weights[i].weight_ih);
    name("weight_hh", weights[i].weight_hh);
    name("bias_ih", weights[i].bias_ih);
    name("bias_hh", weights[i].bias_hh);
  }
  v("generator", generator);
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
