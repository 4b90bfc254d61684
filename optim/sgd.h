#pragma once
// SGD: gradient descent, with momentum.
#include "optim/optimizer.h"

namespace wengert::optim {

struct SGDOptions {
  double lr = 1e-3;         ///< eta
  double momentum = 0;      ///< mu, in [0, 1)
  double dampening = 0;     ///< tau, in [0, 1]
  double weight_decay = 0;  ///< lambda
  bool nesterov = false;    ///< Nesterov momentum; needs momentum > 0 and no dampening
  bool maximize = false;    ///< ascent
};

/// Gradient descent, p -= eta g. With the options, as in PyTorch:
///
///     g  = g (or -g to maximize) + lambda p
///     v  = g at the first update, then mu v + (1 - tau) g      with momentum
///     g  = v, or g + mu v for Nesterov                         with momentum
///     p -= eta g
class SGD final : public OptimizerWith<SGDOptions> {
 public:
  explicit SGD(const ParameterList& parameters, SGDOptions options = {}) : SGD({{parameters, options}}) {}
  explicit SGD(const ParameterGroups<SGDOptions>& groups);

  /// The momentum of the first group of parameters.
  double momentum() const { return options().momentum; }
  /// Of all groups, from the next step on; v stays what it is, and is 0 where there has been none. A ValueError unless the momentum is
  /// in [0, 1), and positive with `nesterov`; then nothing has changed.
  void set_momentum(double momentum);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  bool is_plain_descent(std::size_t group) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
