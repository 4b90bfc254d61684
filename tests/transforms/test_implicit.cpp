// Roots, fixed points and linear systems of scalar programs: derivatives against formulas, against Newton's steps on the tape, and against
// differences.
#include "autodiff/transforms/implicit.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/scalar/scalar_derivatives.h"
#include "tests/support/numbers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;
using testing::numbers;
namespace tt = boost::test_tools;

namespace {

// x^2 = p.
const auto kSquare = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{x[0] * x[0] - p[0]}; };
// A circle of radius sqrt(p_0) and the line x_1 = p_1 x_0.
const auto kCircle = []<class T>(std::span<const T> x, std::span<const T> p) {
  return std::array<T, 2>{x[0] * x[0] + x[1] * x[1] - p[0], x[1] - p[1] * x[0]};
};
const std::vector<double> kStart{1, 1};
const std::vector<double> kPoint{2, 0.5};

// x_0 exp(x_1) at the root, of any type.
const auto kOfRoot = [](auto p) {
  using T = std::remove_cvref_t<decltype(p[0])>;
  const std::vector<T> x = implicit(kCircle, kStart, p);
  return T(x[0] * exp(x[1]));
};
// The same by the formula  x_0 = sqrt(p_0 / (1 + p_1^2)),  x_1 = p_1 x_0.
const auto kByFormula = [](auto p) {
  using T = std::remove_cvref_t<decltype(p[0])>;
  const T x = sqrt(p[0] / (1 + p[1] * p[1]));
  return T(x * exp(p[1] * x));
};

// n x n, regular.
std::vector<double> regular(std::size_t n) {
  std::vector<double> a = numbers(n * n, 3);
  for (std::size_t i = 0; i < n; ++i) a[i * n + i] += 4;
  return a;
}

void check_close(std::span<const double> got, std::span<const double> wanted, double tolerance = 1e-12) {
  BOOST_TEST_REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    BOOST_TEST(std::fabs(got[i] - wanted[i]) <= tolerance * (1 + std::fabs(wanted[i])),
               "element " << i << ": " << got[i] << ", not " << wanted[i]);
}

}  // namespace

// ---- implicit ---------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_square_root) {
  Tape tape;
  const Scalar p = tape.variable(2);
  const Scalar x = implicit(kSquare, std::vector{1.0}, std::vector{p})[0];
  BOOST_TEST(x.value() == std::sqrt(2.0), tt::tolerance(1e-15));
  BOOST_TEST(tape.gradient(x, p) == 0.5 / std::sqrt(2.0), tt::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(the_gradient_of_a_system_is_that_of_its_formula) {
  Tape tape;
  const std::vector<Scalar> p = tape.variables(kPoint);
  const Scalar y = kOfRoot(p), z = kByFormula(p);
  std::vector<double> got(2), wanted(2);
  tape.gradient(y, p, got, {.retain = true});
  tape.gradient(z, p, wanted);
  BOOST_TEST(y.value() == z.value(), tt::tolerance(1e-14));
  check_close(got, wanted);
}

BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_newton_steps_on_the_tape) {
  const auto f = []<class T>(std::span<const T> x, std::span<const T> p) {
    return std::vector<T>{x[0] - p[0] * sin(x[0]) - p[1]};
  };  // Kepler's
  Tape tape;
  const std::vector<Scalar> p = tape.variables(std::vector{0.4, 1.1});
  const Scalar x = implicit(f, std::vector{1.0}, p)[0];
  Scalar taped = 1;
  for (int k = 0; k < 8; ++k) taped = taped - (taped - p[0] * sin(taped) - p[1]) / (1 - p[0] * cos(taped));
  std::vector<double> got(2), wanted(2);
  tape.gradient(x, p, got, {.retain = true});
  tape.gradient(taped, p, wanted);
  BOOST_TEST(x.value() == taped.value(), tt::tolerance(1e-14));
  check_close(got, wanted);
}

BOOST_AUTO_TEST_CASE(the_tape_does_not_grow_with_the_iterations) {
  const auto records = [](double start) {
    Tape tape;
    const Scalar p = tape.variable(2);
    const std::vector<Scalar> x = implicit(kSquare, std::vector{start}, std::vector{p});
    BOOST_TEST(x[0].value() == std::sqrt(2.0), tt::tolerance(1e-15));
    return tape.statements() + tape.nodes();
  };
  BOOST_TEST(records(1e6) == records(std::sqrt(2.0)));
}

BOOST_AUTO_TEST_CASE(second_derivatives_of_a_scalar_program) {
  check_close(gradient(kOfRoot, kPoint), gradient(kByFormula, kPoint));
  check_close(hessian(kOfRoot, kPoint), hessian(kByFormula, kPoint), 1e-11);
  const std::vector<double> v{0.3, -1.7};
  check_close(hvp(kOfRoot, kPoint, v), hvp(kByFormula, kPoint, v), 1e-11);
}

BOOST_AUTO_TEST_CASE(forward_mode) {
  const std::vector<double> v{0.3, -1.7};
  BOOST_TEST(directional_derivative(kOfRoot, kPoint, v) == directional_derivative(kByFormula, kPoint, v), tt::tolerance(1e-13));
  Tape tape;
  const std::vector<Scalar> p = tape.variables(kPoint);
  const Scalar y = kOfRoot(p), z = kByFormula(p);
  const Tensor a = Tensor::full({}, v[0], float64), b = Tensor::full({}, v[1], float64);
  BOOST_TEST(tape.jvp(y, wrt(p[0], p[1]), {a, b}) == tape.jvp(z, wrt(p[0], p[1]), {a, b}), tt::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(all_orders_on_a_tape_for_them) {
  const auto derivatives = [](const auto& f) {
    Tape tape({.higher_order = true});
    const std::vector<Scalar> p = tape.variables(kPoint);
    const Scalar y = f(p);
    const Scalar first = tape.differentiable_gradient(y, p[0]);
    const Scalar second = tape.differentiable_gradient(first, p[1]);
    const Scalar third = tape.differentiable_gradient(second, p[0]);
    const auto [a, b] = tape.gradient(third, p[0], p[1]);
    return std::vector<double>{y.value(), first.value(), second.value(), third.value(), a, b};
  };
  check_close(derivatives(kOfRoot), derivatives(kByFormula), 1e-9);
  Tape tape({.higher_order = true});
  const std::vector<Scalar> p = tape.variables(kPoint);
  const Scalar y = kOfRoot(p), z = kByFormula(p);
  const Tensor a = Tensor::full({}, 1, float64), b = Tensor::full({}, -2, float64);
  BOOST_TEST(tape.jvp(y, wrt(p[0], p[1]), {a, b}) == tape.jvp(z, wrt(p[0], p[1]), {a, b}), tt::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(constant_parameters_and_none) {
  Tape tape;
  const Scalar p = tape.variable(2);
  const std::vector<Scalar> x = implicit(kCircle, kStart, std::vector<Scalar>{p, 0.5});
  BOOST_TEST(tape.gradient(x[0], p) == 0.5 / std::sqrt(2.0 * 1.25), tt::tolerance(1e-14));
  const std::size_t before = tape.nodes();
  BOOST_TEST(implicit(kCircle, kStart, std::vector<Scalar>{2, 0.5})[0].number() == 0u);
  BOOST_TEST(tape.nodes() == before);
  const std::vector<double> plain = implicit(kCircle, kStart, kPoint);
  BOOST_TEST(plain[0] == std::sqrt(2 / 1.25), tt::tolerance(1e-15));
  const auto none = []<class T>(std::span<const T> x, std::span<const T>) { return std::vector<T>{x[0] * x[0] * x[0] - 8.0}; };
  BOOST_TEST(implicit(none, std::vector{3.0}, std::vector<double>())[0] == 2, tt::tolerance(1e-15));
  const auto nothing = []<class T>(std::span<const T>, std::span<const T>) { return std::vector<T>(); };
  BOOST_TEST(implicit(nothing, std::vector<double>(), kPoint).empty());
}

BOOST_AUTO_TEST_CASE(many_unknowns) {
  // -u'' + u^3 = p at 30 inner points of [0, 1], and the sum of u as a function of p.
  const auto f = []<class T>(std::span<const T> u, std::span<const T> p) {
    const std::size_t n = u.size();
    const double h2 = 1.0 / static_cast<double>((n + 1) * (n + 1));
    std::vector<T> r;
    for (std::size_t i = 0; i < n; ++i) {
      const T left = i > 0 ? u[i - 1] : T(0), right = i + 1 < n ? u[i + 1] : T(0);
      r.push_back(2.0 * u[i] - left - right + h2 * (u[i] * u[i] * u[i] - p[i]));
    }
    return r;
  };
  const std::size_t n = 30;
  const std::vector<double> load(n, 40.0), start(n, 0.0);
  const auto sum_at = [&](std::size_t i, double change) {
    std::vector<double> p = load;
    p[i] += change;
    double sum = 0;
    for (const double u : implicit(f, start, p)) sum += u;
    return sum;
  };
  Tape tape;
  const std::vector<Scalar> p = tape.variables(load);
  Scalar sum = 0;
  for (const Scalar& u : implicit(f, start, p)) sum += u;
  std::vector<double> slopes(n);
  tape.gradient(sum, p, slopes);
  for (const std::size_t i : {std::size_t(0), std::size_t(7), n - 1})
    BOOST_TEST(slopes[i] == (sum_at(i, 1e-3) - sum_at(i, -1e-3)) / 2e-3, tt::tolerance(1e-7));
}

BOOST_AUTO_TEST_CASE(far_starts_are_reached_by_shorter_steps) {
  const auto f = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{atan(x[0]) - p[0]}; };
  const double x = implicit(f, std::vector{5.0}, std::vector{0.3})[0];  // full steps diverge from |x| > 1.4
  BOOST_TEST(x == std::tan(0.3), tt::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(what_implicit_refuses) {
  const std::vector<double> two{2}, start{1};
  const auto no_root = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{x[0] * x[0] + p[0]}; };
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { implicit(no_root, std::vector{0.7}, two); }), "implicit: Newton's method"));
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { implicit(kSquare, std::vector{1e9}, two, {.max_iterations = 3}); }),
                      "has not converged in 3 iterations: the largest component of the residual is"));
  BOOST_TEST(contains(message_of<MatrixError>([&] { implicit(kSquare, std::vector{0.0}, two); }), "singular to working precision"));
  BOOST_TEST(contains(message_of<MatrixError>([&] { implicit(kSquare, std::vector{0.0}, std::vector{0.0}); }), "do not determine"));
  const auto root = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{sqrt(x[0]) - p[0]}; };
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { implicit(root, std::vector{-1.0}, two); }), "not finite after 0 iterations"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { implicit(kSquare, kStart, two); }), "1 results for 2 unknowns"));
  BOOST_TEST(contains(message_of<ValueError>([&] { implicit(kSquare, start, two, {.tolerance = 0}); }), "tolerance"));
  BOOST_TEST(contains(message_of<ValueError>([&] { implicit(kSquare, start, two, {.max_iterations = 0}); }), "max_iterations"));
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { implicit(kSquare, start, std::vector{nan}); }), "not finite"));
}

// ---- fixed_point ------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_fixed_point_and_its_derivative) {
  const auto g = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{cos(p[0] * x[0])}; };
  Tape tape;
  const Scalar p = tape.variable(0.9);
  const Scalar x = fixed_point(g, std::vector{1.0}, std::vector{p})[0];
  const double v = x.value(), s = std::sin(0.9 * v);
  BOOST_TEST(v == std::cos(0.9 * v), tt::tolerance(1e-15));
  BOOST_TEST(tape.gradient(x, p) == -v * s / (1 + 0.9 * s), tt::tolerance(1e-13));  // x' = -s (x + p x')
  const auto program = [&](auto p) { return fixed_point(g, std::vector{1.0}, p)[0]; };
  const double h = 1e-4, up = program(std::vector{0.9 + h}), down = program(std::vector{0.9 - h});
  BOOST_TEST(hessian(program, std::vector{0.9})[0] == (up - 2 * v + down) / (h * h), tt::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(what_fixed_point_refuses) {
  const auto growing = []<class T>(std::span<const T> x, std::span<const T> p) { return std::array<T, 1>{2.0 * x[0] + p[0]}; };
  const std::vector<double> start{1}, p{1};
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { fixed_point(growing, start, p); }),
                      "fixed_point: the iteration has not converged in 100"));
  BOOST_TEST(
      contains(message_of<ConvergenceError>([&] { fixed_point(growing, start, p, {.max_iterations = 5000}); }), "is not finite after"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { fixed_point(growing, kStart, p); }), "1 results for 2 unknowns"));
}

// ---- solve ------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_linear_system_has_the_analytic_adjoint) {
  const std::size_t n = 6, k = 2;
  const std::vector<double> a = regular(n), b = numbers(n * k, 4), c = numbers(n * k, 5);
  Tape tape;
  const std::vector<Scalar> as = tape.variables(a), bs = tape.variables(b), x = solve(as, bs);
  Scalar y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) y += c[i] * x[i];
  std::vector<double> a_bar(n * n), b_bar(n * k), values, transposed(n * n), wanted(n * n);
  tape.gradient(y, as, a_bar, {.retain = true});
  tape.gradient(y, bs, b_bar);
  for (const Scalar& e : x) values.push_back(e.value());
  check_close(solve(a, b), values);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) transposed[i * n + j] = a[j * n + i];
  const std::vector<double> lambda = solve(transposed, c);  //  B_bar = A^-T X_bar,  A_bar = -B_bar X^T
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t r = 0; r < k; ++r) wanted[i * n + j] -= lambda[i * k + r] * values[j * k + r];
  check_close(b_bar, lambda);
  check_close(a_bar, wanted);
}

BOOST_AUTO_TEST_CASE(all_number_types_and_orders_of_a_linear_system) {
  // The first unknown of A x = b as a function of the elements of both, by LU and by Cramer's rule.
  const auto by_solve = [](auto p) {
    using T = std::remove_cvref_t<decltype(p[0])>;
    const std::vector<T> x = solve(std::vector<T>(p.begin(), p.begin() + 4), std::vector<T>(p.begin() + 4, p.begin() + 6));
    return T(x[0] * x[1]);
  };
  const auto by_rule = [](auto p) {
    using T = std::remove_cvref_t<decltype(p[0])>;
    const T d = p[0] * p[3] - p[1] * p[2];
    return T((p[4] * p[3] - p[1] * p[5]) * (p[0] * p[5] - p[4] * p[2]) / (d * d));
  };
  const std::vector<double> at{3, 1, -2, 4, 0.5, 7}, v{1, -1, 0.5, 2, 3, -2};
  check_close(gradient(by_solve, at), gradient(by_rule, at));
  check_close(hessian(by_solve, at), hessian(by_rule, at), 1e-11);
  BOOST_TEST(directional_derivative(by_solve, at, v) == directional_derivative(by_rule, at, v), tt::tolerance(1e-13));
  const auto third = [&](const auto& f) {
    Tape tape({.higher_order = true});
    const std::vector<Scalar> p = tape.variables(at);
    const Scalar a = tape.differentiable_gradient(f(p), p[0]), b = tape.differentiable_gradient(a, p[4]);
    return tape.gradient(b, p[3]);
  };
  BOOST_TEST(third(by_solve) == third(by_rule), tt::tolerance(1e-11));
}

BOOST_AUTO_TEST_CASE(mixed_lists) {
  Tape tape;
  const Scalar s = tape.variable(2);
  const std::vector<double> b{1, 3};
  const std::vector<Scalar> x = solve(std::array<Scalar, 4>{s, 1, 0.5, Scalar(s * s)}, b);
  const auto first = [](double s) { return (s * s - 3) / (s * s * s - 0.5); };
  BOOST_TEST(x[0].value() == first(2), tt::tolerance(1e-15));
  BOOST_TEST(tape.gradient(x[0], s) == (first(2 + 1e-5) - first(2 - 1e-5)) / 2e-5, tt::tolerance(1e-9));
  const std::vector<Scalar> y = solve(std::array{2.0, 0.0, 0.0, 4.0}, std::vector<EagerScalar>{1.0, 2.0});
  BOOST_TEST(y[1].value() == 0.5);
}

BOOST_AUTO_TEST_CASE(what_solve_refuses) {
  const std::vector<double> five(5), four(4), three(3);
  BOOST_TEST(contains(message_of<ShapeError>([&] { solve(five, three); }), "5 elements, which is not a square number"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { solve(four, three); }), "a multiple of 2 elements, but it has 3"));
  BOOST_TEST(contains(message_of<MatrixError>([&] { solve(four, std::vector<double>(2)); }), "singular"));
  Tape tape;
  const std::vector<Scalar> zeros = tape.variables(four);
  BOOST_TEST(contains(message_of<MatrixError>([&] { solve(zeros, std::vector<double>(2)); }), "singular"));
  BOOST_TEST(solve(std::vector<double>(), std::vector<double>()).empty());
}
