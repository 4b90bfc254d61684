#pragma once
// Internal.
// An element of a tensor in a loop, as an operand of the formulas of functions.h: a number whose elementary functions are the straight
// formulas of straight.h, which compilers make SIMD of. (Scalars keep those of the C library: one call is faster there, and the options of
// a user's program, such as -ffast-math, would not leave a straight formula as it is.)
#include "autodiff/functions/functions.h"
#include "autodiff/functions/straight.h"

namespace wengert::fn {

template <class T> struct Element {
  T v;

  WENGERT_INLINE friend Element operator+(Element a, Element b) { return {a.v + b.v}; }
  WENGERT_INLINE friend Element operator-(Element a, Element b) { return {a.v - b.v}; }
  WENGERT_INLINE friend Element operator*(Element a, Element b) { return {a.v * b.v}; }
  WENGERT_INLINE friend Element operator/(Element a, Element b) { return {a.v / b.v}; }
  WENGERT_INLINE friend Element operator-(Element a) { return {-a.v}; }
  WENGERT_INLINE friend bool operator<(Element a, Element b) { return a.v < b.v; }
  WENGERT_INLINE friend bool operator<=(Element a, Element b) { return a.v <= b.v; }
  WENGERT_INLINE friend bool operator>(Element a, Element b) { return a.v > b.v; }
  WENGERT_INLINE friend bool operator>=(Element a, Element b) { return a.v >= b.v; }
  WENGERT_INLINE friend bool operator==(Element a, Element b) { return a.v == b.v; }
};

// Beside numbers, which take the element's type.
#define WENGERT_OPERATOR(op)                                                                                                         \
  template <class T, class N>                                                                                                        \
  requires std::is_arithmetic_v<N> WENGERT_INLINE auto operator op(Element<T> a, N b) { return a op Element<T>{static_cast<T>(b)}; } \
  template <class T, class N>                                                                                                        \
  requires std::is_arithmetic_v<N> WENGERT_INLINE auto operator op(N a, Element<T> b) { return Element<T>{static_cast<T>(a)} op b; }
WENGERT_OPERATOR(+)
WENGERT_OPERATOR(-)
WENGERT_OPERATOR(*)
WENGERT_OPERATOR(/)
WENGERT_OPERATOR(<)
WENGERT_OPERATOR(<=)
WENGERT_OPERATOR(>)
WENGERT_OPERATOR(>=)
WENGERT_OPERATOR(==)
#undef WENGERT_OPERATOR

template <class T> WENGERT_INLINE Element<T> where(bool condition, const Element<T>& a, const Element<T>& b) {
  return {condition ? a.v : b.v};
}
template <class T, class N>
requires std::is_arithmetic_v<N> WENGERT_INLINE Element<T> where(bool condition, const Element<T>& a, const N& b) {
  return {condition ? a.v : static_cast<T>(b)};
}
template <class T, class N>
requires std::is_arithmetic_v<N> WENGERT_INLINE Element<T> where(bool condition, const N& a, const Element<T>& b) {
  return {condition ? static_cast<T>(a) : b.v};
}
/// Both are computed: a branch would keep the loop from the SIMD units.
template <class F, class T> WENGERT_INLINE Element<T> where_lazy(bool condition, F&& f, const Element<T>& b) {
  return where(condition, f(), b);
}
template <class T> WENGERT_INLINE Element<T> zero_like(const Element<T>&) { return {0}; }

template <class T> WENGERT_INLINE Element<T> abs(Element<T> x) { return {std::abs(x.v)}; }
template <class T> WENGERT_INLINE Element<T> sqrt(Element<T> x) { return {std::sqrt(x.v)}; }
template <class T> WENGERT_INLINE Element<T> floor(Element<T> x) { return {std::floor(x.v)}; }
template <class T> WENGERT_INLINE Element<T> ceil(Element<T> x) { return {std::ceil(x.v)}; }
template <class T> WENGERT_INLINE Element<T> rint(Element<T> x) { return {std::rint(x.v)}; }

#define WENGERT_FUNCTION(name) \
  template <class T> WENGERT_INLINE Element<T> name(Element<T> x) { return {straight::name(x.v)}; }
WENGERT_FUNCTION(exp)
WENGERT_FUNCTION(exp2)
WENGERT_FUNCTION(expm1)
WENGERT_FUNCTION(log)
WENGERT_FUNCTION(log2)
WENGERT_FUNCTION(log10)
WENGERT_FUNCTION(log1p)
WENGERT_FUNCTION(sin)
WENGERT_FUNCTION(cos)
WENGERT_FUNCTION(tan)
WENGERT_FUNCTION(asin)
WENGERT_FUNCTION(acos)
WENGERT_FUNCTION(sinh)
WENGERT_FUNCTION(cosh)
WENGERT_FUNCTION(tanh)
WENGERT_FUNCTION(asinh)
WENGERT_FUNCTION(acosh)
WENGERT_FUNCTION(atanh)
WENGERT_FUNCTION(erf)
WENGERT_FUNCTION(erfc)
#undef WENGERT_FUNCTION
/// In double for floats, too.
template <class T> WENGERT_INLINE Element<T> atan(Element<T> x) { return {static_cast<T>(straight::atan(static_cast<double>(x.v)))}; }
/// Without the formula of erfc near 0, which would be computed everywhere.
WENGERT_INLINE Element<float> normal_distribution(Element<float> z) { return {straight::normal(z.v).left}; }
WENGERT_INLINE Element<float> log_odds(Element<float> p) { return {straight::logit(p.v)}; }
template <class T> WENGERT_INLINE Element<T> atan2(Element<T> a, Element<T> b) { return {straight::atan2(a.v, b.v)}; }
template <class T> WENGERT_INLINE Element<T> hypot(Element<T> a, Element<T> b) { return {straight::hypot(a.v, b.v)}; }
template <class T> WENGERT_INLINE Element<T> pow(Element<T> a, Element<T> b) { return {straight::pow(a.v, b.v)}; }
/// For x > 0. One at a time in double.
template <class T> WENGERT_INLINE Element<T> lgamma(Element<T> x) {
  if constexpr (sizeof(T) == 4) {
    return {straight::lgamma_of_positive(x.v)};
  } else {
    return {fn::lgamma(x.v)};
  }
}
/// For x > 0.
template <class T> WENGERT_INLINE Element<T> digamma(Element<T> x) {
  return {static_cast<T>(straight::digamma_of_positive(static_cast<double>(x.v)))};
}
/// For x > 0. An order that the compiler does not know keeps the loop from the SIMD units.
template <class T> WENGERT_INLINE Element<T> polygamma(double n, Element<T> x) {
  if (n == 0) return digamma(x);
  if (n == 1) return {static_cast<T>(straight::trigamma_of_positive(static_cast<double>(x.v)))};
  if (n == 2) return {static_cast<T>(straight::tetragamma_of_positive(static_cast<double>(x.v)))};
  return {fn::polygamma(static_cast<T>(n), x.v)};
}

// Rules for elements, which share what the formulas of functions.h compute more than once. (Those are for recorded tensors, too, whose
// next order needs functions without a corner.)
template <class F, class E> WENGERT_INLINE E pullback(const F& f, const E& m, const E& x, const E& y) { return f.pullback(m, x, y); }
template <class F, class E> WENGERT_INLINE E left(const F& f, const E& m, const E& a, const E& b, const E& y) { return f.left(m, a, b, y); }
template <class F, class E> WENGERT_INLINE E right(const F& f, const E& m, const E& a, const E& b, const E& y) {
  return f.right(m, a, b, y);
}
/// 1 / (1 + e^-x) and 1 / (1 + e^x).
template <class E> struct BothSigmoids { E left, right; };
template <class E> WENGERT_INLINE BothSigmoids<E> both_sigmoids(const E& x) {
  const E e = exp(-abs(x)), scale = 1 / (1 + e);
  return {where(x < 0, e, 1) * scale, where(x < 0, 1, e) * scale};
}
template <class E> WENGERT_INLINE E pullback(const Silu&, const E& m, const E& x, const E&) {
  const E z = where(x > 800, 800, where(x < -800, -800, x));
  const auto [left, right] = both_sigmoids(z);
  return m * left * (1 + z * right);
}
/// The normal distribution function and its density share the exponential of z^2 / 2. Beyond `end` it is 0.
template <class T> WENGERT_INLINE Element<T> pullback(const Gelu&, Element<T> m, Element<T> x, Element<T>) {
  const T end = straight::kEndOfGaussian<T> * T(1.4142135623730951);
  const T z = x.v > end ? end : x.v < -end ? -end : x.v;
  if constexpr (sizeof(T) == 4) {
    const auto [left, e] = straight::normal(z);
    return {m.v * (left + z * 0.39894228040143268f * e)};
  } else {
    const T u = z * T(0.70710678118654752), a = std::abs(u);
    const auto [p, k] = straight::exponential_of_negative_square(z, T(0.5));
    const T e = straight::scale_down(1 + p, k), tail = straight::scaled_tail_of_gaussian(a) * T(0.5) * e;
    const T left = a > T(0.46875) ? (z > 0 ? 1 - tail : tail) : (1 + straight::erf_near_0(u)) * T(0.5);
    return {m.v * (left + z * T(0.39894228040143268) * e)};
  }
}
template <class E> WENGERT_INLINE E pullback(const GeluTanh&, const E& m, const E& x, const E&) {
  const E z = where(x > 30, 30, where(x < -30, -30, x));
  const auto [left, right] = both_sigmoids(GeluTanh::twice_u(z));
  return m * (left + left * right * z * (1.5957691216057308 + 0.21406444881780073 * z * z));
}
/// With n = e^-|x| and w = p / (p + 2q) as in the value: 1 - w^2 = 4 q (p + q) / (p + 2q)^2.
template <class E> WENGERT_INLINE E pullback(const Mish&, const E& m, const E& x, const E&) {
  const E z = where(x > 800, 800, where(x < -800, -800, x));
  const E n = exp(-abs(z));
  const E p = where(z < 0, n * (n + 2), 1 + 2 * n), q = where(z < 0, 1, n * n), d = 1 / (p + 2 * q);
  return m * (p * d + z * (4 * q * (p + q) * d * d) * (where(z < 0, n, 1) / (1 + n)));
}

/// Without the length hypot(a, b), which would only be squared.
template <class T> WENGERT_INLINE Element<T> left(const Atan2&, Element<T> m, Element<T> a, Element<T> b, Element<T>) {
  return {m.v * straight::over_square(b.v, a.v, b.v)};
}
template <class T> WENGERT_INLINE Element<T> right(const Atan2&, Element<T> m, Element<T> a, Element<T> b, Element<T>) {
  return {-m.v * straight::over_square(a.v, a.v, b.v)};
}

/// Polygamma of an order that the compiler knows. (A parameter called n would be hidden by the member n.)
template <int order> struct PolygammaOfOrder : Polygamma {
  WENGERT_INLINE auto value(const auto& x) const { return polygamma(constant(order, x), x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * polygamma(constant(order + 1, x), x); }
};

/// Functions whose straight formulas, or those of their slopes, do not hold everywhere: beyond, an element takes the function of numbers.
template <class F> constexpr bool kHoldsNearZero = false;
template <> inline constexpr bool kHoldsNearZero<Sin> = true;
template <> inline constexpr bool kHoldsNearZero<Cos> = true;
template <> inline constexpr bool kHoldsNearZero<Tan> = true;
template <class F> constexpr bool kHoldsForPositive = std::is_base_of_v<Polygamma, F>;
template <> inline constexpr bool kHoldsForPositive<Digamma> = true;
template <> inline constexpr bool kHoldsForPositive<Lgamma> = true;
template <class F> constexpr bool kHoldsInPart = kHoldsNearZero<F> || kHoldsForPositive<F>;
/// Whether x is beyond.
template <class F, class T> WENGERT_INLINE bool is_beyond(T x) {
  if constexpr (kHoldsForPositive<F>) {
    return !(x > 0);
  } else {
    return !(std::abs(x) <= static_cast<T>(straight::kTrigonometricLimit));
  }
}

}  // namespace wengert::fn
