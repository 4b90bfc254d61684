#pragma once
// Adadelta: steps scaled by the sizes of previous steps.
#include "optim/optimizer.h"

namespace wengert::optim {

struct AdadeltaOptions {
  double lr = 1;     ///< eta
  double rho = 0.9;  ///< decay of the mean squares
  double eps = 1e-6;
  double weight_decay = 0;  ///< lambda: added to the gradient
  bool maximize = false;    ///< ascent
};

/// Zeiler 2012, as in PyTorch:
///
///     g  = g (or -g to maximize) + lambda p
///     s  = rho s + (1 - rho) g^2
///     d  = sqrt(a + eps) / sqrt(s + eps) g
///     a  = rho a + (1 - rho) d^2
///     p -= eta d
class Adadelta final : public OptimizerWith<AdadeltaOptions> {
 public:
  explicit Adadelta(const ParameterList& parameters, AdadeltaOptions options = {}) : Adadelta({{parameters, options}}) {}
  explicit Adadelta(const ParameterGroups<AdadeltaOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
