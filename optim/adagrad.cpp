#include "optim/adagrad.h"

#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

Adagrad::Adagrad(const ParameterList& parameters, AdagradOptions options)
    : Optimizer("Adagrad", parameters, options.lr, 1), options_(options) {
  require_not_negative("lr_decay", options.lr_decay);
  require_not_negative("initial_sum", options.initial_sum);
  require_not_negative("eps", options.eps);
  require_not_negative("weight_decay", options.weight_decay);
}

template <class T> void Adagrad::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate() / (1 + static_cast<double>(u.count - 1) * options_.lr_decay)), eps(options_.eps);
    const T initial(u.count == 1 ? options_.initial_sum : 0);
    const StepGradient<T> gradient{static_cast<T>(options_.weight_decay), options_.maximize};
    T* const p = u.parameter;
    T* const s = u.state[0];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      s[i] += initial + g * g;
      p[i] -= eta * g / (std::sqrt(s[i]) + eps);
    }
  });
}

void Adagrad::update(const Update<float>& u) const { apply(u); }
void Adagrad::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
