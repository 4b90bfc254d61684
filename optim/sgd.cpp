#include "optim/sgd.h"

namespace wengert::optim {

SGD::SGD(const ParameterList& parameters, const SGDOptions& options)
    : Optimizer("SGD", parameters, options.lr, options.momentum != 0 ? 1 : 0), options_(options) {
  require(options.momentum >= 0, "momentum must not be negative");
  require(options.weight_decay >= 0, "weight_decay must not be negative");
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0), "nesterov needs momentum, and no dampening");
}

// The conditions are the same for all elements, and compilers take them out of the loop.
template <class T>
void SGD::apply(const Update<T>& u) const {
  const T eta(learning_rate()), lambda(options_.weight_decay), mu(options_.momentum), rest(1 - options_.dampening);
  const bool first = u.count == 1, maximize = options_.maximize, nesterov = options_.nesterov;
  T* const p = u.parameter;
  T* const v = u.state[0];
  for (Index i = 0; i < u.size; ++i) {
    T g = maximize ? -u.gradient[i] : u.gradient[i];
    if (lambda != 0) g += lambda * p[i];
    if (v) {
      v[i] = first ? g : mu * v[i] + rest * g;
      g = nesterov ? g + mu * v[i] : v[i];
    }
    p[i] -= eta * g;
  }
}

void SGD::update(const Update<float>& u) const { apply(u); }
void SGD::update(const Update<double>& u) const { apply(u); }

}  // namespace wengert::optim
