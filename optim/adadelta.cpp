#include "optim/adadelta.h"

#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

Adadelta::Adadelta(const ParameterList& parameters, AdadeltaOptions options)
    : Optimizer("Adadelta", parameters, options.lr, 2), options_(options) {
  require_unit_interval("rho", options.rho);
  require_not_negative("eps", options.eps);
  require_not_negative("weight_decay", options.weight_decay);
}

template <class T> void Adadelta::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), rho(options_.rho), rest(1 - options_.rho), eps(options_.eps);
    const StepGradient<T> gradient{static_cast<T>(options_.weight_decay), options_.maximize};
    T* const p = u.parameter;
    T* const s = u.state[0];
    T* const a = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      s[i] = rho * s[i] + rest * g * g;
      const T d = std::sqrt(a[i] + eps) / std::sqrt(s[i] + eps) * g;
      a[i] = rho * a[i] + rest * d * d;
      p[i] -= eta * d;
    }
  });
}

void Adadelta::update(const Update<float>& u) const { apply(u); }
void Adadelta::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
