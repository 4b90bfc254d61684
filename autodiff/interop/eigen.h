#pragma once
// Eigen's matrices of Scalars, eager Scalars and dual numbers, and Eigen's views of tensors. Needs Eigen 3.4, which the program brings.
//
// With the traits of this file every algorithm of Eigen takes these numbers. Products of matrices are better than that: an element of a
// small product is one statement, and a large product is one operation on tensors. `eigen::solve` is one operation too: the derivatives of
// a solution do not pass through the pivoting of its factorisation, and need no second one.
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#if !__has_include(<Eigen/Core>)
#error "autodiff/interop/eigen.h needs Eigen 3.4: install libeigen3-dev, or add the folder that contains Eigen/ to the include path"
#endif
#include <Eigen/Core>
#include <Eigen/LU>
#include <Eigen/SparseLU>
#include <algorithm>
#include <array>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/interop/recorded_number.h"
#include "autodiff/ops.h"
#include "autodiff/scalar/product_sum.h"
#include "autodiff/scalar/standard_functions.h"
#include "autodiff/tape/tape.h"
#include "autodiff/transforms/custom_operation.h"

namespace wengert::detail {

/// The traits of T, whose values are doubles.
template <class T> struct EigenTraits : Eigen::GenericNumTraits<T> {
  using Real = T;
  using NonInteger = T;
  using Nested = T;
  using Literal = double;
  enum { IsComplex = 0, IsInteger = 0, IsSigned = 1, RequireInitialization = 1, ReadCost = 2, AddCost = 4, MulCost = 4 };
  static T dummy_precision() { return Eigen::NumTraits<double>::dummy_precision(); }
};

/// Types whose operations are listed below: different ones, of which one is ours and the other ours or a C++ number.
template <class A, class B> concept EigenMixture =
    !std::same_as<A, B> && StandardOperands<A, B> && !std::is_enum_v<A> && !std::is_enum_v<B>;

/// Matrices whose product has elements that a tape records: of Scalars on one side at least, and of doubles otherwise.
template <class A, class B> concept EigenProduct = (RecordedNumber<typename A::Scalar> &&
                                                    (RecordedNumber<typename B::Scalar> || std::same_as<typename B::Scalar, double>)) ||
                                                   (RecordedNumber<typename B::Scalar> && std::same_as<typename A::Scalar, double>);

}  // namespace wengert::detail

namespace Eigen {

template <class V> struct NumTraits<wengert::BasicScalar<V>> : wengert::detail::EigenTraits<wengert::BasicScalar<V>> {};
template <class V> struct NumTraits<wengert::BasicEagerScalar<V>> : wengert::detail::EigenTraits<wengert::BasicEagerScalar<V>> {};
template <int N> struct NumTraits<wengert::Dual<N>> : wengert::detail::EigenTraits<wengert::Dual<N>> {};
/// Of an expression, those of its Scalars.
template <class F, class E> struct NumTraits<wengert::numeric::Unary<F, E>>
    : NumTraits<wengert::BasicScalar<typename wengert::numeric::Unary<F, E>::Value>> {};
template <class F, class L, class R> struct NumTraits<wengert::numeric::Binary<F, L, R>>
    : NumTraits<wengert::BasicScalar<typename wengert::numeric::Binary<F, L, R>::Value>> {};

template <class A, class B, class Op>
requires wengert::detail::EigenMixture<A, B>
struct ScalarBinaryOpTraits<A, B, Op> {
  using ReturnType = wengert::detail::Result<A, B>;
};
template <wengert::ScalarExpression E, class Op> struct ScalarBinaryOpTraits<E, E, Op> { using ReturnType = wengert::detail::Result<E>; };

}  // namespace Eigen

namespace wengert::eigen {

/// A matrix with elements in row-major order, as tensors have them.
template <class T> using RowMajorMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// ---- views --------------------------------------------------------------------------------------------------------------------------

/// A tensor of rank 2 or less as a matrix, without a copy: a vector is one column. T must be the tensor's element type, and the tensor in
/// row-major order (`contiguous()`), or this is an error of Tensor::data. The view is good as long as the tensor's elements.
template <Element T = double> Eigen::Map<const RowMajorMatrix<T>> view(const Tensor& t) {
  if (t.rank() > 2) throw ShapeError("eigen::view: the tensor has more than two dimensions; hint: view a part of it, t[i]");
  return {t.data<T>(), t.rank() > 0 ? t.size(0) : 1, t.rank() > 1 ? t.size(1) : 1};
}
/// The same, through which the elements can be changed. Elements that are shared with other tensors or a record are copied first.
template <Element T = double> Eigen::Map<RowMajorMatrix<T>> mutable_view(Tensor& t) {
  if (t.rank() > 2) throw ShapeError("eigen::mutable_view: the tensor has more than two dimensions");
  return {t.mutable_data<T>(), t.rank() > 0 ? t.size(0) : 1, t.rank() > 1 ? t.size(1) : 1};
}
/// A matrix of numbers as a tensor (rows, columns), or (size) for a vector type, without a copy: as Tensor::borrow, so the matrix must stay
/// unchanged as long as the tensor, its copies and records live.
template <class Derived>
requires Element<typename Derived::Scalar> Tensor borrow(const Eigen::PlainObjectBase<Derived>& m, Location site = Location::here()) {
  const std::span elements(m.data(), static_cast<std::size_t>(m.size()));
  if constexpr (Derived::IsVectorAtCompileTime) return Tensor::borrow(elements, {m.size()}, site);
  if constexpr (Derived::IsRowMajor) return Tensor::borrow(elements, {m.rows(), m.cols()}, site);
  return transpose(Tensor::borrow(elements, {m.cols(), m.rows()}, site));
}
template <class Derived> Tensor borrow(const Eigen::PlainObjectBase<Derived>&&, Location = {}) = delete;  // a temporary

// ---- crossings ----------------------------------------------------------------------------------------------------------------------

/// A matrix of doubles or Scalars as a float64 tensor (rows, columns), or (size) for a vector type. Recorded, as `stack` is.
template <class Derived> Tensor to_tensor(const Eigen::DenseBase<Derived>& m, Location site = Location::here()) {
  using T = typename Derived::Scalar;
  const Shape shape = Derived::IsVectorAtCompileTime ? Shape{m.size()} : Shape{m.rows(), m.cols()};
  if constexpr (std::is_arithmetic_v<T>) {
    Tensor t = Tensor::uninitialized({m.rows(), m.cols()}, float64, site);
    mutable_view(t) = m.derived().template cast<double>();
    return t.rank() == static_cast<int>(shape.size()) ? t : reshape(t, shape);
  } else {
    std::vector<Scalar> elements;
    elements.reserve(static_cast<std::size_t>(m.size()));
    const typename Eigen::internal::evaluator<Derived> at(m.derived());
    for (Eigen::Index i = 0; i < m.rows(); ++i)
      for (Eigen::Index j = 0; j < m.cols(); ++j) elements.emplace_back(at.coeff(i, j));
    const Tensor t = stack(std::span<const Scalar>(elements), float64, site);
    return shape.size() == 1 ? t : reshape(t, shape);
  }
}
/// A tensor of rank 2 or less as a matrix of Scalars, or of another type that they convert to; a vector is one column. Recorded.
template <class T = Scalar> Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> to_matrix(const Tensor& t) {
  if (t.rank() > 2) throw ShapeError("eigen::to_matrix: the tensor has more than two dimensions; hint: convert a part of it, t[i]");
  Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> m(t.rank() > 0 ? t.size(0) : 1, t.rank() > 1 ? t.size(1) : 1);
  const Tensor matrix = t.rank() == 2 ? t : reshape(t, {m.rows(), m.cols()});
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) m(i, j) = matrix(i, j);
  return m;
}

}  // namespace wengert::eigen

namespace wengert::detail {

/// Products with as many multiplications as this, or more, are one operation on tensors.
constexpr Eigen::Index kTensorProduct = 4096;

template <class V, class Left, class Right> BasicScalar<V> inner_product(Eigen::Index n, const Left& left, const Right& right) {
  ProductSum<V> sum;
  for (Eigen::Index k = 0; k < n; ++k) sum.add(eager_operand(left(k)), eager_operand(right(k)));
  return sum.result();
}

/// A product as Eigen calls it; `f(to, value)` sets or adds an element.
template <class Lhs, class Rhs> struct EigenProductRule {
  using Element = Result<typename Lhs::Scalar, typename Rhs::Scalar>;
  using V = typename Element::Value;

  template <class Dst> static void evalTo(Dst& dst, const Lhs& lhs, const Rhs& rhs) {
    each(dst, lhs, rhs, [](auto& to, const Element& e) { to = e; });
  }
  template <class Dst> static void addTo(Dst& dst, const Lhs& lhs, const Rhs& rhs) {
    each(dst, lhs, rhs, [](auto& to, const Element& e) { to += e; });
  }
  template <class Dst> static void subTo(Dst& dst, const Lhs& lhs, const Rhs& rhs) {
    each(dst, lhs, rhs, [](auto& to, const Element& e) { to -= e; });
  }
  template <class Dst> static void scaleAndAddTo(Dst& dst, const Lhs& lhs, const Rhs& rhs, const auto& factor) {
    each(dst, lhs, rhs, [&](auto& to, const Element& e) { to += factor * e; });
  }

  template <class Dst> static void each(Dst& dst, const Lhs& lhs, const Rhs& rhs, const auto& f) {
    if constexpr (std::same_as<V, double>) {
      if (lhs.rows() * lhs.cols() * rhs.cols() >= kTensorProduct) {
        const Tensor y = matmul(matrix(lhs), matrix(rhs));
        for (Eigen::Index j = 0; j < dst.cols(); ++j)
          for (Eigen::Index i = 0; i < dst.rows(); ++i) f(dst.coeffRef(i, j), Element(y(i, j)));
        return;
      }
    }
    const typename Eigen::internal::nested_eval<Lhs, Rhs::ColsAtCompileTime>::type left(lhs);
    const typename Eigen::internal::nested_eval<Rhs, Lhs::RowsAtCompileTime>::type right(rhs);
    for (Eigen::Index j = 0; j < dst.cols(); ++j)
      for (Eigen::Index i = 0; i < dst.rows(); ++i)
        f(dst.coeffRef(i, j),
          Element(inner_product<V>(
              lhs.cols(), [&](Eigen::Index k) { return left.coeff(i, k); }, [&](Eigen::Index k) { return right.coeff(k, j); })));
  }
  static Tensor matrix(const auto& m) {
    const Tensor t = eigen::to_tensor(m);
    return t.rank() == 2 ? t : reshape(t, {m.rows(), m.cols()});
  }
};

}  // namespace wengert::detail

namespace Eigen::internal {

/// The result of `m.unaryExpr(f)` where f returns an expression is a matrix of Scalars.
template <class F, class M>
requires wengert::ScalarExpression<typename result_of<F(const typename M::Scalar&)>::type>
struct traits<CwiseUnaryOp<F, M>> : traits<M> {
  using Scalar = wengert::detail::Result<typename result_of<F(const typename M::Scalar&)>::type>;
  using XprTypeNested = typename M::Nested;
  using _XprTypeNested = typename remove_reference<XprTypeNested>::type;
  enum { Flags = _XprTypeNested::Flags & RowMajorBit };
};

#define WENGERT_PRODUCT(kind)                      \
  template <class Lhs, class Rhs>                  \
  requires wengert::detail::EigenProduct<Lhs, Rhs> \
  struct generic_product_impl<Lhs, Rhs, DenseShape, DenseShape, kind> : wengert::detail::EigenProductRule<Lhs, Rhs> {};
WENGERT_PRODUCT(GemmProduct)
WENGERT_PRODUCT(GemvProduct)
WENGERT_PRODUCT(CoeffBasedProductMode)
WENGERT_PRODUCT(InnerProduct)
#undef WENGERT_PRODUCT

/// a.dot(b), also with a transposed.
#define WENGERT_DOT(transposed)                                                                       \
  template <class A, class B>                                                                         \
  requires wengert::detail::EigenProduct<A, B>                                                        \
  struct dot_nocheck<A, B, transposed> {                                                              \
    using ResScalar = wengert::detail::Result<typename A::Scalar, typename B::Scalar>;                \
    static ResScalar run(const MatrixBase<A>& a, const MatrixBase<B>& b) {                            \
      const typename nested_eval<A, 1>::type left(a.derived());                                       \
      const typename nested_eval<B, 1>::type right(b.derived());                                      \
      return wengert::detail::inner_product<typename ResScalar::Value>(                               \
          b.size(), [&](Index k) { return left.coeff(k); }, [&](Index k) { return right.coeff(k); }); \
    }                                                                                                 \
  };
WENGERT_DOT(false)
WENGERT_DOT(true)
#undef WENGERT_DOT

/// Of a 4 x 4 matrix: by the minors of its first two columns. (Eigen's own insists on one type for an element and a product.)
template <class M>
requires wengert::IsScalar<typename M::Scalar>::value struct determinant_impl<M, 4> {
  using T = typename M::Scalar;
  static T run(const M& m) {
    const auto minor_of = [&](int c, int i, int j) -> T { return m.coeff(i, c) * m.coeff(j, c + 1) - m.coeff(j, c) * m.coeff(i, c + 1); };
    return minor_of(0, 0, 1) * minor_of(2, 2, 3) - minor_of(0, 0, 2) * minor_of(2, 1, 3) + minor_of(0, 0, 3) * minor_of(2, 1, 2) +
           minor_of(0, 1, 2) * minor_of(2, 0, 3) - minor_of(0, 1, 3) * minor_of(2, 0, 2) + minor_of(0, 2, 3) * minor_of(2, 0, 1);
  }
};

}  // namespace Eigen::internal

// ---- linear systems -----------------------------------------------------------------------------------------------------------------

namespace wengert::detail {

/// X = A^-1 B:  B_bar = A^-T X_bar,  A_bar = -B_bar X^T, with the factors of the forward pass.
template <class Decomposition> struct EigenSolveRule {
  static constexpr const char* name = "eigen::solve";
  std::shared_ptr<Decomposition> factors = std::make_shared<Decomposition>();

  Tensor forward(const Tensor& a, const Tensor& b) const {
    factors->compute(eigen::view(a));
    Tensor x = Tensor::uninitialized(b.shape(), float64);
    eigen::mutable_view(x) = factors->solve(eigen::view(b));
    return x;
  }
  std::array<Tensor, 2> vjp(const Tensor& x_bar, const Tensor& x, const Tensor& a, const Tensor& b) const {
    Tensor a_bar = Tensor::uninitialized(a.shape(), float64), b_bar = Tensor::uninitialized(b.shape(), float64);
    auto right = eigen::mutable_view(b_bar);
    right = factors->transpose().solve(eigen::view(x_bar));
    eigen::mutable_view(a_bar).noalias() = -right * eigen::view(x).transpose();
    return {a_bar, b_bar};
  }
  Tensor jvp(const Tensor& a_dot, const Tensor& b_dot, const Tensor& x, const Tensor&, const Tensor& b) const {
    Tensor x_dot = Tensor::uninitialized(b.shape(), float64);
    eigen::RowMajorMatrix<double> right = eigen::RowMajorMatrix<double>::Zero(eigen::view(b).rows(), eigen::view(b).cols());
    if (b_dot.defined()) right += eigen::view(b_dot);
    if (a_dot.defined()) right -= eigen::view(a_dot) * eigen::view(x);
    eigen::mutable_view(x_dot) = factors->solve(right);
    return x_dot;
  }
};

/// The same for a sparse A, given by its nonzero elements: A_bar has the same pattern.
template <class Decomposition> struct EigenSparseSolveRule {
  static constexpr const char* name = "eigen::solve";
  using Matrix = Eigen::SparseMatrix<double>;
  std::shared_ptr<Matrix> pattern;
  std::shared_ptr<Decomposition> factors = std::make_shared<Decomposition>();

  Tensor forward(const Tensor& a, const Tensor& b) const {
    std::copy_n(a.data<double>(), pattern->nonZeros(), pattern->valuePtr());
    factors->compute(*pattern);
    if (factors->info() != Eigen::Success) throw MatrixError("eigen::solve: the sparse matrix cannot be factorised; hint: is it singular?");
    Tensor x = Tensor::uninitialized(b.shape(), float64);
    eigen::mutable_view(x) = Eigen::MatrixXd(factors->solve(Eigen::MatrixXd(eigen::view(b))));  // SparseLU needs column-major order
    return x;
  }
  std::array<Tensor, 2> vjp(const Tensor& x_bar, const Tensor& x, const Tensor& a, const Tensor& b) const {
    Tensor a_bar = Tensor::uninitialized(a.shape(), float64), b_bar = Tensor::uninitialized(b.shape(), float64);
    const Eigen::MatrixXd right = factors->transpose().solve(Eigen::MatrixXd(eigen::view(x_bar)));
    eigen::mutable_view(b_bar) = right;
    const auto solution = eigen::view(x);
    double* slope = a_bar.mutable_data<double>();
    for (Eigen::Index j = 0; j < pattern->outerSize(); ++j)
      for (Matrix::InnerIterator at(*pattern, j); at; ++at) *slope++ = -right.row(at.row()).dot(solution.row(at.col()));
    return {a_bar, b_bar};
  }
  Tensor jvp(const Tensor& a_dot, const Tensor& b_dot, const Tensor& x, const Tensor&, const Tensor& b) const {
    Tensor x_dot = Tensor::uninitialized(b.shape(), float64);
    Eigen::MatrixXd right = eigen::view(b_dot);
    const auto solution = eigen::view(x);
    const double* moved = a_dot.data<double>();
    for (Eigen::Index j = 0; j < pattern->outerSize(); ++j)
      for (Matrix::InnerIterator at(*pattern, j); at; ++at) right.row(at.row()) -= *moved++ * solution.row(at.col());
    eigen::mutable_view(x_dot) = Eigen::MatrixXd(factors->solve(right));
    return x_dot;
  }
};

inline void check_solve(Eigen::Index rows, Eigen::Index columns, Eigen::Index right_rows) {
  if (rows != columns || rows != right_rows)
    throw ShapeError("eigen::solve: A has " + std::to_string(rows) + " rows and " + std::to_string(columns) + " columns, B has " +
                     std::to_string(right_rows) + " rows; hint: A must be square, with as many rows as B");
}

}  // namespace wengert::detail

namespace wengert::eigen {

/// X with A X = B, for a square A (n, n) and B (n, k), of Scalars or doubles. One operation: the factors of the forward pass serve the
/// derivatives too. Decomposition is Eigen's: PartialPivLU by default; LLT and LDLT read one triangle of a symmetric A, of which the
/// derivative is taken as if all elements were free. First derivatives; `wengert::solve` of tensors has all orders. A ShapeError if the
/// sizes do not fit.
template <class Decomposition = Eigen::PartialPivLU<Eigen::MatrixXd>, class A, class B>
Eigen::Matrix<Scalar, Eigen::Dynamic, B::ColsAtCompileTime> solve(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  detail::check_solve(a.rows(), a.cols(), b.rows());
  const auto operation = custom_operation(detail::EigenSolveRule<Decomposition>());
  return to_matrix(operation(to_tensor(a), to_tensor(b)));
}
/// The same for a sparse A, by SparseLU. Only its stored elements have derivatives. A MatrixError if it is singular.
template <class T, int kOptions, class I, class B>
Eigen::Matrix<Scalar, Eigen::Dynamic, B::ColsAtCompileTime> solve(const Eigen::SparseMatrix<T, kOptions, I>& a,
                                                                  const Eigen::MatrixBase<B>& b) {
  detail::check_solve(a.rows(), a.cols(), b.rows());
  Eigen::SparseMatrix<T> columns = a;
  columns.makeCompressed();
  using Rule = detail::EigenSparseSolveRule<Eigen::SparseLU<Eigen::SparseMatrix<double>>>;
  const auto operation = custom_operation(Rule{std::make_shared<Eigen::SparseMatrix<double>>(columns.template cast<double>())});
  const Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, 1>> elements(columns.valuePtr(), columns.nonZeros());
  return to_matrix(operation(to_tensor(elements), to_tensor(b)));
}

}  // namespace wengert::eigen
