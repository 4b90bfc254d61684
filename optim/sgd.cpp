#include "optim/sgd.h"

#include <type_traits>

#include "autodiff/kernels/target.h"
#include "optim/step_gradient.h"

namespace wengert::optim {

namespace {

constexpr Setting<SGDOptions> kSgdSettings[] = {
    {"lr", &SGDOptions::lr, SettingRange::not_negative},
    {"momentum", &SGDOptions::momentum, SettingRange::decay},
    {"dampening", &SGDOptions::dampening, SettingRange::unit_interval},
    {"weight_decay", &SGDOptions::weight_decay, SettingRange::not_negative},
    {"nesterov", &SGDOptions::nesterov},
    {"maximize", &SGDOptions::maximize},
};
constexpr const char* kSgdState[] = {"velocity"};
bool keeps(std::size_t /*k*/, const SGDOptions& o) { return o.momentum > 0; }
void check(const SGDOptions& o) {
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) throw ValueError("SGD: nesterov needs momentum, and no dampening");
}
constexpr Specification<SGDOptions> kSgdSpecification{
    .name = "SGD", .settings = kSgdSettings, .state = kSgdState, .keeps = keeps, .check = check};

}  // namespace

SGD::SGD(const ParameterGroups<SGDOptions>& groups) : OptimizerWith(kSgdSpecification, groups) {}

void SGD::set_momentum(double momentum) {
  change_all([momentum](SGDOptions& o) { o.momentum = momentum; });
}

template <class T> void SGD::apply(const Update<T>& u) const {
  const SGDOptions& o = options(u.group);
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const T eta(o.lr), mu(o.momentum);
    const T rest(u.count == 1 ? 1 : 1 - o.dampening);  // v begins as 0, so that it is g after the first update
    const StepGradient<T> gradient{static_cast<T>(o.weight_decay), o.maximize};
    const bool nesterov = o.nesterov;
    T* const p = u.parameter;
    T* const v = u.state[0];
    const auto loop = [&](auto momentum) __attribute__((always_inline)) {
      // [update]
      for (Index i = 0; i < u.size; ++i) {
        T g = gradient(u.gradient[i], p[i]);
        if constexpr (momentum) {
          v[i] = mu * v[i] + rest * g;
          g = nesterov ? g + mu * v[i] : v[i];
        }
        p[i] -= eta * g;
      }
      // [update]
    };
    v ? loop(std::true_type()) : loop(std::false_type());
  });
}

void SGD::update(const Update<float>& u) const { apply(u); }
void SGD::update(const Update<double>& u) const { apply(u); }

bool SGD::is_plain_descent(std::size_t group) const { return options(group).weight_decay == 0 && !options(group).maximize; }

}  // namespace wengert::optim
