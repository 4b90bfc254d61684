// Integrals of scalar programs: values and derivatives against formulas.
#include "autodiff/transforms/quadrature.h"

#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "autodiff/scalar/scalar_derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;
namespace tt = boost::test_tools;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kRootPi = std::sqrt(std::numbers::pi);

const auto kGauss = []<class T>(const T& x, std::span<const T> p) -> T { return exp(-p[0] * x * x); };
const auto kPower = []<class T>(const T& x, std::span<const T> p) -> T { return pow(x, p[0]); };

}  // namespace

BOOST_AUTO_TEST_CASE(the_rule_is_boosts) {
  using Rule = boost::math::quadrature::gauss_kronrod<double, 15>;
  const detail::QuadratureRule rule = detail::rule_of({-1, 1});
  for (int k = 0; k < 8; ++k) {
    BOOST_TEST(rule.node[k] == Rule::abscissa()[static_cast<std::size_t>(k)]);
    BOOST_TEST(rule.weight[k] == Rule::weights()[static_cast<std::size_t>(k)]);
  }
  const std::vector<double> p{0.7};
  double error = 0;
  const double boosts = Rule::integrate([&](double x) { return std::exp(-0.7 * x * x); }, 0.3, 2.0, 10, 1e-12, &error);
  BOOST_TEST(integrate(kGauss, 0.3, 2, p) == boosts, tt::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(parameters_and_infinite_bounds) {
  for (const double a : {0.3, 1.0, 25.0}) {
    Tape tape;
    const std::vector<Scalar> p{tape.variable(a)};
    const double whole = std::sqrt(std::numbers::pi / a);
    const Scalar all = integrate(kGauss, -kInfinity, kInfinity, p), right = integrate(kGauss, 0, kInfinity, p),
                 left = integrate(kGauss, -kInfinity, 0, p), back = integrate(kGauss, kInfinity, 0, p);
    const auto close = tt::tolerance(1e-10);
    BOOST_TEST(all.value() == whole, close);
    BOOST_TEST(right.value() == whole / 2, close);
    BOOST_TEST(left.value() == whole / 2, close);
    BOOST_TEST(back.value() == -whole / 2, close);
    BOOST_TEST(tape.gradient(all, wrt(p[0]), {.retain = true}) == -whole / (2 * a), close);
    BOOST_TEST(tape.gradient(right, wrt(p[0]), {.retain = true}) == -whole / (4 * a), close);
    BOOST_TEST(tape.gradient(left, wrt(p[0]), {.retain = true}) == -whole / (4 * a), close);
    BOOST_TEST(tape.gradient(back, p[0]) == whole / (4 * a), close);
  }
}

BOOST_AUTO_TEST_CASE(bounds) {
  // x^n from a to b: (b^(n+1) - a^(n+1)) / (n + 1)
  const double n = 1.7;
  for (const auto& [from, to] : {std::pair(0.4, 2.5), std::pair(2.5, 0.4), std::pair(1.1, 1.1)}) {
    Tape tape;
    const Scalar a = tape.variable(from), b = tape.variable(to);
    const std::vector<Scalar> p{tape.variable(n)};
    const Scalar y = integrate(kPower, a, b, p);
    const auto [a_bar, b_bar, n_bar] = tape.gradient(y, a, b, p[0]);
    const auto antiderivative = [](double x, double m) { return std::pow(x, m + 1) / (m + 1); };
    BOOST_TEST(y.value() - (antiderivative(to, n) - antiderivative(from, n)) == 0, tt::tolerance(1e-13));
    BOOST_TEST(std::fabs(y.value() - (antiderivative(to, n) - antiderivative(from, n))) < 1e-12);
    BOOST_TEST(a_bar == -std::pow(from, n), tt::tolerance(1e-14));
    BOOST_TEST(b_bar == std::pow(to, n), tt::tolerance(1e-14));
    const auto slope = [&](double x) { return antiderivative(x, n) * (std::log(x) - 1 / (n + 1)); };
    BOOST_TEST(std::fabs(n_bar - (slope(to) - slope(from))) < 1e-11);
  }
}

BOOST_AUTO_TEST_CASE(a_bound_alone_is_tracked) {
  Tape tape;
  const Scalar a = tape.variable(0.5);
  const Scalar y = integrate(kGauss, a, kInfinity, std::vector{1.0});
  BOOST_TEST(y.value() == 0.5 * kRootPi * std::erfc(0.5), tt::tolerance(1e-12));
  BOOST_TEST(tape.statements() == 2u);
  BOOST_TEST(tape.gradient(y, a) == -std::exp(-0.25), tt::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(forward_mode_and_higher_orders) {
  // F(a, p) = integral of exp(-p x^2) from a to 2 a
  const auto f = [](auto v) { return integrate(kGauss, v[0], 2.0 * v[0], std::vector{v[1]}); };
  const std::vector<double> at{0.4, 1.3};
  const double p = at[1], a = at[0], e1 = std::exp(-p * a * a), e4 = std::exp(-4 * p * a * a);
  const std::vector<double> g = gradient(f, at), h = hessian(f, at);
  const auto close = tt::tolerance(1e-10);
  BOOST_TEST(g[0] == 2 * e4 - e1, close);
  BOOST_TEST(h[0] == -16 * p * a * e4 + 2 * p * a * e1, close);
  BOOST_TEST(h[1] == -8 * a * a * e4 + a * a * e1, close);
  BOOST_TEST(h[2] == h[1], close);
  BOOST_TEST(directional_derivative(f, at, std::vector{1.0, 0.0}) == 2 * e4 - e1, close);
  Tape tape({.higher_order = true});
  const std::vector<Scalar> v = tape.variables(at);
  const Scalar first = tape.differentiable_gradient(Scalar(f(v)), v[1]);
  BOOST_TEST(first.value() == g[1], close);
  BOOST_TEST(tape.gradient(first, v[0]) == h[1], close);
}

BOOST_AUTO_TEST_CASE(peaks_and_odd_functions) {
  const auto peak = []<class T>(const T& x, std::span<const T> p) -> T { return p[0] / (p[0] * p[0] + x * x); };
  Tape tape;
  const std::vector<Scalar> p{tape.variable(1e-4)};
  const Scalar y = integrate(peak, -1, 2, p);
  BOOST_TEST(y.value() == std::atan(1e4) + std::atan(2e4), tt::tolerance(1e-10));
  BOOST_TEST(tape.gradient(y, p[0]) == -1 / (1 + 1e-8) - 2 / (4 + 1e-8), tt::tolerance(1e-5));  // of 1e4 that cancel
  const auto odd = []<class T>(const T& x, std::span<const T>) -> T { return x * x * x; };
  BOOST_TEST(std::fabs(integrate(odd, -1, 1, std::vector<double>())) < 1e-15);
  const auto root = []<class T>(const T& x, std::span<const T>) -> T { return 1 / sqrt(x); };
  BOOST_TEST(integrate(root, 0, 1, std::vector<double>(), {.relative = 1e-7}) == 2, tt::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(what_integrate_refuses) {
  const std::vector<double> p{1};
  const auto pole = []<class T>(const T& x, std::span<const T>) -> T { return 1 / x; };
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { integrate(pole, 0, 1, p); }), "1000 parts of the range do not suffice"));
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { integrate(pole, -1, 1, p); }), "is not finite at a node"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate(pole, std::nan(""), 1, p); }), "must be numbers"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate(pole, kInfinity, kInfinity, p); }), "both bounds are inf"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate(pole, 1, 2, p, {.relative = 0}); }), "one must be positive"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate(pole, 1, 2, p, {.max_intervals = 0}); }), "max_intervals is 0"));
  // What f reads of a tape must come through p.
  Tape tape;
  const Scalar captured = tape.variable(2);
  const auto reads = [&](auto x, auto) -> decltype(x) {
    if constexpr (std::is_same_v<decltype(x), Scalar>) return captured * x;
    return x;
  };
  BOOST_TEST(contains(message_of<TapeError>([&] { integrate(reads, 0, 1, std::vector{tape.variable(1)}); }), "outer tape"));
}
