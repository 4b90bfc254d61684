#pragma once
// The common base of Adam and related optimizers.
#include "optim/optimizer.h"

namespace wengert::optim {

/// An optimizer with decaying means of the gradient (beta1) and of its square or magnitude (beta2): Adam, AdamW, NAdam, RAdam, Adamax.
class MomentOptimizer : public Optimizer {
 public:
  double beta1() const { return beta1_; }
  double beta2() const { return beta2_; }
  /// From the next step on; the means stay what they are. For a schedule: `adam.set_betas(cycle.momentum(step), adam.beta2())`. A
  /// ValueError unless both are in [0, 1); then nothing has changed.
  void set_betas(double beta1, double beta2);

 protected:
  /// The options that these optimizers have in common.
  struct Common {
    double beta1, beta2, eps, weight_decay;
    bool maximize;
  };
  /// A ValueError for options that are out of range.
  MomentOptimizer(const char* name, const ParameterList& parameters, double learning_rate, std::size_t states, const Common& options);

  double eps() const { return eps_; }
  double weight_decay() const { return weight_decay_; }
  bool maximize() const { return maximize_; }

 private:
  double beta1_ = 0, beta2_ = 0, eps_, weight_decay_;
  bool maximize_;
};

}  // namespace wengert::optim
