#pragma once
// Integrals as values of a program, with derivatives with respect to parameters and bounds.
//
//     y = integral of f(x, p) from a to b:      dy/dp = integral of df/dp,      dy/da = -f(a, p),      dy/db = f(b, p)
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tape/tape.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/transforms/convergence.h"
#include "autodiff/transforms/custom_scalar.h"
#include "autodiff/transforms/number_lists.h"

namespace wengert {

struct QuadratureOptions {
  double relative = 1e-10;   ///< error allowed, relative to the integral of |f|; in derivatives to that of |df/dp|
  double absolute = 0;       ///< error allowed in any case
  int max_intervals = 1000;  ///< into which the range may be divided
};

namespace detail {

/// How x in [a, b] depends on s, which runs over a finite range: x = s, or a substitution where bounds are infinite.
struct Substitution {
  enum Kind { none, upper, lower, both } kind = none;  ///< which bounds are infinite
  double from = 0, to = 1;                             ///< the range of s
  double sign = 1;                                     ///< -1: the bounds were exchanged

  /// A ValueError if a bound is NaN.
  Substitution(double a, double b);
  template <class T> T x(double s, const T& a, const T& b) const {
    switch (kind) {
      case upper:
        return a + s / (1 - s);
      case lower:
        return b - s / (1 - s);
      case both:
        return T(s / ((1 - s) * (1 + s)));
      default:
        return a + s * (b - a);
    }
  }
  /// dx/ds
  template <class T> T slope(double s, const T& a, const T& b) const {
    const double rest = (1 - s) * (1 + s);
    switch (kind) {
      case upper:
      case lower:
        return T(1 / ((1 - s) * (1 - s)));
      case both:
        return T((1 + s * s) / (rest * rest));
      default:
        return b - a;
    }
  }
};

/// A part of the range of s.
struct QuadraturePart {
  double from, to;
};
struct QuadratureSums {
  std::vector<double> totals;         ///< of each component
  std::vector<QuadraturePart> parts;  ///< into which the range was divided
};
using IntegrandAt = FunctionRef<void(double s, std::span<double> values)>;
/// Divides the range until each component is accurate.
QuadratureSums integrate_adaptively(IntegrandAt f, std::size_t components, double from, double to, const QuadratureOptions& options);

/// The nodes of one part and their weights.
struct QuadratureRule {
  static constexpr int kNodes = 15;
  double node[kNodes], weight[kNodes];
};
QuadratureRule rule_of(const QuadraturePart& part);

/// f(x, p) and its derivatives with respect to p.
template <class F> class IntegrandWithGradient {
 public:
  IntegrandWithGradient(const F& f, std::span<const double> p) : f_(f), p_(p) {}
  void operator()(double x, std::span<double> values) {
    const std::vector<Scalar> p = tape_.variables(p_);
    const Scalar y = f_(Scalar(x), std::span<const Scalar>(p));
    values[0] = y.value();
    if (y.number()) {
      tape_.gradient(y, p, values.subspan(1), {.unreached = Unreached::zero});
    } else {
      for (double& slope : values.subspan(1)) slope = 0;
    }
  }

 private:
  const F& f_;
  std::span<const double> p_;
  Tape tape_{{.isolated = true, .reject_outer_values = true}};
};

/// Whether the active tape records one of the Scalars.
bool any_recorded(std::span<const Scalar> x);

template <class T, class F> T integral(const F& f, const T& a, const T& b, const std::vector<T>& p, const QuadratureOptions& options) {
  const std::vector<double> values = values_of(std::span<const T>(p));
  const double lower = plain(a), upper = plain(b);
  const Substitution map(lower, upper);
  const double low = map.sign > 0 ? lower : upper, high = map.sign > 0 ? upper : lower;
  const auto at = [&](double x) {
    const double y = f(x, std::span<const double>(values));
    return y;
  };
  const auto value = [&](double s, std::span<double> to) { to[0] = at(map.x(s, low, high)) * map.slope(s, low, high); };
  if constexpr (std::is_same_v<T, double>) {
    return map.sign * integrate_adaptively(value, 1, map.from, map.to, options).totals[0];
  } else {
    if constexpr (std::is_same_v<T, Scalar>) {
      const StatementWriter<double>* writer = active_writer<double>;
      if (!writer || !writer->higher_order) {
        std::vector<Scalar> x = p;
        x.push_back(a);
        x.push_back(b);
        if (!any_recorded(x)) return map.sign * integrate_adaptively(value, 1, map.from, map.to, options).totals[0];
        std::vector<double> totals;
        if (any_recorded(p)) {
          IntegrandWithGradient<F> integrand(f, values);
          const auto all = [&](double s, std::span<double> to) {
            integrand(map.x(s, low, high), to);
            for (double& each : to) each *= map.sign * map.slope(s, low, high);
          };
          totals = integrate_adaptively(all, 1 + p.size(), map.from, map.to, options).totals;
        } else {
          totals = integrate_adaptively(value, 1, map.from, map.to, options).totals;
          totals[0] *= map.sign;
          totals.resize(1 + p.size());
        }
        totals.push_back(a.number() && std::isfinite(lower) ? -at(lower) : 0);
        totals.push_back(b.number() && std::isfinite(upper) ? at(upper) : 0);
        return with_partials(totals[0], x, std::span<const double>(totals).subspan(1));
      }
    }
    // The sum at the nodes which are accurate for the values, in T.
    const QuadratureSums sums = integrate_adaptively(value, 1, map.from, map.to, options);
    const T &first = map.sign > 0 ? a : b, &last = map.sign > 0 ? b : a;
    T total = 0;
    for (const QuadraturePart& part : sums.parts) {
      const QuadratureRule rule = rule_of(part);
      for (int k = 0; k < QuadratureRule::kNodes; ++k) {
        const T y = f(map.x(rule.node[k], first, last), std::span<const T>(p));
        total += map.sign * rule.weight[k] * y * map.slope(rule.node[k], first, last);
      }
    }
    return total;
  }
}

}  // namespace detail

/// The integral of f(x, p) over x from a to b, with derivatives with respect to p, a and b. f is a callable of a number and a span that is
/// generic in its scalar type T:
///
///     integrate([]<class T>(const T& x, std::span<const T> p) -> T { return exp(-p[0] * x * x); }, 0.0, infinity, p)
///
/// The bounds are numbers or Scalars, also infinite, also a > b. The rule is Gauss and Kronrod's with 7 and 15 points, on parts of the
/// range that are halved where the estimated error is largest; it does not evaluate f at the bounds. On a tape the result is one
/// statement, and the derivatives with respect to p are integrals of their own accuracy. With dual numbers, and on a tape with
/// `.higher_order`, the sum at the nodes is differentiated, with the parts that the values need; all orders.
///
/// A ConvergenceError if f is not finite at a node or if `max_intervals` parts do not suffice; a ValueError if a bound is NaN.
template <class F, class A, class B, detail::NumberList P>
requires detail::ProgramArgument<A> && detail::ProgramArgument<B>
auto integrate(const F& f, const A& a, const B& b, const P& p, const QuadratureOptions& options = {}) {
  using T = detail::CommonNumberOf<A, B, detail::ElementOf<P>>;
  return detail::integral<T>(f, T(a), T(b), detail::list_as<T>(p), options);
}

}  // namespace wengert
