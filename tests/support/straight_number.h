#pragma once
// The numbers that programs compute with: those of float64, with the elementary functions of a lane (autodiff/program/lane_functions.h).
// Generic code that runs with them has the bits of its recording.
#include <span>
#include <type_traits>
#include <vector>

#include "autodiff/program/lane_functions.h"

namespace wengert::testing {

struct StraightNumber {
  StraightNumber() = default;
  template <class N>
  requires std::is_arithmetic_v<N> StraightNumber(N x) : v(static_cast<double>(x)) {}
  template <class N>
  requires std::is_arithmetic_v<N>
  explicit operator N() const { return static_cast<N>(v); }

  friend StraightNumber operator+(StraightNumber a, StraightNumber b) { return a.v + b.v; }
  friend StraightNumber operator-(StraightNumber a, StraightNumber b) { return a.v - b.v; }
  friend StraightNumber operator*(StraightNumber a, StraightNumber b) { return a.v * b.v; }
  friend StraightNumber operator/(StraightNumber a, StraightNumber b) { return a.v / b.v; }
  friend StraightNumber operator-(StraightNumber a) { return -a.v; }
  StraightNumber& operator+=(StraightNumber o) { return *this = *this + o; }
  StraightNumber& operator-=(StraightNumber o) { return *this = *this - o; }
  StraightNumber& operator*=(StraightNumber o) { return *this = *this * o; }
  friend auto operator<=>(StraightNumber a, StraightNumber b) { return a.v <=> b.v; }
  friend bool operator==(StraightNumber a, StraightNumber b) { return a.v == b.v; }

  double v = 0;
};

#define WENGERT_FUNCTION(F, name) \
  inline StraightNumber name(StraightNumber x) { return detail::lane_value(fn::F{}, x.v); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) \
  inline StraightNumber name(StraightNumber a, StraightNumber b) { return detail::lane_value(fn::F{}, a.v, b.v); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION
inline StraightNumber where(bool condition, StraightNumber a, StraightNumber b) { return condition ? a : b; }

/// f(inputs), computed as a program computes it.
template <class F> double straight_run(const F& f, std::span<const double> inputs) {
  const std::vector<StraightNumber> x(inputs.begin(), inputs.end());
  return StraightNumber(f(std::span<const StraightNumber>(x))).v;
}
template <class F> double straight_run(const F& f, std::span<const double> parameters, std::span<const double> data) {
  const std::vector<StraightNumber> p(parameters.begin(), parameters.end()), d(data.begin(), data.end());
  return StraightNumber(f(std::span<const StraightNumber>(p), std::span<const StraightNumber>(d))).v;
}

}  // namespace wengert::testing
