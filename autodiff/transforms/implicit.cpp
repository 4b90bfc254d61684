#include "autodiff/transforms/implicit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/ops/matrix.h"
#include "autodiff/transforms/checkpoint.h"
#include "autodiff/transforms/custom_operation.h"
#include "autodiff/transforms/derivatives.h"

namespace wengert::detail {
namespace {

// Largest component in absolute value; NaN if one is.
double largest(std::span<const double> x) {
  double most = 0;
  for (const double e : x) most = std::isnan(e) ? e : std::max(most, std::fabs(e));
  return most;
}
double squared(std::span<const double> x) {
  double sum = 0;
  for (const double e : x) sum += e * e;
  return sum;
}

void check_options(const char* function, const ImplicitOptions& o) {
  if (!(o.tolerance > 0 && o.tolerance < 1))
    throw ValueError(fmt::format("{}: the tolerance {} is not between 0 and 1", function, o.tolerance));
  if (o.max_iterations < 1) throw ValueError(fmt::format("{}: max_iterations is {}, but must be at least 1", function, o.max_iterations));
}
void check_size(const char* function, std::size_t results, std::size_t unknowns) {
  if (results != unknowns)
    throw ShapeError(
        fmt::format("{}: the function returns {} results for {} unknowns; hint: it must return one for each", function, results, unknowns));
}

}  // namespace

SquareFactors::SquareFactors(const char* function, std::size_t n, std::span<const double> a) : n_(n) {
  const Index size = static_cast<Index>(n);
  auto factors = std::make_shared<Factors>(factorize(Tensor::from(a, {size, size}), {}));
  const double* const u = factors->lu.data<double>();
  std::size_t weakest = 0;
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = std::fabs(u[i * (n + 1)]);
    if (!(pivot >= least)) {
      least = pivot;
      weakest = i;
    }
    most = std::max(most, pivot);
  }
  if (n > 0 && !(least > static_cast<double>(n) * std::numeric_limits<double>::epsilon() * most))
    throw MatrixError(
        fmt::format("{}: the {} x {} matrix is singular to working precision: pivot {} of its LU factors is {:.3g}, the largest {:.3g}; "
                    "hint: the equations do not determine the unknowns here",
                    function, n, n, weakest + 1, least, most));
  factors_ = std::move(factors);
}

void SquareFactors::solve(std::span<double> x, bool transposed) const {
  if (x.empty()) return;
  Tensor columns = Tensor::from(std::span<const double>(x), {static_cast<Index>(x.size() / n_), static_cast<Index>(n_)});
  solve_with(*factors_, transposed, columns);
  std::copy_n(columns.data<double>(), x.size(), x.begin());
}

Root newton(const char* function, ResidualAt residual, JacobianAt jacobian, std::vector<double> x, const ImplicitOptions& options) {
  constexpr int kHalvings = 30;
  check_options(function, options);
  const std::size_t n = x.size();
  if (n == 0) return {x, SquareFactors(function, 0, {})};
  double norm = 0;
  for (int k = 0; k < options.max_iterations; ++k) {
    auto [r, j] = jacobian(x);
    check_size(function, r.size(), n);
    norm = largest(r);
    if (!std::isfinite(norm) || !std::isfinite(largest(j)))
      throw ConvergenceError(
          fmt::format("{}: the function or its Jacobian is not finite after {} iterations; hint: start where it is, nearer to the solution",
                      function, k));
    SquareFactors factors(function, n, j);
    if (norm == 0) return {std::move(x), std::move(factors)};
    std::vector<double> step = r;
    factors.solve(step);
    const bool last = largest(step) <= options.tolerance * (1 + largest(x));
    double t = 1;
    std::vector<double> next(n);
    const auto move = [&] {
      for (std::size_t i = 0; i < n; ++i) next[i] = x[i] - t * step[i];
    };
    move();
    if (last) {
      x = std::move(next);
      const ValueAndJacobian at_root = jacobian(x);
      return {std::move(x), SquareFactors(function, n, at_root.second)};
    }
    const double before = squared(r);
    for (int h = 0; !(squared(residual(next)) < (1 - 1e-4 * t) * before); ++h) {
      if (h == kHalvings)
        throw ConvergenceError(
            fmt::format("{}: Newton's method is stuck after {} iterations, as no step along its direction makes the residual smaller: its "
                        "largest component is {:.3g}; hint: start nearer to the solution, or check that the equations have one",
                        function, k, norm));
      t /= 2;
      move();
    }
    x = std::move(next);
  }
  throw ConvergenceError(fmt::format(
      "{}: Newton's method has not converged in {} iterations: the largest component of the residual is {:.3g}; hint: start nearer "
      "to the solution, or raise max_iterations",
      function, options.max_iterations, norm));
}

std::vector<double> iterate(const char* function, ResidualAt g, std::vector<double> x, const ImplicitOptions& options) {
  check_options(function, options);
  double change = 0;
  for (int k = 0; k < options.max_iterations; ++k) {
    std::vector<double> next = g(x);
    check_size(function, next.size(), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = next[i] - x[i];
    change = largest(x);
    x = std::move(next);
    if (!std::isfinite(change))
      throw ConvergenceError(fmt::format(
          "{}: the iteration is not finite after {} iterations; hint: start nearer to the fixed point, or write x - G(x, p) for "
          "implicit(), which needs no contraction",
          function, k + 1));
    if (change <= options.tolerance * (1 + largest(x))) return x;
  }
  throw ConvergenceError(fmt::format(
      "{}: the iteration has not converged in {} iterations: the last changed x by {:.3g}; hint: raise max_iterations, or write "
      "x - G(x, p) for implicit(), which needs no contraction",
      function, options.max_iterations, change));
}

std::size_t system_size(std::size_t elements_of_a, std::size_t elements_of_b) {
  const auto n = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(elements_of_a))));
  if (n * n != elements_of_a)
    throw ShapeError(fmt::format("solve: A has {} elements, which is not a square number; hint: A is n x n, row by row", elements_of_a));
  if (n == 0 ? elements_of_b != 0 : elements_of_b % n != 0)
    throw ShapeError(fmt::format("solve: A is {} x {}, so b must have a multiple of {} elements, but it has {}", n, n, n, elements_of_b));
  return n;
}

std::vector<Scalar> scalars_of(const Tensor& t) {
  std::vector<Scalar> list;
  list.reserve(static_cast<std::size_t>(t.size()));
  for (Index i = 0; i < t.size(); ++i) list.push_back(t(i));
  return list;
}

namespace {

// F(x, p) = 0. Sweeps inside the rules run on the tapes of checkpoints, so that the rules can be recorded.
struct ImplicitRules {
  using Residual = std::shared_ptr<const TensorResidual>;
  const char* name;
  Residual f;
  Tensor root;

  Tensor jacobian_at(const Tensor& x, const Tensor& p) const {
    return checkpoint(
        [f = f](const Tensor& x, const Tensor& p) { return wengert::jacobian([&](const Tensor& at) { return (*f)(at, p); }, x); })(x, p);
  }

  Tensor forward(const Tensor& /*p*/) const { return root; }
  Tensor vjp(const Tensor& x_bar, const Tensor& x, const Tensor& p) const {
    const Tensor lambda = solve(transpose(jacobian_at(x, p)), x_bar);
    return checkpoint([f = f](const Tensor& x, const Tensor& p, const Tensor& lambda) {
      return -wengert::vjp([&](const Tensor& at) { return (*f)(x, at); }, p, lambda);
    })(x, p, lambda);
  }
  Tensor jvp(const Tensor& p_dot, const Tensor& x, const Tensor& p) const {
    return -solve(jacobian_at(x, p), wengert::jvp([&](const Tensor& at) { return (*f)(x, at); }, p, p_dot));
  }
};

}  // namespace

std::vector<Scalar> implicit_on_tensors(const char* name, std::shared_ptr<const TensorResidual> f, const std::vector<double>& root,
                                        std::span<const Scalar> p, Location site) {
  const Tensor parameters = stack(p, float64, site);
  return scalars_of(custom_operation(ImplicitRules{name, std::move(f), Tensor::from(root)})(parameters));
}

}  // namespace wengert::detail
