#pragma once
// Adam: adaptive moments, with weight decay added to the gradient. (AdamW, in adamw.h, decouples it.)
#include "optim/moment_optimizer.h"

namespace wengert::optim {

/// What Adam and AdamW share: all but where the weight decay goes.
template <class Options> class AdamBase : public MomentOptimizer<Options> {
 protected:
  explicit AdamBase(const ParameterGroups<Options>& groups);

 private:
  template <class T> using Update = Optimizer::Update<T>;
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

struct AdamOptions {
  double lr = 1e-3;      ///< alpha
  double beta1 = 0.9;    ///< decay of the mean gradient
  double beta2 = 0.999;  ///< decay of the mean squared gradient
  double eps = 1e-8;
  double weight_decay = 0;  ///< lambda: added to the gradient
  bool amsgrad = false;     ///< divide by the largest mean square so far (Reddi et al. 2018)
  bool maximize = false;    ///< ascent
};

/// Kingma and Ba 2015, as in PyTorch. At the t-th update:
///
///     g  = g (or -g to maximize) + lambda p
///     m  = beta1 m + (1 - beta1) g
///     v  = beta2 v + (1 - beta2) g^2
///     p -= alpha / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
///
/// With `amsgrad` the largest v so far replaces v in the last line.
class Adam final : public AdamBase<AdamOptions> {
 public:
  explicit Adam(const ParameterList& parameters, AdamOptions options = {}) : Adam({{parameters, options}}) {}
  explicit Adam(const ParameterGroups<AdamOptions>& groups) : AdamBase(groups) {}
};

}  // namespace wengert::optim
