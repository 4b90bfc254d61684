#include "nn/layers/attention.h"

#include <fmt/format.h>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/same_value.h"
#include "nn/layers/layer_checks.h"
#include "nn/module/init.h"
#include "nn/module/optional_parameter.h"

namespace wengert::nn {

namespace {

// "MultiheadAttention(8, 2)", after its options have been checked.
std::string checked_label(Index features, Index heads, const MultiheadAttentionOptions& options, Location site) {
  std::string label = fmt::format("MultiheadAttention({}, {})", features, heads);
  OptionChecks(label, site)
      .at_least(0, "features", features)
      .divides("heads", heads, {features}, "the features")
      .unit_interval("dropout", options.dropout);
  return label;
}

}  // namespace

MultiheadAttention::MultiheadAttention(Index features, Index heads, MultiheadAttentionOptions options, Generator& generator, Location site)
    : heads(heads),
      options(options),
      in_proj_weight(new_parameter(Tensor::zeros({3 * features, features}, float32, site), "in_proj_weight",
                                   checked_label(features, heads, options, site))),
      out_proj(features, features, {.bias = options.bias}, generator, site),
      generator(0) {
  const CallSite scope(site);
  init::xavier_uniform(in_proj_weight, generator);
  if (options.bias) {
    in_proj_bias = new_parameter(Tensor::zeros({3 * features}), "in_proj_bias", MultiheadAttention::label());
    init::constant(out_proj.bias, 0);
  }
  this->generator = generator.fork();
}

Attention MultiheadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMasks& masks,
                                         Location site) const {
  check_input_dtype(*this, query, in_proj_weight, "in_proj_weight", site);
  const MultiheadWeights weights{in_proj_weight, or_undefined(in_proj_bias), out_proj.weight, or_undefined(out_proj.bias)};
  const MultiheadOptions how{.heads = heads,
                             .attention_mask = masks.attention,
                             .padding_mask = masks.padding,
                             .dropout = training() ? options.dropout : 0,
                             .generator = &generator};
  if (!options.batch_first) return multihead_attention(query, key, value, weights, how, site);
  const auto turned = [&](const Tensor& x) { return transpose(x, 0, 1, site); };
  const bool self =
      wengert::detail::same_value(query, key) && wengert::detail::same_value(key, value);  // self-attention stays self-attention
  const Tensor q = turned(query), k = self ? q : turned(key), v = self ? q : turned(value);
  Attention result = multihead_attention(q, k, v, weights, how, site);
  result.output = turned(result.output);
  return result;
}

std::string MultiheadAttention::label() const { return fmt::format("MultiheadAttention({}, {})", out_proj.in(), heads); }

TransformerEncoderLayer::TransformerEncoderLayer(Index features, Index heads, TransformerEncoderLayerOptions options, Generator& generator,
                                                 Location site)
    : self_attn(features, heads, {.dropout = options.dropout, .batch_first = options.batch_first}, generator, site),
      linear1(features, options.feedforward, {}, generator, site),
      linear2(options.feedforward, features, {}, generator, site),
      norm1(features, {.eps = options.eps}, site),
      norm2(features, {.eps = options.eps}, site),
      dropout(options.dropout, generator, site),
      dropout1(options.dropout, generator, site),
      dropout2(options.dropout, generator, site),
      gelu(options.gelu),
      norm_first(options.norm_first) {}

Tensor TransformerEncoderLayer::operator()(const Tensor& x, const AttentionMasks& masks, Location site) const {
  const CallSite scope(site);
  const auto attention = [&](const Tensor& in) { return dropout1(self_attn(in, in, in, masks).output); };
  const auto feedforward = [&](const Tensor& in) {
    const Tensor hidden = linear1(in);
    return dropout2(linear2(dropout(gelu ? wengert::gelu(hidden) : relu(hidden))));
  };
  if (norm_first) {
    const Tensor y = x + attention(norm1(x));
    return y + feedforward(norm2(y));
  }
  const Tensor y = norm1(x + attention(x));
  return norm2(y + feedforward(y));
}

}  // namespace wengert::nn
