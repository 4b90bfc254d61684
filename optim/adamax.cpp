#include "optim/adamax.h"

#include <algorithm>
#include <cmath>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr const char* kAdamaxState[] = {"m", "u"};
constexpr Specification<AdamaxOptions> kAdamaxSpecification{
    .name = "Adamax", .settings = kMomentSettings<AdamaxOptions>, .state = kAdamaxState};

}  // namespace

Adamax::Adamax(const ParameterGroups<AdamaxOptions>& groups) : MomentOptimizer(kAdamaxSpecification, groups) {}

template <class T> void Adamax::apply(const Update<T>& u) const {
  const AdamaxOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T alpha(o.lr / (1 - std::pow(o.beta1, static_cast<double>(u.count))));
    const T kept1(o.beta1), rest1(1 - o.beta1), kept2(o.beta2), small(o.eps);
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const max_g = u.state[1];
    for (Index i = 0; i < u.size; ++i) {
      const T g = gradient(u.gradient[i], p[i]);
      m[i] = kept1 * m[i] + rest1 * g;
      max_g[i] = std::max(kept2 * max_g[i], std::abs(g) + small);
      p[i] -= alpha * m[i] / max_g[i];
    }
  });
}

void Adamax::update(const Update<float>& u) const { apply(u); }
void Adamax::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
