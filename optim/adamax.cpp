#include "optim/adamax.h"

#include <algorithm>
#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

Adamax::Adamax(const ParameterList& parameters, AdamaxOptions options)
    : MomentOptimizer("Adamax", parameters, options.lr, 2,
                      {options.beta1, options.beta2, options.eps, options.weight_decay, options.maximize}) {}

template <class T> void Adamax::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T alpha(learning_rate() / (1 - std::pow(beta1(), static_cast<double>(u.count))));
    const T kept1(beta1()), rest1(1 - beta1()), kept2(beta2()), small(eps());
    const StepGradient<T> gradient{static_cast<T>(weight_decay()), maximize()};
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const max_g = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      m[i] = kept1 * m[i] + rest1 * g;
      max_g[i] = std::max(kept2 * max_g[i], std::abs(g) + small);
      p[i] -= alpha * m[i] / max_g[i];
    }
  });
}

void Adamax::update(const Update<float>& u) const { apply(u); }
void Adamax::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
