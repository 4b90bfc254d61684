#pragma once
// Boost.Math and Boost.Odeint with Scalars. Needs Boost 1.74 or later, which the program brings. Include it before the headers of
// Boost.Math.
//
// Boost.Math's functions take Scalars, their expressions and eager Scalars, and return eager Scalars; its distributions take eager Scalars
// as their number type. A tape records Boost's own algorithms, so there are derivatives with respect to every argument and parameter. Many
// algorithms have shortcuts at whole and half numbers: lgamma(1) is 0, and the incomplete gamma function of a whole a is a sum of a terms.
// Their values are right, and their derivatives are not. So a tracked argument is moved off such a number by one unit in the last place.
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#if !__has_include(<boost/math/policies/policy.hpp>)
#error "autodiff/interop/boost.h needs Boost 1.74: install libboost-dev, or add the folder that contains boost/ to the include path"
#endif
#if defined(BOOST_MATH_SF_GAMMA_HPP) || defined(BOOST_MATH_SPECIAL_BETA_HPP)
#error "include autodiff/interop/boost.h before the headers of Boost.Math, which must see its functions"
#endif
#include <boost/math/distributions/fwd.hpp>
#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/math_fwd.hpp>
#include <boost/math/tools/promotion.hpp>
#include <boost/numeric/odeint/algebra/norm_result_type.hpp>
#include <cmath>
#include <compare>
#include <concepts>
#include <limits>
#include <ostream>
#include <type_traits>
#include <utility>

#include "autodiff/interop/recorded_number.h"
#include "autodiff/scalar/eager_scalar.h"
#include "autodiff/scalar/standard_functions.h"

namespace wengert::detail {

/// x, or the next number towards 0 if x is tracked, a multiple of 1/2, and not negative. (At negative ones there are poles, but hardly a
/// shortcut.) 0 becomes a number whose square is not 0.
template <class V> BasicEagerScalar<V> off_shortcuts(const BasicEagerScalar<V>& x) {
  constexpr double kTiny = 1e-100;
  const double v = plain(x);
  if (!x.number() || v < 0 || std::floor(2 * v) != 2 * v || !std::isfinite(v)) return x;
  return with_value(x, v == 0 ? kTiny : std::nextafter(v, 0));
}

/// f(n), where f has no derivatives with respect to n at multiples of 1/2: there with the value `value()` and the derivatives of the mean
/// of two calls, whose error is of second order in their distance. `kNegativeToo`: f takes negative n, and 0 is such a multiple as well.
template <bool kNegativeToo, class V, class F, class G>
BasicEagerScalar<V> beside_shortcuts(const F& f, const BasicEagerScalar<V>& n, const G& value) {
  const double v = plain(n), distance = 1e-5 * std::fmax(1, std::fabs(v));
  if (!n.number() || std::floor(2 * v) != 2 * v || (v == 0 && !kNegativeToo)) return f(n);
  return with_value(BasicEagerScalar<V>(0.5 * (f(n - distance) + f(n + distance))), value());
}

/// What Boost.Math computes with where it is called with eager Scalars: these, moved off shortcuts as they are converted.
template <class V> class BoostNumber {
  using Eager = BasicEagerScalar<V>;

 public:
  BoostNumber() = default;
  constexpr BoostNumber(Number auto x) : x_(x) {}
  BoostNumber(const Eager& x) : x_(off_shortcuts(x)) {}
  BoostNumber(const BasicScalar<V>& x) : BoostNumber(Eager(x)) {}
  template <ScalarExpression E> BoostNumber(const E& x) : BoostNumber(Eager(x)) {}
  operator Eager() const { return x_; }
  operator BasicScalar<V>() const { return x_; }
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(x_); }

#define WENGERT_OPERATOR(op)                           \
  BoostNumber& operator op##=(const BoostNumber& o)& { \
    x_ op## = o.x_;                                    \
    return *this;                                      \
  }                                                    \
  friend BoostNumber operator op(const BoostNumber& a, const BoostNumber& b) { return computed(a.x_ op b.x_); }
  WENGERT_OPERATOR(+)
  WENGERT_OPERATOR(-)
  WENGERT_OPERATOR(*)
  WENGERT_OPERATOR(/)
#undef WENGERT_OPERATOR
  BoostNumber& operator++() { return *this += 1; }
  BoostNumber& operator--() { return *this -= 1; }
  BoostNumber operator++(int) { return std::exchange(*this, *this + 1); }
  BoostNumber operator--(int) { return std::exchange(*this, *this - 1); }
  friend BoostNumber operator-(const BoostNumber& a) { return computed(-a.x_); }
  friend BoostNumber operator+(const BoostNumber& a) { return a; }
  friend auto operator<=>(const BoostNumber& a, const BoostNumber& b) { return plain(a.x_) <=> plain(b.x_); }
  friend bool operator==(const BoostNumber& a, const BoostNumber& b) { return plain(a.x_) == plain(b.x_); }

#define WENGERT_FUNCTION(F, name) \
  friend BoostNumber name(const BoostNumber& a) { return computed(numeric::name(a.x_)); }
  WENGERT_CMATH_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_FUNCTION(Abs, fabs)
  WENGERT_FUNCTION(Round, rint)
  WENGERT_FUNCTION(Round, round)
  WENGERT_FUNCTION(Trunc, trunc)
  WENGERT_FUNCTION(Cbrt, cbrt)
  WENGERT_FUNCTION(Tgamma, tgamma)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) \
  friend BoostNumber name(const BoostNumber& a, const BoostNumber& b) { return computed(numeric::name(a.x_, b.x_)); }
  WENGERT_BINARY_CMATH_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_FUNCTION(Maximum, max)
  WENGERT_FUNCTION(Minimum, min)
  WENGERT_FUNCTION(Fmod, fmod)
  WENGERT_FUNCTION(Copysign, copysign)
#undef WENGERT_FUNCTION
  friend BoostNumber ldexp(const BoostNumber& a, int n) { return computed(numeric::ldexp(a.x_, n)); }
  friend BoostNumber frexp(const BoostNumber& a, int* n) { return computed(numeric::frexp(a.x_, n)); }
  friend BoostNumber modf(const BoostNumber& a, BoostNumber* whole) { return computed(numeric::modf(a.x_, &whole->x_)); }
  friend bool isfinite(const BoostNumber& a) { return std::isfinite(plain(a.x_)); }
  friend bool isinf(const BoostNumber& a) { return std::isinf(plain(a.x_)); }
  friend bool isnan(const BoostNumber& a) { return std::isnan(plain(a.x_)); }
  friend bool signbit(const BoostNumber& a) { return std::signbit(plain(a.x_)); }
  friend std::ostream& operator<<(std::ostream& to, const BoostNumber& a) { return to << plain(a.x_); }

 private:
  static BoostNumber computed(const Eager& x) {
    BoostNumber result;
    result.x_ = x;
    return result;
  }
  Eager x_;
};

/// What Boost.Math takes as a Scalar, and what it returns for some of these and numbers.
template <class T> concept BoostOperand = ScalarLike<T> || EagerLike<T>;
template <class... T> struct BoostResultOf {};
template <class T, class... Rest> struct BoostResultOf<T, Rest...>
    : std::conditional_t<BoostOperand<T>, std::type_identity<T>, BoostResultOf<Rest...>> {};
template <class... T> using BoostResult = BasicEagerScalar<typename BoostResultOf<T...>::type::Value>;

/// The largest component of an error estimate of numbers T. Odeint's steppers take it as their value type says: of double, as a number, so
/// that the step sizes are constants; of T, with its derivative.
template <RecordedNumber T> class BoostNorm {
  using Eager = BasicEagerScalar<typename T::Value>;

 public:
  BoostNorm(Number auto x) : x_(x) {}
  BoostNorm(const Eager& x) : x_(x) {}
  template <ScalarExpression E> BoostNorm(const E& x) : x_(x) {}
  operator double() const { return plain(x_); }
  operator T() const { return x_; }
  friend BoostNorm max(const BoostNorm& a, const BoostNorm& b) { return plain(a.x_) < plain(b.x_) ? b : a; }

 private:
  Eager x_;
};

}  // namespace wengert::detail

template <class V> struct std::numeric_limits<wengert::detail::BoostNumber<V>>
    : wengert::detail::LimitsAs<wengert::detail::BoostNumber<V>> {};

namespace boost::math {

namespace tools {
/// Scalars and their expressions are eager ones for Boost.Math.
template <class V> struct promote_arg<wengert::BasicScalar<V>> { using type = wengert::BasicEagerScalar<V>; };
template <wengert::ScalarExpression E> struct promote_arg<E> { using type = wengert::BasicEagerScalar<typename E::Value>; };
}  // namespace tools

namespace policies {
template <class V, class Policy> struct evaluation<wengert::BasicEagerScalar<V>, Policy> { using type = wengert::detail::BoostNumber<V>; };
}  // namespace policies

// Beside whole and half parameters some series stop early, as their terms are small, but not the terms' derivatives. So there the
// derivatives are those of the mean of two calls. (Boost's own are less constrained, and come later. So Boost's distributions find
// these, too.)
#define WENGERT_FUNCTION(name, kNegativeToo)                                                                             \
  template <class A, class X, class Policy>                                                                              \
  requires(wengert::detail::BoostOperand<A> && policies::is_policy<Policy>::value) wengert::detail::BoostResult<A> name( \
      A a, X x, const Policy& policy) {                                                                                  \
    using Result = wengert::detail::BoostResult<A>;                                                                      \
    using T = wengert::detail::BoostNumber<typename Result::Value>;                                                      \
    using wengert::detail::plain;                                                                                        \
    const auto f = [&](const Result& n) -> Result { return boost::math::name(T(n), T(x), policy); };                     \
    const auto value = [&] { return boost::math::name(plain(Result(a)), plain(Result(x)), policy); };                    \
    return wengert::detail::beside_shortcuts<kNegativeToo>(f, Result(a), value);                                         \
  }                                                                                                                      \
  template <class A, class X>                                                                                            \
  requires wengert::detail::BoostOperand<A> wengert::detail::BoostResult<A> name(A a, X x) {                             \
    return boost::math::name(a, x, policies::policy<>());                                                                \
  }
WENGERT_FUNCTION(gamma_p, false)
WENGERT_FUNCTION(gamma_q, false)
WENGERT_FUNCTION(gamma_p_inv, false)
WENGERT_FUNCTION(gamma_q_inv, false)
WENGERT_FUNCTION(cyl_bessel_j, true)
WENGERT_FUNCTION(cyl_neumann, true)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(name)                                                                                                            \
  template <class A, class B, class X, class Policy>                                                                                      \
  requires((wengert::detail::BoostOperand<A> || wengert::detail::BoostOperand<B>)&&policies::is_policy<Policy>::value)                    \
      wengert::detail::BoostResult<A, B>                                                                                                  \
      name(A a, B b, X x, const Policy& policy) {                                                                                         \
    using Result = wengert::detail::BoostResult<A, B>;                                                                                    \
    using T = wengert::detail::BoostNumber<typename Result::Value>;                                                                       \
    using wengert::detail::plain;                                                                                                         \
    const auto value = [&] { return boost::math::name(plain(Result(a)), plain(Result(b)), plain(Result(x)), policy); };                   \
    const auto f = [&](const Result& n) -> Result {                                                                                       \
      const auto g = [&](const Result& m) -> Result { return boost::math::name(T(n), T(m), T(x), policy); };                              \
      return wengert::detail::beside_shortcuts<false>(g, Result(b), value);                                                               \
    };                                                                                                                                    \
    return wengert::detail::beside_shortcuts<false>(f, Result(a), value);                                                                 \
  }                                                                                                                                       \
  template <class A, class B, class X>                                                                                                    \
  requires(wengert::detail::BoostOperand<A> || wengert::detail::BoostOperand<B>) wengert::detail::BoostResult<A, B> name(A a, B b, X x) { \
    return boost::math::name(a, b, x, policies::policy<>());                                                                              \
  }
WENGERT_FUNCTION(ibeta)
WENGERT_FUNCTION(ibetac)
#undef WENGERT_FUNCTION

/// sqrt(pi) / 2 x near 0, where Boost returns 0.
template <class X, class Policy>
requires(wengert::detail::BoostOperand<X>&& policies::is_policy<Policy>::value) wengert::detail::BoostResult<X> erf_inv(
    X x, const Policy& policy) {
  using Result = wengert::detail::BoostResult<X>;
  const Result z(x);
  if (z == 0) return z * 0.88622692545275801365;
  return boost::math::erf_inv(wengert::detail::BoostNumber<typename Result::Value>(z), policy);
}
template <class X>
requires wengert::detail::BoostOperand<X> wengert::detail::BoostResult<X> erf_inv(X x) {
  return boost::math::erf_inv(x, policies::policy<>());
}

/// The branch below -1, which Boost computes in double. Derivatives come from two of Newton's steps from there, w - (w - x e^-w) / (1 + w);
/// each doubles their order.
template <class X, class Policy>
requires(wengert::detail::BoostOperand<X>&& policies::is_policy<Policy>::value) wengert::detail::BoostResult<X> lambert_wm1(
    X x, const Policy& policy) {
  using Result = wengert::detail::BoostResult<X>;
  const Result z(x);
  const double value = boost::math::lambert_wm1(wengert::detail::plain(z), policy);
  Result w = value;
  for (int i = 0; i < 2; ++i) w -= (w - z * exp(-w)) / (1.0 + w);
  return wengert::detail::with_value(w, value);
}
template <class X>
requires wengert::detail::BoostOperand<X> wengert::detail::BoostResult<X> lambert_wm1(X x) {
  return boost::math::lambert_wm1(x, policies::policy<>());
}

// Student's distribution has shortcuts of its own, at t = 0, p = 1/2 and whole degrees of freedom.
#define WENGERT_FUNCTION(name, special, at_special)                                                                    \
  template <class V, class Policy> wengert::BasicEagerScalar<V> name(                                                  \
      const students_t_distribution<wengert::BasicEagerScalar<V>, Policy>& d, const wengert::BasicEagerScalar<V>& x) { \
    using T = wengert::detail::BoostNumber<V>;                                                                         \
    using Eager = wengert::BasicEagerScalar<V>;                                                                        \
    const Eager n = d.degrees_of_freedom();                                                                            \
    const double v = wengert::detail::plain(x);                                                                        \
    const students_t_distribution<double, Policy> plain(wengert::detail::plain(n));                                    \
    if (v == special) return at_special;                                                                               \
    const auto f = [&](const Eager& m) -> Eager { return name(students_t_distribution<T, Policy>(T(m)), T(x)); };      \
    return wengert::detail::beside_shortcuts<false>(f, n, [&] { return name(plain, v); });                             \
  }
WENGERT_FUNCTION(cdf, 0, 0.5 + x * pdf(plain, 0.0))
WENGERT_FUNCTION(quantile, 0.5, (x - 0.5) / pdf(plain, 0.0))
#undef WENGERT_FUNCTION

}  // namespace boost::math

namespace Eigen {
template <class T, int kRows, int kColumns, int kOptions, int kMaxRows, int kMaxColumns> class Matrix;
}

namespace boost::numeric::odeint {

template <class State, class Enabler> struct vector_space_norm_inf;

/// For states that are ranges of Scalars or eager Scalars.
template <class S>
requires wengert::detail::RecordedNumber<typename detail::extract_value_type<S>::type>
struct norm_result_type<S, void> {
  using type = wengert::detail::BoostNorm<typename detail::extract_value_type<S>::type>;
};
/// For states that are Eigen's matrices.
template <wengert::detail::RecordedNumber T, int kRows, int kColumns, int kOptions, int kMaxRows, int kMaxColumns>
struct vector_space_norm_inf<Eigen::Matrix<T, kRows, kColumns, kOptions, kMaxRows, kMaxColumns>, void> {
  using result_type = wengert::detail::BoostNorm<T>;
  result_type operator()(const Eigen::Matrix<T, kRows, kColumns, kOptions, kMaxRows, kMaxColumns>& m) const {
    return wengert::BasicEagerScalar<typename T::Value>(m.cwiseAbs().maxCoeff());
  }
};

}  // namespace boost::numeric::odeint
