#include "optim/lion.h"

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

Lion::Lion(const ParameterList& parameters, const LionOptions& options) : Optimizer("Lion", parameters, options.lr, 1), options_(options) {
  require_decay("beta1", options.beta1);
  require_decay("beta2", options.beta2);
  require_not_negative("weight_decay", options.weight_decay);
}

template <class T> void Lion::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), kept(1 - learning_rate() * options_.weight_decay);
    const T beta1(options_.beta1), rest1(1 - options_.beta1), beta2(options_.beta2), rest2(1 - options_.beta2);
    const StepGradient<T> gradient{T(0), options_.maximize};
    T* const p = u.parameter;
    T* const m = u.state[0];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      const T c = beta1 * m[i] + rest1 * g;
      const T d = c > 0 ? eta : c < 0 ? -eta : c * 0;  // NaN stays NaN
      p[i] = kept * p[i] - d;
      m[i] = beta2 * m[i] + rest2 * g;
    }
  });
}

void Lion::update(const Update<float>& u) const { apply(u); }
void Lion::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
