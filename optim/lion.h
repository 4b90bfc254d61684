#pragma once
// Steps of one size: the sign of a mean gradient.
#include "optim/optimizer.h"

namespace wengert::optim {

struct LionOptions {
  double lr = 1e-4;         ///< eta: the size of every step, so that it should be a third to a tenth of Adam's
  double beta1 = 0.9;       ///< of the mean in the step
  double beta2 = 0.99;      ///< of the mean that is kept
  double weight_decay = 0;  ///< lambda: shrinks the parameter itself, whatever the gradient is
  bool maximize = false;    ///< ascent
};

/// Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2:
///
///     g  = g (or -g to maximize)
///     d  = sign(beta1 m + (1 - beta1) g)                    sign(0) = 0
///     p -= eta (d + lambda p)
///     m  = beta2 m + (1 - beta2) g
class Lion final : public OptimizerWith<LionOptions> {
 public:
  explicit Lion(const ParameterList& parameters, LionOptions options = {}) : Lion({{parameters, options}}) {}
  explicit Lion(const ParameterGroups<LionOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
