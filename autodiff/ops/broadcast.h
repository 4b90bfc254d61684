#pragma once
// Shapes and loops of elementwise operations.
#include <array>
#include <optional>

#include "autodiff/kernels/elementwise.h"
#include "autodiff/ops.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/dispatch.h"
#include "autodiff/tensor/error_text.h"

namespace wengert::detail {

/// The common shape of a and b, if they broadcast.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);
/// The common shape of a and b. If they do not broadcast, a ShapeError that names `operation` and both operands.
Shape broadcast_shape(const char* operation, const Tensor& a, const Tensor& b);
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

/// The first element of a tensor of dtype T, whatever its strides.
template <class T> T* data(Tensor& t) { return static_cast<T*>(t.elements()->data); }
template <class T> const T* data(const Tensor& t) { return static_cast<const T*>(t.elements()->data); }
/// Whether all operands are row-major and have as many elements as y, so that one flat loop serves all.
template <class... Operands> bool are_flat(const Tensor& y, const Operands&... x) {
  return ((x.is_row_major() && x.size() == y.size()) && ...);
}

/// y[i] = f(x[i]...), where all operands have element type X and are broadcast to y's shape.
template <class X, class T, class F, class... Operands> void elementwise_into(Tensor& y, F&& f, const Operands&... x) {
  if (are_flat(y, x...)) return kernels::elementwise_flat(y.size(), data<T>(y), f, data<X>(x)...);
  const std::array<Shape, sizeof...(Operands)> strides{broadcast_strides(x, y.shape())...};
  std::array<const Shape*, sizeof...(Operands)> pointers;
  for (std::size_t k = 0; k < strides.size(); ++k) pointers[k] = &strides[k];
  kernels::elementwise_strided(y.shape(), pointers, data<T>(y), f, data<X>(x)...);
}

}  // namespace wengert::detail
