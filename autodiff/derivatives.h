#pragma once
// Derivatives of functions: gradients, products with Jacobians and Hessians, and the matrices themselves.
#include <concepts>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/ops.h"

namespace wengert {

/// f(x) and its gradient, for f: Tensor -> Tensor of one element. Works on a tape of its own.
template <class F> std::pair<Tensor, Tensor> value_and_gradient(F&& f, const Tensor& x) {
  Tape tape({.isolated = true});
  const Tensor v = tape.variable(x);
  const Tensor y = f(v);
  return {y.constant(), tape.gradient(y, wrt(v), {.unreached = Unreached::zero})};
}

/// y_bar^T J for f at x.
template <class F> Tensor vjp(F&& f, const Tensor& x, const Tensor& y_bar) {
  Tape tape({.isolated = true});
  const Tensor v = tape.variable(x);
  return tape.gradient(f(v), wrt(v), {.seed = y_bar, .unreached = Unreached::zero});
}

/// J x_dot for f at x, by a push over the records.
template <class F> Tensor jvp(F&& f, const Tensor& x, const Tensor& x_dot) {
  Tape tape({.isolated = true});
  const Tensor v = tape.variable(x);
  return tape.jvp(Tensor(f(v)), wrt(v), {x_dot});
}

/// H v for f: Tensor -> Tensor of one element, by a push over a recorded gradient.
template <class F> Tensor hvp(F&& f, const Tensor& x, const Tensor& v) {
  Tape tape({.isolated = true});
  const Tensor at = tape.variable(x);
  const Tensor gradient = tape.differentiable_gradient(Tensor(f(at)), at);
  return tape.jvp(gradient, wrt(at), {v});
}

}  // namespace wengert
