#pragma once
// Dual numbers: forward mode. A value and its tangents in N directions, v + d_1 e_1 + ... + d_N e_N with e_i e_j = 0.
#include <array>
#include <cmath>
#include <type_traits>

#include "autodiff/functions/functions.h"

namespace wengert {
namespace numeric {

/// As the value type of BasicScalar it gives second derivatives: forward mode over the tape's reverse mode.
template <int N> struct Dual {
  double v = 0;               ///< the value
  std::array<double, N> d{};  ///< its tangent in each direction

  Dual() = default;
  constexpr Dual(double value) : v(value) {}
  Dual(double value, const std::array<double, N>& tangents) : v(value), d(tangents) {}

  /// Whether value and tangents are all zero, so that nothing needs to be propagated.
  bool is_zero() const {
    bool zero = v == 0;
    for (double e : d) zero &= e == 0;
    return zero;
  }

  //  a(x) + slope(x) x_dot, the first-order part of everything below. A tangent that is exactly 0 adds nothing, even where the slope is
  //  infinite, as an adjoint that is 0 adds nothing on a tape.
  /// A value whose slope by x is known: the chain rule.
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

  /// The value as a number, without the tangents.
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(v); }

  // Comparisons ignore tangents.
  friend constexpr bool operator<(const Dual& a, const Dual& b) { return a.v < b.v; }
  friend constexpr bool operator<=(const Dual& a, const Dual& b) { return a.v <= b.v; }
  friend constexpr bool operator>(const Dual& a, const Dual& b) { return a.v > b.v; }
  friend constexpr bool operator>=(const Dual& a, const Dual& b) { return a.v >= b.v; }
  friend constexpr bool operator==(const Dual& a, const Dual& b) { return a.v == b.v; }
  friend constexpr bool operator!=(const Dual& a, const Dual& b) { return a.v != b.v; }
};

/// 0, without a derivative.
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

// Argument-dependent look-up finds the names of this namespace, so of functions it has those of <cmath> only (scalar.h).
#define WENGERT_FUNCTION(F, name) \
  template <int N> Dual<N> name(const Dual<N>& x) { return evaluate(fn::F{}, x); }
WENGERT_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Abs, fabs)
WENGERT_FUNCTION(Round, rint)
WENGERT_FUNCTION(Round, nearbyint)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                                                       \
  template <int N> Dual<N> name(const Dual<N>& a, const Dual<N>& b) { return evaluate(fn::F{}, a, b); } \
  template <int N> Dual<N> name(const Dual<N>& a, double b) { return evaluate(fn::F{}, a, b); }         \
  template <int N> Dual<N> name(double a, const Dual<N>& b) { return evaluate(fn::F{}, a, b); }
WENGERT_BINARY_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION

}  // namespace numeric

using numeric::Dual;

template <class T> struct IsDual : std::false_type {};
template <int N> struct IsDual<Dual<N>> : std::true_type {};

namespace detail {

/// The dual numbers that a function of a pair returns, one of which is a dual number, the other the same or a number.
template <class A, class B> struct DualOf {};
template <int N> struct DualOf<Dual<N>, Dual<N>> : std::type_identity<Dual<N>> {};
template <int N, class B>
requires std::is_arithmetic_v<B>
struct DualOf<Dual<N>, B> : std::type_identity<Dual<N>> {
};
template <int N, class A>
requires std::is_arithmetic_v<A>
struct DualOf<A, Dual<N>> : std::type_identity<Dual<N>> {
};

template <int N> const Dual<N>& dual_or_number(const Dual<N>& x) { return x; }
inline double dual_or_number(double x) { return x; }

}  // namespace detail

// The functions that <cmath> does not have. They are templates of any type, as in scalar.h.
#define WENGERT_FUNCTION(F, name) \
  template <class D, std::enable_if_t<IsDual<D>::value, int> = 0> D name(const D& x) { return evaluate(fn::F{}, x); }
WENGERT_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default)                                                              \
  template <class D, std::enable_if_t<IsDual<D>::value, int> = 0> D name(const D& x, double p = p_default) { \
    return evaluate(fn::checked(fn::F{p}), x);                                                               \
  }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                                                      \
  template <class D, std::enable_if_t<IsDual<D>::value, int> = 0> D name(const D& x, double p = p_default, double q = q_default) { \
    return evaluate(fn::checked(fn::F{p, q}), x);                                                                                  \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                                                             \
  template <class A, class B, class D = typename detail::DualOf<A, B>::type> D name(const A& a, const B& b) { \
    return evaluate(fn::F{}, detail::dual_or_number(a), detail::dual_or_number(b));                           \
  }
WENGERT_BINARY_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert
