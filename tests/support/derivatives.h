#pragma once
// First and second derivatives of functions of one tensor, as lists of numbers, for tests that name the values.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

namespace wengert::testing {

using Numbers = std::vector<double>;

inline Numbers numbers(const Tensor& t) { return t.to_vector<double>(); }

/// d sum(f(x)) / dx
template <class F> Numbers gradient_of(F&& f, const Tensor& x) {
  Tape tape;
  const Tensor v = tape.variable(x);
  return numbers(tape.gradient(sum(f(v)), wrt(v), {.unreached = Unreached::zero}));
}

/// The Hessian of sum(f(x)) times v.
template <class F> Numbers hessian_times(F&& f, const Tensor& x, const Tensor& v) {
  return numbers(hvp([&](const Tensor& at) { return sum(f(at)); }, x, v));
}

/// The same numbers up to a fraction of the larger one; NaN equals NaN, and infinities themselves.
inline void check_numbers(const Numbers& found, const Numbers& expected, double tolerance = 1e-14) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double a = found[i], e = expected[i];
    const bool same = a == e || (std::isnan(a) && std::isnan(e)) || std::abs(a - e) <= tolerance * std::max(std::abs(a), std::abs(e));
    BOOST_CHECK_MESSAGE(same, "element " << i << ": " << a << " instead of " << e);
  }
}

/// The same finite numbers up to a fraction of the largest one: for sums whose terms cancel each other.
inline void check_sums(const Numbers& found, const Numbers& expected, double tolerance) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  double scale = 0;
  for (const double e : expected) scale = std::max(scale, std::abs(e));
  for (std::size_t i = 0; i < found.size(); ++i)
    BOOST_CHECK_MESSAGE(std::abs(found[i] - expected[i]) <= tolerance * scale,
                        "element " << i << ": " << found[i] << " instead of " << expected[i] << ", the largest one is " << scale);
}

}  // namespace wengert::testing
