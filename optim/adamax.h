#pragma once
// Adamax: adaptive moments with the largest gradient in place of the mean square.
#include "optim/moment_optimizer.h"

namespace wengert::optim {

struct AdamaxOptions {
  double lr = 2e-3;      ///< alpha
  double beta1 = 0.9;    ///< decay of the mean gradient
  double beta2 = 0.999;  ///< decay of the largest gradient
  double eps = 1e-8;
  double weight_decay = 0;  ///< lambda: added to the gradient
  bool maximize = false;    ///< ascent
};

/// Kingma and Ba 2015, section 7, as in PyTorch. At the t-th update:
///
///     g  = g (or -g to maximize) + lambda p
///     m  = beta1 m + (1 - beta1) g
///     u  = max(beta2 u, |g| + eps)
///     p -= alpha / (1 - beta1^t) m / u
class Adamax final : public MomentOptimizer<AdamaxOptions> {
 public:
  explicit Adamax(const ParameterList& parameters, AdamaxOptions options = {}) : Adamax({{parameters, options}}) {}
  explicit Adamax(const ParameterGroups<AdamaxOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
