#pragma once
// Dual numbers: forward mode. A value and its tangents in N directions, v + d_1 e_1 + ... + d_N e_N with e_i e_j = 0.
#include <array>
#include <cmath>
#include <limits>

#include "autodiff/functions/functions.h"

namespace wengert {

/// As the value type of BasicScalar it gives second derivatives: forward mode over the tape's reverse mode.
template <int N> struct Dual {
  double v = 0;               ///< the value
  std::array<double, N> d{};  ///< its tangent in each direction

  Dual() = default;
  Dual(double value) : v(value) {}
  Dual(double value, const std::array<double, N>& tangents) : v(value), d(tangents) {}

  /// Whether value and tangents are all zero, so that nothing needs to be propagated.
  bool is_zero() const {
    bool zero = v == 0;
    for (double e : d) zero &= e == 0;
    return zero;
  }

  //  a(x) + slope(x) x_dot, the first-order part of everything below. A tangent that is exactly 0 adds nothing, even where the slope is
  //  infinite, as an adjoint that is 0 adds nothing on a tape.
  WENGERT_INLINE static Dual of(double value, double slope, const Dual& x) {
    Dual y(value);
    if (slope - slope != 0) [[unlikely]] {
      for (int i = 0; i < N; ++i) y.d[i] = term(slope, x.d[i]);
      return y;
    }
    for (int i = 0; i < N; ++i) y.d[i] = slope * x.d[i];
    return y;
  }
  WENGERT_INLINE static Dual of(double value, double left, const Dual& a, double right, const Dual& b) {
    Dual y(value);
    if ((left - left) + (right - right) != 0) [[unlikely]] {
      for (int i = 0; i < N; ++i) y.d[i] = term(left, a.d[i]) + term(right, b.d[i]);
      return y;
    }
    for (int i = 0; i < N; ++i) y.d[i] = left * a.d[i] + right * b.d[i];
    return y;
  }
  static double term(double slope, double tangent) { return tangent == 0 ? 0 : slope * tangent; }

  WENGERT_INLINE friend Dual operator+(const Dual& a, const Dual& b) { return of(a.v + b.v, 1, a, 1, b); }
  WENGERT_INLINE friend Dual operator-(const Dual& a, const Dual& b) { return of(a.v - b.v, 1, a, -1, b); }
  WENGERT_INLINE friend Dual operator*(const Dual& a, const Dual& b) { return of(a.v * b.v, b.v, a, a.v, b); }
  WENGERT_INLINE friend Dual operator/(const Dual& a, const Dual& b) {
    const double y = a.v / b.v;
    return of(y, 1 / b.v, a, -y / b.v, b);
  }
  WENGERT_INLINE friend Dual operator+(const Dual& a, double b) { return {a.v + b, a.d}; }
  WENGERT_INLINE friend Dual operator+(double a, const Dual& b) { return {a + b.v, b.d}; }
  WENGERT_INLINE friend Dual operator-(const Dual& a, double b) { return {a.v - b, a.d}; }
  WENGERT_INLINE friend Dual operator-(double a, const Dual& b) { return of(a - b.v, -1, b); }
  WENGERT_INLINE friend Dual operator*(const Dual& a, double b) { return of(a.v * b, b, a); }
  WENGERT_INLINE friend Dual operator*(double a, const Dual& b) { return of(a * b.v, a, b); }
  WENGERT_INLINE friend Dual operator/(const Dual& a, double b) { return of(a.v / b, 1 / b, a); }
  WENGERT_INLINE friend Dual operator/(double a, const Dual& b) { return of(a / b.v, -(a / b.v) / b.v, b); }
  WENGERT_INLINE friend Dual operator-(const Dual& a) { return of(-a.v, -1, a); }
  WENGERT_INLINE friend Dual operator+(const Dual& a) { return a; }
  WENGERT_INLINE Dual& operator+=(const Dual& o) { return *this = *this + o; }
  WENGERT_INLINE Dual& operator-=(const Dual& o) { return *this = *this - o; }
  WENGERT_INLINE Dual& operator*=(const Dual& o) { return *this = *this * o; }
  WENGERT_INLINE Dual& operator/=(const Dual& o) { return *this = *this / o; }

  // Comparisons ignore tangents.
  friend bool operator<(const Dual& a, const Dual& b) { return a.v < b.v; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.v <= b.v; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.v > b.v; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.v >= b.v; }
  friend bool operator==(const Dual& a, const Dual& b) { return a.v == b.v; }
  friend bool operator!=(const Dual& a, const Dual& b) { return a.v != b.v; }
};

template <int N> Dual<N> zero_like(const Dual<N>&) { return {}; }

/// A function of functions.h at a dual number, computed with its own slope.
template <class F, int N> WENGERT_INLINE Dual<N> evaluate(const F& f, const Dual<N>& x) {
  const double y = f.value(x.v);
  return Dual<N>::of(y, f.pullback(1.0, x.v, y), x);
}
template <class F, int N> WENGERT_INLINE Dual<N> evaluate(const F& f, const Dual<N>& a, const Dual<N>& b) {
  const double y = f.value(a.v, b.v);
  return Dual<N>::of(y, f.left(1.0, a.v, b.v, y), a, f.right(1.0, a.v, b.v, y), b);
}
template <class F, int N> WENGERT_INLINE Dual<N> evaluate(const F& f, const Dual<N>& a, double b) {
  const double y = f.value(a.v, b);
  return Dual<N>::of(y, f.left(1.0, a.v, b, y), a);
}
template <class F, int N> WENGERT_INLINE Dual<N> evaluate(const F& f, double a, const Dual<N>& b) {
  const double y = f.value(a, b.v);
  return Dual<N>::of(y, f.right(1.0, a, b.v, y), b);
}

#define WENGERT_FUNCTION(F, name) \
  template <int N> Dual<N> name(const Dual<N>& x) { return evaluate(fn::F{}, x); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default) \
  template <int N> Dual<N> name(const Dual<N>& x, double p = p_default) { return evaluate(fn::checked(fn::F{p}), x); }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                   \
  template <int N> Dual<N> name(const Dual<N>& x, double p = p_default, double q = q_default) { \
    return evaluate(fn::checked(fn::F{p, q}), x);                                               \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                                                       \
  template <int N> Dual<N> name(const Dual<N>& a, const Dual<N>& b) { return evaluate(fn::F{}, a, b); } \
  template <int N> Dual<N> name(const Dual<N>& a, double b) { return evaluate(fn::F{}, a, b); }         \
  template <int N> Dual<N> name(double a, const Dual<N>& b) { return evaluate(fn::F{}, a, b); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
// Under their names in the C++ library.
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION
template <int N> Dual<N> fabs(const Dual<N>& x) { return abs(x); }

/// The larger of two numbers, or the other one where one is NaN (`max` is NaN then); fmin the smaller.
#define WENGERT_FUNCTION(name, of_numbers)                                                  \
  template <int N> Dual<N> name(const Dual<N>& a, const Dual<N>& b) {                       \
    if (b.v != b.v) return a;                                                               \
    if (a.v != a.v) return b;                                                               \
    return of_numbers(a, b);                                                                \
  }                                                                                         \
  template <int N> Dual<N> name(const Dual<N>& a, double b) { return name(a, Dual<N>(b)); } \
  template <int N> Dual<N> name(double a, const Dual<N>& b) { return name(Dual<N>(a), b); }
WENGERT_FUNCTION(fmax, max)
WENGERT_FUNCTION(fmin, min)
#undef WENGERT_FUNCTION

// Queries ignore tangents.
#define WENGERT_FUNCTION(name) \
  template <int N> bool name(const Dual<N>& x) { return std::name(x.v); }
WENGERT_FUNCTION(isfinite)
WENGERT_FUNCTION(isinf)
WENGERT_FUNCTION(isnan)
WENGERT_FUNCTION(isnormal)
WENGERT_FUNCTION(signbit)
#undef WENGERT_FUNCTION

}  // namespace wengert

/// Those of double: `std::numeric_limits<Dual<2>>::max()` is a plain number, which converts to Dual.
template <int N> struct std::numeric_limits<wengert::Dual<N>> : std::numeric_limits<double> {};
