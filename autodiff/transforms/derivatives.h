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
#include "autodiff/tensor/function_ref.h"

namespace wengert {

/// x as a constant: no derivative passes.
inline Tensor stop_gradient(const Tensor& x) { return x.constant(); }
inline Scalar stop_gradient(const Scalar& x) { return x.value(); }

namespace detail {

using FunctionOfTensor = FunctionRef<Tensor(const Tensor&)>;
using FunctionOfParameters = FunctionRef<Tensor()>;

std::pair<Tensor, Tensor> value_and_gradient(const char* name, FunctionOfTensor f, const Tensor& x);
Tensor vjp(FunctionOfTensor f, const Tensor& x, const Tensor& y_bar);
Tensor jvp(FunctionOfTensor f, const Tensor& x, const Tensor& x_dot);
Tensor hvp(FunctionOfTensor f, const Tensor& x, const Tensor& v);
Tensor jacobian(FunctionOfTensor f, const Tensor& x);
Tensor hessian(FunctionOfTensor f, const Tensor& x);

std::pair<Tensor, Gradients> value_and_gradient(const char* name, FunctionOfParameters f, const ParameterList& parameters);
Gradients hvp(FunctionOfParameters f, const ParameterList& parameters, std::span<const Tensor> v);
std::vector<Tensor> jacobian(FunctionOfParameters f, const ParameterList& parameters);
std::vector<std::vector<Tensor>> hessian(FunctionOfParameters f, const ParameterList& parameters);
std::vector<Tensor> per_example_gradients(FunctionRef<Tensor(std::span<const Tensor>)> loss, const ParameterList& parameters,
                                          std::span<const Tensor> batch);

}  // namespace detail

/// A function of a tensor, which these take, returns a tensor. What does not depend on x has the derivative 0.
template <class F> concept TensorFunction = std::is_invocable_r_v<Tensor, F&, const Tensor&>;
/// A Tensor or a Parameter. Whether f is a function of tensors is asked only where x is one: a generic lambda of scalars would not compile.
template <class X> concept TensorValue = std::convertible_to<const X&, Tensor>;

/// f(x) and its gradient, of x's shape, for f of one element.
template <class F, TensorValue X>
requires TensorFunction<F> std::pair<Tensor, Tensor> value_and_gradient(F&& f, const X& x) {
  return detail::value_and_gradient("value_and_gradient", f, x);
}
/// The gradient of f at x, of x's shape, for f of one element.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor gradient(F&& f, const X& x) { return detail::value_and_gradient("gradient", f, x).second; }

/// y_bar^T J for f at x: y_bar has the shape of f(x), the result that of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor vjp(F&& f, const X& x, const Tensor& y_bar) { return detail::vjp(f, x, y_bar); }
/// J x_dot for f at x: x_dot has the shape of x, the result that of f(x).
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jvp(F&& f, const X& x, const Tensor& x_dot) { return detail::jvp(f, x, x_dot); }
/// H v for f of one element: v and the result have the shape of x. About three times the work of a gradient.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hvp(F&& f, const X& x, const Tensor& v) { return detail::hvp(f, x, v); }

/// All derivatives d f(x)[i] / d x[j]: f(x)'s shape, then x's. One sweep for each element of f(x), or one push for each element of x,
/// whichever are fewer.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jacobian(F&& f, const X& x) { return detail::jacobian(f, x); }
/// All second derivatives of f of one element: x's shape twice. One push over a recorded gradient for each element of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hessian(F&& f, const X& x) { return detail::hessian(f, x); }

/// @name The same with respect to the parameters of a model
///
///     gradient([&] { return nn::mse(net(x), y); }, net.parameters())
///
/// f takes no argument and reads the parameters through the model. Results are in the order of the list; what f does not depend on, and
/// what is frozen, has the derivative 0. Under a tape that records, everything that f reads of a parameter counts, also what was computed
/// from it before.
/// @{

/// A function of no argument that returns a tensor.
template <class F> concept ParameterFunction = std::is_invocable_r_v<Tensor, F&>;

/// f() and its gradients, for f of one element.
template <ParameterFunction F> std::pair<Tensor, Gradients> value_and_gradient(F&& f, const ParameterList& parameters) {
  return detail::value_and_gradient("value_and_gradient", f, parameters);
}
template <ParameterFunction F> Gradients gradient(F&& f, const ParameterList& parameters) {
  return detail::value_and_gradient("gradient", f, parameters).second;
}
/// H v for f of one element, where H has the second derivatives by all parameters together; v has a tensor of each parameter's shape. A
/// recorded sweep and a sweep over it: three to four times the work of a gradient, however many parameters there are.
template <ParameterFunction F> Gradients hvp(F&& f, const ParameterList& parameters, std::span<const Tensor> v) {
  return detail::hvp(f, parameters, v);
}
template <ParameterFunction F> Gradients hvp(F&& f, const ParameterList& parameters, const Gradients& v) {
  const std::vector<Tensor> tensors(v.begin(), v.end());
  return detail::hvp(f, parameters, tensors);
}
/// d f() / d p for each parameter p: f()'s shape, then p's. One sweep for each element of f().
template <ParameterFunction F> std::vector<Tensor> jacobian(F&& f, const ParameterList& parameters) {
  return detail::jacobian(f, parameters);
}
/// All second derivatives of f of one element: block [i][j] has the shape of parameter i, then that of parameter j. One sweep over a
/// recorded gradient for each element of each parameter: for small models.
template <ParameterFunction F> std::vector<std::vector<Tensor>> hessian(F&& f, const ParameterList& parameters) {
  return detail::hessian(f, parameters);
}
/// The gradients of loss(example...) for each example of a batch, with respect to each parameter: (n, the parameter's shape). Tensors of
/// the batch have one first dimension n, and an example is a part of size 1 of each, so that layers take it as a batch of one:
///
///     per_example_gradients([&](const Tensor& x, const Tensor& y) { return nn::mse(net(x), y); }, net.parameters(), x, y)
///
/// A forward pass and a sweep for each example.
template <class F, TensorValue... Batch>
requires(sizeof...(Batch) > 0) std::vector<Tensor> per_example_gradients(F&& loss, const ParameterList& parameters, const Batch&... batch) {
  const Tensor list[] = {batch...};
  const auto call = [&](std::span<const Tensor> example) {
    return [&]<std::size_t... i>(std::index_sequence<i...>)->Tensor { return loss(example[i]...); }
    (std::index_sequence_for<Batch...>{});
  };
  return detail::per_example_gradients(call, parameters, list);
}
/// @}

}  // namespace wengert
