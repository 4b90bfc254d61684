#include "nn/layers/attention.h"

#include <fmt/format.h>

#include "autodiff/tensor/same_value.h"
#include "nn/module/init.h"
#include "nn/module/optional_parameter.h"

namespace wengert::nn {

MultiheadAttention::MultiheadAttention(Index features, Index heads, MultiheadAttentionOptions options, Generator& generator)
    : heads(heads),
      options(options),
      in_proj_weight(Tensor::zeros({3 * features, features})),
      out_proj(features, features, {.bias = options.bias}, generator),
      generator(0) {
  if (heads < 1 || features % heads != 0)
    throw ShapeError(fmt::format("MultiheadAttention({}, {}): the heads do not divide the features", features, heads));
  init::xavier_uniform(in_proj_weight, generator);
  if (options.bias) {
    in_proj_bias = Parameter(Tensor::zeros({3 * features}));
    init::constant(out_proj.bias, 0);
  }
  this->generator = generator.fork();
}

Attention MultiheadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMasks& masks,
                                         Location site) const {
  const MultiheadWeights weights{in_proj_weight, or_undefined(in_proj_bias), out_proj.weight, or_undefined(out_proj.bias)};
  const MultiheadOptions how{.heads = heads,
                             .attention_mask = masks.attention,
                             .padding_mask = masks.padding,
                             .dropout = training() ? options.dropout : 0,
                             .generator = &generator};
  if (!options.batch_first) return multihead_attention(query, key, value, weights, how, site);
  const auto turned = [&](const Tensor& x) { return transpose(x, 0, 1, site); };
  const bool self = wengert::detail::same_value(query, key) && wengert::detail::same_value(key, value);  // one tensor stays one
  const Tensor q = turned(query), k = self ? q : turned(key), v = self ? q : turned(value);
  Attention result = multihead_attention(q, k, v, weights, how, site);
  result.output = turned(result.output);
  return result;
}

std::string MultiheadAttention::label() const { return fmt::format("MultiheadAttention({}, {})", out_proj.in(), heads); }

TransformerEncoderLayer::TransformerEncoderLayer(Index features, Index heads, TransformerEncoderLayerOptions options, Generator& generator)
    : self_attn(features, heads, {.dropout = options.dropout, .batch_first = options.batch_first}, generator),
      linear1(features, options.feedforward, {}, generator),
      linear2(options.feedforward, features, {}, generator),
      norm1(features, {.eps = options.eps}),
      norm2(features, {.eps = options.eps}),
      dropout(options.dropout, generator),
      dropout1(options.dropout, generator),
      dropout2(options.dropout, generator),
      gelu(options.gelu),
      norm_first(options.norm_first) {}

Tensor TransformerEncoderLayer::operator()(const Tensor& x, const AttentionMasks& masks, Location site) const {
  const auto attention = [&](const Tensor& in) { return dropout1(self_attn(in, in, in, masks, site).output, site); };
  const auto feedforward = [&](const Tensor& in) {
    const Tensor hidden = linear1(in, site);
    return dropout2(linear2(dropout(gelu ? wengert::gelu(hidden, site) : relu(hidden, site), site), site), site);
  };
  if (norm_first) {
    const Tensor y = Operand(x, site) + attention(norm1(x, site));
    return Operand(y, site) + feedforward(norm2(y, site));
  }
  const Tensor y = norm1(Operand(x, site) + attention(x), site);
  return norm2(Operand(y, site) + feedforward(y), site);
}

}  // namespace wengert::nn
