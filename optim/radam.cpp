#include "optim/radam.h"

#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

RAdam::RAdam(const ParameterList& parameters, const RAdamOptions& options)
    : Optimizer("RAdam", parameters, options.lr, 2), options_(options) {
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1 must be in [0, 1)");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2 must be in [0, 1)");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
}

template <class T> void RAdam::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const double power = std::pow(options_.beta2, t), rho_max = 2 / (1 - options_.beta2) - 1, rho = rho_max - 2 * t * power / (1 - power);
    const double r = std::sqrt((rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho));
    const T alpha(learning_rate() / (1 - std::pow(options_.beta1, t))), scale(r * std::sqrt(1 - power)), eps(options_.eps);
    const T beta1(options_.beta1), rest1(1 - options_.beta1), beta2(options_.beta2), rest2(1 - options_.beta2);
    const T lambda(options_.weight_decay);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const v = u.state[1];
    const auto loop = [&](auto adaptive) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        T g = maximize ? -u.gradient[i] : u.gradient[i];
        g = lambda != 0 ? g + lambda * p[i] : g;
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        T d = 1;
        if constexpr (adaptive) d = scale / (std::sqrt(v[i]) + eps);
        p[i] -= alpha * m[i] * d;
      }
    };
    rho > 5 ? loop(std::true_type()) : loop(std::false_type());
  });
}

void RAdam::update(const Update<float>& u) const { apply(u); }
void RAdam::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
