#include "optim/nadam.h"

#include <cmath>

#include "autodiff/kernels/target.h"

namespace wengert::optim {
namespace {

struct Momentum {
  double now, next, product;  // mu_t, mu_(t+1), mu_1 ... mu_t
};

// The product falls at least as fast as beta1^t, and beside 1 it soon counts for nothing: the loop is short for every t.
Momentum momentum_at(Index t, const NAdamOptions& options) {
  const auto mu = [&](Index i) { return options.beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(i) * options.momentum_decay)); };
  double product = 1;
  for (Index i = 1; i <= t && product > 1e-18; ++i) product *= mu(i);
  return {mu(t), mu(t + 1), product};
}

}  // namespace

NAdam::NAdam(const ParameterList& parameters, const NAdamOptions& options)
    : Optimizer("NAdam", parameters, options.lr, 2), options_(options) {
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1 must be in [0, 1)");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2 must be in [0, 1)");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
  require(options.momentum_decay >= 0, "momentum_decay must not be negative");
}

template <class T> void NAdam::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const Momentum momentum = momentum_at(u.count, options_);
    const double product = momentum.product, next = momentum.next;
    const T of_gradient(learning_rate() * (1 - momentum.now) / (1 - product)), of_mean(learning_rate() * next / (1 - product * next));
    const T beta1(options_.beta1), rest1(1 - options_.beta1), beta2(options_.beta2), rest2(1 - options_.beta2);
    const T scale(1 / std::sqrt(1 - std::pow(options_.beta2, t))), lambda(options_.weight_decay), eps(options_.eps);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const v = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      T g = maximize ? -u.gradient[i] : u.gradient[i];
      g = lambda != 0 ? g + lambda * p[i] : g;
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= (of_gradient * g + of_mean * m[i]) / (std::sqrt(v[i]) * scale + eps);
    }
  });
}

void NAdam::update(const Update<float>& u) const { apply(u); }
void NAdam::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
