#pragma once
// Adagrad: steps divided by the root of the sum of squared gradients.
#include "optim/optimizer.h"

namespace wengert::optim {

struct AdagradOptions {
  double lr = 1e-2;        ///< eta
  double lr_decay = 0;     ///< delta: the rate falls as 1 / (1 + (t - 1) delta)
  double initial_sum = 0;  ///< s before the first update
  double eps = 1e-10;
  double weight_decay = 0;  ///< lambda: added to the gradient
  bool maximize = false;    ///< ascent
};

/// Duchi, Hazan and Singer 2011, as in PyTorch. At the t-th update:
///
///     g  = g (or -g to maximize) + lambda p
///     s  = s + g^2
///     p -= eta / (1 + (t - 1) delta) g / (sqrt(s) + eps)
class Adagrad final : public OptimizerWith<AdagradOptions> {
 public:
  explicit Adagrad(const ParameterList& parameters, AdagradOptions options = {}) : Adagrad({{parameters, options}}) {}
  explicit Adagrad(const ParameterGroups<AdagradOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
