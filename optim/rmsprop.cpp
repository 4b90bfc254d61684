#include "optim/rmsprop.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr Setting<RMSpropOptions> kRMSpropSettings[] = {
    {"lr", &RMSpropOptions::lr, SettingRange::not_negative},
    {"alpha", &RMSpropOptions::alpha, SettingRange::unit_interval},
    {"eps", &RMSpropOptions::eps, SettingRange::not_negative},
    {"weight_decay", &RMSpropOptions::weight_decay, SettingRange::not_negative},
    {"momentum", &RMSpropOptions::momentum, SettingRange::decay},
    {"centered", &RMSpropOptions::centered},
    {"maximize", &RMSpropOptions::maximize},
};
constexpr const char* kRMSpropState[] = {"mean_square", "mean", "velocity"};
bool keeps(std::size_t k, const RMSpropOptions& o) { return k == 0 || (k == 1 ? o.centered : o.momentum > 0); }
constexpr Specification<RMSpropOptions> kRMSpropSpecification{
    .name = "RMSprop", .settings = kRMSpropSettings, .state = kRMSpropState, .keeps = keeps};

}  // namespace

RMSprop::RMSprop(const ParameterGroups<RMSpropOptions>& groups) : OptimizerWith(kRMSpropSpecification, groups) {}

void RMSprop::set_momentum(double momentum) {
  change_all([momentum](RMSpropOptions& o) { o.momentum = momentum; });
}

template <class T> void RMSprop::apply(const Update<T>& u) const {
  const RMSpropOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(o.lr), alpha(o.alpha), rest(1 - o.alpha), eps(o.eps);
    const T mu(o.momentum);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    T* const p = u.parameter;
    T* const v = u.state[0];
    T* const a = u.state[1];
    T* const b = u.state[2];
    const auto loop = [&](auto centered, auto momentum) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        const T g = gradient(u.gradient[i], p[i]);
        v[i] = alpha * v[i] + rest * g * g;
        T variance = v[i];
        if constexpr (centered) {
          a[i] = alpha * a[i] + rest * g;
          variance = std::max(variance - a[i] * a[i], T(0));  // rounding must not make it negative
        }
        T d = g / (std::sqrt(variance) + eps);
        if constexpr (momentum) d = b[i] = mu * b[i] + d;
        p[i] -= eta * d;
      }
    };
    using Yes = std::true_type;
    using No = std::false_type;
    if (b) {
      o.centered ? loop(Yes(), Yes()) : loop(No(), Yes());
    } else {
      o.centered ? loop(Yes(), No()) : loop(No(), No());
    }
  });
}

void RMSprop::update(const Update<float>& u) const { apply(u); }
void RMSprop::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
