#include "optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/kernels/target.h"

namespace wengert::optim {

AdamW::AdamW(const ParameterList& parameters, const AdamWOptions& options)
    : Optimizer("AdamW", parameters, options.lr, options.amsgrad ? 3 : 2), options_(options) {
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1 must be in [0, 1)");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2 must be in [0, 1)");
  require(options.eps >= 0, "eps must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
}

template <class T> void AdamW::apply(const Update<T>& u) const {
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    const auto t = static_cast<double>(u.count);
    const T alpha(learning_rate() / (1 - std::pow(options_.beta1, t))), scale(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
    const T beta1(options_.beta1), rest1(1 - options_.beta1), beta2(options_.beta2), rest2(1 - options_.beta2);
    const T keep(1 - learning_rate() * options_.weight_decay), eps(options_.eps);
    const bool maximize = options_.maximize;
    T* const p = u.parameter;
    T* const m = u.state[0];
    T* const v = u.state[1];
    T* const largest = u.state[2];
    const auto loop = [&](auto amsgrad) __attribute__((always_inline)) {
      for (Index i = 0; i < u.size; ++i) {
        const T g = maximize ? -u.gradient[i] : u.gradient[i];
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        T square = v[i];
        if constexpr (amsgrad) square = largest[i] = std::max(largest[i], square);
        p[i] = keep * p[i] - alpha * m[i] / (std::sqrt(square) * scale + eps);
      }
    };
    options_.amsgrad ? loop(std::true_type()) : loop(std::false_type());
  });
}

void AdamW::update(const Update<float>& u) const { apply(u); }
void AdamW::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
