#pragma once
// NAdam: adaptive moments with Nesterov momentum.
#include "optim/moment_optimizer.h"

namespace wengert::optim {

struct NAdamOptions {
  double lr = 2e-3;      ///< alpha
  double beta1 = 0.9;    ///< decay of the mean gradient
  double beta2 = 0.999;  ///< decay of the mean squared gradient
  double eps = 1e-8;
  double weight_decay = 0;       ///< lambda: added to the gradient
  double momentum_decay = 4e-3;  ///< psi
  bool maximize = false;         ///< ascent
};

/// Dozat 2016, as in PyTorch. At the t-th update, with the current beta1 in every mu:
///
///     g    = g (or -g to maximize) + lambda p
///     mu_t = beta1 (1 - 0.96^(t psi) / 2)
///     m    = beta1 m + (1 - beta1) g
///     v    = beta2 v + (1 - beta2) g^2
///     d    = (1 - mu_t) / (1 - mu_1 ... mu_t) g + mu_(t+1) / (1 - mu_1 ... mu_(t+1)) m
///     p   -= alpha d / (sqrt(v / (1 - beta2^t)) + eps)
class NAdam final : public MomentOptimizer<NAdamOptions> {
 public:
  explicit NAdam(const ParameterList& parameters, NAdamOptions options = {}) : NAdam({{parameters, options}}) {}
  explicit NAdam(const ParameterGroups<NAdamOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
