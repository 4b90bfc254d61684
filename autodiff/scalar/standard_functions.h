#pragma once
// What generic numeric code asks of a number, beyond arithmetic and the functions that expressions have: the rest of <cmath>, queries,
// numeric_limits, hashing, and the functions under their qualified names, std::exp(x).
//
// The functions of this file return numbers and no expressions. Each is composed of those of functions.h, so that it can be differentiated
// to any order, and has the value that the C++ library gives.
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/eager_scalar.h"
#include "autodiff/scalar/scalar.h"

namespace wengert {

/// A Scalar, an expression of Scalars, an eager Scalar or a dual number.
template <class T> concept DifferentiableNumber = ScalarLike<T> || EagerLike<T> || IsDual<std::remove_cvref_t<T>>::value;

namespace detail {

template <class T> struct ConcreteNumber { using type = T; };
template <ScalarExpression T> struct ConcreteNumber<T> { using type = BasicScalar<typename T::Value>; };
/// The type of a result: that of the first operand that is no C++ number, or eager if one is.
template <class... T> struct ResultOf;
template <class T> struct ResultOf<T> : ConcreteNumber<T> {};
template <class T, class... Rest>
requires(sizeof...(Rest) > 0) struct ResultOf<T, Rest...> {
  using Others = typename ResultOf<Rest...>::type;
  using type = std::conditional_t<Number<T> || (EagerLike<Others> && !Number<T>), Others, typename ConcreteNumber<T>::type>;
};
template <class... T> using Result = typename ResultOf<std::remove_cvref_t<T>...>::type;

template <class... T> concept StandardOperands = (DifferentiableNumber<T> || ...) && ((DifferentiableNumber<T> || Number<T>)&&...);

/// x with another value and the same derivatives.
inline double with_value(double, double value) { return value; }
template <int N> Dual<N> with_value(const Dual<N>& x, double value) { return {value, x.d}; }
template <class V> BasicScalar<V> with_value(const BasicScalar<V>& x, double value) {
  return BasicScalar<V>(with_value(x.value(), value), x.number());
}
template <class V> BasicEagerScalar<V> with_value(const BasicEagerScalar<V>& x, double value) { return with_value(x.scalar(), value); }

/// The functions for numbers T of one type.
namespace standard {

// Steps: slope 0.
template <class T> T round(const T& x) { return with_value(T(floor(x)), std::round(plain(x))); }
template <class T> T trunc(const T& x) { return with_value(T(floor(x)), std::trunc(plain(x))); }
template <class T> T logb(const T& x) { return with_value(T(floor(x)), std::logb(plain(x))); }

/// y = y_0 e^((ln x - ln x_0) / 3) around x_0; slope infinity at 0.
template <class T> T cbrt(const T& x) {
  const double v = plain(x), y = std::cbrt(v);
  if (v == 0) return with_value(T(x * HUGE_VAL), y);
  if (!(std::fabs(v) < HUGE_VAL)) return with_value(T(x * (v != v ? v : 0.0)), y);
  return with_value(T(y * exp((log(abs(x)) - std::log(std::fabs(v))) / 3)), y);
}
/// y = y_0 e^(ln Gamma(x) - ln Gamma(x_0)) around x_0.
template <class T> T tgamma(const T& x) {
  const double y = std::tgamma(plain(x));
  return with_value(T(y * exp(lgamma(x) - plain(T(lgamma(x))))), y);
}
template <class T> T beta(const T& a, const T& b) {
  const double y = std::beta(plain(a), plain(b));
  const T l = lgamma(a) + lgamma(b) - lgamma(a + b);
  return with_value(T(y * exp(l - plain(l))), y);
}

/// a - n b with the integer n that gives the remainder r.
template <class T> T minus_multiple(const T& a, const T& b, double r) {
  const double n = std::rint((plain(a) - r) / plain(b));
  return with_value(T(a - n * b), r);
}
template <class T> T fmod(const T& a, const T& b) { return minus_multiple(a, b, std::fmod(plain(a), plain(b))); }
template <class T> T remainder(const T& a, const T& b) { return minus_multiple(a, b, std::remainder(plain(a), plain(b))); }
template <class T> T remquo(const T& a, const T& b, int* n) { return minus_multiple(a, b, std::remquo(plain(a), plain(b), n)); }

/// x 2^n, in two steps, so that neither factor overflows.
template <class T> T times_power_of_two(const T& x, int n, double value) {
  return with_value(T(x * std::ldexp(1.0, n / 2) * std::ldexp(1.0, n - n / 2)), value);
}
template <class T> T ldexp(const T& x, int n) { return times_power_of_two(x, n, std::ldexp(plain(x), n)); }
template <class T> T scalbn(const T& x, int n) { return ldexp(x, n); }
template <class T> T scalbln(const T& x, long n) { return ldexp(x, static_cast<int>(n < -10000 ? -10000 : n > 10000 ? 10000 : n)); }
template <class T> T frexp(const T& x, int* n) {
  const double m = std::frexp(plain(x), n);
  return times_power_of_two(x, std::isfinite(m) ? -*n : 0, m);
}

template <class T> T copysign(const T& a, const T& b) {
  const double v = plain(a), y = std::copysign(v, plain(b));
  return with_value(T(a * (std::signbit(v) == std::signbit(y) ? 1.0 : -1.0)), y);
}
template <class T> T fdim(const T& a, const T& b) {
  return with_value(T((a - b) * (plain(a) > plain(b) ? 1.0 : 0.0)), std::fdim(plain(a), plain(b)));
}
template <class T> T nextafter(const T& a, const T& b) { return with_value(a, std::nextafter(plain(a), plain(b))); }
template <class T> T nexttoward(const T& a, long double b) { return with_value(a, std::nexttoward(plain(a), b)); }
/// The larger of two numbers, or the other one where one is NaN (`max` is NaN then); fmin the smaller.
template <class T> T fmax(const T& a, const T& b) { return plain(b) != plain(b) ? a : plain(a) != plain(a) ? b : T(max(a, b)); }
template <class T> T fmin(const T& a, const T& b) { return plain(b) != plain(b) ? a : plain(a) != plain(a) ? b : T(min(a, b)); }
template <class T> T midpoint(const T& a, const T& b) { return with_value(T(0.5 * a + 0.5 * b), std::midpoint(plain(a), plain(b))); }

template <class T> T fma(const T& a, const T& b, const T& c) { return with_value(T(a * b + c), std::fma(plain(a), plain(b), plain(c))); }
template <class T> T hypot(const T& a, const T& b, const T& c) {
  return with_value(T(hypot(hypot(a, b), c)), std::hypot(plain(a), plain(b), plain(c)));
}
template <class T> T lerp(const T& a, const T& b, const T& t) {
  return with_value(T(a + t * (b - a)), std::lerp(plain(a), plain(b), plain(t)));
}

}  // namespace standard
}  // namespace detail

namespace numeric {

#define WENGERT_FUNCTION(name) \
  template <DifferentiableNumber E> detail::Result<E> name(const E& x) { return detail::standard::name(detail::Result<E>(x)); }
WENGERT_FUNCTION(round)
WENGERT_FUNCTION(trunc)
WENGERT_FUNCTION(logb)
WENGERT_FUNCTION(cbrt)
WENGERT_FUNCTION(tgamma)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(name)                                                                \
  template <class A, class B>                                                                 \
  requires detail::StandardOperands<A, B> detail::Result<A, B> name(const A& a, const B& b) { \
    using T = detail::Result<A, B>;                                                           \
    return detail::standard::name(T(a), T(b));                                                \
  }
WENGERT_FUNCTION(beta)
WENGERT_FUNCTION(fmod)
WENGERT_FUNCTION(remainder)
WENGERT_FUNCTION(copysign)
WENGERT_FUNCTION(fdim)
WENGERT_FUNCTION(nextafter)
WENGERT_FUNCTION(fmax)
WENGERT_FUNCTION(fmin)
WENGERT_FUNCTION(midpoint)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(name)                                                                                  \
  template <class A, class B, class C>                                                                          \
  requires detail::StandardOperands<A, B, C> detail::Result<A, B, C> name(const A& a, const B& b, const C& c) { \
    using T = detail::Result<A, B, C>;                                                                          \
    return detail::standard::name(T(a), T(b), T(c));                                                            \
  }
WENGERT_FUNCTION(fma)
WENGERT_FUNCTION(hypot)
WENGERT_FUNCTION(lerp)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(name, Exponent)                                             \
  template <DifferentiableNumber E> detail::Result<E> name(const E& x, Exponent n) { \
    return detail::standard::name(detail::Result<E>(x), n);                          \
  }
WENGERT_FUNCTION(ldexp, int)
WENGERT_FUNCTION(scalbn, int)
WENGERT_FUNCTION(scalbln, long)
WENGERT_FUNCTION(frexp, int*)
WENGERT_FUNCTION(nexttoward, long double)
#undef WENGERT_FUNCTION
/// The rest of a / b, between -b / 2 and b / 2; *n gets the last bits of the quotient.
template <class A, class B>
requires detail::StandardOperands<A, B> detail::Result<A, B> remquo(const A& a, const B& b, int* n) {
  using T = detail::Result<A, B>;
  return detail::standard::remquo(T(a), T(b), n);
}
/// The part behind the point; `whole` receives the rest, whose slope is 0.
template <DifferentiableNumber E> detail::Result<E> modf(const E& x, detail::Result<E>* whole) {
  const detail::Result<E> y = x;
  double rest = 0;
  const double part = std::modf(detail::plain(y), &rest);
  *whole = detail::with_value(detail::Result<E>(floor(y)), rest);
  return detail::with_value(y, part);
}

// Integers, and questions about the value.
#define WENGERT_FUNCTION(name) \
  template <DifferentiableNumber E> auto name(const E& x) { return std::name(detail::plain(x)); }
WENGERT_FUNCTION(lround)
WENGERT_FUNCTION(llround)
WENGERT_FUNCTION(lrint)
WENGERT_FUNCTION(llrint)
WENGERT_FUNCTION(ilogb)
WENGERT_FUNCTION(fpclassify)
WENGERT_FUNCTION(isfinite)
WENGERT_FUNCTION(isinf)
WENGERT_FUNCTION(isnan)
WENGERT_FUNCTION(isnormal)
WENGERT_FUNCTION(signbit)
WENGERT_FUNCTION(to_string)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(name)            \
  template <class A, class B>             \
  requires detail::StandardOperands<A, B> \
  bool name(const A& a, const B& b) { return std::name(detail::plain(a), detail::plain(b)); }
WENGERT_FUNCTION(isgreater)
WENGERT_FUNCTION(isgreaterequal)
WENGERT_FUNCTION(isless)
WENGERT_FUNCTION(islessequal)
WENGERT_FUNCTION(islessgreater)
WENGERT_FUNCTION(isunordered)
#undef WENGERT_FUNCTION

}  // namespace numeric

namespace detail {

/// The limits of double as numbers of type T.
template <class T> struct LimitsAs : std::numeric_limits<double> {
  using Limits = std::numeric_limits<double>;
  static constexpr T min() noexcept { return Limits::min(); }
  static constexpr T max() noexcept { return Limits::max(); }
  static constexpr T lowest() noexcept { return Limits::lowest(); }
  static constexpr T epsilon() noexcept { return Limits::epsilon(); }
  static constexpr T round_error() noexcept { return Limits::round_error(); }
  static constexpr T infinity() noexcept { return Limits::infinity(); }
  static constexpr T quiet_NaN() noexcept { return Limits::quiet_NaN(); }
  static constexpr T signaling_NaN() noexcept { return Limits::signaling_NaN(); }
  static constexpr T denorm_min() noexcept { return Limits::denorm_min(); }
};

}  // namespace detail
}  // namespace wengert

/// Those of double.
template <class V> struct std::numeric_limits<wengert::BasicScalar<V>> : wengert::detail::LimitsAs<wengert::BasicScalar<V>> {};
template <class V> struct std::numeric_limits<wengert::BasicEagerScalar<V>> : wengert::detail::LimitsAs<wengert::BasicEagerScalar<V>> {};
template <int N> struct std::numeric_limits<wengert::Dual<N>> : wengert::detail::LimitsAs<wengert::Dual<N>> {};
template <class F, class E> struct std::numeric_limits<wengert::numeric::Unary<F, E>>
    : wengert::detail::LimitsAs<wengert::BasicScalar<typename wengert::numeric::Unary<F, E>::Value>> {};
template <class F, class L, class R> struct std::numeric_limits<wengert::numeric::Binary<F, L, R>>
    : wengert::detail::LimitsAs<wengert::BasicScalar<typename wengert::numeric::Binary<F, L, R>::Value>> {};

/// The common type of an expression and a number, a Scalar or another expression is a Scalar.
template <class A, class B>
requires(wengert::detail::IsExpression<A>::value || wengert::detail::IsExpression<B>::value) struct std::common_type<A, B>
    : wengert::detail::CommonScalar<A, B> {
};

/// Of the value, as operator== compares.
template <class V> struct std::hash<wengert::BasicScalar<V>> {
  std::size_t operator()(const wengert::BasicScalar<V>& x) const noexcept { return std::hash<double>()(wengert::detail::plain(x)); }
};
template <class V> struct std::hash<wengert::BasicEagerScalar<V>> {
  std::size_t operator()(const wengert::BasicEagerScalar<V>& x) const noexcept { return std::hash<double>()(wengert::detail::plain(x)); }
};
template <int N> struct std::hash<wengert::Dual<N>> {
  std::size_t operator()(const wengert::Dual<N>& x) const noexcept { return std::hash<double>()(x.v); }
};

#define WENGERT_USING(F, name) using wengert::numeric::name;
/// Names the functions of wengert::numeric in the namespace it stands in.
#define WENGERT_NUMERIC_NAMES                   \
  WENGERT_CMATH_FUNCTIONS(WENGERT_USING)        \
  WENGERT_BINARY_CMATH_FUNCTIONS(WENGERT_USING) \
  using wengert::numeric::beta;                 \
  using wengert::numeric::cbrt;                 \
  using wengert::numeric::copysign;             \
  using wengert::numeric::fabs;                 \
  using wengert::numeric::fdim;                 \
  using wengert::numeric::fma;                  \
  using wengert::numeric::fmax;                 \
  using wengert::numeric::fmin;                 \
  using wengert::numeric::fmod;                 \
  using wengert::numeric::fpclassify;           \
  using wengert::numeric::frexp;                \
  using wengert::numeric::ilogb;                \
  using wengert::numeric::isfinite;             \
  using wengert::numeric::isgreater;            \
  using wengert::numeric::isgreaterequal;       \
  using wengert::numeric::isinf;                \
  using wengert::numeric::isless;               \
  using wengert::numeric::islessequal;          \
  using wengert::numeric::islessgreater;        \
  using wengert::numeric::isnan;                \
  using wengert::numeric::isnormal;             \
  using wengert::numeric::isunordered;          \
  using wengert::numeric::ldexp;                \
  using wengert::numeric::lerp;                 \
  using wengert::numeric::llrint;               \
  using wengert::numeric::llround;              \
  using wengert::numeric::logb;                 \
  using wengert::numeric::lrint;                \
  using wengert::numeric::lround;               \
  using wengert::numeric::max;                  \
  using wengert::numeric::midpoint;             \
  using wengert::numeric::min;                  \
  using wengert::numeric::modf;                 \
  using wengert::numeric::nearbyint;            \
  using wengert::numeric::nextafter;            \
  using wengert::numeric::nexttoward;           \
  using wengert::numeric::remainder;            \
  using wengert::numeric::remquo;               \
  using wengert::numeric::rint;                 \
  using wengert::numeric::round;                \
  using wengert::numeric::scalbln;              \
  using wengert::numeric::scalbn;               \
  using wengert::numeric::signbit;              \
  using wengert::numeric::tgamma;               \
  using wengert::numeric::to_string;            \
  using wengert::numeric::trunc;

namespace wengert {
WENGERT_NUMERIC_NAMES  // wengert::exp(x) for numbers, as for tensors
}

// Qualified names: code that calls std::exp(x) has no argument-dependent look-up. These overloads are constrained to the numbers of this
// library, so they change no other call.
namespace std {  // NOLINT(cert-dcl58-cpp): a function template of the standard library cannot be specialised for a class template

WENGERT_NUMERIC_NAMES

/// As std::clamp, for operands of different types: a Scalar between two numbers.
template <class T, class Low, class High>
requires(wengert::detail::StandardOperands<T, Low, High> &&
         !(is_same_v<T, Low> && is_same_v<T, High>)) wengert::detail::Result<T, Low, High> clamp(const T& x, const Low& low,
                                                                                                 const High& high) {
  using R = wengert::detail::Result<T, Low, High>;
  if (x < low) return R(low);
  if (high < x) return R(high);
  return R(x);
}

}  // namespace std

#undef WENGERT_NUMERIC_NAMES
#undef WENGERT_USING
