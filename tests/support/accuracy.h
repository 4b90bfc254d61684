#pragma once
// The errors of the functions of autodiff/functions/functions.h, in units in the last place (ULP) of a double.
#include <autodiff/functions/element.h>
#include <autodiff/functions/functions.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "reference_functions.h"

namespace wengert::accuracy {

using reference::Real;

/// An error in ULP, the argument at which it occurs, and the allowed error there: 4, or twice the condition number if that is more. The
/// condition number is |x f'(x) / f(x)|, or that of the factor g(x) of f(x) = x g(x): scaling the argument before it enters g rounds it.
struct Error {
  double ulps = 0, x = 0, allowed = 4;
};
struct Row {
  std::string name, latex;
  Error value;
  /// The error of the slope, against the same formula in long double; negative if not measured.
  Error slope;
};

/// |actual - expected| in units in the last place of a double of expected's size.
inline double ulps(double actual, Real expected) {
  if (static_cast<Real>(actual) == expected || (std::isnan(actual) && std::isnan(expected))) return 0;
  const Real size = std::max(std::abs(expected), static_cast<Real>(std::numeric_limits<double>::min()));
  if (!std::isfinite(size)) return std::numeric_limits<double>::infinity();
  return static_cast<double>(std::abs(static_cast<Real>(actual) - expected) / std::scalbn(1.0L, std::ilogb(size) - 52));
}

/// `n` points of [low, high]: evenly, and by powers down to 1e-300 of either sign.
inline std::vector<double> grid(double low, double high, int n) {
  std::vector<double> points;
  for (int i = 1; i < n; ++i) points.push_back(low + (high / n - low / n) * i);
  const auto by_powers = [&](double end) {
    for (int i = 0; i < n; ++i) {
      const double x = end * std::pow(10, -i * (std::log10(std::abs(end)) + (low > 0 ? -std::log10(low) : 300)) / n);
      if (x > low && x < high) points.push_back(x);
    }
  };
  if (high > 0) by_powers(high);
  if (low < 0) by_powers(low);
  if (low < 1 && high > 1) {  // many functions have a zero or a cancellation there
    for (int i = 1; i < n; ++i) points.push_back(low < 0.5 ? 0.5 + 1.0 * i / n : 1 + 0.5 * i / n);
  }
  return points;
}

/// Updates the worst error, relative to the allowed one.
inline void note(Error& worst, double x, double actual, Real expected, double condition) {
  const Error here{ulps(actual, expected), x, std::isfinite(condition) ? std::max(4.0, 2 * condition) : 4};
  if (here.ulps / here.allowed > worst.ulps / worst.allowed) worst = here;
}

/// Value and slope of a function of numbers, and of one of elements in a loop over tensors.
struct Computed {
  double value, slope;
};
template <class F> Computed of_number(double x) {
  const double y = F{}.value(x);
  return {y, F{}.pullback(1.0, x, y)};
}
template <class F> Computed of_element(double x) {
  if (fn::kHoldsInPart<F> && fn::is_beyond<F>(x)) return of_number<F>(x);
  using E = fn::Element<double>;
  const E y = F{}.value(E{x});
  return {y.v, fn::pullback(F{}, E{1}, E{x}, y).v};
}

/// The worst errors, of numbers and of elements.
template <class F> Row measure(const reference::Unary& reference, int n) {
  // digamma and polygamma exist only for doubles
  constexpr bool has_slope = !std::is_same_v<F, fn::Lgamma> && !std::is_same_v<F, fn::Digamma> && !std::is_same_v<F, fn::Polygamma>;
  Row row{F::name, F::latex, {}, {}};
  if (!has_slope) row.slope.ulps = -1;
  for (const double x : grid(reference.low, reference.high, n)) {
    const Real exact = reference.value(x);
    if (std::abs(exact) > std::numeric_limits<double>::max()) continue;
    for (const auto& [y, slope] : {of_number<F>(x), of_element<F>(x)}) {
      const double condition = static_cast<double>(x * static_cast<Real>(slope) / exact);
      note(row.value, x, y, exact, std::max(std::abs(condition), std::abs(condition - 1)));
      if constexpr (has_slope) {
        const auto slope_at = [&](Real t) { return F{}.pullback(Real(1), t, reference.value(t)); };
        const Real exact_slope = slope_at(x), change = (slope_at(x * (1 + 1e-5L)) - slope_at(x * (1 - 1e-5L))) / 2e-5L;
        if (std::abs(exact_slope) < std::numeric_limits<double>::max())
          note(row.slope, x, slope, exact_slope, static_cast<double>(std::abs(change / exact_slope)));
      }
    }
  }
  return row;
}

/// The beginning of the function's line in docs/functions.md: name, formula and range.
inline std::string head_of_line(const Row& row, const reference::Unary& reference) {
  std::string formula = row.latex;
  for (std::size_t at; (at = formula.find('#')) != formula.npos;) formula.replace(at, 1, "x");
  return fmt::format("| `{}` | ${}$ | [{:g}, {:g}] |", row.name, formula, reference.low, reference.high);
}

}  // namespace wengert::accuracy
