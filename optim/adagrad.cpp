#include "optim/adagrad.h"

#include <cmath>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

Adagrad::Adagrad(const ParameterList& parameters, const AdagradOptions& options)
    : Optimizer("Adagrad", parameters, options.lr, 1), options_(options) {
  require(options.lr_decay >= 0, "lr_decay must not be negative");
  require(options.initial_sum >= 0, "initial_sum must not be negative");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
}

template <class T> void Adagrad::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate() / (1 + static_cast<double>(u.count - 1) * options_.lr_decay)), eps(options_.eps);
    const T lambda(options_.weight_decay), initial(u.count == 1 ? options_.initial_sum : 0);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const s = u.state[0];
    for (Index i = 0; i < u.size; ++i) {
      T g = maximize ? -u.gradient[i] : u.gradient[i];
      g = lambda != 0 ? g + lambda * p[i] : g;
      s[i] += initial + g * g;
      p[i] -= eta * g / (std::sqrt(s[i]) + eps);
    }
  });
}

void Adagrad::update(const Update<float>& u) const { apply(u); }
void Adagrad::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
