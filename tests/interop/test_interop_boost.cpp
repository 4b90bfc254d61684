// Boost.Math and Boost.Odeint with Scalars. The values and derivatives of the table are mpmath's, at 40 digits.
#include "autodiff/interop/boost.h"  // first: Boost must see its functions

#include <autodiff/autodiff.h>

#include <array>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions.hpp>
#include <boost/numeric/odeint.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

using namespace wengert;
namespace bm = boost::math;
namespace ode = boost::numeric::odeint;
using T = EagerScalar;

namespace {

constexpr double kTolerance = 1e-10;

struct Row {
  const char* name;
  T (*f)(const T&);
  double x, value, derivative;
};

using Normal = bm::normal_distribution<T>;
using Student = bm::students_t_distribution<T>;
using ChiSquared = bm::chi_squared_distribution<T>;

#define ROW(expression, ...)                                             \
  {                                                                      \
#expression, [](const T& x) -> T { return expression; }, __VA_ARGS__ \
  }
const Row kRows[] = {
    ROW(bm::tgamma(x), 1.3, 0.89747069630627719, -0.15184386483996465),
    ROW(bm::tgamma(x), 3, 2, 1.8455686701969343),
    ROW(bm::lgamma(x), 1, 0, -0.57721566490153286),
    ROW(bm::lgamma(x), 4.5, 2.4537365708424422, 1.3888709263595289),
    ROW(bm::digamma(x), 2, 0.42278433509846714, 0.64493406684822644),
    ROW(bm::beta(x, 2.5), 1.3, 0.25415419017646049, -0.34739846623591314),
    ROW(bm::beta(2.0, x), 1, 0.5, -0.75),
    ROW(bm::erf(x), 0, 0, 1.1283791670955126),
    ROW(bm::erf(x), 0.8, 0.74210096470766049, 0.59498578625746896),
    ROW(bm::erfc(x), 2.8, 7.5013194665459024e-5, -0.00044420794420566663),
    ROW(bm::erf_inv(x), 0.4, 0.37080715859355793, 1.0168562004306123),
    ROW(bm::erf_inv(x), 0, 0, 0.88622692545275801),
    ROW(bm::cyl_bessel_j(0, x), 1.3, 0.62008598956150913, -0.5220232474146604),
    ROW(bm::cyl_bessel_j(x, 2.0), 1.3, 0.53673941998995297, -0.19768332477638088),
    ROW(bm::cyl_bessel_j(x, 1.5), 2, 0.23208767214421473, -0.26541325938474363),
    ROW(bm::cyl_neumann(1, x), 1.3, -0.54851972998077608, 0.70847361099693631),
    ROW(bm::cyl_bessel_i(x, 2.0), 1.3, 1.2908192151358801, -0.98272215946536484),
    ROW(bm::cyl_bessel_k(0.3, x), 1.3, 0.28576498613411704, -0.38734778143537133),
    ROW(bm::gamma_p(1.7, x), 1.3, 0.47144140335117141, 0.36040123825805507),
    ROW(bm::gamma_p(x, 2.5), 1.3, 0.86775494602301687, -0.18617513167788437),
    ROW(bm::gamma_p(x, 2.0), 3, 0.32332358381693654, -0.23184867204398959),
    ROW(bm::gamma_q(x, 4.0), 0.5, 0.0046777349810472658, 0.016565975346630366),
    ROW(bm::ibeta(1.5, 2.0, x), 0.3, 0.33684937286567716, 1.437771713451061),
    ROW(bm::ibeta(x, 3.0, 0.4), 2, 0.5248, -0.24086937608755658),
    ROW(bm::ibeta(2.0, x, 0.4), 1, 0.16, 0.18909352396343217),
    ROW(bm::ibeta(0.5, x, 0.24), 1, 0.48989794855663562, 0.25826328779619184),
    ROW(bm::zeta(x), 2, 1.6449340668482264, -0.93754825431584375),
    ROW(bm::expint(x), 1.3, 2.7213988802320236, 2.8225358981686494),
    ROW(bm::ellint_1(x), 0.3, 1.6080486199305128, 0.26193853767942268),
    ROW(bm::airy_ai(x), 1.3, 0.09347466577150271, -0.12033386559018358),
    ROW(bm::lambert_w0(x), 1.3, 0.66713184636145511, 0.30782109074035526),
    ROW(cdf(Normal(0, 1), x), 0, 0.5, 0.39894228040143268),
    ROW(cdf(Normal(0.2, x), T(0.3)), 1.5, 0.5265764643003651, -0.017691410058397876),
    ROW(quantile(Normal(0, 1), x), 0.3, -0.52440051270804078, 2.8761036592642923),
    ROW(cdf(Student(3), x), 0.7, 0.73283650084761819, 0.27158835908824659),
    ROW(cdf(Student(x), T(0.8)), 4, 0.76573643221888456, 0.0052480931493592728),
    ROW(cdf(Student(x), T(-0.8)), 2, 0.25381701804133386, -0.0181486030527352947),
    ROW(cdf(Student(4), x), 0, 0.5, 0.375),
    ROW(quantile(Student(4), x), 0.5, 0, 8.0 / 3),
    ROW(quantile(Student(3.5), x), 0.3, -0.57533870177223101, 3.2962936389228213),
    ROW(quantile(Student(x), T(0.3)), 3.5, -0.57533870177223101, 0.015388087987162395),
    ROW(quantile(Student(x), T(0.3)), 4, -0.56864906304970544, 0.01163166812512975),
    ROW(cdf(ChiSquared(3), x), 2.7, 0.55977270563976892, 0.16993952394897017),
    ROW(cdf(ChiSquared(x), T(2.8)), 4, 0.40816728654014446, -0.15586697653337837),
    ROW(quantile(ChiSquared(3.5), x), 0.3, 1.8037944735550034, 4.8943638897309668),
    ROW(quantile(ChiSquared(x), T(0.3)), 4, 2.1946984214069833, 0.79080564272142673),
};
#undef ROW

// x' = a x - x y, y' = x y - y, from (1, 2).
template <class Time> struct LotkaVolterra {
  T a;
  template <class State> void operator()(const State& x, State& x_dot, Time) const {
    x_dot[0] = a * x[0] - x[0] * x[1];
    x_dot[1] = x[0] * x[1] - x[1];
  }
};

// The prey after a time of 2 and its derivative with respect to a, by `integrate(system, state)`.
template <class Time, class State = std::vector<T>, class F> std::array<double, 2> prey(F&& integrate) {
  Tape tape;
  const Scalar a = tape.variable(1.5);
  State x{1.0, 2.0};
  integrate(LotkaVolterra<Time>{a}, x);
  const Scalar end = x[0];
  return {end.value(), tape.gradient(end, a)};
}
const std::array<double, 2> kPrey =
    prey<double>([](const auto& f, auto& x) { ode::integrate_const(ode::runge_kutta4<std::vector<T>, double>(), f, x, 0.0, 2.0, 1e-3); });

void check(const std::array<double, 2>& got, double tolerance = 1e-7) {
  BOOST_TEST(std::abs(got[0] - kPrey[0]) < tolerance);
  BOOST_TEST(std::abs(got[1] - kPrey[1]) < tolerance);
}

}  // namespace

// ---- Boost.Math -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(functions_and_distributions_have_the_values_and_derivatives_of_mpmath) {
  for (const Row& row : kRows) {
    Tape tape;
    const Scalar x = tape.variable(row.x);
    const Scalar y = row.f(x);
    const double value = y.value(), derivative = tape.gradient(y, x);
    BOOST_TEST(std::abs(value - row.value) < 1e-14 * (1 + std::abs(row.value)), row.name << " at " << row.x << ": " << value);
    BOOST_TEST(std::abs(derivative - row.derivative) < kTolerance * (1 + std::abs(row.derivative)),
               row.name << " at " << row.x << ": derivative " << derivative << ", not " << row.derivative);
  }
}

// The mean of two calls, whose errors docs/boost.md states.
BOOST_AUTO_TEST_CASE(bessel_functions_by_a_whole_or_half_order) {
  struct Order {
    T (*f)(const T&);
    double order, derivative;
  };
  const Order rows[] = {{[](const T& n) -> T { return bm::cyl_bessel_j(n, 1.5); }, 0, 0.60074936468818092},
                        {[](const T& n) -> T { return bm::cyl_bessel_j(n, 9.5); }, 2.5, -0.31651578484843688},
                        {[](const T& n) -> T { return bm::cyl_bessel_j(n, 9.5); }, 7, 0.11101960969135333},
                        {[](const T& n) -> T { return bm::cyl_neumann(n, 1.5); }, 0, -0.80397702671476432},
                        {[](const T& n) -> T { return bm::cyl_neumann(n, 1.5); }, 3, -2.1530935448255404}};
  for (const Order& row : rows) {
    Tape tape;
    const Scalar n = tape.variable(row.order);
    const double derivative = tape.gradient(Scalar(row.f(n)), n);
    BOOST_TEST(std::abs(derivative - row.derivative) < 1e-8, "order " << row.order << ": " << derivative << ", not " << row.derivative);
  }
}

BOOST_AUTO_TEST_CASE(constants_have_the_values_of_doubles) {
  const auto close = boost::test_tools::tolerance(1e-14);
  for (const double x : {0.5, 1.0, 1.3, 2.0, 7.0}) {
    BOOST_TEST(bm::tgamma(T(x)).value() == bm::tgamma(x), close);
    BOOST_TEST(bm::gamma_p(T(x), T(2.0)).value() == bm::gamma_p(x, 2.0), close);
    BOOST_TEST(bm::ibeta(T(x), T(2.0), T(0.3)).value() == bm::ibeta(x, 2.0, 0.3), close);
  }
  BOOST_TEST(bm::lgamma(T(1.0)).value() == 0);  // a constant is not moved
}

BOOST_AUTO_TEST_CASE(scalars_and_their_expressions_are_operands) {
  Tape tape;
  const Scalar x = tape.variable(1.3);
  const Scalar y = bm::tgamma(x) * bm::erf(x * 0.5) + bm::gamma_p(x, 2.0 * x);
  const double h = 1e-5;
  const auto f = [](double at) { return bm::tgamma(at) * bm::erf(at * 0.5) + bm::gamma_p(at, 2 * at); };
  BOOST_TEST(y.value() == f(1.3), boost::test_tools::tolerance(1e-14));
  BOOST_TEST(tape.gradient(y, x) == (f(1.3 + h) - f(1.3 - h)) / (2 * h), boost::test_tools::tolerance(1e-8));
}

BOOST_AUTO_TEST_CASE(a_derivative_with_respect_to_both_arguments) {
  Tape tape;
  const Scalar a = tape.variable(2), x = tape.variable(0.4);
  const auto [a_bar, x_bar] = tape.gradient(Scalar(bm::ibeta(a, T(3.0), x)), a, x);
  BOOST_TEST(std::abs(a_bar + 0.24086937608755658) < kTolerance);
  BOOST_TEST(std::abs(x_bar - 12 * 0.4 * 0.36) < 2 * kTolerance);  // x^(a-1) (1-x)^(b-1) / B(a, b)
}

BOOST_AUTO_TEST_CASE(the_errors_of_boost_stay) {
  Tape tape;
  const T x = tape.variable(-2.0), one = tape.variable(1.0);
  BOOST_CHECK_THROW(bm::tgamma(x), std::domain_error);
  BOOST_CHECK_THROW(quantile(Normal(0, 1), one), std::overflow_error);
  BOOST_CHECK_THROW(bm::gamma_p(x, T(1.0)), std::domain_error);
}

// ---- Boost.Odeint -----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(controlled_steppers) {
  using State = std::vector<T>;
  const auto adaptive = [](auto stepper) {
    return prey<double>([&](const auto& f, auto& x) { ode::integrate_adaptive(stepper, f, x, 0.0, 2.0, 0.1); });
  };
  check(adaptive(ode::make_controlled<ode::runge_kutta_dopri5<State, double>>(1e-10, 1e-10)));
  check(adaptive(ode::make_controlled<ode::runge_kutta_cash_karp54<State, double>>(1e-10, 1e-10)));
  check(adaptive(ode::bulirsch_stoer<State, double>(1e-10, 1e-10)));
}

BOOST_AUTO_TEST_CASE(dense_output) {
  using State = std::vector<T>;
  const auto constant = [](auto stepper) {
    return prey<double>([&](const auto& f, auto& x) { ode::integrate_const(stepper, f, x, 0.0, 2.0, 0.25); });
  };
  check(constant(ode::make_dense_output<ode::runge_kutta_dopri5<State, double>>(1e-10, 1e-10)));
}

BOOST_AUTO_TEST_CASE(states_in_arrays) {
  using State = std::array<T, 2>;
  check(prey<double, State>([](const auto& f, State& x) {
    ode::integrate_adaptive(ode::make_controlled<ode::runge_kutta_dopri5<State, double>>(1e-10, 1e-10), f, x, 0.0, 2.0, 0.1);
  }));
}

BOOST_AUTO_TEST_CASE(step_sizes_may_be_differentiated) {
  using State = std::vector<T>;
  check(prey<T>([](const auto& f, State& x) {
    ode::integrate_adaptive(ode::make_controlled<ode::runge_kutta_dopri5<State, T>>(T(1e-10), T(1e-10)), f, x, T(0.0), T(2.0), T(0.1));
  }));
}
