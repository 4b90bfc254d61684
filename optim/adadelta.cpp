#include "optim/adadelta.h"

#include <cmath>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

Adadelta::Adadelta(const ParameterList& parameters, const AdadeltaOptions& options)
    : Optimizer("Adadelta", parameters, options.lr, 2), options_(options) {
  require(options.rho >= 0 && options.rho <= 1, "rho must be in [0, 1]");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
}

template <class T> void Adadelta::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), rho(options_.rho), rest(1 - options_.rho), eps(options_.eps), lambda(options_.weight_decay);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const s = u.state[0];
    T* const a = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      T g = maximize ? -u.gradient[i] : u.gradient[i];
      g = lambda != 0 ? g + lambda * p[i] : g;
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
