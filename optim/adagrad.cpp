#include "optim/adagrad.h"

#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr Setting<AdagradOptions> kAdagradSettings[] = {
    {"lr", &AdagradOptions::lr, SettingRange::not_negative},
    {"lr_decay", &AdagradOptions::lr_decay, SettingRange::not_negative},
    {"initial_sum", &AdagradOptions::initial_sum, SettingRange::not_negative},
    {"eps", &AdagradOptions::eps, SettingRange::not_negative},
    {"weight_decay", &AdagradOptions::weight_decay, SettingRange::not_negative},
    {"maximize", &AdagradOptions::maximize},
};
constexpr const char* kAdagradState[] = {"sum"};
constexpr Specification<AdagradOptions> kAdagradSpecification{.name = "Adagrad", .settings = kAdagradSettings, .state = kAdagradState};

}  // namespace

Adagrad::Adagrad(const ParameterGroups<AdagradOptions>& groups) : OptimizerWith(kAdagradSpecification, groups) {}

template <class T> void Adagrad::apply(const Update<T>& u) const {
  const AdagradOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(o.lr / (1 + static_cast<double>(u.count - 1) * o.lr_decay)), eps(o.eps);
    const T initial(u.count == 1 ? o.initial_sum : 0);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    T* const p = u.parameter;
    T* const s = u.state[0];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      s[i] += initial + g * g;
      p[i] -= eta * g / (std::sqrt(s[i]) + eps);
    }
  });
}

void Adagrad::update(const Update<float>& u) const { apply(u); }
void Adagrad::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
