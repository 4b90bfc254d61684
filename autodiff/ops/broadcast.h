#pragma once
// Shapes and loops of elementwise operations.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <type_traits>

#include "autodiff/kernels/elementwise.h"
#include "autodiff/ops.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/dispatch.h"
#include "autodiff/tensor/error_text.h"

namespace wengert::detail {

/// The common shape of a and b, if they broadcast.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);
/// The common shape of a and b. If they do not broadcast, a ShapeError that names `operation` and both operands.
Shape broadcast_shape(const char* operation, const Tensor& a, const Tensor& b, const char* a_name = "left", const char* b_name = "right");
/// The dtype in which two operands are combined: a tensor's, float64 for two numbers. A ValueError if a tensor is undefined.
Dtype common_dtype(const char* operation, const Operand& a, const Operand& b, const char* a_name = "left", const char* b_name = "right");
/// Whether x broadcasts to the shape.
bool broadcasts_to(const Tensor& x, const Shape& shape);
/// Strides of x broadcast to the shape: 0 in repeated dimensions.
Shape broadcast_strides(const Tensor& x, const Shape& shape);
/// A DtypeError unless x is floating.
void check_floating(const char* operation, const Tensor& x);
/// A DtypeError unless both have the same dtype. It suggests converting the operand that is not a parameter's value.
void check_same_dtype(const char* operation, const Tensor& a, const Tensor& b, const char* a_name = "left", const char* b_name = "right");

/// A ValueError unless the dropout probability p is in [0, 1].
void check_probability(const char* operation, double p, const Tensor& x);

/// a + b, where an undefined operand counts as zero.
inline Tensor plus(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : a + b; }

/// (c) as (c, 1, ...), which broadcasts along the channels of x, dimension 1; undefined stays undefined.
Tensor along_channels(const Tensor& v, const Tensor& x);

/// A tensor of zeros in the memory of one.
inline Tensor repeated_zero(const Shape& shape, Dtype dtype, Location site = {}) {
  return expand(Tensor::zeros({}, dtype, site), shape, site);
}
/// Whether all elements of x are one number in memory.
inline bool is_repeated_number(const Tensor& x) {
  return std::ranges::all_of(x.strides(), [](Index stride) { return stride == 0; });
}

/// The first element of a tensor of dtype T, whatever its strides.
template <class T> T* data(Tensor& t) { return static_cast<T*>(t.elements()->data); }
template <class T> const T* data(const Tensor& t) { return static_cast<const T*>(t.elements()->data); }
/// y by the loop, which is for the dtypes of y and the operands, of which there are 1 to 4; each is broadcast to y's shape.
void elementwise_into(Tensor& y, std::span<const Tensor* const> x, kernels::DenseLoop loop);

/// The same by the loop for y's dtype.
void floating_into(Tensor& y, std::initializer_list<const Tensor*> x, kernels::DenseLoop float_loop, kernels::DenseLoop double_loop);
/// The result of a rule, of m's shape and dtype, by the loop for that dtype. Operands that the rule does not read may be undefined.
Tensor apply_rule(const Tensor& m, std::initializer_list<const Tensor*> x, kernels::DenseLoop float_loop, kernels::DenseLoop double_loop);

/// y[i] = f(x[i]...) with all operands of element type X broadcast to y's shape.
template <class X, class T, class F, class... Operands> void elementwise_into(Tensor& y, F f, const Operands&... x) {
  const std::array operands{&x...};
  elementwise_into(y, operands, kernels::dense_loop<T, std::conditional_t<true, X, Operands>...>(f));
}

}  // namespace wengert::detail
