#pragma once
// Attention. Names, weight layouts, defaults and first values are PyTorch's, so that state files map one to one.
#include <string>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "nn/layers/basic.h"
#include "nn/layers/normalization.h"
#include "nn/module/module.h"

namespace wengert::nn {

using wengert::Attention;

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< of the weights, in training
  bool bias = true;
  bool batch_first = false;  ///< (n, l, e) not (l, n, e)
};
/// Which keys a query may attend to.
struct AttentionMasks {
  Tensor attention = {};  ///< (l, s) or (n heads, l, s): added to the scores; or boolean, true where a key is hidden
  Tensor padding = {};    ///< (n, s) boolean, true for keys to ignore
};
/// multihead_attention of queries (l, n, e) to keys and values (s, n, e) -> output (l, n, e) and weights (n, l, s). The projections into
/// the heads start by xavier_uniform, the one out of them as a Linear's; biases start at 0. A ShapeError
/// unless the heads divide the features, and a ValueError for a dropout outside [0, 1].
struct MultiheadAttention : Module {
  MultiheadAttention(Index features, Index heads, MultiheadAttentionOptions options = {}, Generator& generator = default_generator(),
                     Location site = Location::here());

  Attention operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMasks& masks = {},
                       Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("in_proj_weight", in_proj_weight);
    v("in_proj_bias", in_proj_bias);
    v("out_proj", out_proj);
    v("generator", generator);
  }
  std::string label() const override;

  Index heads;
  MultiheadAttentionOptions options;
  Parameter in_proj_weight, in_proj_bias;  ///< the bias is undefined without the option
  Linear out_proj;
  mutable Generator generator;  ///< of the dropout; a fork of the given one
};

struct TransformerEncoderLayerOptions {
  Index feedforward = 2048;
  double dropout = 0.1;
  bool gelu = false;  ///< not relu
  double eps = 1e-5;  ///< of both normalisations
  bool batch_first = false;
  bool norm_first = false;  ///< normalise the inputs of the two blocks, not their sums
};
/// Vaswani et al. 2017: x = norm1(x + attention(x)), then norm2(x + linear2(relu(linear1(x)))), with dropout after each block and
/// inside the second one. x and the result are (l, n, features).
struct TransformerEncoderLayer : Module {
  TransformerEncoderLayer(Index features, Index heads, TransformerEncoderLayerOptions options = {},
                          Generator& generator = default_generator(), Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return (*this)(x, {}, site); }
  Tensor operator()(const Tensor& x, const AttentionMasks& masks, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("self_attn", self_attn);
    v("linear1", linear1);
    v("dropout", dropout);
    v("linear2", linear2);
    v("norm1", norm1);
    v("norm2", norm2);
    v("dropout1", dropout1);
    v("dropout2", dropout2);
  }

  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout dropout, dropout1, dropout2;
  bool gelu, norm_first;
};

}  // namespace wengert::nn
