#pragma once
// RAdam: adaptive moments, rectified while their variance is uncertain.
#include "optim/moment_optimizer.h"

namespace wengert::optim {

struct RAdamOptions {
  double lr = 1e-3;      ///< alpha
  double beta1 = 0.9;    ///< decay of the mean gradient
  double beta2 = 0.999;  ///< decay of the mean squared gradient
  double eps = 1e-8;
  double weight_decay = 0;  ///< lambda: added to the gradient
  bool maximize = false;    ///< ascent
};

/// Liu et al. 2020, as in PyTorch. At the t-th update, with rho_max = 2 / (1 - beta2) - 1 and
/// rho = rho_max - 2 t beta2^t / (1 - beta2^t):
///
///     g  = g (or -g to maximize) + lambda p
///     m  = beta1 m + (1 - beta1) g
///     v  = beta2 v + (1 - beta2) g^2
///     d  = r sqrt(1 - beta2^t) / (sqrt(v) + eps)           where rho > 5, else d = 1
///     p -= alpha / (1 - beta1^t) m d
///
///     r^2 = (rho - 4) (rho - 2) rho_max / ((rho_max - 4) (rho_max - 2) rho)
class RAdam final : public MomentOptimizer<RAdamOptions> {
 public:
  explicit RAdam(const ParameterList& parameters, RAdamOptions options = {}) : RAdam({{parameters, options}}) {}
  explicit RAdam(const ParameterGroups<RAdamOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
