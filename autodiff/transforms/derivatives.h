#pragma once
// Derivatives of functions: gradients, products with Jacobians and Hessians, and these matrices themselves.
//
//     auto f = [](const Tensor& x) { return sum(x * x * x); };
//     Tensor g = gradient(f, x), h = hessian(f, x);
//
// Outside every tape the results are constants. Under a tape that records, all the work is recorded there (its sweeps are
// `.differentiable`), so the results can be differentiated again, with respect to x and to whatever else f reads. So these functions nest
// to any order: gradient([&](const Tensor& x) { return sum(gradient(f, x)); }, x). Put `NoRecord` before the call to prevent this.
#include <concepts>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tensor/function_ref.h"

namespace wengert {

/// x as a constant: derivatives stop here.
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

/// A function that takes a tensor and returns one. Its result may be independent of x; then the derivative is 0.
template <class F> concept TensorFunction = std::is_invocable_r_v<Tensor, F&, const Tensor&>;
/// A Tensor or a Parameter. TensorFunction is checked only if x is one of these: checking it for a generic lambda of scalars would not
/// compile.
template <class X> concept TensorValue = std::convertible_to<const X&, Tensor>;

/// f(x) and its gradient, in the shape of x. f(x) must have one element.
template <class F, TensorValue X>
requires TensorFunction<F> std::pair<Tensor, Tensor> value_and_gradient(F&& f, const X& x) {
  return detail::value_and_gradient("value_and_gradient", f, x);
}
/// The gradient of f at x, in the shape of x. f(x) must have one element.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor gradient(F&& f, const X& x) { return detail::value_and_gradient("gradient", f, x).second; }

/// J^T y_bar for f at x: y_bar has the shape of f(x), the result that of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor vjp(F&& f, const X& x, const Tensor& y_bar) { return detail::vjp(f, x, y_bar); }
/// J x_dot for f at x: x_dot has the shape of x, the result that of f(x).
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jvp(F&& f, const X& x, const Tensor& x_dot) { return detail::jvp(f, x, x_dot); }
/// H v, where f(x) must have one element: v and the result have the shape of x. About three times the work of a gradient.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hvp(F&& f, const X& x, const Tensor& v) { return detail::hvp(f, x, v); }

/// The Jacobian d f(x)[i] / d x[j], in the shape of f(x) followed by that of x. One reverse sweep for each element of f(x), or one forward
/// sweep for each element of x, whichever are fewer.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor jacobian(F&& f, const X& x) { return detail::jacobian(f, x); }
/// The Hessian, in the shape of x twice. f(x) must have one element. One forward sweep over a recorded gradient for each element of x.
template <class F, TensorValue X>
requires TensorFunction<F> Tensor hessian(F&& f, const X& x) { return detail::hessian(f, x); }

/// @name The same with respect to the parameters of a model
///
///     gradient([&] { return nn::mse(net(x), y); }, net.parameters())
///
/// f takes no argument and reads the parameters through the model. Results are in the order of the list. Parameters that f does not depend
/// on, and frozen ones, have the derivative 0. Under a tape that records, values computed from a parameter before the call are
/// differentiated as well.
/// @{

/// A function without arguments that returns a tensor.
template <class F> concept ParameterFunction = std::is_invocable_r_v<Tensor, F&>;

/// f(), which must have one element, and its gradients.
template <ParameterFunction F> std::pair<Tensor, Gradients> value_and_gradient(F&& f, const ParameterList& parameters) {
  return detail::value_and_gradient("value_and_gradient", f, parameters);
}
template <ParameterFunction F> Gradients gradient(F&& f, const ParameterList& parameters) {
  return detail::value_and_gradient("gradient", f, parameters).second;
}
/// H v, where H holds the second derivatives with respect to all parameters together, and v has one tensor in each parameter's shape. f()
/// must have one element. A recorded sweep and a sweep over it: three to four times the work of a gradient, for any number of parameters.
template <ParameterFunction F> Gradients hvp(F&& f, const ParameterList& parameters, std::span<const Tensor> v) {
  return detail::hvp(f, parameters, v);
}
template <ParameterFunction F> Gradients hvp(F&& f, const ParameterList& parameters, const Gradients& v) {
  const std::vector<Tensor> tensors(v.begin(), v.end());
  return detail::hvp(f, parameters, tensors);
}
/// d f() / d p for each parameter p, in the shape of f() followed by that of p. One sweep for each element of f().
template <ParameterFunction F> std::vector<Tensor> jacobian(F&& f, const ParameterList& parameters) {
  return detail::jacobian(f, parameters);
}
/// The Hessian in blocks: [i][j] has the shape of parameter i followed by that of parameter j. f() must have one element. One sweep over a
/// recorded gradient for each element of each parameter, so for small models only.
template <ParameterFunction F> std::vector<std::vector<Tensor>> hessian(F&& f, const ParameterList& parameters) {
  return detail::hessian(f, parameters);
}
/// The gradients of loss(example...) for each example of a batch, with respect to each parameter: (n, the parameter's shape). The tensors
/// of the batch share the first dimension n. An example is passed as a batch of one:
///
///     per_example_gradients([&](const Tensor& x, const Tensor& y) { return nn::mse(net(x), y); }, net.parameters(), x, y)
///
/// Runs one forward pass and one sweep for each example.
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
