#include "optim/sgd.h"

#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

SGD::SGD(const ParameterList& parameters, SGDOptions options)
    : Optimizer("SGD", parameters, options.lr, options.momentum != 0 ? 1 : 0), options_(options) {
  require_decay("momentum", options.momentum);
  require_unit_interval("dampening", options.dampening);
  require_not_negative("weight_decay", options.weight_decay);
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0), "nesterov needs a positive momentum and no dampening");
}

void SGD::set_momentum(double momentum) {
  require_decay("momentum", momentum);
  require(!options_.nesterov || momentum > 0, "nesterov needs a positive momentum");
  if (momentum > 0 && states() == 0) add_state();
  options_.momentum = momentum;
}

template <class T> void SGD::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(learning_rate()), mu(options_.momentum);
    const T rest(u.count == 1 ? 1 : 1 - options_.dampening);  // v is initially 0, so that it is g after the first update
    const StepGradient<T> gradient{static_cast<T>(options_.weight_decay), options_.maximize};
    const bool nesterov = options_.nesterov;
    T* const p = u.parameter;
    T* const v = u.state[0];
    const auto loop = [&](auto momentum) __attribute__((always_inline)) {
      // [update]
      for (Index i = 0; i < u.size; ++i) {
        T g = gradient(u.gradient[i], p[i]);
        if constexpr (momentum) {
          v[i] = mu * v[i] + rest * g;
          g = nesterov ? g + mu * v[i] : v[i];
        }
        p[i] -= eta * g;
      }
      // [update]
    };
    states() == 0 ? loop(std::false_type()) : loop(std::true_type());
  });
}

void SGD::update(const Update<float>& u) const { apply(u); }
void SGD::update(const Update<double>& u) const { apply(u); }

bool SGD::is_plain_descent() const { return states() == 0 && options_.weight_decay == 0 && !options_.maximize; }

}  // namespace wengert::optim
