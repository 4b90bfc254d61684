#pragma once
// RMSprop: steps divided by the root of the mean squared gradient.
#include "optim/optimizer.h"

namespace wengert::optim {

struct RMSpropOptions {
  double lr = 1e-2;     ///< eta
  double alpha = 0.99;  ///< decay of the mean squared gradient
  double eps = 1e-8;
  double weight_decay = 0;  ///< lambda: added to the gradient
  double momentum = 0;      ///< mu, in [0, 1)
  bool centered = false;    ///< divide by the standard deviation instead
  bool maximize = false;    ///< ascent
};

/// Tieleman and Hinton 2012, as in PyTorch:
///
///     g  = g (or -g to maximize) + lambda p
///     v  = alpha v + (1 - alpha) g^2
///     a  = alpha a + (1 - alpha) g                          centered; otherwise a = 0
///     d  = g / (sqrt(v - a^2) + eps)
///     b  = mu b + d                                         with momentum; otherwise b = d
///     p -= eta b
class RMSprop final : public OptimizerWith<RMSpropOptions> {
 public:
  explicit RMSprop(const ParameterList& parameters, RMSpropOptions options = {}) : RMSprop({{parameters, options}}) {}
  explicit RMSprop(const ParameterGroups<RMSpropOptions>& groups);

  /// The momentum of the first group of parameters.
  double momentum() const { return options().momentum; }
  /// Of all groups, from the next step on; b stays what it is, and is 0 where there has been none. A ValueError unless the momentum is
  /// in [0, 1); then nothing has changed.
  void set_momentum(double momentum);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
