#pragma once
// AdamW: adaptive moments with decoupled weight decay.
#include "optim/adam.h"

namespace wengert::optim {

struct AdamWOptions {
  double lr = 1e-3;      ///< alpha
  double beta1 = 0.9;    ///< decay of the mean gradient
  double beta2 = 0.999;  ///< decay of the mean squared gradient
  double eps = 1e-8;
  double weight_decay = 1e-2;  ///< lambda: shrinks the parameter directly, independently of the gradient
  bool amsgrad = false;        ///< divide by the largest mean square so far (Reddi et al. 2018)
  bool maximize = false;       ///< ascent
};

/// Loshchilov and Hutter 2019, as in PyTorch. At the t-th update:
///
///     g  = g (or -g to maximize)
///     p -= alpha lambda p
///     m  = beta1 m + (1 - beta1) g
///     v  = beta2 v + (1 - beta2) g^2
///     p -= alpha / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
///
/// With `amsgrad` the largest v so far replaces v in the last line.
class AdamW final : public AdamBase<AdamWOptions> {
 public:
  explicit AdamW(const ParameterList& parameters, AdamWOptions options = {}) : AdamW({{parameters, options}}) {}
  explicit AdamW(const ParameterGroups<AdamWOptions>& groups) : AdamBase(groups) {}
};

}  // namespace wengert::optim
