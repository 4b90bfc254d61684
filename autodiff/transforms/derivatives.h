#pragma once
// Derivatives of functions: gradients, products with Jacobians and Hessians, and these matrices themselves.
//
//     auto f = [](const Tensor& x) { return sum(x * x * x); };
//     Tensor g = gradient(f, x), h = hessian(f, x);
//
// Outside every tape the results are constants. Where a tape records, all the work is recorded there as well (its sweeps are
// `.differentiable`), so that the results can be differentiated again, by x and by whatever else f reads. So these functions nest to any
// order: gradient([&](const Tensor& x) { return sum(gradient(f, x)); }, x). Where that is not wanted, `NoRecord` goes before the call.
#include <concepts>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/ops.h"

namespace wengert {

/// x as a constant: no derivative passes.
inline Tensor stop_gradient(const Tensor& x) { return x.constant(); }
inline Scalar stop_gradient(const Scalar& x) { return x.value(); }

namespace detail {

/// Refers to a function of one tensor for the length of a call.
class FunctionOfTensor {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionOfTensor>) explicit FunctionOfTensor(F& f)
      : object_(reinterpret_cast<const void*>(&f)),  // f may be a function
        call_([](const void* object, const Tensor& x) -> Tensor { return (*reinterpret_cast<F*>(const_cast<void*>(object)))(x); }) {}
  Tensor operator()(const Tensor& x) const { return call_(object_, x); }

 private:
  const void* object_;
  Tensor (*call_)(const void*, const Tensor&);
};

std::pair<Tensor, Tensor> value_and_gradient(FunctionOfTensor f, const Tensor& x);
Tensor vjp(FunctionOfTensor f, const Tensor& x, const Tensor& y_bar);
Tensor jvp(FunctionOfTensor f, const Tensor& x, const Tensor& x_dot);
Tensor hvp(FunctionOfTensor f, const Tensor& x, const Tensor& v);
Tensor jacobian(FunctionOfTensor f, const Tensor& x);
Tensor hessian(FunctionOfTensor f, const Tensor& x);

}  // namespace detail

/// A function of a tensor, which these take, returns a tensor. What does not depend on x has the derivative 0.
template <class F> concept TensorFunction = std::is_invocable_r_v<Tensor, F&, const Tensor&>;
/// A Tensor or a Parameter. Whether f is a function of tensors is asked only where x is one: a generic lambda of scalars would not compile.
template <class X> concept TensorValue = std::convertible_to<const X&, Tensor>;

/// f(x) and its gradient, of x's shape, for f of one element.
template <class F, TensorValue X>
requires TensorFunction<F> std::pair<Tensor, Tensor> value_and_gradient(F&& f, const X& x) {
  return detail::value_and_gradient(detail::FunctionOfTensor(f), x);
}
/// The gradient of f at x, of x's shape, for f of one element.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor gradient(F&& f, const X& x) { return value_and_gradient(f, x).second; }

/// y_bar^T J for f at x: y_bar has the shape of f(x), the result that of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor vjp(F&& f, const X& x, const Tensor& y_bar) { return detail::vjp(detail::FunctionOfTensor(f), x, y_bar); }
/// J x_dot for f at x: x_dot has the shape of x, the result that of f(x).
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jvp(F&& f, const X& x, const Tensor& x_dot) { return detail::jvp(detail::FunctionOfTensor(f), x, x_dot); }
/// H v for f of one element: v and the result have the shape of x. About three times the work of a gradient.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hvp(F&& f, const X& x, const Tensor& v) { return detail::hvp(detail::FunctionOfTensor(f), x, v); }

/// All derivatives d f(x)[i] / d x[j]: f(x)'s shape, then x's. One sweep for each element of f(x), or one push for each element of x,
/// whichever are fewer.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jacobian(F&& f, const X& x) { return detail::jacobian(detail::FunctionOfTensor(f), x); }
/// All second derivatives of f of one element: x's shape twice. One push over a recorded gradient for each element of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hessian(F&& f, const X& x) { return detail::hessian(detail::FunctionOfTensor(f), x); }

}  // namespace wengert
