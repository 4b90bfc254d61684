#include "optim/adadelta.h"

#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr Setting<AdadeltaOptions> kAdadeltaSettings[] = {
    {"lr", &AdadeltaOptions::lr, SettingRange::not_negative},
    {"rho", &AdadeltaOptions::rho, SettingRange::unit_interval},
    {"eps", &AdadeltaOptions::eps, SettingRange::not_negative},
    {"weight_decay", &AdadeltaOptions::weight_decay, SettingRange::not_negative},
    {"maximize", &AdadeltaOptions::maximize},
};
constexpr const char* kAdadeltaState[] = {"mean_square", "mean_square_step"};
constexpr Specification<AdadeltaOptions> kAdadeltaSpecification{.name = "Adadelta", .settings = kAdadeltaSettings, .state = kAdadeltaState};

}  // namespace

Adadelta::Adadelta(const ParameterGroups<AdadeltaOptions>& groups) : OptimizerWith(kAdadeltaSpecification, groups) {}

template <class T> void Adadelta::apply(const Update<T>& u) const {
  const AdadeltaOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(o.lr), rho(o.rho), rest(1 - o.rho), eps(o.eps);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    T* const p = u.parameter;
    T* const s = u.state[0];
    T* const a = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
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
