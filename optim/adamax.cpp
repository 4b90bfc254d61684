#include "optim/adamax.h"

#include <algorithm>
#include <cmath>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

Adamax::Adamax(const ParameterList& parameters, const AdamaxOptions& options)
    : Optimizer("Adamax", parameters, options.lr, 2), options_(options) {
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1 must be in [0, 1)");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2 must be in [0, 1)");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
}

template <class T> void Adamax::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T alpha(learning_rate() / (1 - std::pow(options_.beta1, static_cast<double>(u.count))));
    const T beta1(options_.beta1), rest1(1 - options_.beta1), beta2(options_.beta2), eps(options_.eps), lambda(options_.weight_decay);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const largest = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      T g = maximize ? -u.gradient[i] : u.gradient[i];
      g = lambda != 0 ? g + lambda * p[i] : g;
      m[i] = beta1 * m[i] + rest1 * g;
      largest[i] = std::max(beta2 * largest[i], std::abs(g) + eps);
      p[i] -= alpha * m[i] / largest[i];
    }
  });
}

void Adamax::update(const Update<float>& u) const { apply(u); }
void Adamax::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
