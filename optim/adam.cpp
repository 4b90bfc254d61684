#include "optim/adam.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/moments.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

AdamBase::AdamBase(const char* name, const ParameterList& parameters, double learning_rate, const Common& options, Variant variant)
    : MomentOptimizer(name, parameters, learning_rate, variant.amsgrad ? 3 : 2, options), variant_(variant) {}

//  p = (1 - decoupled decay) p - alpha m / (sqrt(v) scale + eps)
template <class T> void AdamBase::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const T alpha(learning_rate() / (1 - std::pow(beta1(), t))), scale(1 / std::sqrt(1 - std::pow(beta2(), t))), small(eps());
    const T kept(variant_.decoupled_decay ? 1 - learning_rate() * weight_decay() : 1);
    const StepGradient<T> gradient{static_cast<T>(variant_.decoupled_decay ? 0 : weight_decay()), maximize()};
    const Moments<T> moments(beta1(), beta2(), u.state[0], u.state[1]);
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
    variant_.amsgrad ? loop(std::true_type()) : loop(std::false_type());
  });
}

void AdamBase::update(const Update<float>& u) const { apply(u); }
void AdamBase::update(const Update<double>& u) const { apply(u); }

Adam::Adam(const ParameterList& parameters, AdamOptions options)
    : AdamBase("Adam", parameters, options.lr, {options.beta1, options.beta2, options.eps, options.weight_decay, options.maximize},
               {.amsgrad = options.amsgrad, .decoupled_decay = false}) {}

}  // namespace wengert::optim
