// The steppers of Boost.Odeint with states of Scalars and eager Scalars, in vectors, arrays and Eigen's matrices: values against doubles,
// gradients against differences. (A controlled stepper whose value type is double does not differentiate its step sizes, so that gradients
// are those of differences to within its tolerance.)
#include "autodiff/interop/boost.h"  // first: Boost must see its functions

#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Core>
#include <array>
#include <boost/numeric/odeint.hpp>
#include <boost/numeric/odeint/external/eigen/eigen.hpp>
#include <boost/test/unit_test.hpp>
#include <utility>
#include <vector>

#include "tests/support/programs.h"

using namespace wengert;
namespace ode = boost::numeric::odeint;

namespace {

template <class T> using Numbers = std::vector<T>;
// x' = a x - x y, y' = x y - y, from (1, 2).
template <class T> struct LotkaVolterra {
  T a;
  template <class State, class Time> void operator()(const State& x, State& x_dot, Time) const {
    x_dot[0] = a * x[0] - x[0] * x[1];
    x_dot[1] = x[0] * x[1] - x[1];
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(fixed_steps) {
  PROGRAM(euler, Numbers<T> s{1.0, 2.0}; ode::integrate_const(ode::euler<Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(rk4, Numbers<T> s{1.0, 2.0}; ode::integrate_const(ode::runge_kutta4<Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(rk4_T, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::runge_kutta4<Numbers<T>, T>(), LotkaVolterra<T>{x}, s, T(0.0), T(1.0), T(0.1)); return T(s[0] * y););
  PROGRAM(modified_midpoint, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::modified_midpoint<Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1); return T(s[0] * y););
  PROGRAM(cashkarp_fixed, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::runge_kutta_cash_karp54<Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(fehlberg_fixed, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::runge_kutta_fehlberg78<Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(adams_bashforth, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::adams_bashforth<4, Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1); return T(s[0] * y););
  PROGRAM(abm, Numbers<T> s{1.0, 2.0};
          ode::integrate_const(ode::adams_bashforth_moulton<4, Numbers<T>, double>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(symplectic_euler, std::pair<Numbers<T>, Numbers<T>> s{{1.0}, {2.0}};
          ode::integrate_const(ode::symplectic_euler<Numbers<T>, Numbers<T>, double>(),
                               std::make_pair([&](const Numbers<T>& p, Numbers<T>& d) { d[0] = p[0]; },
                                              [&](const Numbers<T>& q, Numbers<T>& d) { d[0] = -x * q[0]; }),
                               s, 0.0, 1.0, 0.1);
          return T(s.first[0] * y););
  PROGRAM(
      velocity_verlet, std::pair<Numbers<T>, Numbers<T>> s{{1.0}, {2.0}}; ode::velocity_verlet<Numbers<T>, Numbers<T>, double> st;
      auto f = [&](const Numbers<T>& q, const Numbers<T>&, Numbers<T>& d, double) { d[0] = -x * q[0]; };
      for (int i = 0; i < 5; ++i) st.do_step(f, s, 0.1 * i, 0.1); return T(s.first[0] * y););
  PROGRAM(odeint_eigen_rk4, using S = Eigen::Matrix<T, 2, 1>; S s(T(1.0), T(2.0));
          ode::integrate_const(ode::runge_kutta4<S, double, S, double, ode::vector_space_algebra>(), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
}

BOOST_AUTO_TEST_CASE(controlled_steps) {
  PROGRAM(dopri5_controlled_double, Numbers<T> s{1.0, 2.0}; ode::integrate_adaptive(
              ode::make_controlled<ode::runge_kutta_dopri5<Numbers<T>, double>>(1e-10, 1e-10), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(dopri5_controlled_T, Numbers<T> s{1.0, 2.0};
          ode::integrate_adaptive(ode::make_controlled<ode::runge_kutta_dopri5<Numbers<T>, T>>(T(1e-10), T(1e-10)), LotkaVolterra<T>{x}, s,
                                  T(0.0), T(1.0), T(0.1));
          return T(s[0] * y););
  PROGRAM(dopri5_dense, Numbers<T> s{1.0, 2.0}; ode::integrate_const(
              ode::make_dense_output<ode::runge_kutta_dopri5<Numbers<T>, double>>(1e-10, 1e-10), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(cashkarp_integrate, Numbers<T> s{1.0, 2.0}; ode::integrate_adaptive(
              ode::make_controlled<ode::runge_kutta_cash_karp54<Numbers<T>, double>>(1e-10, 1e-10), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(integrate_T, Numbers<T> s{1.0, 2.0}; ode::integrate(LotkaVolterra<T>{x}, s, T(0.0), T(1.0), T(0.1)); return T(s[0] * y););
  PROGRAM(bulirsch_stoer, Numbers<T> s{1.0, 2.0};
          ode::integrate_adaptive(ode::bulirsch_stoer<Numbers<T>, double>(1e-10, 1e-10), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(bulirsch_stoer_T, Numbers<T> s{1.0, 2.0};
          ode::integrate_adaptive(ode::bulirsch_stoer<Numbers<T>, T>(T(1e-10), T(1e-10)), LotkaVolterra<T>{x}, s, T(0.0), T(1.0), T(0.1));
          return T(s[0] * y););
  PROGRAM(odeint_eigen, Eigen::Matrix<T, 2, 1> s(T(1.0), T(2.0)); using S = Eigen::Matrix<T, 2, 1>; ode::integrate_adaptive(
              ode::make_controlled<ode::runge_kutta_dopri5<S, double, S, double, ode::vector_space_algebra>>(1e-10, 1e-10),
              LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
  PROGRAM(odeint_array, using S = std::array<T, 2>; S s{1.0, 2.0}; ode::integrate_adaptive(
              ode::make_controlled<ode::runge_kutta_dopri5<S, double>>(1e-10, 1e-10), LotkaVolterra<T>{x}, s, 0.0, 1.0, 0.1);
          return T(s[0] * y););
}
