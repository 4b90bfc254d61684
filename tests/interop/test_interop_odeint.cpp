// Differential equations: the adjoint method against the taped one, against formulas and against differences; and its memory.
#include <autodiff/autodiff.h>
#include <autodiff/interop/odeint.h>
#include <autodiff/tensor/storage.h>
#include <malloc.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "tests/support/sanitizers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;
namespace tt = boost::test_tools;
namespace ode = boost::numeric::odeint;

namespace {

const auto kLotkaVolterra = []<class T>(std::span<const T> y, double, std::span<const T> p) {
  return std::array<T, 2>{p[0] * y[0] - p[1] * y[0] * y[1], p[2] * y[0] * y[1] - p[3] * y[1]};
};
const std::vector<double> kPoint{1, 2, 1.5, 1, 1.2, 0.9};  // the first state and the parameters

// y' = -p y + t,  y = (y_0 + 1/p^2) e^(-p t) + t / p - 1 / p^2 from t = 0
const auto kDecay = []<class T>(std::span<const T> y, double t, std::span<const T> p) { return std::vector<T>{-p[0] * y[0] + t}; };
const auto kDecayed = [](auto y0, auto p, double t) { return (y0 + 1 / (p * p)) * exp(-p * t) + t / p - 1 / (p * p); };

struct Result {
  double value;
  std::vector<double> slopes;
  std::size_t statements, nodes, bytes;
};
// The first component at `end` and its derivatives with respect to first state and parameters.
template <template <class...> class Stepper = ode::runge_kutta_dopri5> Result lotka_volterra(double end, const OdeOptions& options) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  const std::span<const Scalar> all(x);
  const Scalar y = integrate_ode<Stepper>(kLotkaVolterra, all.first(2), 0, end, all.subspan(2), options)[0];
  Result r{y.value(), std::vector<double>(x.size()), tape.statements(), tape.nodes(), 0};
  tape.gradient(y, x, r.slopes, {.retain = true});
  r.bytes = tape.bytes();
  return r;
}

double distance(std::span<const double> a, std::span<const double> b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]) / (1 + std::fabs(b[i])));
  return most;
}
// The steps of a run, counted by the calls of f: dopri5 needs six for each, and one for the first.
double calls_for(double end, const OdeOptions& options) {
  double calls = 0;
  const auto counted = [&](auto y, double t, auto p) {
    ++calls;
    return kLotkaVolterra(y, t, p);
  };
  const std::span<const double> all(kPoint);
  integrate_ode(counted, all.first(2), 0, end, all.subspan(2), options);
  return (calls - 1) / 6;
}

}  // namespace

BOOST_AUTO_TEST_CASE(adjoint_and_taped_agree_after_ten_thousand_steps) {
  const double end = 660;
  const double steps = calls_for(end, {.relative = 1e-10, .absolute = 1e-10});
  BOOST_TEST_MESSAGE(steps << " steps, rejected ones included");
  BOOST_TEST(steps > 1e4);
  const Result adjoint = lotka_volterra(end, {.relative = 1e-10, .absolute = 1e-10});
  const Result taped = lotka_volterra(end, {.method = OdeMethod::taped, .relative = 1e-10, .absolute = 1e-10});
  BOOST_TEST(adjoint.value == taped.value);
  BOOST_TEST_MESSAGE("largest relative difference " << distance(adjoint.slopes, taped.slopes) << "; bytes of the tape " << adjoint.bytes
                                                    << " and " << taped.bytes);
  BOOST_TEST(distance(adjoint.slopes, taped.slopes) < 1e-8);
  BOOST_TEST(taped.statements > 1e5);
  BOOST_TEST(adjoint.statements == 6u + 2u);  // variables and results
  BOOST_TEST(adjoint.nodes == 4u);            // stack, the operation, two elements
}

namespace {

// Bytes of the heap that the process has asked for and not given back.
std::size_t heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The most memory that is in use at calls of f during the sweep, beyond what was in use before the recording.
std::size_t peak_of_adjoint(double end) {
  std::size_t before = heap_in_use(), peak = 0;
  const auto watched = [&](auto y, double t, auto p) {
    peak = std::max(peak, heap_in_use());
    return kLotkaVolterra(y, t, p);
  };
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  const std::span<const Scalar> all(x);
  const Scalar y = integrate_ode(watched, all.first(2), 0, end, all.subspan(2), {.relative = 1e-10, .absolute = 1e-10})[0];
  std::vector<double> slopes(x.size());
  tape.gradient(y, x, slopes);
  return peak - std::min(peak, before);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_memory_of_the_adjoint_does_not_grow_with_the_steps, *boost::unit_test::enable_if<!testing::kSanitizer>()) {
  peak_of_adjoint(20);  // the pool keeps its blocks
  const std::size_t short_run = peak_of_adjoint(20), long_run = peak_of_adjoint(800);
  BOOST_TEST_MESSAGE("peak in the adjoint's sweep: " << short_run << " bytes at t = 20, " << long_run << " at t = 800");
  BOOST_TEST(long_run <= short_run + 64 * 1024);
  BOOST_TEST(lotka_volterra(20, {}).bytes == lotka_volterra(800, {}).bytes);
  const OdeOptions taped{.method = OdeMethod::taped};
  BOOST_TEST(lotka_volterra(800, taped).statements > 10 * lotka_volterra(20, taped).statements);
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_differences) {
  const OdeOptions options{.relative = 1e-12, .absolute = 1e-12};
  const Result r = lotka_volterra(7, options);
  for (std::size_t i = 0; i < kPoint.size(); ++i) {
    const auto at = [&](double change) {
      std::vector<double> x = kPoint;
      x[i] += change;
      const std::span<const double> all(x);
      return integrate_ode(kLotkaVolterra, all.first(2), 0, 7, all.subspan(2), options)[0];
    };
    const double h = 1e-4, difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    BOOST_TEST(r.slopes[i] == difference, tt::tolerance(1e-8));
  }
}

BOOST_AUTO_TEST_CASE(other_steppers) {
  const OdeOptions adjoint{.relative = 1e-11, .absolute = 1e-11}, taped{.method = OdeMethod::taped, .relative = 1e-11, .absolute = 1e-11};
  const Result dopri5 = lotka_volterra(5, adjoint);
  const auto check = [&](const Result& a, const Result& b) {
    BOOST_TEST(a.value == b.value);
    BOOST_TEST(distance(a.slopes, b.slopes) < 1e-12);
    BOOST_TEST(distance(a.slopes, dopri5.slopes) < 1e-8);
  };
  check(dopri5, lotka_volterra(5, taped));
  check(lotka_volterra<ode::runge_kutta_cash_karp54>(5, adjoint), lotka_volterra<ode::runge_kutta_cash_karp54>(5, taped));
  check(lotka_volterra<ode::runge_kutta_fehlberg78>(5, adjoint), lotka_volterra<ode::runge_kutta_fehlberg78>(5, taped));
}

BOOST_AUTO_TEST_CASE(states_at_several_times) {
  const OdeOptions tight{.relative = 1e-12, .absolute = 1e-12};
  for (const OdeMethod method : {OdeMethod::adjoint, OdeMethod::taped}) {
    const std::vector<double> times{0, 0, 0.5, 1.25, 1.25, 3};
    Tape tape;
    const Scalar y0 = tape.variable(2), p = tape.variable(0.7);
    OdeOptions options = tight;
    options.method = method;
    const std::vector<std::vector<Scalar>> y = integrate_ode(kDecay, std::vector{y0}, times, std::vector{p}, options);
    BOOST_TEST_REQUIRE(y.size() == times.size());
    Scalar got = 0, wanted = 0;
    for (std::size_t k = 0; k < times.size(); ++k) {
      const Scalar exact = kDecayed(y0, p, times[k]);
      BOOST_TEST(y[k][0].value() == exact.value(), tt::tolerance(1e-11));
      got += (1.0 + static_cast<double>(k)) * y[k][0] * y[k][0];
      wanted += (1.0 + static_cast<double>(k)) * exact * exact;
    }
    const auto [a, b] = tape.gradient(got, wrt(y0, p), {.retain = true});
    const auto [a_exact, b_exact] = tape.gradient(wanted, y0, p);
    BOOST_TEST(a == a_exact, tt::tolerance(1e-10));
    BOOST_TEST(b == b_exact, tt::tolerance(1e-10));
  }
}

BOOST_AUTO_TEST_CASE(no_time_and_backwards_in_time) {
  Tape tape;
  const Scalar y0 = tape.variable(2), p = tape.variable(0.7);
  const std::vector<Scalar> same = integrate_ode(kDecay, std::vector{y0}, 1, 1, std::vector{p});
  BOOST_TEST(same[0].value() == 2);
  const auto [a, b] = tape.gradient(same[0], wrt(y0, p), {.retain = true, .unreached = Unreached::zero});
  BOOST_TEST(a == 1);
  BOOST_TEST(b == 0);
  // there and back
  const OdeOptions tight{.relative = 1e-12, .absolute = 1e-12};
  const std::vector<Scalar> there = integrate_ode(kDecay, std::vector{y0}, 0, 2, std::vector{p}, tight);
  BOOST_TEST(there[0].value() == kDecayed(2.0, 0.7, 2), tt::tolerance(1e-11));
  const std::vector<Scalar> back = integrate_ode(kDecay, there, 2, 0, std::vector{p}, tight);
  BOOST_TEST(back[0].value() == 2, tt::tolerance(1e-10));
  const auto [c, d] = tape.gradient(back[0], y0, p);
  BOOST_TEST(c == 1, tt::tolerance(1e-9));
  BOOST_TEST(std::fabs(d) < 1e-9);
}

BOOST_AUTO_TEST_CASE(constants_among_states_and_parameters) {
  const OdeOptions tight{.relative = 1e-12, .absolute = 1e-12};
  Tape tape;
  const Scalar p = tape.variable(0.7);
  const Scalar y = integrate_ode(kDecay, std::vector{2.0}, 0, 2, std::vector{p}, tight)[0];
  const Scalar exact = kDecayed(2.0, p, 2);
  const double slope = tape.gradient(exact, wrt(p), {.retain = true});
  BOOST_TEST(tape.gradient(y, p) == slope, tt::tolerance(1e-10));
  const std::size_t nodes = tape.nodes();
  BOOST_TEST(integrate_ode(kDecay, std::vector<Scalar>{2.0}, 0, 2, std::vector{0.7})[0].number() == 0u);
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST(integrate_ode(kDecay, std::vector{2.0}, 0, 2, std::vector{0.7}, tight)[0] == kDecayed(2.0, 0.7, 2), tt::tolerance(1e-11));
}

BOOST_AUTO_TEST_CASE(forward_mode_and_higher_orders) {
  const OdeOptions tight{.method = OdeMethod::taped, .relative = 1e-12, .absolute = 1e-12};
  const auto program = [&](auto x) {
    using T = std::remove_cvref_t<decltype(x[0])>;
    return T(integrate_ode(kDecay, std::vector<T>{x[0]}, 0, 2, std::vector<T>{x[1]}, tight)[0]);
  };
  const auto formula = [](auto x) { return std::remove_cvref_t<decltype(x[0])>(kDecayed(x[0], x[1], 2)); };
  const std::vector<double> at{2, 0.7}, v{0.3, -1};
  BOOST_TEST(distance(gradient(program, at), gradient(formula, at)) < 1e-10);
  BOOST_TEST(distance(hessian(program, at), hessian(formula, at)) < 1e-9);
  BOOST_TEST(directional_derivative(program, at, v) == directional_derivative(formula, at, v), tt::tolerance(1e-10));
  const Tensor one = Tensor::full({}, v[0], float64), two = Tensor::full({}, v[1], float64);
  {
    Tape tape;
    const Scalar y0 = tape.variable(2), p = tape.variable(0.7);
    const OdeOptions adjoint{.relative = 1e-12, .absolute = 1e-12};
    const Scalar y = integrate_ode(kDecay, std::vector{y0}, 0, 2, std::vector{p}, adjoint)[0];
    BOOST_TEST(tape.jvp(y, wrt(y0, p), {one, two}) == directional_derivative(formula, at, v), tt::tolerance(1e-10));
  }
  Tape tape({.higher_order = true});
  const std::vector<Scalar> x = tape.variables(at);
  const OdeOptions loose{.method = OdeMethod::taped, .relative = 1e-7, .absolute = 1e-7};
  const Scalar y = integrate_ode(kDecay, std::vector{x[0]}, 0, 2, std::vector{x[1]}, loose)[0];
  const Scalar slope = tape.differentiable_gradient(y, x[1]);
  BOOST_TEST(tape.gradient(slope, wrt(x[0]), {.retain = true}) == hessian(formula, at)[1], tt::tolerance(1e-5));
  const Scalar by_adjoint = integrate_ode(kDecay, std::vector{x[0]}, 0, 2, std::vector{x[1]})[0];
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.differentiable_gradient(by_adjoint, x[1]); }), "integrate_ode: there is no second"));
}

BOOST_AUTO_TEST_CASE(every_number_of_steps) {
  // Parts of the run are divided again from 101 steps on, and again from 10,001.
  const auto line = []<class T>(std::span<const T> y, double t, std::span<const T> p) {
    return std::array<T, 1>{p[0] * y[0] * std::cos(t)};
  };
  for (const double end : {1e-3, 0.9, 9.0, 9.9, 30.0}) {
    double slope[2];
    for (const OdeMethod method : {OdeMethod::adjoint, OdeMethod::taped}) {
      Tape tape;
      const Scalar p = tape.variable(0.6);
      const OdeOptions options{.method = method, .relative = 1e-11, .absolute = 1e-11};
      const Scalar y = integrate_ode(line, std::vector{1.0}, 0, end, std::vector{p}, options)[0];
      slope[method == OdeMethod::taped] = tape.gradient(y, p);
    }
    BOOST_TEST(slope[0] == slope[1], tt::tolerance(1e-12));
    BOOST_TEST(slope[0] == std::sin(end) * std::exp(0.6 * std::sin(end)), tt::tolerance(1e-7));
  }
}

BOOST_AUTO_TEST_CASE(several_runs_on_one_tape_and_threads) {
  std::vector<double> slopes(3);
  std::vector<std::thread> threads;
  threads.reserve(slopes.size());
  for (double& slope : slopes)
    threads.emplace_back([&slope] {
      Tape tape;
      const Scalar p = tape.variable(0.7);
      std::vector<Scalar> y{2.0};
      for (int k = 0; k < 4; ++k)
        y = integrate_ode(kDecay, y, 0.5 * k, 0.5 * (k + 1), std::vector{p}, {.relative = 1e-12, .absolute = 1e-12});
      slope = tape.gradient(y[0], p);
    });
  for (std::thread& each : threads) each.join();
  Tape tape;
  const Scalar p = tape.variable(0.7);
  const double exact = tape.gradient(Scalar(kDecayed(2.0, p, 2)), p);
  for (const double slope : slopes) BOOST_TEST(slope == exact, tt::tolerance(1e-10));
}

BOOST_AUTO_TEST_CASE(what_integrate_ode_refuses) {
  const std::vector<double> y{1}, p{1};
  const auto explodes = []<class T>(std::span<const T> y, double, std::span<const T>) {
    return std::array<T, 1>{y[0] * y[0]};
  };  // 1 / (1 - t)
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { integrate_ode(explodes, y, 0, 2, p); }),
                      "integrate_ode: the steps become too small at t = 1"));
  BOOST_TEST(
      contains(message_of<ConvergenceError>([&] { integrate_ode(kDecay, y, 0, 1e6, p, {.max_steps = 50}); }), "50 steps have been made"));
  BOOST_TEST(contains(message_of<ConvergenceError>([&] { integrate_ode(kDecay, std::vector{std::nan("")}, 0, 1, p); }),
                      "is not finite, at t = 0"));
  BOOST_TEST(contains(message_of<ShapeError>([&] {
                        integrate_ode(kDecay, std::vector{1.0, 2.0}, 0, 1, p);
                      }),
                      "1 derivatives for a state of 2"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate_ode(kDecay, y, std::vector<double>{}, p); }), "there are no times"));
  BOOST_TEST(contains(message_of<ValueError>([&] {
                        integrate_ode(kDecay, y, std::vector{0.0, 1.0, 0.5}, p);
                      }),
                      "time 2, 0.5, is not finite or goes back"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate_ode(kDecay, y, 0, std::nan(""), p); }), "time 1, nan"));
  BOOST_TEST(
      contains(message_of<ValueError>([&] { integrate_ode(kDecay, y, 0, 1, p, {.relative = 0, .absolute = 0}); }), "one must be positive"));
  BOOST_TEST(contains(message_of<ValueError>([&] { integrate_ode(kDecay, y, 0, 1, p, {.first_step = -1}); }), "the first step is -1"));
  // A function that changes between the passes.
  int calls = 0;
  const auto changes = [&](auto y, double t, auto p) {
    auto slope = kDecay(y, t, p);
    if (++calls > 60) slope[0] = slope[0] * 40.0;
    return slope;
  };
  Tape tape;
  const Scalar parameter = tape.variable(0.7);
  const Scalar end = integrate_ode(changes, y, 0, 1, std::vector{parameter}, {.relative = 1e-4, .absolute = 1e-4})[0];
  BOOST_TEST(calls < 60);
  calls = 60;
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.gradient(end, parameter); }), "gave other results when it was called again"));
}
