#include "optim/rmsprop.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

RMSprop::RMSprop(const ParameterList& parameters, const RMSpropOptions& options)
    : Optimizer("RMSprop", parameters, options.lr, 1 + (options.centered ? 1 : 0) + (options.momentum != 0 ? 1 : 0)), options_(options) {
  require(options.alpha >= 0 && options.alpha <= 1, "alpha must be in [0, 1]");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
  require(options.momentum >= 0, "momentum must not be negative");
}

template <class T> void RMSprop::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), alpha(options_.alpha), rest(1 - options_.alpha), eps(options_.eps);
    const T lambda(options_.weight_decay), mu(options_.momentum);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const v = u.state[0];
    T* const a = u.state[1];
    T* const b = u.state[options_.centered ? 2 : 1];
    const auto loop = [&](auto centered, auto momentum) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        T g = maximize ? -u.gradient[i] : u.gradient[i];
        g = lambda != 0 ? g + lambda * p[i] : g;
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
    if (options_.momentum == 0) {
      options_.centered ? loop(Yes(), No()) : loop(No(), No());
    } else {
      options_.centered ? loop(Yes(), Yes()) : loop(No(), Yes());
    }
  });
}

void RMSprop::update(const Update<float>& u) const { apply(u); }
void RMSprop::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
