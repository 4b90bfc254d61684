#include "optim/lion.h"

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr Setting<LionOptions> kLionSettings[] = {
    {"lr", &LionOptions::lr, SettingRange::not_negative},
    {"beta1", &LionOptions::beta1, SettingRange::decay},
    {"beta2", &LionOptions::beta2, SettingRange::decay},
    {"weight_decay", &LionOptions::weight_decay, SettingRange::not_negative},
    {"maximize", &LionOptions::maximize},
};
constexpr const char* kLionState[] = {"mean"};
constexpr Specification<LionOptions> kLionSpecification{.name = "Lion", .settings = kLionSettings, .state = kLionState};

}  // namespace

Lion::Lion(const ParameterGroups<LionOptions>& groups) : OptimizerWith(kLionSpecification, groups) {}

template <class T> void Lion::apply(const Update<T>& u) const {
  const LionOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(o.lr), kept(1 - o.lr * o.weight_decay);
    const T beta1(o.beta1), rest1(1 - o.beta1), beta2(o.beta2), rest2(1 - o.beta2);
    const StepGradient<T> gradient{T(0), o.maximize};
    T* const p = u.parameter;
    T* const m = u.state[0];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      const T c = beta1 * m[i] + rest1 * g;
      const T d = c > 0 ? eta : c < 0 ? -eta : c;  // a NaN stays one
      p[i] = kept * p[i] - d;
      m[i] = beta2 * m[i] + rest2 * g;
    }
  });
}

void Lion::update(const Update<float>& u) const { apply(u); }
void Lion::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
