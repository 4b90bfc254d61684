#pragma once
// The oracle of the random programs: forward mode written as plainly as possible, sharing no code with the library.
#include <cmath>

namespace wengert::testing {

/// A value and its change in one direction. T is double, or a ForwardNumber itself for second derivatives.
template <class T> struct ForwardNumber {
  T v{}, d{};

  ForwardNumber() = default;
  ForwardNumber(double value) : v(value) {}
  ForwardNumber(T value, T change) : v(value), d(change) {}

  friend ForwardNumber operator+(ForwardNumber a, ForwardNumber b) { return {a.v + b.v, a.d + b.d}; }
  friend ForwardNumber operator-(ForwardNumber a, ForwardNumber b) { return {a.v - b.v, a.d - b.d}; }
  friend ForwardNumber operator*(ForwardNumber a, ForwardNumber b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
  friend ForwardNumber operator/(ForwardNumber a, ForwardNumber b) { return {a.v / b.v, (a.d * b.v - a.v * b.d) / (b.v * b.v)}; }
  friend ForwardNumber operator-(ForwardNumber a) { return ForwardNumber() - a; }
  ForwardNumber& operator+=(ForwardNumber o) { return *this = *this + o; }
  ForwardNumber& operator-=(ForwardNumber o) { return *this = *this - o; }
  ForwardNumber& operator*=(ForwardNumber o) { return *this = *this * o; }
  ForwardNumber& operator/=(ForwardNumber o) { return *this = *this / o; }
  friend ForwardNumber sqrt(ForwardNumber a) {
    using std::sqrt;
    const T y = sqrt(a.v);
    return {y, a.d / (2.0 * y)};
  }
  friend ForwardNumber log(ForwardNumber a) {
    using std::log;
    return {log(a.v), a.d / a.v};
  }
  friend ForwardNumber tanh(ForwardNumber a) {
    using std::tanh;
    const T y = tanh(a.v);
    return {y, (1.0 - y * y) * a.d};
  }
  friend ForwardNumber exp(ForwardNumber a) {
    using std::exp;
    const T y = exp(a.v);
    return {y, y * a.d};
  }
  friend ForwardNumber sin(ForwardNumber a) {
    using std::cos;
    using std::sin;
    return {sin(a.v), cos(a.v) * a.d};
  }
  friend ForwardNumber cos(ForwardNumber a) {
    using std::cos;
    using std::sin;
    return {cos(a.v), -sin(a.v) * a.d};
  }

  // Comparisons and conversions are those of the value.
  friend bool operator<(ForwardNumber a, ForwardNumber b) { return a.v < b.v; }
  friend bool operator>(ForwardNumber a, ForwardNumber b) { return a.v > b.v; }
  friend bool operator<=(ForwardNumber a, ForwardNumber b) { return a.v <= b.v; }
  friend ForwardNumber where(bool condition, ForwardNumber a, ForwardNumber b) { return condition ? a : b; }
  explicit operator int() const { return static_cast<int>(v); }
};

}  // namespace wengert::testing
