#include "optim/adam.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/adamw.h"
#include "optim/moments.h"
#include "optim/step_gradient.h"

namespace wengert::optim {
namespace {

constexpr const char* kAdamState[] = {"m", "v", "max_v"};

template <class Options> bool keeps(std::size_t k, const Options& o) { return k < 2 || o.amsgrad; }

template <class Options> constexpr auto kAdamSettings = moment_settings_and<Options>({"amsgrad", &Options::amsgrad});

template <class Options>
constexpr Specification<Options> kAdamSpecification{.name = std::is_same_v<Options, AdamOptions> ? "Adam" : "AdamW",
                                                    .settings = kAdamSettings<Options>,
                                                    .state = kAdamState,
                                                    .keeps = keeps};

template <class Options> constexpr bool kDecoupledDecay = std::is_same_v<Options, AdamWOptions>;

}  // namespace

template <class Options> AdamBase<Options>::AdamBase(const ParameterGroups<Options>& groups)
    : MomentOptimizer<Options>(kAdamSpecification<Options>, groups) {}

//  p = (1 - decoupled decay) p - alpha m / (sqrt(v) scale + eps)
template <class Options> template <class T> void AdamBase<Options>::apply(const Update<T>& u) const {
  const Options& o = this->options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const T alpha(o.lr / (1 - std::pow(o.beta1, t))), scale(1 / std::sqrt(1 - std::pow(o.beta2, t))), small(o.eps);
    const T kept(kDecoupledDecay<Options> ? 1 - o.lr * o.weight_decay : 1);
    const StepGradient<T> gradient{static_cast<T>(kDecoupledDecay<Options> ? 0 : o.weight_decay), o.maximize};
    const Moments<T> moments(o.beta1, o.beta2, u.state[0], u.state[1]);
    T* const p = u.parameter;
    T* const max_v = u.state[2];
    const auto loop = [&](auto amsgrad) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        moments.add(i, gradient(u.gradient[i], p[i]));
        T v = moments.v[i];
        if constexpr (amsgrad) v = max_v[i] = std::max(max_v[i], v);
        p[i] = kept * p[i] - alpha * moments.m[i] / (std::sqrt(v) * scale + small);
      }
    };
    o.amsgrad ? loop(std::true_type()) : loop(std::false_type());
  });
}

template <class Options> void AdamBase<Options>::update(const Update<float>& u) const { apply(u); }
template <class Options> void AdamBase<Options>::update(const Update<double>& u) const { apply(u); }

template class AdamBase<AdamOptions>;
template class AdamBase<AdamWOptions>;

}  // namespace wengert::optim
