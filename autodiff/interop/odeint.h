#pragma once
// Ordinary differential equations by the steppers of Boost.Odeint, with derivatives with respect to the first state and to parameters.
// Needs Boost 1.74 or later, which the program brings.
//
//     y' = f(y, t, p),   y(t_0) = y_0
//
// The sizes of the steps are found with doubles, and are constants for the derivatives: these are the derivatives of the numbers that are
// returned, by the taped method and by the adjoint one alike. The adjoint method walks the steps backwards. For one step y_1 = S(y_0, p) it
// records S on a tape of its own and carries
//
//     y_bar_0 = (dS/dy_0)^T y_bar_1,      p_bar += (dS/dp)^T y_bar_1.
//
// It keeps y_0 and p. The states between are computed again: a run over n steps keeps up to 100 states, evenly spaced, and each part
// between two of them is run in the same way. So 10^4 steps are computed three times and 10^6 steps four times, and the memory does not
// depend on their number.
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#if !__has_include(<boost/numeric/odeint/stepper/runge_kutta_dopri5.hpp>)
#error "autodiff/interop/odeint.h needs Boost 1.74: install libboost-dev, or add the folder that contains boost/ to the include path"
#endif
#include <algorithm>
#include <array>
#include <boost/numeric/odeint/stepper/controlled_runge_kutta.hpp>
#include <boost/numeric/odeint/stepper/runge_kutta_cash_karp54.hpp>
#include <boost/numeric/odeint/stepper/runge_kutta_dopri5.hpp>
#include <boost/numeric/odeint/stepper/runge_kutta_fehlberg78.hpp>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/standard_functions.h"
#include "autodiff/tape/tape.h"
#include "autodiff/transforms/convergence.h"
#include "autodiff/transforms/external_function.h"
#include "autodiff/transforms/number_lists.h"

namespace wengert {

/// How integrate_ode() differentiates.
enum class OdeMethod {
  adjoint,  ///< one operation on the tape, in memory that does not depend on the number of steps; first derivatives
  taped     ///< every step on the tape; derivatives of any order
};

struct OdeOptions {
  OdeMethod method = OdeMethod::adjoint;  ///< for Scalars
  double relative = 1e-8;                 ///< error allowed in one step, relative to the state
  double absolute = 1e-8;                 ///< the same, in any case
  double first_step = 0;                  ///< size of the first step that is tried; 0: a hundredth of the first interval
  std::size_t max_steps = 1'000'000;
};

namespace detail {

/// As numbers in messages.
inline std::string short_text(double x) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", x);
  return text.data();
}

/// slope = f(y, t, p). Its type does not depend on the user's function, so that each stepper is compiled once.
template <class T> using OdeFunction = std::function<void(std::span<const T> y, double t, std::span<const T> p, std::vector<T>& slope)>;

/// Copies share f.
template <class T, class F> OdeFunction<T> ode_function(std::shared_ptr<const F> f) {
  return [f = std::move(f)](std::span<const T> y, double t, std::span<const T> p, std::vector<T>& slope) {
    const auto results = (*f)(y, t, p);
    if (results.size() != y.size())
      throw ShapeError("integrate_ode: the function returns " + std::to_string(results.size()) + " derivatives for a state of " +
                       std::to_string(y.size()) + " components");
    for (std::size_t i = 0; i < y.size(); ++i) slope[i] = results[i];
  };
}

/// An equation with its parameters, as a system of Odeint.
template <class T> struct OdeSystem {
  const OdeFunction<T>* f;
  std::span<const T> p;

  void operator()(const std::vector<T>& y, std::vector<T>& slope, double t) const { (*f)(y, t, p, slope); }
};

/// Where the integration stands: all that decides how it goes on.
struct OdeState {
  double t, step;                ///< the next step that is tried
  std::vector<double> y, slope;  ///< y and y'
  std::size_t next;              ///< the next of the times
};

/// The steps of an equation through given times, in doubles.
template <template <class...> class Stepper> class OdeSteps {
  using Values = std::vector<double>;
  using Controlled = boost::numeric::odeint::controlled_runge_kutta<Stepper<Values>>;
  static constexpr bool kKeepsSlope =
      std::is_same_v<typename Controlled::stepper_category, boost::numeric::odeint::explicit_controlled_stepper_fsal_tag>;

 public:
  OdeSteps(const OdeFunction<double>& f, std::span<const double> times, std::span<const double> p, const OdeOptions& options)
      : system_{&f, p},
        times_(times),
        options_(options),
        controlled_(typename Controlled::error_checker_type(options.absolute, options.relative)) {}

  OdeState start(std::span<const double> y0) {
    OdeState s{times_[0], 0, Values(y0.begin(), y0.end()), Values(y0.size()), 0};
    pass_times(s);
    if (done(s)) return s;
    const double whole = times_[s.next] - s.t;
    s.step = options_.first_step > 0 ? std::copysign(options_.first_step, whole) : whole / 100;
    system_(s.y, s.slope, s.t);
    check_finite(s);
    return s;
  }
  bool done(const OdeState& s) const { return s.next == times_.size(); }

  /// One step, no further than to the next of the times. (Not inlined, so that the same state is always followed by the same bits.)
  __attribute__((noinline)) void advance(OdeState& s) {
    const double end = times_[s.next];
    for (;;) {
      const double tried = s.step, rest = end - s.t;
      const bool last = std::fabs(rest) <= std::fabs(tried);
      if (last) s.step = rest;
      if (!last && std::fabs(s.step) < kLeastStep * std::fabs(s.t))
        throw ConvergenceError("integrate_ode: the steps become too small at t = " + short_text(s.t) + kHint);
      before_ = s.y;
      slope_before_ = s.slope;
      const double t = s.t, size = s.step;
      const bool accepted = controlled_.try_step(system_, s.y, s.slope, s.t, s.step) == boost::numeric::odeint::success;
      if (accepted && finite(s.y)) {
        if constexpr (!kKeepsSlope) system_(s.y, s.slope, s.t);
        if (finite(s.slope)) {
          if (last) {  // a step that was cut says nothing against the size before
            s.t = end;
            s.step = std::fabs(s.step) > std::fabs(tried) ? s.step : tried;
          }
          pass_times(s);
          return;
        }
      }
      if (accepted || !std::isfinite(s.step)) {  // beyond what f can take
        s.y = before_;
        s.slope = slope_before_;
        s.t = t;
        s.step = size / 10;
      }
      if (s.t + s.step == s.t) throw ConvergenceError("integrate_ode: the steps become too small at t = " + short_text(s.t) + kHint);
    }
  }
  std::span<const double> times() const { return times_; }

 private:
  static constexpr double kLeastStep = 4 * std::numeric_limits<double>::epsilon();
  static constexpr const char* kHint =
      "; hint: the solution may be singular there, or the equation stiff, which explicit steppers are not made for; or allow a larger "
      "error";

  static bool finite(const Values& x) {
    return std::all_of(x.begin(), x.end(), [](double e) { return std::isfinite(e); });
  }
  void check_finite(const OdeState& s) const {
    if (!finite(s.y) || !finite(s.slope))
      throw ConvergenceError("integrate_ode: the first state or its derivative is not finite, at t = " + short_text(s.t));
  }
  /// Goes on to the next time that lies ahead.
  void pass_times(OdeState& s) const {
    while (s.next < times_.size() && times_[s.next] == s.t) ++s.next;
  }

  OdeSystem<double> system_;
  std::span<const double> times_;
  OdeOptions options_;
  Controlled controlled_;
  Values before_, slope_before_;
};

/// One step of size `size` in numbers of type T.
template <template <class...> class Stepper, class T> class OdeStep {
 public:
  void operator()(const OdeFunction<T>& f, std::vector<T>& y, double t, double size, std::span<const T> p) {
    if constexpr (requires { stepper_.reset(); }) stepper_.reset();
    stepper_.do_step(OdeSystem<T>{&f, p}, y, t, size);
  }

 private:
  Stepper<std::vector<T>> stepper_;
};

inline void check_ode_options(std::span<const double> times, const OdeOptions& o) {
  if (!(o.relative >= 0 && o.absolute >= 0 && o.relative + o.absolute > 0))
    throw ValueError("integrate_ode: the errors " + short_text(o.relative) + " and " + short_text(o.absolute) +
                     " must not be negative, and one must be positive");
  if (!(o.first_step >= 0 && std::isfinite(o.first_step)))
    throw ValueError("integrate_ode: the first step is " + short_text(o.first_step) + "; hint: its direction is that of the times");
  if (times.empty()) throw ValueError("integrate_ode: there are no times; the first is that of the first state");
  double direction = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double way = i == 0 ? 0 : times[i] - times[i - 1];
    if (!std::isfinite(times[i]) || way * direction < 0)
      throw ValueError("integrate_ode: time " + std::to_string(i) + ", " + short_text(times[i]) +
                       ", is not finite or goes back; hint: times must all rise or all fall");
    if (way != 0) direction = std::copysign(1.0, way);
  }
}
[[noreturn]] inline void throw_too_many_steps(std::size_t max_steps, double t) {
  throw ConvergenceError("integrate_ode: " + std::to_string(max_steps) + " steps have been made up to t = " + short_text(t) +
                         "; hint: raise max_steps, or allow a larger error");
}

/// The states at the times from the second on, one after another: each step is taken with doubles first, and then with T.
template <template <class...> class Stepper, class T> std::vector<T> ode_states(const OdeFunction<double>& f, const OdeFunction<T>& f_of_t,
                                                                                const std::vector<T>& y0, std::span<const double> times,
                                                                                const std::vector<T>& p, const OdeOptions& options) {
  const std::vector<double> values = values_of(std::span<const T>(p)), first = values_of(std::span<const T>(y0));
  OdeSteps<Stepper> steps(f, times, values, options);
  OdeState state = steps.start(first);
  std::vector<T> y = y0, states;
  states.reserve((times.size() - 1) * y.size());
  OdeStep<Stepper, T> step;
  std::size_t shown = 1;
  const auto show = [&] {
    for (; shown < state.next; ++shown) states.insert(states.end(), y.begin(), y.end());
  };
  show();
  for (std::size_t k = 0; !steps.done(state); ++k) {
    if (k == options.max_steps) throw_too_many_steps(k, state.t);
    const double t = state.t;
    steps.advance(state);
    if constexpr (std::is_same_v<T, double>) {
      y = state.y;
    } else {
      step(f_of_t, y, t, state.t - t, std::span<const T>(p));
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = with_value(y[i], state.y[i]);  // the same to the last bit
    }
    show();
  }
  return states;
}

/// The adjoint method, as an external function of y_0 and p.
template <template <class...> class Stepper> class OdeAdjoint {
 public:
  static constexpr const char* name = "integrate_ode";
  template <class F> OdeAdjoint(const std::shared_ptr<const F>& f, std::size_t n, std::span<const double> times, const OdeOptions& options)
      : f_(ode_function<double>(f)),
        f_of_duals_(ode_function<Dual<1>>(f)),
        f_of_scalars_(ode_function<Scalar>(f)),
        n_(n),
        times_(times.begin(), times.end()),
        options_(options) {}

  std::vector<double> forward(std::span<const double> x) {
    x_.assign(x.begin(), x.end());
    Steps steps = new_steps();
    OdeState state = steps.start(y0());
    std::vector<double> states;
    states.reserve((times_.size() - 1) * n_);
    std::size_t shown = 1;
    for (count_ = 0;; ++count_) {
      for (; shown < state.next; ++shown) states.insert(states.end(), state.y.begin(), state.y.end());
      if (steps.done(state)) return states;
      if (count_ == options_.max_steps) throw_too_many_steps(count_, state.t);
      steps.advance(state);
    }
  }

  void vjp(std::span<const double> y_bar, std::span<double> x_bar) {
    Steps steps = new_steps();
    Backwards run{
        .steps = &steps, .y_bar = y_bar, .bars = x_bar, .lambda = std::vector<double>(n_), .sources = {}, .slopes = {}, .levels = {}};
    const OdeState first = steps.start(y0());
    back(run, 0, first, count_);
    add_results(run, 1, first.next);  // at t_0
    for (std::size_t i = 0; i < n_; ++i) x_bar[i] = run.lambda[i];
  }

  void jvp(std::span<const double> x_dot, std::span<double> y_dot) const {
    using T = Dual<1>;
    std::vector<T> y, p;
    for (std::size_t i = 0; i < x_.size(); ++i) (i < n_ ? y : p).push_back(T(x_[i], {x_dot[i]}));
    const std::vector<T> states = ode_states<Stepper>(f_, f_of_duals_, y, times_, p, options_);
    for (std::size_t i = 0; i < states.size(); ++i) y_dot[i] = states[i].d[0];
  }

 private:
  using Steps = OdeSteps<Stepper>;
  static constexpr std::size_t kKept = 100;

  struct Backwards {
    Steps* steps;
    std::span<const double> y_bar;
    std::span<double> bars;
    std::vector<double> lambda;  ///< the adjoint of the state
    std::vector<Scalar> sources;
    std::vector<double> slopes;
    std::vector<std::vector<OdeState>> levels;  ///< states that are kept
    OdeStep<Stepper, Scalar> step{};
    Tape tape{{.isolated = true, .reject_outer_values = true}};
  };

  std::span<const double> y0() const { return std::span(x_).first(n_); }
  std::span<const double> p() const { return std::span(x_).subspan(n_); }
  Steps new_steps() const { return Steps(f_, times_, p(), options_); }

  /// lambda += the adjoints of the results at the times in [from, to).
  void add_results(Backwards& run, std::size_t from, std::size_t to) const {
    for (std::size_t k = from; k < to; ++k)
      for (std::size_t i = 0; i < n_; ++i) run.lambda[i] += run.y_bar[(k - 1) * n_ + i];
  }

  /// Walks `count` steps from `first` on backwards.
  void back(Backwards& run, std::size_t level, const OdeState& first, std::size_t count) const {
    if (count == 0) return;
    if (run.levels.size() == level) run.levels.emplace_back();
    const std::size_t part = (count + kKept - 1) / kKept, parts = (count + part - 1) / part;
    std::vector<OdeState> kept = std::move(run.levels[level]);  // its memory is used again
    kept.resize(parts + 1, first);
    kept[0] = first;
    for (std::size_t k = 0; k < parts; ++k) {
      kept[k + 1] = kept[k];
      for (std::size_t i = k * part, end = std::min(count, i + part); i < end; ++i) {
        if (run.steps->done(kept[k + 1])) throw_changed();
        run.steps->advance(kept[k + 1]);
      }
    }
    if (level == 0 && !run.steps->done(kept[parts])) throw_changed();
    for (std::size_t k = parts; k-- > 0;) {
      if (part == 1) {
        back_one(run, kept[k], kept[k + 1]);
      } else {
        back(run, level + 1, kept[k], std::min(part, count - k * part));
      }
    }
    run.levels[level] = std::move(kept);
  }

  void back_one(Backwards& run, const OdeState& before, const OdeState& after) const {
    add_results(run, std::max<std::size_t>(before.next, 1), after.next);
    std::vector<Scalar>& x = run.sources;
    x.resize(x_.size());
    run.slopes.resize(x_.size());
    run.tape.variables(before.y, std::span(x).first(n_));
    run.tape.variables(p(), std::span(x).subspan(n_));
    std::vector<Scalar> y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n_));
    run.step(f_of_scalars_, y, before.t, after.t - before.t, std::span<const Scalar>(x).subspan(n_));
    Scalar target = 0;
    for (std::size_t i = 0; i < n_; ++i) target += run.lambda[i] * y[i];
    run.tape.gradient(target, x, run.slopes, {.unreached = Unreached::zero});
    for (std::size_t i = 0; i < n_; ++i) run.lambda[i] = run.slopes[i];
    for (std::size_t i = n_; i < x.size(); ++i) run.bars[i] += run.slopes[i];
  }

  [[noreturn]] static void throw_changed() {
    throw TapeError("integrate_ode: the function gave other results when it was called again; it must do the same each time");
  }

  OdeFunction<double> f_;
  OdeFunction<Dual<1>> f_of_duals_;
  OdeFunction<Scalar> f_of_scalars_;
  std::size_t n_;
  std::vector<double> times_;
  OdeOptions options_;
  std::vector<double> x_;  // y_0 and p
  std::size_t count_ = 0;  // steps
};

}  // namespace detail

/// The states y(t) of y' = f(y, t, p) at each of the times, of which the first is that of y0; times rise or fall, and may be equal. f is a
/// callable of a span, a double and a span that is generic in its scalar type T, and returns the derivatives as a std::array or a
/// std::vector of T:
///
///     auto f = []<class T>(std::span<const T> y, double t, std::span<const T> p) { return std::array<T, 1>{-p[0] * y[0]}; };
///     std::vector<std::vector<Scalar>> y = integrate_ode(f, y0, times, p);
///
/// y0 and p are lists of doubles, dual numbers or Scalars, also one of doubles and one of Scalars. Stepper is one of Odeint's explicit
/// steppers with an error estimate: runge_kutta_dopri5, runge_kutta_cash_karp54, runge_kutta_fehlberg78. With OdeMethod::adjoint the tape
/// gets one operation; the sweep has an isolated tape that holds one step at a time. f must give the same results each time it is called.
///
/// A ConvergenceError if steps become too small or too many, or the state is not finite; a ValueError for times and options out of range; a
/// ShapeError if f returns another number of derivatives. On a tape with `.higher_order`, differentiating the adjoint method twice is a
/// TapeError: take OdeMethod::taped.
template <template <class...> class Stepper = boost::numeric::odeint::runge_kutta_dopri5, class F, detail::NumberList Y,
          detail::NumberList P>
auto integrate_ode(const F& f, const Y& y0, std::span<const double> times, const P& p, const OdeOptions& options = {},
                   Location site = Location::here()) {
  using T = detail::CommonNumberOf<detail::ElementOf<Y>, detail::ElementOf<P>>;
  detail::check_ode_options(times, options);
  const std::vector<T> first = detail::list_as<T>(y0), parameters = detail::list_as<T>(p);
  std::vector<T> states;
  if constexpr (std::is_same_v<T, Scalar>) {
    if (options.method == OdeMethod::adjoint) {
      std::vector<Scalar> x = first;
      x.insert(x.end(), parameters.begin(), parameters.end());
      states = external_function(detail::OdeAdjoint<Stepper>(std::make_shared<const F>(f), first.size(), times, options), x, site);
    }
  }
  if (states.empty()) {
    const std::shared_ptr<const F> borrowed(std::shared_ptr<const F>(), &f);
    states = detail::ode_states<Stepper>(detail::ode_function<double>(borrowed), detail::ode_function<T>(borrowed), first, times,
                                         parameters, options);
  }
  std::vector<std::vector<T>> result{first};
  const auto n = static_cast<std::ptrdiff_t>(first.size());
  for (std::size_t k = 1; k < times.size(); ++k) {
    const auto begin = states.begin() + static_cast<std::ptrdiff_t>(k - 1) * n;
    result.emplace_back(begin, begin + n);
  }
  return result;
}
/// The state at t1 alone.
template <template <class...> class Stepper = boost::numeric::odeint::runge_kutta_dopri5, class F, detail::NumberList Y,
          detail::NumberList P>
auto integrate_ode(const F& f, const Y& y0, double t0, double t1, const P& p, const OdeOptions& options = {},
                   Location site = Location::here()) {
  const double times[] = {t0, t1};
  return std::move(integrate_ode<Stepper>(f, y0, std::span<const double>(times), p, options, site)[1]);
}

}  // namespace wengert
