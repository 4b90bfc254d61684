#include "optim/nadam.h"

#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/moments.h"
#include "optim/step_gradient.h"

namespace wengert::optim {
namespace {

struct Momentum {
  double now, next, product;  // mu_t, mu_(t+1), mu_1 ... mu_t
};

// The product decays at least as fast as beta1^t and is soon negligible relative to 1, so the loop is short for every t.
Momentum momentum_at(Index t, double beta1, double momentum_decay) {
  const auto mu = [&](Index i) { return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(i) * momentum_decay)); };
  double product = 1;
  for (Index i = 1; i <= t && product > 1e-18; ++i) product *= mu(i);
  return {mu(t), mu(t + 1), product};
}

constexpr auto kNAdamSettings =
    moment_settings_and<NAdamOptions>({"momentum_decay", &NAdamOptions::momentum_decay, SettingRange::not_negative});
constexpr const char* kNAdamState[] = {"m", "v"};
constexpr Specification<NAdamOptions> kNAdamSpecification{.name = "NAdam", .settings = kNAdamSettings, .state = kNAdamState};

}  // namespace

NAdam::NAdam(const ParameterGroups<NAdamOptions>& groups) : MomentOptimizer(kNAdamSpecification, groups) {}

template <class T> void NAdam::apply(const Update<T>& u) const {
  const NAdamOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const Momentum momentum = momentum_at(u.count, o.beta1, o.momentum_decay);
    const double product = momentum.product, next = momentum.next;
    const T of_gradient(o.lr * (1 - momentum.now) / (1 - product)), of_mean(o.lr * next / (1 - product * next));
    const T scale(1 / std::sqrt(1 - std::pow(o.beta2, t))), small(o.eps);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    const Moments<T> moments(o.beta1, o.beta2, u.state[0], u.state[1]);
    T* const p = u.parameter;
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      moments.add(i, g);
      p[i] -= (of_gradient * g + of_mean * moments.m[i]) / (std::sqrt(moments.v[i]) * scale + small);
    }
  });
}

void NAdam::update(const Update<float>& u) const { apply(u); }
void NAdam::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
