#pragma once
// Solutions of equations as values of a program, with the derivatives of the implicit function theorem: the steps that found a solution
// are not recorded.
//
//     F(x(p), p) = 0:      F_x x_dot = -F_p p_dot,      p_bar = -F_p^T lambda  with  F_x^T lambda = x_bar
//
// A program is a callable of spans that is generic in its scalar type T, and returns a std::array or a std::vector of T:
//
//     auto f = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{x[0] * x[0] - p[0]}; };
//     const Scalar root = implicit(f, std::vector{1.0}, p)[0];
//
// It is called with doubles, with dual numbers and with Scalars, so what it reads of Scalars it must get through p.
#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/scalar/product_sum.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/transforms/convergence.h"
#include "autodiff/transforms/external_function.h"
#include "autodiff/transforms/number_lists.h"
#include "autodiff/transforms/scalar_jacobian.h"

namespace wengert {

struct ImplicitOptions {
  double tolerance = 1e-10;  ///< stop where no component of x changes by more than this times 1 + the largest component of x
  int max_iterations = 100;  ///< of Newton's method; of fixed_point() of its own iteration
};

namespace detail {

struct Factors;

/// The factors of a regular matrix of doubles. Copies share them.
class SquareFactors {
 public:
  /// A, n x n and row by row. A MatrixError in the name of `function` if A is singular to working precision.
  SquareFactors(const char* function, std::size_t n, std::span<const double> a);
  /// x = A^-1 x, or A^-T x, for each of x.size() / n vectors, one after another.
  void solve(std::span<double> x, bool transposed = false) const;

 private:
  std::size_t n_;
  std::shared_ptr<const Factors> factors_;
};

/// A root, and the factors of the Jacobian there.
struct Root {
  std::vector<double> x;
  SquareFactors factors;
};
using ResidualAt = FunctionRef<std::vector<double>(std::span<const double> x)>;
using JacobianAt = FunctionRef<ValueAndJacobian(std::span<const double> x)>;

/// Newton's method from x, with steps that are halved until the residual is smaller. `function`: in whose name errors are thrown.
Root newton(const char* function, ResidualAt residual, JacobianAt jacobian, std::vector<double> x, const ImplicitOptions& options);
/// x = g(x), again and again.
std::vector<double> iterate(const char* function, ResidualAt g, std::vector<double> x, const ImplicitOptions& options);
/// The n of a n x n matrix and of n x k right-hand sides; a ShapeError if there is none.
std::size_t system_size(std::size_t elements_of_a, std::size_t elements_of_b);

/// The residual as a linear term at a root: y = root - F_x^-1 residual.
struct ImplicitBlock {
  const char* name;
  Root root;
  std::vector<double> forward(std::span<const double>) const { return root.x; }
  void vjp(std::span<const double> y_bar, std::span<double> r_bar) const {
    for (std::size_t i = 0; i < y_bar.size(); ++i) r_bar[i] = -y_bar[i];
    root.factors.solve(r_bar, true);
  }
  void jvp(std::span<const double> r_dot, std::span<double> y_dot) const {
    for (std::size_t i = 0; i < r_dot.size(); ++i) y_dot[i] = -r_dot[i];
    root.factors.solve(y_dot);
  }
};

/// The elements of a vector.
std::vector<Scalar> scalars_of(const Tensor& t);

/// F as a function of tensors.
class TensorResidual {
 public:
  TensorResidual() = default;
  TensorResidual(const TensorResidual&) = delete;
  TensorResidual& operator=(const TensorResidual&) = delete;
  virtual ~TensorResidual() = default;
  virtual Tensor operator()(const Tensor& x, const Tensor& p) const = 0;
};
template <class F> class TensorResidualOf final : public TensorResidual {
 public:
  explicit TensorResidualOf(F f) : f_(std::move(f)) {}
  Tensor operator()(const Tensor& x, const Tensor& p) const override {
    const std::vector<Scalar> xs = scalars_of(x), ps = scalars_of(p);
    const std::vector<Scalar> r = results_as<Scalar>(f_(std::span<const Scalar>(xs), std::span<const Scalar>(ps)));
    return stack(std::span<const Scalar>(r), float64);
  }

 private:
  F f_;
};
/// A root as a function of p in operations on tensors, for derivatives of any order.
std::vector<Scalar> implicit_on_tensors(const char* name, std::shared_ptr<const TensorResidual> f, const std::vector<double>& root,
                                        std::span<const Scalar> p, Location site);

/// A root as a function of p.
template <class T, class F> std::vector<T> as_function(const char* name, const F& f, Root root, const std::vector<T>& p, Location site) {
  const auto residual = [&](const std::vector<T>& x) { return results_as<T>(f(std::span<const T>(x), std::span<const T>(p))); };
  std::vector<T> x(root.x.begin(), root.x.end());
  const std::size_t n = x.size();
  if constexpr (std::is_same_v<T, double>) {
    return x;
  } else if constexpr (std::is_same_v<T, Scalar>) {
    const StatementWriter<double>* writer = active_writer<double>;
    if (!writer || !writer->higher_order) return external_function(ImplicitBlock{name, std::move(root)}, residual(x), site);
    return implicit_on_tensors(name, std::make_shared<const TensorResidualOf<F>>(f), root.x, p, site);
  } else if constexpr (IsDual<T>::value) {
    const std::vector<T> r = residual(x);
    constexpr std::size_t kDirections = std::tuple_size_v<decltype(T::d)>;
    std::vector<double> x_dot(n * kDirections);
    for (std::size_t k = 0; k < kDirections; ++k)
      for (std::size_t i = 0; i < n; ++i) x_dot[k * n + i] = -r[i].d[k];
    root.factors.solve(x_dot);
    for (std::size_t k = 0; k < kDirections; ++k)
      for (std::size_t i = 0; i < n; ++i) x[i].d[k] = x_dot[k * n + i];
    return x;
  } else {
    // Steps  x - F_x^-1 F(x, p)  with the factors at the root, which are constants: each makes one more order exact. Two are needed.
    std::vector<double> inverse(n * n);
    for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
    root.factors.solve(inverse);  // column by column
    for (int order = 0; order < 2; ++order) {
      const std::vector<T> r = residual(x);
      std::vector<T> next;
      next.reserve(n);
      for (std::size_t i = 0; i < n; ++i) {
        ProductSum<typename T::Value> sum;
        sum.add(x[i], 1.0);
        for (std::size_t j = 0; j < n; ++j) sum.add(r[j], -inverse[j * n + i]);
        next.push_back(sum.result());
      }
      x = std::move(next);
    }
    return x;
  }
}

template <class F>
Root find_root(const char* name, const F& f, std::vector<double> x0, const std::vector<double>& p, const ImplicitOptions& options) {
  const auto residual = [&](std::span<const double> x) { return results_as<double>(f(x, std::span<const double>(p))); };
  const auto jacobian = [&](std::span<const double> x) {
    const auto at_p = [&]<class T>(std::span<const T> x) {
      const std::vector<T> constants(p.begin(), p.end());
      return f(x, std::span<const T>(constants));
    };
    return value_and_jacobian(at_p, x);
  };
  return newton(name, residual, jacobian, std::move(x0), options);
}

/// x - g(x, p).
template <class G> struct FixedPointResidual {
  G g;
  template <class T> std::vector<T> operator()(std::span<const T> x, std::span<const T> p) const {
    std::vector<T> r = results_as<T>(g(x, p));
    for (std::size_t i = 0; i < r.size() && i < x.size(); ++i) r[i] = x[i] - r[i];
    return r;
  }
};

/// A x - b, for the elements of A, n x n and row by row, and those of b after them.
struct LinearResidual {
  template <class T> std::vector<T> operator()(std::span<const T> x, std::span<const T> p) const {
    const std::size_t n = x.size();
    std::vector<T> r;
    r.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      T sum = -p[n * n + i];
      for (std::size_t j = 0; j < n; ++j) sum += p[i * n + j] * x[j];
      r.push_back(sum);
    }
    return r;
  }
};

/// A list as the elements of a float64 matrix.
template <NumberList R> Tensor matrix_of(const R& list, Index rows, Index columns, Location site) {
  using E = ElementOf<R>;
  if constexpr (Number<E>) {
    return Tensor::from(std::vector<double>(std::data(list), std::data(list) + std::size(list)), {rows, columns}, site);
  } else if constexpr (std::is_same_v<E, Scalar>) {
    return reshape(stack(std::span<const Scalar>(std::data(list), std::size(list)), float64, site), {rows, columns}, site);
  } else {
    return reshape(stack(std::span<const Scalar>(list_as<Scalar>(list)), float64, site), {rows, columns}, site);
  }
}

}  // namespace detail

/// The root x of F(x, p) = 0 that Newton's method finds from x0, and its derivatives with respect to p. F returns as many results as x has
/// components. x0 is a list of numbers, of which the values count; p is a list of doubles, dual numbers or Scalars, and the result has
/// their type.
///
/// The tape gets one evaluation of F and one operation, whatever the number of iterations; the sweep solves one system with the factors of
/// the last Jacobian. Dual numbers, and second derivatives by `hessian(f, x)`, work too; so do all orders on a tape with `.higher_order`.
///
/// A ConvergenceError if Newton's method does not reach the tolerance or meets a residual that is not finite; a MatrixError if the Jacobian
/// by x is singular, so that there is no derivative; a ShapeError if F has another number of results.
template <class F, detail::NumberList X, detail::NumberList P>
auto implicit(const F& f, const X& x0, const P& p, const ImplicitOptions& options = {}, Location site = Location::here()) {
  using T = detail::ProgramNumberOf<detail::ElementOf<P>>;
  const std::vector<T> parameters = detail::list_as<T>(p);
  const std::vector<double> values = detail::values_of(std::span<const T>(parameters));
  const auto start = detail::list_as<detail::ProgramNumberOf<detail::ElementOf<X>>>(x0);
  detail::Root root = detail::find_root("implicit", f, detail::values_of(std::span(std::as_const(start))), values, options);
  return detail::as_function<T>("implicit", f, std::move(root), parameters, site);
}

/// The fixed point x = G(x, p) that the iteration x = G(x, p) reaches from x0, and its derivatives with respect to p: those of
/// implicit() for x - G(x, p). The last digits are those of Newton's method. A ConvergenceError if the iteration does not converge, as
/// where G is no contraction: then write the equation for implicit().
template <class G, detail::NumberList X, detail::NumberList P>
auto fixed_point(const G& g, const X& x0, const P& p, const ImplicitOptions& options = {}, Location site = Location::here()) {
  using T = detail::ProgramNumberOf<detail::ElementOf<P>>;
  const std::vector<T> parameters = detail::list_as<T>(p);
  const std::vector<double> values = detail::values_of(std::span<const T>(parameters));
  const auto start = detail::list_as<detail::ProgramNumberOf<detail::ElementOf<X>>>(x0);
  const auto image = [&](std::span<const double> x) { return detail::results_as<double>(g(x, std::span<const double>(values))); };
  std::vector<double> x = detail::iterate("fixed_point", image, detail::values_of(std::span(std::as_const(start))), options);
  const detail::FixedPointResidual<G> f{g};
  detail::Root root = detail::find_root("fixed_point", f, std::move(x), values, options);
  return detail::as_function<T>("fixed_point", f, std::move(root), parameters, site);
}

/// X with A X = B for lists of numbers or Scalars: A (n, n) and B (n, k), row by row; so is the result. One operation on tensors,
/// wengert::solve, which keeps the factors for the sweep and has all orders of derivatives on a tape with `.higher_order`. A ShapeError if
/// the sizes do not fit, a MatrixError if A is singular. (For matrices of Eigen, sparse ones too, there is eigen::solve.)
template <detail::NumberList A, detail::NumberList B> auto solve(const A& a, const B& b, Location site = Location::here()) {
  using T = detail::CommonNumberOf<detail::ElementOf<A>, detail::ElementOf<B>>;
  const std::size_t n = detail::system_size(std::size(a), std::size(b)), k = n ? std::size(b) / n : 0;
  if constexpr (std::is_same_v<T, Scalar>) {
    const Index rows = static_cast<Index>(n);
    const Tensor x = wengert::solve(detail::matrix_of(a, rows, rows, site), detail::matrix_of(b, rows, static_cast<Index>(k), site), site);
    return detail::scalars_of(reshape(x, {x.size()}, site));
  } else if constexpr (std::is_same_v<T, double>) {
    const Index rows = static_cast<Index>(n);
    const Tensor x = wengert::solve(detail::matrix_of(a, rows, rows, site), detail::matrix_of(b, rows, static_cast<Index>(k), site), site);
    return std::vector<double>(x.data<double>(), x.data<double>() + x.size());
  } else {
    std::vector<T> p = detail::list_as<T>(a);
    const std::vector<T> right = detail::list_as<T>(b);
    const std::vector<double> matrix = detail::values_of(std::span<const T>(p)), vectors = detail::values_of(std::span<const T>(right));
    const detail::SquareFactors factors("solve", n, matrix);
    p.resize(n * n + n);
    std::vector<T> x(n * k);
    std::vector<double> column(n);
    for (std::size_t c = 0; c < k; ++c) {
      for (std::size_t i = 0; i < n; ++i) {
        p[n * n + i] = right[i * k + c];
        column[i] = vectors[i * k + c];
      }
      factors.solve(column);
      const std::vector<T> solution = detail::as_function<T>("solve", detail::LinearResidual(), {column, factors}, p, site);
      for (std::size_t i = 0; i < n; ++i) x[i * k + c] = solution[i];
    }
    return x;
  }
}

}  // namespace wengert
