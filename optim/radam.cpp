#include "optim/radam.h"

#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/moments.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr const char* kRAdamState[] = {"m", "v"};
constexpr Specification<RAdamOptions> kRAdamSpecification{.name = "RAdam", .settings = kMomentSettings<RAdamOptions>, .state = kRAdamState};

}  // namespace

RAdam::RAdam(const ParameterGroups<RAdamOptions>& groups) : MomentOptimizer(kRAdamSpecification, groups) {}

template <class T> void RAdam::apply(const Update<T>& u) const {
  const RAdamOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const double power = std::pow(o.beta2, t), rho_max = 2 / (1 - o.beta2) - 1, rho = rho_max - 2 * t * power / (1 - power);
    const double r = std::sqrt((rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho));
    const T alpha(o.lr / (1 - std::pow(o.beta1, t))), scale(r * std::sqrt(1 - power)), small(o.eps);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    const Moments<T> moments(o.beta1, o.beta2, u.state[0], u.state[1]);
    T* const p = u.parameter;
    const auto loop = [&](auto adaptive) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        moments.add(i, gradient(u.gradient[i], p[i]));
        T d = 1;
        if constexpr (adaptive) d = scale / (std::sqrt(moments.v[i]) + small);
        p[i] -= alpha * moments.m[i] * d;
      }
    };
    rho > 5 ? loop(std::true_type()) : loop(std::false_type());
  });
}

void RAdam::update(const Update<float>& u) const { apply(u); }
void RAdam::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
