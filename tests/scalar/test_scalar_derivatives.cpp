#include "autodiff/scalar/scalar_derivatives.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <complex>
#include <thread>

#include "autodiff/autodiff.h"
#include "tests/support/forward_number.h"

using namespace wengert;
using wengert::testing::ForwardNumber;
namespace tt = boost::test_tools;

namespace {

struct Rosenbrock {
  template <class T> T operator()(std::span<const T> x) const {
    T f = 0.0;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      T valley = x[i + 1] - x[i] * x[i], slope = 1.0 - x[i];
      f += 100.0 * valley * valley + slope * slope;
    }
    return f;
  }
};
// Analytic, and none of its second derivatives vanishes.
struct Analytic {
  template <class T> T operator()(std::span<const T> x) const {
    using std::cos;
    using std::exp;
    using std::sin;
    using std::tanh;
    T a = sin(x[0] * x[1]) + exp(-x[2] * x[0]), b = tanh(x[1] * 0.5 - x[2]) / (2.0 + cos(x[0]));
    T s = a * b;
    for (std::size_t i = 0; i < x.size(); ++i) s += x[i] * x[i] * a * 0.1;
    s *= b;
    T result = s + a;
    return result;
  }
};

const std::vector<double> kPoint = {0.3, -0.7, 1.1};

double second_derivative(std::size_t i, std::size_t j) {
  using Second = ForwardNumber<ForwardNumber<double>>;
  std::vector<Second> x;
  for (std::size_t k = 0; k < kPoint.size(); ++k) x.push_back({{kPoint[k], k == i ? 1.0 : 0.0}, {k == j ? 1.0 : 0.0, 0}});
  return Analytic()(std::span<const Second>(x)).d.d;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_gradient_is_the_tapes) {
  const auto [value, g] = value_and_gradient(Analytic(), kPoint);
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  const Scalar y = Analytic()(std::span<const Scalar>(x));
  std::vector<double> wanted(x.size());
  tape.gradient(y, x, wanted);
  BOOST_TEST(value == y.value());
  BOOST_TEST(g == wanted, tt::tolerance(1e-14) << tt::per_element());
  BOOST_TEST(gradient(Analytic(), kPoint) == g, tt::per_element());
}

// f'(x) = Im f(x + ih) / h has no difference of nearly equal numbers.
BOOST_AUTO_TEST_CASE(the_gradient_agrees_with_the_complex_step) {
  constexpr double h = 1e-100;
  const std::vector<double> g = gradient(Analytic(), kPoint);
  for (std::size_t i = 0; i < kPoint.size(); ++i) {
    std::vector<std::complex<double>> x(kPoint.begin(), kPoint.end());
    x[i] += std::complex<double>(0, h);
    BOOST_TEST(g[i] == Analytic()(std::span<const std::complex<double>>(x)).imag() / h, tt::tolerance(1e-13));
  }
}

BOOST_AUTO_TEST_CASE(a_directional_derivative_is_the_gradient_along_it) {
  const std::vector<double> v = {1, -2, 0.5}, g = gradient(Analytic(), kPoint);
  BOOST_TEST(directional_derivative(Analytic(), kPoint, v) == g[0] - 2 * g[1] + 0.5 * g[2], tt::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(the_hessian_agrees_with_forward_mode_over_itself) {
  const std::vector<double> h = hessian(Analytic(), kPoint);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) BOOST_TEST(h[i * 3 + j] == second_derivative(i, j), tt::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(the_hessian_of_rosenbrocks_valley) {
  std::vector<double> x;
  for (int i = 0; i < 100; ++i) x.push_back(std::sin(i) * 1.2);
  const std::vector<double> h = hessian(Rosenbrock(), x);
  for (std::size_t i = 0; i < 100; ++i)
    for (std::size_t j = 0; j < 100; ++j) {
      double wanted = 0;
      if (i == j) wanted = (i < 99 ? 1200 * x[i] * x[i] - 400 * x[i + 1] + 2 : 0) + (i > 0 ? 200 : 0);
      if (i + 1 == j || j + 1 == i) wanted = -400 * x[std::min(i, j)];
      BOOST_REQUIRE_SMALL(h[i * 100 + j] - wanted, 1e-11);
    }
}

BOOST_AUTO_TEST_CASE(a_hessian_times_a_vector_is_one_sweep) {
  const std::vector<double> v = {1, -2, 0.5}, h = hessian(Analytic(), kPoint), product = hvp(Analytic(), kPoint, v);
  for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(product[i] == h[i * 3] - 2 * h[i * 3 + 1] + 0.5 * h[i * 3 + 2], tt::tolerance(1e-13));
}

// A zero adjoint propagates nothing, but one whose value is zero and whose tangent is not must be propagated.
BOOST_AUTO_TEST_CASE(an_adjoint_of_zero_that_changes_is_passed_on) {
  const auto f = [](auto x) {
    auto y = std::remove_cvref_t<decltype(x[0])>(x[0] * 1.0);
    return std::remove_cvref_t<decltype(x[0])>(y * y);
  };
  const std::vector<double> h = hessian(f, std::vector<double>{0.0});
  BOOST_TEST(h[0] == 2);
}

BOOST_AUTO_TEST_CASE(second_derivatives_inside_a_recorded_program_are_constants) {
  Tape tape;
  Scalar x = tape.variable(3), y = x * x;
  const std::vector<double> h = hessian(Rosenbrock(), std::vector<double>{1, 2});
  y += x * h[3];
  BOOST_TEST(tape.gradient(y, x) == 206);
}

// Every function of the list: the second derivative by a Hessian is the slope of the slope.
template <class F> void check_function(const F& f, double x) {
  const auto program = [&](auto v) {
    using T = std::remove_cvref_t<decltype(v[0])>;
    return T(wengert::detail::apply(f, v[0]));
  };
  const double got = hessian(program, std::vector<double>{x})[0];
  const double step = 1e-5;
  const auto slope = [&](double at) { return static_cast<double>(f.pullback(1.0, at, f.value(at))); };
  const double wanted = (slope(x + step) - slope(x - step)) / (2 * step);
  BOOST_TEST_CONTEXT(F::name << " at " << x) BOOST_TEST(std::abs(got - wanted) < 1e-6 * (1 + std::abs(wanted)));
}

BOOST_AUTO_TEST_CASE(second_derivatives_of_all_functions) {
#define CHECK_FUNCTION(F, ...) \
  for (double part : {0.21, 0.48, 0.83}) check_function(fn::F{}, fn::F::smooth.low + part * (fn::F::smooth.high - fn::F::smooth.low));
  WENGERT_UNARY_FUNCTIONS(CHECK_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(CHECK_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(CHECK_FUNCTION)
#undef CHECK_FUNCTION
}

template <class F> void check_binary(const F& f, double a, double b) {
  const auto program = [&](auto v) {
    using T = std::remove_cvref_t<decltype(v[0])>;
    return T(wengert::detail::apply(f, v[0], v[1]));
  };
  const std::vector<double> h = hessian(program, std::vector<double>{a, b});
  const double step = 1e-5;
  const auto left = [&](double s, double t) { return static_cast<double>(f.left(1.0, s, t, f.value(s, t))); };
  const auto right = [&](double s, double t) { return static_cast<double>(f.right(1.0, s, t, f.value(s, t))); };
  const double wanted[4] = {(left(a + step, b) - left(a - step, b)) / (2 * step), (left(a, b + step) - left(a, b - step)) / (2 * step),
                            (right(a + step, b) - right(a - step, b)) / (2 * step), (right(a, b + step) - right(a, b - step)) / (2 * step)};
  BOOST_TEST_CONTEXT(F::name)
  for (int k = 0; k < 4; ++k) BOOST_TEST(std::abs(h[static_cast<std::size_t>(k)] - wanted[k]) < 1e-6 * (1 + std::abs(wanted[k])));
}

BOOST_AUTO_TEST_CASE(second_derivatives_of_functions_of_two_operands) {
#define CHECK_FUNCTION(F, ...) check_binary(fn::F{}, 0.7, 1.6);
  WENGERT_BINARY_FUNCTIONS(CHECK_FUNCTION)
  WENGERT_ARITHMETIC(CHECK_FUNCTION)
#undef CHECK_FUNCTION
}
