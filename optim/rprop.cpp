#include "optim/rprop.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {
namespace {

constexpr Setting<RpropOptions> kRpropSettings[] = {
    {"lr", &RpropOptions::lr, SettingRange::not_negative},
    {"shrink", &RpropOptions::shrink, SettingRange::decay},
    {"grow", &RpropOptions::grow, SettingRange::positive},
    {"min_step", &RpropOptions::min_step, SettingRange::not_negative},
    {"max_step", &RpropOptions::max_step, SettingRange::not_negative},
    {"maximize", &RpropOptions::maximize},
};
constexpr const char* kRpropState[] = {"step", "gradient"};
void check(const RpropOptions& o) {
  if (!(o.shrink > 0 && o.grow > 1))
    throw ValueError(fmt::format("Rprop: shrink must be in (0, 1) and grow > 1, but they are {} and {}", o.shrink, o.grow));
  if (o.min_step > o.max_step)
    throw ValueError(fmt::format("Rprop: min_step must be at most max_step, but they are {} and {}", o.min_step, o.max_step));
}
constexpr Specification<RpropOptions> kRpropSpecification{
    .name = "Rprop", .settings = kRpropSettings, .state = kRpropState, .check = check};

}  // namespace

Rprop::Rprop(const ParameterGroups<RpropOptions>& groups) : OptimizerWith(kRpropSpecification, groups) {}

template <class T> void Rprop::apply(const Update<T>& u) const {
  const RpropOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T shrink(o.shrink), grow(o.grow), min(o.min_step), max(o.max_step);
    const T initial(u.count == 1 ? o.lr : 0);
    const StepGradient<T> gradient{T(0), o.maximize};
    T* const p = u.parameter;
    T* const d = u.state[0];
    T* const h = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      T g = gradient(u.gradient[i], p[i]);
      const T agreement = g * h[i];
      const T factor = agreement > 0 ? grow : agreement < 0 ? shrink : T(1);
      d[i] = std::min(std::max((initial + d[i]) * factor, min), max);
      g = agreement < 0 ? T(0) : g;
      p[i] -= g > 0 ? d[i] : g < 0 ? -d[i] : g;  // a NaN stays one
      h[i] = g;
    }
  });
}

void Rprop::update(const Update<float>& u) const { apply(u); }
void Rprop::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
