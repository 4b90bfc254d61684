#pragma once
// The operations on tensors, as a menu. Shapes are checked when an operation is called; what does not fit is a ShapeError or a
// DtypeError that names the operation, both operands and where they were made. Dimensions may be negative: they count from the last.
// Both operands of an operation must have the same dtype (`.to()` converts); C++ numbers and Scalars take the tensor's.
// Each function takes its caller's file and line as a defaulted last parameter.
#include <initializer_list>
#include <span>

#include "autodiff/tape.h"

namespace wengert {

/// An operand of an elementwise operation: a tensor, a parameter, a number or an expression of Scalars; and the caller's file and line.
class Operand {
 public:
  Operand(const Tensor& t, Location where = Location::here()) : where(where), tensor_(&t) {}
  Operand(const Parameter& p, Location where = Location::here()) : where(where), own_(p), tensor_(&own_) {}
  Operand(Number auto value, Location where = Location::here()) : where(where), value_(static_cast<double>(value)) {}
  Operand(const Scalar& s, Location where = Location::here()) : where(where), value_(s.value()), number_(s.number()) {}
  template <class E>
  requires TemporaryExpression<E> Operand(E&& e, Location where = Location::here()) : Operand(Scalar(std::move(e)), where) {}
  Operand(const Operand&) = delete;

  bool is_tensor() const { return tensor_ != nullptr; }
  Dtype dtype() const { return tensor_->dtype(); }
  /// The operand as a tensor; numbers and Scalars become rank 0 of the given dtype.
  const Tensor& as(Dtype dtype);

  Location where;

 private:
  Tensor own_;
  const Tensor* tensor_ = nullptr;
  double value_ = 0;
  std::uint64_t number_ = 0;
};

// ---- elementwise, with NumPy broadcasting -----------------------------------------------------------------------------------------

#define WENGERT_OPERATOR(F, op) Tensor operator op(Operand a, Operand b);
WENGERT_ARITHMETIC(WENGERT_OPERATOR)  // + - * /
#undef WENGERT_OPERATOR
Tensor& operator+=(Tensor& a, Operand b);
Tensor& operator-=(Tensor& a, Operand b);
Tensor& operator*=(Tensor& a, Operand b);
Tensor& operator/=(Tensor& a, Operand b);

/// Element by element, each of functions.h: exp log sqrt square abs negative sin cos tanh sigmoid relu ... Shape in, same shape out.
/// Floating dtypes, and int64 where the function has integer values (square, abs, negative, sign, relu); otherwise a DtypeError.
#define WENGERT_FUNCTION(F, name) \
  inline Tensor name(const Tensor& x, Location where = Location::here()) { return detail::map(fn::F{}, x, where); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default) \
  inline Tensor name(const Tensor& x, double p = p_default, Location where = Location::here()) { return detail::map(fn::F{p}, x, where); }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                                          \
  inline Tensor name(const Tensor& x, double p = p_default, double q = q_default, Location where = Location::here()) { \
    return detail::map(fn::F{p, q}, x, where);                                                                         \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
inline Tensor operator-(const Tensor& x) { return negative(x, x.made_at()); }
/// Of two operands, broadcast: pow maximum minimum atan2 hypot logaddexp xlogy. int64 for maximum and minimum too.
#define WENGERT_FUNCTION(F, name) Tensor name(Operand a, Operand b);
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

/// a where the boolean `condition` is true, b elsewhere; all three broadcast.
Tensor where(const Tensor& condition, Operand a, Operand b);
/// Comparisons give boolean tensors and are not differentiated.
Tensor operator<(Operand a, Operand b);
Tensor operator<=(Operand a, Operand b);
Tensor operator>(Operand a, Operand b);
Tensor operator>=(Operand a, Operand b);
Tensor operator==(Operand a, Operand b);
Tensor operator!=(Operand a, Operand b);

// ---- linear algebra ---------------------------------------------------------------------------------------------------------------

/// Matrix product by NumPy's rules: (..., m, k) @ (..., k, n) -> (..., m, n), leading dimensions broadcast; a vector on the left is a
/// row, one on the right a column, and their dimension is dropped from the result.
Tensor matmul(const Tensor& a, const Tensor& b, Location where = Location::here());
/// x W^T + b: input (..., in), weight (out, in), bias (out) -> (..., out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Location where = Location::here());
Tensor linear(const Tensor& x, const Tensor& weight, Location where = Location::here());

// ---- reductions -------------------------------------------------------------------------------------------------------------------

/// Over all elements -> rank 0; or over the given dimensions, which are dropped, or kept with size 1.
Tensor sum(const Tensor& x, Location where = Location::here());
Tensor sum(const Tensor& x, const Dims& dims, bool keep = false, Location where = Location::here());
inline Tensor sum(const Tensor& x, Index dim, bool keep = false, Location where = Location::here()) {
  return sum(x, Dims{dim}, keep, where);
}
/// As sum; NaN over no elements.
Tensor mean(const Tensor& x, Location where = Location::here());
Tensor mean(const Tensor& x, const Dims& dims, bool keep = false, Location where = Location::here());
inline Tensor mean(const Tensor& x, Index dim, bool keep = false, Location where = Location::here()) {
  return mean(x, Dims{dim}, keep, where);
}
/// The largest element (NaN if there is one); elements that tie share the gradient evenly.
Tensor max(const Tensor& x, Location where = Location::here());
/// The largest elements along the dimensions; ties share the gradient evenly. An empty dimension is a ShapeError.
Tensor max(const Tensor& x, const Dims& dims, bool keep = false, Location where = Location::here());
inline Tensor max(const Tensor& x, Index dim, bool keep = false, Location where = Location::here()) {
  return max(x, Dims{dim}, keep, where);
}
/// Position of the first largest element along a dimension (of the first NaN, if there is one), int64. Not differentiated.
Tensor argmax(const Tensor& x, Index dim, bool keep = false, Location where = Location::here());
/// The sum over the dimensions that broadcasting `shape` to x's shape added or stretched: undoes a broadcast.
Tensor sum_to(const Tensor& x, const Shape& shape, Location where = Location::here());

// ---- shapes: views of the same elements where possible ----------------------------------------------------------------------------

/// The same elements in row-major order under another shape; one size may be -1 (what is left). A copy if x is not row-major.
Tensor reshape(const Tensor& x, const Shape& shape, Location where = Location::here());
/// Merges the dimensions first..last into one.
Tensor flatten(const Tensor& x, Index first = 0, Index last = -1, Location where = Location::here());
/// Swaps two dimensions (the last two by default: the transposed matrices).
Tensor transpose(const Tensor& x, Index dim0 = -2, Index dim1 = -1, Location where = Location::here());
/// Dimension i of the result is dimension dims[i] of x.
Tensor permute(const Tensor& x, const Dims& dims, Location where = Location::here());
/// Repeats dimensions of size 1, and new leading ones, up to `shape`, without copying.
Tensor expand(const Tensor& x, const Shape& shape, Location where = Location::here());
/// Drops a dimension of size 1.
Tensor squeeze(const Tensor& x, Index dim, Location where = Location::here());
/// Adds a dimension of size 1 before `dim`.
Tensor unsqueeze(const Tensor& x, Index dim, Location where = Location::here());
/// Positions start, start + step, ... before stop along a dimension; start and stop may be negative and are clipped, step > 0.
Tensor slice(const Tensor& x, Index dim, Index start, Index stop, Index step = 1, Location where = Location::here());
/// One position along a dimension, which is dropped.
Tensor select(const Tensor& x, Index dim, Index index, Location where = Location::here());
/// Joins tensors along a dimension; the other sizes must agree.
Tensor concat(std::span<const Tensor> x, Index dim = 0, Location where = Location::here());
inline Tensor concat(std::initializer_list<Tensor> x, Index dim = 0, Location where = Location::here()) {
  return concat(std::span(x.begin(), x.size()), dim, where);
}
/// Joins tensors of one shape along a new dimension.
Tensor stack(std::span<const Tensor> x, Index dim = 0, Location where = Location::here());
inline Tensor stack(std::initializer_list<Tensor> x, Index dim = 0, Location where = Location::here()) {
  return stack(std::span(x.begin(), x.size()), dim, where);
}
/// Scalars -> a vector: the crossing from the scalar lane to the tensor lane.
Tensor stack(std::span<const Scalar> s, Dtype dtype = float64, Location where = Location::here());
inline Tensor stack(std::initializer_list<Scalar> s, Dtype dtype = float64, Location where = Location::here()) {
  return stack(std::span(s.begin(), s.size()), dtype, where);
}

// ---- classification ---------------------------------------------------------------------------------------------------------------

/// e^x_i / sum_j e^x_j along a dimension. A row of -inf gives NaN.
Tensor softmax(const Tensor& x, Index dim = -1, Location where = Location::here());
/// ln softmax, without the overflow and the loss of digits of its parts.
Tensor log_softmax(const Tensor& x, Index dim = -1, Location where = Location::here());
/// int64 of index's shape and a last dimension of `classes`: 1 at the index (int64, in [0, classes)), 0 elsewhere.
Tensor one_hot(const Tensor& index, Index classes, Location where = Location::here());
/// Mean over the n rows of -log_softmax(logits)[i, labels[i]]: logits (n, c), labels (n) int64 in [0, c) -> rank 0.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, Location where = Location::here());

}  // namespace wengert
