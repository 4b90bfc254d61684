#include "optim/sgd.h"

namespace wengert::optim {

SGD::SGD(const ParameterList& parameters, const SGDOptions& options)
    : Optimizer("SGD", parameters, options.lr, options.momentum != 0 ? 1 : 0), options_(options) {
  require(options.momentum >= 0, "momentum must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0), "nesterov needs momentum, and no dampening");
}

template <class T> void SGD::apply(const Update<T>& u) const {
  const T eta(learning_rate()), lambda(options_.weight_decay), mu(options_.momentum);
  const bool maximize = options_.maximize, nesterov = options_.nesterov;
  T* const p = u.parameter;
  const auto gradient = [&](Index i) {
    const T g = maximize ? -u.gradient[i] : u.gradient[i];
    return lambda != 0 ? g + lambda * p[i] : g;
  };
  if (options_.momentum == 0) {
    for (Index i = 0; i < u.size; ++i) p[i] -= eta * gradient(i);
    return;
  }
  const T rest(u.count == 1 ? 1 : 1 - options_.dampening);  // v begins as 0, so that it is g after the first update
  T* const v = u.state[0];
  for (Index i = 0; i < u.size; ++i) {
    const T g = gradient(i);
    v[i] = mu * v[i] + rest * g;
    p[i] -= eta * (nesterov ? g + mu * v[i] : v[i]);
  }
}

void SGD::update(const Update<float>& u) const { apply(u); }
void SGD::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
