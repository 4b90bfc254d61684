#include "optim/moment_optimizer.h"

namespace wengert::optim {

MomentOptimizer::MomentOptimizer(const char* name, const ParameterList& parameters, double learning_rate, std::size_t states,
                                 const Common& options)
    : Optimizer(name, parameters, learning_rate, states),
      eps_(options.eps),
      weight_decay_(options.weight_decay),
      maximize_(options.maximize) {
  set_betas(options.beta1, options.beta2);
  require_not_negative("eps", eps_);
  require_not_negative("weight_decay", weight_decay_);
}

void MomentOptimizer::set_betas(double beta1, double beta2) {
  require_decay("beta1", beta1);
  require_decay("beta2", beta2);
  beta1_ = beta1;
  beta2_ = beta2;
}

}  // namespace wengert::optim
