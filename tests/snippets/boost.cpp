#include <autodiff/autodiff.h>
#include <autodiff/interop/boost.h>

#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/bessel.hpp>
#include <boost/numeric/odeint.hpp>
#include <cstdio>
using namespace wengert;

int main() {
  namespace math = boost::math;
  {
    // [math]
    Tape tape;
    const Scalar x = tape.variable(0.8), n = tape.variable(4);
    const Scalar wave = exp(-x) * math::cyl_bessel_j(0, 2 * x);
    const Scalar p = cdf(math::students_t_distribution<EagerScalar>(n), EagerScalar(x));
    const double slope = tape.gradient(wave, wrt(x), {.retain = true});
    const auto [by_n, by_x] = tape.gradient(p, n, x);
    // [math]
    std::printf("wave %.6f, slope %.6f\n", wave.value(), slope);
    std::printf("p %.6f, by n %.6f, by x %.6f\n", p.value(), by_n, by_x);
  }
  {
    // [odeint]
    namespace ode = boost::numeric::odeint;
    using State = std::vector<EagerScalar>;
    Tape tape;
    const Scalar a = tape.variable(1.5), b = tape.variable(1);
    const auto lotka_volterra = [&](const State& x, State& x_dot, double) {
      x_dot[0] = a * x[0] - b * x[0] * x[1];
      x_dot[1] = x[0] * x[1] - x[1];
    };
    State x{1, 2};
    const auto stepper =
        ode::make_controlled<ode::runge_kutta_dopri5<State, double>>(1e-10, 1e-10);
    ode::integrate_adaptive(stepper, lotka_volterra, x, 0.0, 2.0, 0.1);
    const auto [by_a, by_b] = tape.gradient(Scalar(x[0]), a, b);
    // [odeint]
    std::printf("prey %.6f, by a %.6f, by b %.6f\n", x[0].value(), by_a, by_b);
  }
}
