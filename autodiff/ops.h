#pragma once
// The tensor operations. Shapes and dtypes are checked when an operation is called; a ShapeError or a DtypeError names the operation, both
// operands and the lines that made them. Negative dimensions count from the last.
// Both operands of an operation must have the same dtype (`.to()` converts); C++ numbers and Scalars take the tensor's dtype.
// Each function takes its caller's file and line as a defaulted last parameter.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "autodiff/tape/tape.h"
#include "autodiff/tensor/random.h"

namespace wengert {

/// An operand of an elementwise operation: a tensor, a parameter, a number or an expression of Scalars; and the caller's file and line.
class Operand {
 public:
  Operand(const Tensor& t, Location site = Location::here()) : site(site), tensor_(&t) {}
  Operand(const Parameter& p, Location site = Location::here()) : site(site), own_(p), tensor_(&own_) {}
  Operand(Number auto value, Location site = Location::here()) : site(site), value_(value) {}
  Operand(const Scalar& s, Location site = Location::here()) : site(site), value_(s.value()), number_(s.number()) {}
  template <class E>  // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): an expression is not an Operand
  requires ScalarExpression<E> Operand(E&& e, Location site = Location::here()) : Operand(Scalar(std::forward<E>(e)), site) {}
  Operand(const Operand&) = delete;

  bool is_tensor() const { return tensor_ != nullptr; }
  /// Of a tensor: it.
  const Tensor& tensor() const { return *tensor_; }
  /// The operand as a tensor; numbers and Scalars become rank 0 of the given dtype. A ValueError of the operation if it is undefined; a
  /// DtypeError for a number that the dtype cannot hold, such as 0.5 or 1e30 beside int64.
  const Tensor& as(Dtype dtype, const char* operation);
  /// Whether it is a C++ number, and which.
  bool is_number() const { return !tensor_ && !number_; }
  const ExactNumber& as_number() const { return value_; }

  Location site;

 private:
  Tensor own_;
  const Tensor* tensor_ = nullptr;
  ExactNumber value_ = 0;
  std::uint64_t number_ = 0;
};

// ---- elementwise, with NumPy broadcasting -----------------------------------------------------------------------------------------

#define WENGERT_OPERATOR(F, op) Tensor operator op(Operand a, Operand b);
WENGERT_ARITHMETIC(WENGERT_OPERATOR)  // + - * /
#undef WENGERT_OPERATOR
Tensor& operator+=(Tensor& a, Operand b);  ///< a = a + b, differentiable: values recorded before do not change
Tensor& operator-=(Tensor& a, Operand b);  ///< a = a - b
Tensor& operator*=(Tensor& a, Operand b);  ///< a = a * b
Tensor& operator/=(Tensor& a, Operand b);  ///< a = a / b

/// Element by element, each of functions.h: exp log sqrt square abs negative sin cos tanh sigmoid relu ... Shape in, same shape out.
/// Floating dtypes, and int64 where the function has integer values (square, abs, negative, sign, relu); otherwise a DtypeError. A
/// parameter of a function that is out of range is a ValueError: low > high in hardtanh, the beta of softplus 0.
#define WENGERT_FUNCTION(F, name) \
  inline Tensor name(const Tensor& x, Location site = Location::here()) { return detail::map(fn::F{}, x, site); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default)                                                 \
  inline Tensor name(const Tensor& x, double p = p_default, Location site = Location::here()) { \
    return detail::map(fn::checked(fn::F{p}), x, site);                                         \
  }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                                         \
  inline Tensor name(const Tensor& x, double p = p_default, double q = q_default, Location site = Location::here()) { \
    return detail::map(fn::checked(fn::F{p, q}), x, site);                                                            \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
/// -x, of a tensor or an expression.
inline Tensor operator-(Operand x) { return negative(x.as(float64, "negative"), x.site); }
/// Of two operands, broadcast: pow maximum minimum atan2 hypot logaddexp xlogy. int64 for maximum and minimum too.
#define WENGERT_FUNCTION(F, name) Tensor name(Operand a, Operand b);
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

/// a where the boolean `condition` is true, b elsewhere; all three broadcast.
Tensor where(const Tensor& condition, Operand a, Operand b);
/// Comparisons give boolean tensors and are not differentiated. int64 compares exactly with integers and with numbers beyond its range.
Tensor operator<(Operand a, Operand b);
Tensor operator<=(Operand a, Operand b);
Tensor operator>(Operand a, Operand b);
Tensor operator>=(Operand a, Operand b);
Tensor operator==(Operand a, Operand b);
Tensor operator!=(Operand a, Operand b);

/// An operand of a logical operation: a boolean tensor, or a bool; and the caller's file and line.
class LogicalOperand {
 public:
  LogicalOperand(const Tensor& t, Location site = Location::here()) : site(site), tensor(t.constant()) {}
  LogicalOperand(std::same_as<bool> auto value, Location site = Location::here())
      : site(site), tensor(Tensor::full({}, value, boolean, site)) {}
  Location site;
  Tensor tensor;
};
/// Elementwise logic of boolean tensors, which comparisons return; operands broadcast: `(x > 0) && !isnan(y)`. Both operands are always
/// evaluated. `&`, `|` and `^` are NumPy's names. Other dtypes are a DtypeError. Not differentiated.
Tensor logical_and(const LogicalOperand& a, const LogicalOperand& b);
Tensor logical_or(const LogicalOperand& a, const LogicalOperand& b);
Tensor logical_xor(const LogicalOperand& a, const LogicalOperand& b);
Tensor logical_not(const LogicalOperand& a);
Tensor operator&&(const LogicalOperand& a, const LogicalOperand& b);
Tensor operator||(const LogicalOperand& a, const LogicalOperand& b);
Tensor operator!(const LogicalOperand& a);
Tensor operator&(const LogicalOperand& a, const LogicalOperand& b);
Tensor operator|(const LogicalOperand& a, const LogicalOperand& b);
Tensor operator^(const LogicalOperand& a, const LogicalOperand& b);
/// Boolean tensors: where x is NaN, is infinite, or is finite. Integers and booleans are finite.
Tensor isnan(const Tensor& x, Location site = Location::here());
Tensor isinf(const Tensor& x, Location site = Location::here());
Tensor isfinite(const Tensor& x, Location site = Location::here());

// ---- linear algebra ---------------------------------------------------------------------------------------------------------------

/// Matrix product by NumPy's rules: (..., m, k) @ (..., k, n) -> (..., m, n); leading dimensions broadcast. A vector on the left is a row,
/// one on the right a column; the added dimension is dropped from the result.
Tensor matmul(const Tensor& a, const Tensor& b, Location site = Location::here());
/// x W^T + b: input (..., in), weight (out, in), bias (out) -> (..., out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Location site = Location::here());
Tensor linear(const Tensor& x, const Tensor& weight, Location site = Location::here());
/// relu(x W^T + b) as one operation; Sequential uses it for adjacent layers. Shapes as for linear.
Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, Location site = Location::here());
Tensor linear_relu(const Tensor& x, const Tensor& weight, Location site = Location::here());

/// (n) . (n) -> rank 0.
Tensor dot(const Tensor& a, const Tensor& b, Location site = Location::here());
/// Outer product: (m), (n) -> (m, n).
Tensor outer(const Tensor& a, const Tensor& b, Location site = Location::here());
/// Batched matrix product: (b, m, k) @ (b, k, n) -> (b, m, n), without broadcasting.
Tensor bmm(const Tensor& a, const Tensor& b, Location site = Location::here());
/// beta c + alpha (a @ b), for matrices a and b; c broadcasts to the product.
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double alpha = 1, double beta = 1, Location site = Location::here());
/// Sums of products in Einstein's notation, as in "ij,jk->ik": letters name dimensions, "..." stands for any number of leading dimensions
/// that broadcast; without an arrow the result has the letters that occur once, in alphabetical order.
Tensor einsum(std::string_view equation, std::span<const Tensor> x, Location site = Location::here());
inline Tensor einsum(std::string_view equation, std::initializer_list<Tensor> x, Location site = Location::here()) {
  return einsum(equation, std::span(x.begin(), x.size()), site);
}
/// The inverse of square matrices (..., n, n). A singular matrix is a MatrixError that names the pivot.
Tensor inverse(const Tensor& a, Location site = Location::here());
/// The solution X of A X = B, for A (..., n, n) and B (..., n, k), or B (n); leading dimensions broadcast.
Tensor solve(const Tensor& a, const Tensor& b, Location site = Location::here());
/// The same for a lower (or upper) triangular matrix; its other triangle is not read.
Tensor solve_triangular(const Tensor& l, const Tensor& b, bool upper = false, Location site = Location::here());
/// Determinant: (..., n, n) -> (...). The gradient is the matrix of cofactors, for singular matrices, too.
Tensor det(const Tensor& a, Location site = Location::here());
/// det = sign e^logarithm
struct SignAndLogarithm {
  Tensor sign, logarithm;
};
/// The sign of det A (0 for a singular matrix; not differentiated), and ln |det A|, without overflow.
SignAndLogarithm slogdet(const Tensor& a, Location site = Location::here());
/// ln det A: -inf for a singular matrix. Where the determinant is negative, the value and its gradient are NaN.
Tensor logdet(const Tensor& a, Location site = Location::here());
/// The lower triangular L with L L^T = (A + A^T) / 2. A matrix that is not positive definite is a MatrixError that names the leading minor.
Tensor cholesky(const Tensor& a, Location site = Location::here());

// ---- reductions -------------------------------------------------------------------------------------------------------------------

/// Options of a reduction over some dimensions, which are dropped from the result unless `keepdim` keeps them with size 1:
/// `sum(x, 1, {.keepdim = true})`.
struct ReductionOptions {
  bool keepdim = false;
};
struct VarianceOptions {
  bool keepdim = false;
  Integer correction = 1;  ///< subtracted from the number of elements; 0 for the variance of a whole population
};
/// The sum over all elements -> rank 0; or over the given dimensions, as in `sum(x, 1)` and `sum(x, {0, -1})`.
Tensor sum(const Tensor& x, Location site = Location::here());
Tensor sum(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor sum(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return sum(x, Dims{dim}, options, site);
}
/// The mean, as for sum; NaN over no elements.
Tensor mean(const Tensor& x, Location site = Location::here());
Tensor mean(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor mean(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return mean(x, Dims{dim}, options, site);
}
/// The product, as for sum; 1 over no elements. Gradients are exact where elements are 0.
Tensor prod(const Tensor& x, Location site = Location::here());
Tensor prod(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor prod(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return prod(x, Dims{dim}, options, site);
}
/// ln sum e^x without overflow; -inf, with gradient 0, over no elements and where all elements are -inf.
Tensor logsumexp(const Tensor& x, Location site = Location::here());
Tensor logsumexp(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor logsumexp(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return logsumexp(x, Dims{dim}, options, site);
}
/// Variance: the sum of squared deviations from the mean, divided by (number of elements - correction).
Tensor var(const Tensor& x, Location site = Location::here());
Tensor var(const Tensor& x, const Dims& dims, const VarianceOptions& options = {}, Location site = Location::here());
Tensor var(const Tensor& x, IntegerType auto dim, const VarianceOptions& options = {}, Location site = Location::here()) {
  return var(x, Dims{dim}, options, site);
}
/// Standard deviation: the square root of var, with gradient 0 where it is 0.
Tensor stddev(const Tensor& x, Location site = Location::here());
Tensor stddev(const Tensor& x, const Dims& dims, const VarianceOptions& options = {}, Location site = Location::here());
Tensor stddev(const Tensor& x, IntegerType auto dim, const VarianceOptions& options = {}, Location site = Location::here()) {
  return stddev(x, Dims{dim}, options, site);
}
/// (sum |x|^p)^(1/p) for p >= 1, including infinity, without overflow of powers. The gradient at the zero vector is 0.
Tensor norm(const Tensor& x, double p = 2, Location site = Location::here());
Tensor norm(const Tensor& x, double p, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor norm(const Tensor& x, double p, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return norm(x, p, Dims{dim}, options, site);
}

/// The largest element (NaN if any element is NaN); ties share the gradient evenly.
Tensor max(const Tensor& x, Location site = Location::here());
/// The largest elements along the dimensions; ties share the gradient evenly. An empty dimension is a ShapeError.
Tensor max(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor max(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return max(x, Dims{dim}, options, site);
}
/// The smallest element, as for max.
Tensor min(const Tensor& x, Location site = Location::here());
Tensor min(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor min(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return min(x, Dims{dim}, options, site);
}
/// Elements, and their positions along a dimension, int64.
struct ValuesAndIndices {
  Tensor values, indices;
};
/// The largest (smallest) element along a dimension and its first position, which takes the whole gradient.
ValuesAndIndices max_dim(const Tensor& x, Index dim, const ReductionOptions& options = {}, Location site = Location::here());
ValuesAndIndices min_dim(const Tensor& x, Index dim, const ReductionOptions& options = {}, Location site = Location::here());
/// The position of the first largest (smallest) element along a dimension, or in row-major order; that of the first NaN if there is one.
/// int64, not differentiated.
Tensor argmax(const Tensor& x, Location site = Location::here());
Tensor argmax(const Tensor& x, Index dim, const ReductionOptions& options = {}, Location site = Location::here());
Tensor argmin(const Tensor& x, Location site = Location::here());
Tensor argmin(const Tensor& x, Index dim, const ReductionOptions& options = {}, Location site = Location::here());
/// Whether any (all) elements of a boolean tensor are true -> boolean; over no elements false (true). Dimensions as for sum.
Tensor any(const Tensor& x, Location site = Location::here());
Tensor any(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor any(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return any(x, Dims{dim}, options, site);
}
Tensor all(const Tensor& x, Location site = Location::here());
Tensor all(const Tensor& x, const Dims& dims, const ReductionOptions& options = {}, Location site = Location::here());
Tensor all(const Tensor& x, IntegerType auto dim, const ReductionOptions& options = {}, Location site = Location::here()) {
  return all(x, Dims{dim}, options, site);
}

/// Running sums, products and logsumexps along a dimension, in the shape of x.
Tensor cumsum(const Tensor& x, Index dim, Location site = Location::here());
Tensor cumprod(const Tensor& x, Index dim, Location site = Location::here());
Tensor logcumsumexp(const Tensor& x, Index dim, Location site = Location::here());
/// Undoes a broadcast: sums over the dimensions that broadcasting `shape` to the shape of x added or repeated.
Tensor sum_to(const Tensor& x, const Shape& shape, Location site = Location::here());

// ---- shapes: views of the same elements where possible ----------------------------------------------------------------------------

/// The same elements in row-major order in another shape; one size may be -1, which is inferred. A copy if x is not row-major.
Tensor reshape(const Tensor& x, const Shape& shape, Location site = Location::here());
/// Merges the dimensions first..last into one.
Tensor flatten(const Tensor& x, Index first = 0, Index last = -1, Location site = Location::here());
/// Swaps two dimensions, by default the last two.
Tensor transpose(const Tensor& x, Index dim0 = -2, Index dim1 = -1, Location site = Location::here());
/// Dimension i of the result is dimension dims[i] of x.
Tensor permute(const Tensor& x, const Dims& dims, Location site = Location::here());
/// Repeats dimensions of size 1, and new leading ones, up to `shape`, without copying.
Tensor expand(const Tensor& x, const Shape& shape, Location site = Location::here());
/// Drops a dimension of size 1, or all of them.
Tensor squeeze(const Tensor& x, Location site = Location::here());
Tensor squeeze(const Tensor& x, Index dim, Location site = Location::here());
/// Adds a dimension of size 1 before `dim`.
Tensor unsqueeze(const Tensor& x, Index dim, Location site = Location::here());
/// The positions start, start + step, ... before stop along a dimension; start and stop may be negative, and are clipped; step > 0.
Tensor slice(const Tensor& x, Index dim, Index start, Index stop, Index step = 1, Location site = Location::here());
/// `length` positions from `start` on, all within the dimension.
Tensor narrow(const Tensor& x, Index dim, Index start, Index length, Location site = Location::here());
/// Parts of the given sizes along a dimension; the sizes must sum to that of the dimension.
std::vector<Tensor> split(const Tensor& x, const Shape& sizes, Index dim = 0, Location site = Location::here());
/// At most `chunks` parts of ceil(n / chunks) positions along a dimension of size n; the last one has the remaining positions.
std::vector<Tensor> chunk(const Tensor& x, Index chunks, Index dim = 0, Location site = Location::here());
/// One position along a dimension, which is dropped.
Tensor select(const Tensor& x, Index dim, Index index, Location site = Location::here());
/// Joins tensors along a dimension; the other sizes must agree.
Tensor concat(std::span<const Tensor> x, Index dim = 0, Location site = Location::here());
inline Tensor concat(std::initializer_list<Tensor> x, Index dim = 0, Location site = Location::here()) {
  return concat(std::span(x.begin(), x.size()), dim, site);
}
/// Joins tensors of one shape along a new dimension.
Tensor stack(std::span<const Tensor> x, Index dim = 0, Location site = Location::here());
inline Tensor stack(std::initializer_list<Tensor> x, Index dim = 0, Location site = Location::here()) {
  return stack(std::span(x.begin(), x.size()), dim, site);
}
/// Scalars -> a vector: the crossing from scalars to tensors. Scalars are doubles; float64 keeps all digits.
Tensor stack(std::span<const Scalar> s, Dtype dtype = float32, Location site = Location::here());
inline Tensor stack(std::initializer_list<Scalar> s, Dtype dtype = float32, Location site = Location::here()) {
  return stack(std::span(s.begin(), s.size()), dtype, site);
}

/// Reverses the given dimensions: a view.
Tensor flip(const Tensor& x, const Dims& dims, Location site = Location::here());
/// Shifts the elements by shifts[i] positions towards the end of dimension dims[i]; those beyond the end wrap around to the front.
Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims, Location site = Location::here());
/// Repeats x repeats[d] times along each dimension; new leading dimensions are allowed (NumPy's tile).
Tensor repeat(const Tensor& x, const Dims& repeats, Location site = Location::here());
/// `value` before and after each dimension, as often as the widths say; a negative width crops.
Tensor pad(const Tensor& x, const Dims& before, const Dims& after, ExactNumber value = 0, Location site = Location::here());
/// Elements of x instead: mirrored at the edge, which is not repeated; the edge itself; from the other end.
enum class Padding { reflect, replicate, circular };
/// Pads with elements of x.
Tensor pad(const Tensor& x, const Dims& before, const Dims& after, Padding padding, Location site = Location::here());
/// The matrices (last two dimensions) with zeros above (tril) or below (triu) the diagonal `diagonal` columns right of the main one.
Tensor tril(const Tensor& x, Index diagonal = 0, Location site = Location::here());
Tensor triu(const Tensor& x, Index diagonal = 0, Location site = Location::here());
/// (..., m, n) -> (..., k): the diagonal `offset` columns right of the main one. The trace is the sum of the main diagonal.
Tensor diagonal(const Tensor& x, Index offset = 0, Location site = Location::here());
Tensor trace(const Tensor& x, Location site = Location::here());
/// The elements along a dimension in ascending or descending order, with their positions. Equal ones keep their order; NaN is largest.
ValuesAndIndices sort(const Tensor& x, Index dim = -1, bool descending = false, Location site = Location::here());
/// The k largest (or smallest) elements along a dimension, in descending (ascending) order, and their positions.
ValuesAndIndices topk(const Tensor& x, Index k, Index dim = -1, bool largest = true, Location site = Location::here());

// ---- elements at given positions --------------------------------------------------------------------------------------------------

/// The positions `index` (int64, rank 1, in [0, n)) along a dimension, in that order.
Tensor index_select(const Tensor& x, Index dim, const Tensor& index, Location site = Location::here());
/// y[i][j] = x[index[i][j]][j] for dim 0, and so on. The result has the shape of `index`, which must have the rank of x and be no larger
/// than x, except along `dim`.
Tensor gather(const Tensor& x, Index dim, const Tensor& index, Location site = Location::here());
/// A copy of x with source added at the positions `index` (rank 1) along a dimension; positions may repeat.
Tensor index_add(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site = Location::here());
/// A copy of x with y[index[i][j]][j] += source[i][j] for dim 0, and so on; source has the shape of `index`.
Tensor scatter_add(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site = Location::here());
/// `value` where the boolean mask, which broadcasts to x, is true; x elsewhere.
Tensor masked_fill(const Tensor& x, const Tensor& mask, ExactNumber value, Location site = Location::here());
/// The elements of `source`, in row-major order, where the boolean mask, which broadcasts to x, is true; x elsewhere. `source` must have
/// as many elements as the mask, broadcast, has true ones.
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source, Location site = Location::here());
/// The elements of x where the boolean mask is true, in row-major order -> rank 1; x and mask broadcast.
Tensor masked_select(const Tensor& x, const Tensor& mask, Location site = Location::here());
/// The positions where x is not 0 (or is true), in row-major order: int64 (count, rank). Not differentiated.
Tensor nonzero(const Tensor& x, Location site = Location::here());

/// A copy of x with x(index...) replaced by `value`, which broadcasts: `slice_update(x, {Range(0, 3), 1}, value)`. This is the
/// differentiable form of assignment to a part; x itself does not change. Indices as for x(index...).
Tensor slice_update(const Tensor& x, Subscripts index, Operand value);
struct IndexPutOptions {
  bool accumulate = false;  ///< add to the elements instead of replacing them
};
/// A copy of x with x[i[0][k], i[1][k], ...] replaced by `values` for every position k of the indices: int64 tensors in [0, n), one for
/// each of the first dimensions of x, that broadcast to one shape. `values` broadcasts to that shape followed by the sizes of the other
/// dimensions of x. Of several values for one position, the last in row-major order counts, and it alone gets a gradient; with
/// `.accumulate` all are added.
Tensor index_put(const Tensor& x, std::span<const Tensor> indices, Operand&& values, const IndexPutOptions& options = {});
inline Tensor index_put(const Tensor& x, std::initializer_list<Tensor> indices, Operand&& values, const IndexPutOptions& options = {}) {
  return index_put(x, std::span(indices.begin(), indices.size()), std::move(values), options);
}
/// A copy of x with y[index[i][j]][j] = source[i][j] for dim 0, and so on; source has the shape of `index`, which fits x as for `gather`.
/// Of several elements for one position, the last in row-major order counts, and it alone gets a gradient.
Tensor scatter(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site = Location::here());

// ---- convolution and pooling: images (n, channels, height, width) or sequences (n, channels, length) ------------------------------

/// One number for height and width, or one for each: {.stride = 2}, {.stride = {2, 1}}.
struct HeightWidth {
  constexpr HeightWidth(IntegerType auto both) : height(static_cast<Index>(both)), width(height) {}
  constexpr HeightWidth(Integer height, Integer width) : height(height), width(width) {}
  Index height, width;
};

struct Conv1dOptions {
  Index stride = 1;    ///< distance between outputs, in the input
  Index padding = 0;   ///< zeros before and after the input
  Index dilation = 1;  ///< distance between the weight's positions, in the input
  Index groups = 1;    ///< groups of input channels, each with separate output channels
};
/// Cross-correlation: x (n, in, l), weight (out, in / groups, k), bias (out) -> (n, out, m), where
/// m = (l + 2 padding - dilation (k - 1) - 1) / stride + 1.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options = {},
              Location site = Location::here());
Tensor conv1d(const Tensor& x, const Tensor& weight, const Conv1dOptions& options = {}, Location site = Location::here());

struct Conv2dOptions {
  HeightWidth stride = 1, padding = 0, dilation = 1;
  Index groups = 1;
};
/// The same for images: x (n, in, h, w), weight (out, in / groups, kh, kw), bias (out).
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {},
              Location site = Location::here());
Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options = {}, Location site = Location::here());

/// relu(conv2d(x, weight, bias, options)), followed by max_pool2d with windows of p x p if pool = p > 1, as one operation where that is
/// faster. Sequential uses it for adjacent layers. The bias may be Tensor().
Tensor conv2d_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {}, Index pool = 1,
                   Location site = Location::here());

struct ConvTranspose2dOptions {
  HeightWidth stride = 1, padding = 0;
  HeightWidth output_padding = 0;  ///< additional rows and columns at the end, fewer than the stride or the dilation
  HeightWidth dilation = 1;
  Index groups = 1;
};
/// Transposed convolution: x (n, in, h, w), weight (in, out / groups, kh, kw), bias (out) -> (n, out, ...), where
/// h -> (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose2dOptions& options = {},
                        Location site = Location::here());
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const ConvTranspose2dOptions& options = {},
                        Location site = Location::here());

struct MaxPool2dOptions {
  HeightWidth stride = 0;   ///< 0: the kernel
  HeightWidth padding = 0;  ///< at most half the kernel
  HeightWidth dilation = 1;
  bool ceil_mode = false;  ///< a last window that hangs over the end, if it starts inside
};
/// The largest element of each window: (n, c, h, w) -> (n, c, (h + 2 padding - dilation (kernel - 1) - 1) / stride + 1, ...). The first of
/// several equal elements takes the gradient. NaN counts as larger than every number, padding as smaller.
Tensor max_pool2d(const Tensor& x, HeightWidth kernel, const MaxPool2dOptions& options = {}, Location site = Location::here());
/// The same, with the positions of the elements as row * w + column, int64.
ValuesAndIndices max_pool2d_with_indices(const Tensor& x, HeightWidth kernel, const MaxPool2dOptions& options = {},
                                         Location site = Location::here());

struct AvgPool2dOptions {
  HeightWidth stride = 0;         ///< 0: the kernel
  HeightWidth padding = 0;        ///< at most half the kernel
  bool ceil_mode = false;         ///< a last window that hangs over the end, if it starts inside
  bool count_include_pad = true;  ///< whether the padding's zeros count for the mean
};
/// The mean of each window; shapes as for max_pool2d.
Tensor avg_pool2d(const Tensor& x, HeightWidth kernel, const AvgPool2dOptions& options = {}, Location site = Location::here());
/// The means of as many windows as the result has elements, which together cover the image: row i is the mean of the rows
/// [i h / size, (i + 1) h / size), rounded outwards. (n, c, h, w) -> (n, c, size).
Tensor adaptive_avg_pool2d(const Tensor& x, HeightWidth size, Location site = Location::here());

struct MaxPool1dOptions {
  Index stride = 0, padding = 0, dilation = 1;
  bool ceil_mode = false;
};
/// The same for sequences: (n, c, l) -> (n, c, ...).
Tensor max_pool1d(const Tensor& x, Index kernel, const MaxPool1dOptions& options = {}, Location site = Location::here());
/// Options of avg_pool1d, which is avg_pool2d for sequences (n, c, l).
struct AvgPool1dOptions {
  Index stride = 0, padding = 0;
  bool ceil_mode = false, count_include_pad = true;
};
/// The mean of each window of a sequence: (n, c, l) -> (n, c, ...).
Tensor avg_pool1d(const Tensor& x, Index kernel, const AvgPool1dOptions& options = {}, Location site = Location::here());

// ---- classification ---------------------------------------------------------------------------------------------------------------

/// e^x_i / sum_j e^x_j along a dimension. A row of -inf gives NaN.
Tensor softmax(const Tensor& x, Index dim = -1, Location site = Location::here());
/// ln softmax, without overflow or loss of digits.
Tensor log_softmax(const Tensor& x, Index dim = -1, Location site = Location::here());
/// int64, in the shape of `index` (int64, in [0, classes)) and a last dimension of size `classes`: 1 at the index, 0 elsewhere.
Tensor one_hot(const Tensor& index, Index classes, Location site = Location::here());
/// How per-example losses are combined: their mean, their sum, their sum divided by the size of the first dimension, or not at all.
enum class Reduction : std::uint8_t { mean, sum, batch_mean, none };
struct CrossEntropyOptions {
  Reduction reduction = Reduction::mean;
  Tensor class_weight = {};    ///< (c), of the logits' dtype; undefined: all 1
  Index ignore_index = -100;   ///< positions with this label are ignored
  double label_smoothing = 0;  ///< in [0, 1]: the share of the target that is spread evenly over the classes
};
/// -log_softmax(logits)[label] for logits (n, c, ...) and int64 labels (n, ...) in [0, c); or logits (c) and one label. Each loss is
/// multiplied by its label's class weight; the mean divides by the sum of these weights, and is NaN with gradient 0 if all labels are
/// ignored. A floating target in the logits' shape gives the probabilities of the classes instead, and the mean is over all positions.
/// A ValueError if the tape shows that the logits are the result of softmax, which is taken here.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {}, Location site = Location::here());

struct NllOptions {
  Reduction reduction = Reduction::mean;
  Tensor class_weight = {};
  Index ignore_index = -100;
};
/// cross_entropy with labels, for log-probabilities in place of logits: -log_p[label].
Tensor nll(const Tensor& log_p, const Tensor& labels, const NllOptions& options = {}, Location site = Location::here());

// ---- normalisation and noise ------------------------------------------------------------------------------------------------------

struct NormalizationOptions {
  Tensor weight = {}, bias = {};  ///< undefined: 1 and 0
  double eps = 1e-5;              ///< added to the variance
};
/// (x - mean) / sqrt(variance + eps) weight + bias, over the last dimensions, whose sizes must be `normalized`; weight and bias have that
/// shape. Variances are biased: divided by the number of elements.
Tensor layer_norm(const Tensor& x, const Shape& normalized, const NormalizationOptions& options = {}, Location site = Location::here());
/// The same for x (n, c, ...), over each example and each of `groups` groups of adjacent channels; weight and bias (c).
Tensor group_norm(const Tensor& x, Index groups, const NormalizationOptions& options = {}, Location site = Location::here());
/// group_norm with one group for each channel.
Tensor instance_norm(const Tensor& x, const NormalizationOptions& options = {}, Location site = Location::here());
/// x / sqrt(mean of x^2 + eps) weight, over the last dimension; weight has its size.
Tensor rms_norm(const Tensor& x, const NormalizationOptions& options = {}, Location site = Location::here());

struct BatchNormOptions {
  Tensor weight = {}, bias = {};  ///< (c); undefined: 1 and 0
  bool training = false;
  double momentum = 0.1;  ///< weight of the new statistics in the running ones
  double eps = 1e-5;      ///< added to the variance
};
/// The normalized tensor, and the running statistics after this batch.
struct BatchNormResult {
  Tensor y;
  Tensor running_mean, running_var;  ///< constants: updated in training, as given otherwise
};
/// Normalises each channel of x (n, c, ...): in training by its mean and biased variance over the batch, which must have more than one
/// value for each channel; otherwise by the running statistics (c). The running variance is updated with the unbiased one. In training the
/// running statistics may be undefined, and remain so.
BatchNormResult batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const BatchNormOptions& options = {},
                           Location site = Location::here());

/// Sets elements to zero with probability p and divides the others by 1 - p; x itself for p = 0. The mask depends only on the generator,
/// which advances.
Tensor dropout(const Tensor& x, double p = 0.5, Generator& generator = default_generator(), Location site = Location::here());
/// x where x > 0, weight x elsewhere: one weight, or one for each channel (dimension 1).
Tensor prelu(const Tensor& x, const Tensor& weight, Location site = Location::here());

// ---- words and attention ----------------------------------------------------------------------------------------------------------

/// The rows of weight (n, d) at the positions `index` (int64, any shape, in [0, n)) -> index.shape + (d). The row `padding` gets no
/// gradient.
Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<Integer> padding = {}, Location site = Location::here());

struct AttentionOptions {
  Tensor mask = {};                ///< broadcasts to (..., l, s): added to the scores; or boolean, true where the query may see the key
  bool causal = false;             ///< query i sees only the keys up to i
  double dropout = 0;              ///< probability for the weights
  Generator* generator = nullptr;  ///< for the dropout; null: the default generator
};
/// What attention returns.
struct Attention {
  Tensor output, weights;
};
/// softmax(q k^T / sqrt(d) + mask) v: q (..., l, d), k (..., s, d), v (..., s, e) -> output (..., l, e) and the weights (..., l, s).
/// For a query that may see no key, weights, output and gradients are 0.
Attention scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options = {},
                                       Location site = Location::here());

/// The weights of attention with several heads; e is the size of an embedding.
struct MultiheadWeights {
  Tensor in_weight, in_bias;    ///< (3 e, e), with the rows for queries, keys and values in this order; (3 e), or undefined
  Tensor out_weight, out_bias;  ///< (e, e); (e), or undefined
};
struct MultiheadOptions {
  Index heads = 1;
  Tensor attention_mask = {};  ///< (l, s) or (n heads, l, s): added to the scores; or boolean, true where a key is *hidden*
  Tensor padding_mask = {};    ///< (n, s) boolean, true for keys to ignore
  double dropout = 0;          ///< probability for the weights
  Generator* generator = nullptr;
};
/// Attention with `heads` heads, each on e / heads columns of the projected query (l, n, e), key and value (s, n, e) -> output (l, n, e)
/// and the weights (n, l, s), averaged over the heads.
Attention multihead_attention(const Tensor& query, const Tensor& key, const Tensor& value, const MultiheadWeights& weights,
                              const MultiheadOptions& options, Location site = Location::here());

// ---- recurrence -------------------------------------------------------------------------------------------------------------------

/// The weights of one layer and direction: (gates hidden, in), (gates hidden, hidden), and biases (gates hidden), both or neither.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh, bias_ih = {}, bias_hh = {};
};
/// The activation of a plain recurrent cell.
enum class Nonlinearity : std::uint8_t { tanh, relu };
/// f(x W_ih^T + b_ih + h W_hh^T + b_hh): x (n, in), h (n, hidden) -> the new h.
Tensor rnn_cell(const Tensor& x, const Tensor& h, const RecurrentWeights& w, Nonlinearity f = Nonlinearity::tanh,
                Location site = Location::here());
/// Gated recurrent unit, three gates r, z, n (reset, update, new): h' = (1 - z) n + z h with n = tanh(x_n + r h_n), the reset gate on the
/// biased recurrent term.
Tensor gru_cell(const Tensor& x, const Tensor& h, const RecurrentWeights& w, Location site = Location::here());
/// The state of an LSTM: the hidden state h and the cell c, both (n, hidden).
struct LstmState {
  Tensor h, c;
};
/// Long short-term memory, four gates i, f, g, o (input, forget, cell, output): c' = f c + i g, h' = o tanh(c').
LstmState lstm_cell(const Tensor& x, const LstmState& state, const RecurrentWeights& w, Location site = Location::here());

struct RecurrentOptions {
  bool bidirectional = false;
  bool batch_first = false;  ///< x and output are (n, t, ...)
  double dropout = 0;        ///< between layers
  Generator* generator = nullptr;
  Tensor lengths = {};  ///< (n) int64: lengths of the sequences; beyond, states stay and outputs are 0. Undefined: all are t
};
/// What a recurrent network returns for whole sequences.
struct Sequence {
  Tensor output;  ///< (t, n, directions hidden) of the last layer, the forward direction first
  Tensor h;       ///< (layers directions, n, hidden): the last states, layer by layer
};
/// What an LSTM returns for whole sequences.
struct LstmSequence {
  Tensor output;
  LstmState state;
};
/// Whole sequences x (t, n, in) through layers of cells: w has the weights of layer 0, forward and, if bidirectional, backward, then those
/// of layer 1, ... Initial states have the shape of the last states; undefined means 0.
Sequence rnn(const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, Nonlinearity f, const RecurrentOptions& options = {},
             Location site = Location::here());
Sequence gru(const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& options = {},
             Location site = Location::here());
LstmSequence lstm(const Tensor& x, const LstmState& state, std::span<const RecurrentWeights> w, const RecurrentOptions& options = {},
                  Location site = Location::here());

// ---- a bool is not a dimension, a size or an index ---------------------------------------------------------------------------------

// These take dimensions, sizes or indices. A bool there is a mistake, such as sum(x, true) for sum(x, {.keepdim = true}), and does not
// compile.
// clang-format off
#define WENGERT_TAKE_INDICES(F)                                                                                                         \
  F(sum) F(mean) F(prod) F(logsumexp) F(var) F(stddev) F(norm) F(max) F(min) F(any) F(all) F(max_dim) F(min_dim) F(argmax) F(argmin)    \
  F(cumsum) F(cumprod) F(logcumsumexp) F(flatten) F(transpose) F(squeeze) F(unsqueeze) F(slice) F(narrow) F(split) F(chunk) F(select)   \
  F(tril) F(triu) F(diagonal) F(index_select) F(gather) F(index_add) F(scatter_add) F(scatter) F(conv2d_relu) F(max_pool1d)             \
  F(avg_pool1d) F(softmax) F(log_softmax) F(one_hot) F(group_norm)
#define WENGERT_NO_BOOL(name)                                                                                                           \
  template <class... A> requires(std::same_as<A, bool> || ...) void name(const Tensor&, const A&...) = delete;
// clang-format on
WENGERT_TAKE_INDICES(WENGERT_NO_BOOL)
#undef WENGERT_NO_BOOL
#undef WENGERT_TAKE_INDICES
template <std::same_as<bool> B, class... A> void concat(std::initializer_list<Tensor>, B, const A&...) = delete;
template <std::same_as<bool> B, class... A> void concat(std::span<const Tensor>, B, const A&...) = delete;
template <std::same_as<bool> B, class... A> void stack(std::initializer_list<Tensor>, B, const A&...) = delete;
template <std::same_as<bool> B, class... A> void stack(std::span<const Tensor>, B, const A&...) = delete;
// These take a bool after the dimension.
template <std::same_as<bool> B, class... A> void sort(const Tensor&, B, const A&...) = delete;
template <std::same_as<bool> B, class... A> void topk(const Tensor&, B, const A&...) = delete;
template <std::same_as<bool> B, class... A> void topk(const Tensor&, Index, B, const A&...) = delete;

}  // namespace wengert
