#include "optim/rmsprop.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

RMSprop::RMSprop(const ParameterList& parameters, RMSpropOptions options)
    : Optimizer("RMSprop", parameters, options.lr, 1 + (options.centered ? 1 : 0) + (options.momentum != 0 ? 1 : 0)), options_(options) {
  require_unit_interval("alpha", options.alpha);
  require_not_negative("eps", options.eps);
  require_not_negative("weight_decay", options.weight_decay);
  require_decay("momentum", options.momentum);
}

bool RMSprop::has_momentum() const { return states() > (options_.centered ? 2U : 1U); }

void RMSprop::set_momentum(double momentum) {
  require_decay("momentum", momentum);
  if (momentum > 0 && !has_momentum()) add_state();
  options_.momentum = momentum;
}

template <class T> void RMSprop::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), alpha(options_.alpha), rest(1 - options_.alpha), eps(options_.eps);
    const T mu(options_.momentum);
    const StepGradient<T> gradient{static_cast<T>(options_.weight_decay), options_.maximize};
    T* const p = u.parameter;
    T* const v = u.state[0];
    T* const a = u.state[1];
    T* const b = u.state[options_.centered ? 2 : 1];
    const auto loop = [&](auto centered, auto momentum) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        const T g = gradient(u.gradient[i], p[i]);
        v[i] = alpha * v[i] + rest * g * g;
        T variance = v[i];
        if constexpr (centered) {
          a[i] = alpha * a[i] + rest * g;
          variance = std::max(variance - a[i] * a[i], T(0));  // rounding must not make it negative
        }
        T d = g / (std::sqrt(variance) + eps);
        if constexpr (momentum) d = b[i] = mu * b[i] + d;
        p[i] -= eta * d;
      }
    };
    using Yes = std::true_type;
    using No = std::false_type;
    if (has_momentum()) {
      options_.centered ? loop(Yes(), Yes()) : loop(No(), Yes());
    } else {
      options_.centered ? loop(Yes(), No()) : loop(No(), No());
    }
  });
}

void RMSprop::update(const Update<float>& u) const { apply(u); }
void RMSprop::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
