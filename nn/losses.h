#pragma once
// Losses. Prediction and target have the same shape: there is no broadcasting here, where it would hide a mistake. Those of classes are
// operations (autodiff/ops.h); the others are composed of operations that are stable where the loss is.
#include "autodiff/ops.h"

namespace wengert::nn {

/// How the losses of the elements are combined: `mean`, `sum`, `batch_mean` (their sum over the size of the first dimension) or `none`.
using wengert::Reduction;

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

// ---- numbers --------------------------------------------------------------------------------------------------------------------------

/// E = 1/2 (y - y_hat)^2, summed over the outputs of an example. An example is one position of the first dimension (everything, for rank
/// 0). `mean` averages over the n examples, not over the outputs, so that dE/dy_hat = (y_hat - y) / n for every output; `sum` adds the
/// examples up; `none` gives the loss of each, shape (n,).
Tensor half_squared_error(const Tensor& prediction, const Tensor& target, LossOptions options = {}, Location site = Location::here());

/// (prediction - target)^2, averaged or summed over all elements; `none` keeps their shape. The same holds for all losses below.
Tensor mse(const Tensor& prediction, const Tensor& target, LossOptions options = {}, Location site = Location::here());

/// |prediction - target|, with slope 0 where they are equal.
Tensor l1(const Tensor& prediction, const Tensor& target, LossOptions options = {}, Location site = Location::here());

struct SmoothL1Options {
  Reduction reduction = Reduction::mean;
  double beta = 1;
};
/// With d = |prediction - target|: d^2 / (2 beta) where d < beta, else d - beta / 2. l1 for beta = 0.
Tensor smooth_l1(const Tensor& prediction, const Tensor& target, SmoothL1Options options = {}, Location site = Location::here());

struct HuberOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1;
};
/// With d = |prediction - target|: d^2 / 2 where d <= delta, else delta (d - delta / 2). delta > 0.
Tensor huber(const Tensor& prediction, const Tensor& target, HuberOptions options = {}, Location site = Location::here());

// ---- probabilities --------------------------------------------------------------------------------------------------------------------

struct BceOptions {
  Reduction reduction = Reduction::mean;
  Tensor weight = {};  ///< of each element; broadcasts to the prediction. With the weight 0 an element may be NaN.
};
/// Binary cross-entropy -(t ln x + (1 - t) ln(1 - x)) for probabilities x; a ValueError for an x outside [0, 1]. (NaN gives NaN.)
/// Logarithms are clamped at -100, with slope 0 below. Where x is a sigmoid, bce_with_logits keeps the digits that the sigmoid loses.
Tensor bce(const Tensor& prediction, const Tensor& target, const BceOptions& options = {}, Location site = Location::here());

struct BceWithLogitsOptions {
  Reduction reduction = Reduction::mean;
  Tensor weight = {};      ///< of each element; broadcasts to the logits. With the weight 0 an element may be anything.
  Tensor pos_weight = {};  ///< of the positive class, for each output; broadcasts to the logits
};
/// bce of sigmoid(logits), for logits of any size: pos_weight t softplus(-x) + (1 - t) softplus(x).
Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const BceWithLogitsOptions& options = {},
                       Location site = Location::here());

struct KlDivOptions {
  Reduction reduction = Reduction::mean;  ///< `batch_mean` is the divergence of distributions, averaged over them
  bool log_target = false;                ///< the target has logarithms of probabilities, as the prediction has
};
/// Kullback and Leibler's divergence t (ln t - x) for logarithms of probabilities x; where t is 0 it is 0.
Tensor kl_div(const Tensor& log_prediction, const Tensor& target, KlDivOptions options = {}, Location site = Location::here());

// ---- classes --------------------------------------------------------------------------------------------------------------------------

using wengert::cross_entropy;
using wengert::CrossEntropyOptions;
using wengert::nll;
using wengert::NllOptions;

}  // namespace wengert::nn
