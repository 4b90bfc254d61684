#pragma once
// What std::complex<T> lacks for the numbers T of this library. Its own operators take operands of one type only; so here are those with
// numbers, Scalars, expressions, and complex numbers of another type: 2.0 * z, z + x * y, c * z. (With complex<double> only doubles can be
// mixed, because only these convert.)
//
// All of it is in namespace std, where argument-dependent look-up finds it, and where it hides no user's own `norm`. Calls of functions of
// <complex> are unqualified: they are found where a template is instantiated, so that <complex> may be included later.
#include <cmath>
#include <concepts>
#include <numbers>
#include <type_traits>

#include "autodiff/scalar/eager_scalar.h"
#include "autodiff/scalar/standard_functions.h"

#if defined(__GLIBCXX__) && !_GLIBCXX_INLINE_VERSION
// <complex> takes longer to compile than this library's headers do. Who uses complex numbers includes it.
namespace std {  // NOLINT(cert-dcl58-cpp)
template <class T> class complex;
}
#else
#include <complex>
#endif

namespace wengert {

class Recorded;

namespace detail {

template <class T> concept RealNumber = DifferentiableNumber<T> || std::same_as<std::remove_cvref_t<T>, Recorded>;
/// Real numbers, at least one of which is no C++ number.
template <class... T> concept RealOperands = (RealNumber<T> || ...) && ((RealNumber<T> || Number<T>)&&...);
/// Those of two types.
template <class A, class B> concept RealMixture = RealOperands<A, B> && !std::same_as<A, B>;

/// An expression as a Scalar, so that it is recorded once; everything else as it is.
template <class T> decltype(auto) recorded_once(const T& x) {
  if constexpr (ScalarExpression<T>) {
    return Result<T>(x);
  } else {
    return (x);
  }
}

// What stands in for functions of <complex> that have branches with constant parts, or call those. They are templates of their own, and
// the overloads below are more special than those of <complex>: a constraint alone would not be part of a function's symbol, so that two
// functions would share one.

/// The root u + i v with u >= 0: u^2 = (|z| + x) / 2 and v = y / (2 u), or for x < 0, v^2 = (|z| - x) / 2 and u = y / (2 v).
template <class T> std::complex<T> complex_sqrt(const std::complex<T>& z) {
  const T &x = z.real(), &y = z.imag();
  if (x == 0 && y == 0) return std::complex<T>(T(sqrt(x)), y);
  const bool right = x >= 0;
  const T part = sqrt(0.5 * (hypot(x, y) + (right ? 1.0 : -1.0) * x));
  if (right) return std::complex<T>(part, T(y / (2.0 * part)));
  const T imaginary = (signbit(y) ? -1.0 : 1.0) * part;
  return std::complex<T>(T(y / (2.0 * imaginary)), imaginary);
}
/// ln(z + sqrt(z^2 + 1))
template <class T> std::complex<T> complex_asinh(const std::complex<T>& z) {
  const T &x = z.real(), &y = z.imag();
  return log(z + complex_sqrt(std::complex<T>(T((x - y) * (x + y) + 1.0), T(2.0 * x * y))));
}
/// 2 ln(sqrt((z + 1) / 2) + sqrt((z - 1) / 2))
template <class T> std::complex<T> complex_acosh(const std::complex<T>& z) {
  const T half_y = 0.5 * z.imag();
  const std::complex<T> sum =
      complex_sqrt(std::complex<T>(T(0.5 * (z.real() + 1.0)), half_y)) + complex_sqrt(std::complex<T>(T(0.5 * (z.real() - 1.0)), half_y));
  const std::complex<T> l = log(sum);
  return std::complex<T>(T(2.0 * l.real()), T(2.0 * l.imag()));
}
/// -i asinh(i z)
template <class T> std::complex<T> complex_asin(const std::complex<T>& z) {
  const std::complex<T> t = complex_asinh(std::complex<T>(T(-z.imag()), z.real()));
  return std::complex<T>(t.imag(), T(-t.real()));
}
template <class T> std::complex<T> complex_acos(const std::complex<T>& z) {
  const std::complex<T> t = complex_asin(z);
  return std::complex<T>(T(std::numbers::pi / 2 - t.real()), T(-t.imag()));
}
/// e^(b ln a)
template <class T> std::complex<T> complex_pow(const std::complex<T>& a, const T& b) {
  const std::complex<T> l = log(a);
  return exp(std::complex<T>(T(b * l.real()), T(b * l.imag())));
}

}  // namespace detail
}  // namespace wengert

namespace std {  // NOLINT(cert-dcl58-cpp): std::complex has no other namespace in which its operators would be found

/// As the general std::complex, and numbers convert to it, as they do to complex<double>: `complex<EagerScalar> z = 1.0`.
template <class V> class complex<wengert::BasicEagerScalar<V>> {
  using T = wengert::BasicEagerScalar<V>;

 public:
  using value_type = T;

  constexpr complex(const T& re = T(), const T& im = T()) : re_(re), im_(im) {}
  template <wengert::ScalarOperand R> constexpr complex(const R& re) : re_(re) {}
  template <class U> constexpr complex(const complex<U>& z) : re_(z.real()), im_(z.imag()) {}

  constexpr T real() const { return re_; }
  constexpr T imag() const { return im_; }
  void real(const T& re) { re_ = re; }
  void imag(const T& im) { im_ = im; }
#ifdef __GLIBCXX__
  const complex& __rep() const { return *this; }  // NOLINT(bugprone-reserved-identifier): what libstdc++'s functions read
#endif

  complex& operator=(const T& re) { return *this = complex(re); }
  template <wengert::ScalarOperand R> complex& operator=(const R& re) { return *this = complex(re); }
  complex& operator+=(const T& x) {
    re_ += x;
    return *this;
  }
  complex& operator-=(const T& x) {
    re_ -= x;
    return *this;
  }
  complex& operator*=(const T& x) { return *this = complex(re_ * x, im_ * x); }
  complex& operator/=(const T& x) { return *this = complex(re_ / x, im_ / x); }
  template <class U> complex& operator+=(const complex<U>& z) { return *this = complex(re_ + z.real(), im_ + z.imag()); }
  template <class U> complex& operator-=(const complex<U>& z) { return *this = complex(re_ - z.real(), im_ - z.imag()); }
  template <class U> complex& operator*=(const complex<U>& z) {
    return *this = complex(re_ * z.real() - im_ * z.imag(), re_ * z.imag() + im_ * z.real());
  }
  template <class U> complex& operator/=(const complex<U>& z) {
    const T n = z.real() * z.real() + z.imag() * z.imag();
    return *this = complex((re_ * z.real() + im_ * z.imag()) / n, (im_ * z.real() - re_ * z.imag()) / n);
  }

 private:
  T re_, im_;
};

#define WENGERT_MIXTURE(op, left, right)                                             \
  template <class A, class B>                                                        \
  requires wengert::detail::RealMixture<A, B> complex<wengert::detail::Result<A, B>> \
  operator op(const left& a, const right& b)
#define WENGERT_RESULT(re, im)             \
  using R = wengert::detail::Result<A, B>; \
  return complex<R>(R(re), R(im))
WENGERT_MIXTURE(+, complex<A>, B) { WENGERT_RESULT(a.real() + b, a.imag()); }
WENGERT_MIXTURE(+, A, complex<B>) { WENGERT_RESULT(a + b.real(), b.imag()); }
WENGERT_MIXTURE(+, complex<A>, complex<B>) { WENGERT_RESULT(a.real() + b.real(), a.imag() + b.imag()); }
WENGERT_MIXTURE(-, complex<A>, B) { WENGERT_RESULT(a.real() - b, a.imag()); }
WENGERT_MIXTURE(-, A, complex<B>) { WENGERT_RESULT(a - b.real(), -b.imag()); }
WENGERT_MIXTURE(-, complex<A>, complex<B>) { WENGERT_RESULT(a.real() - b.real(), a.imag() - b.imag()); }
WENGERT_MIXTURE(*, complex<A>, B) {
  const auto& c = wengert::detail::recorded_once(b);
  WENGERT_RESULT(a.real() * c, a.imag() * c);
}
WENGERT_MIXTURE(*, A, complex<B>) {
  const auto& c = wengert::detail::recorded_once(a);
  WENGERT_RESULT(c * b.real(), c * b.imag());
}
WENGERT_MIXTURE(*, complex<A>, complex<B>) {
  WENGERT_RESULT(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
}
WENGERT_MIXTURE(/, complex<A>, B) {
  const auto& c = wengert::detail::recorded_once(b);
  WENGERT_RESULT(a.real() / c, a.imag() / c);
}
//  a / b = a conj(b) / |b|^2
WENGERT_MIXTURE(/, A, complex<B>) {
  const auto& c = wengert::detail::recorded_once(a);
  const B n = b.real() * b.real() + b.imag() * b.imag();
  WENGERT_RESULT(c * b.real() / n, -(c * b.imag()) / n);
}
WENGERT_MIXTURE(/, complex<A>, complex<B>) {
  const B n = b.real() * b.real() + b.imag() * b.imag();
  WENGERT_RESULT((a.real() * b.real() + a.imag() * b.imag()) / n, (a.imag() * b.real() - a.real() * b.imag()) / n);
}
#undef WENGERT_MIXTURE

// (The operators with the operands exchanged, and !=, follow.)
template <class A, class B>
requires wengert::detail::RealMixture<A, B>
bool operator==(const complex<A>& a, const B& b) { return a.real() == b && a.imag() == 0; }
template <class A, class B>
requires wengert::detail::RealMixture<A, B>
bool operator==(const complex<A>& a, const complex<B>& b) { return a.real() == b.real() && a.imag() == b.imag(); }

#define WENGERT_POLAR(A, B)                                \
  using std::cos, std::sin;                                \
  const auto& r = wengert::detail::recorded_once(radius);  \
  const auto& phi = wengert::detail::recorded_once(angle); \
  WENGERT_RESULT(r* cos(phi), r* sin(phi))
/// The number of an absolute value and an angle.
template <class A, class B>
requires wengert::detail::RealMixture<A, B> complex<wengert::detail::Result<A, B>> polar(const A& radius, const B& angle) {
  WENGERT_POLAR(A, B);
}
template <wengert::ScalarExpression A> complex<wengert::detail::Result<A>> polar(const A& radius, const A& angle) {
  using B = A;
  WENGERT_POLAR(A, B);
}
#undef WENGERT_POLAR
#undef WENGERT_RESULT

// The functions above. (`abs` is hypot, as that of complex<double> is.)
#define WENGERT_COMPLEX_FUNCTIONS(head, ...)                                                                   \
  head __VA_ARGS__ abs(const complex<__VA_ARGS__>& z) { return hypot(z.real(), z.imag()); }                    \
  head complex<__VA_ARGS__> sqrt(const complex<__VA_ARGS__>& z) { return wengert::detail::complex_sqrt(z); }   \
  head complex<__VA_ARGS__> asin(const complex<__VA_ARGS__>& z) { return wengert::detail::complex_asin(z); }   \
  head complex<__VA_ARGS__> acos(const complex<__VA_ARGS__>& z) { return wengert::detail::complex_acos(z); }   \
  head complex<__VA_ARGS__> asinh(const complex<__VA_ARGS__>& z) { return wengert::detail::complex_asinh(z); } \
  head complex<__VA_ARGS__> acosh(const complex<__VA_ARGS__>& z) { return wengert::detail::complex_acosh(z); } \
  head complex<__VA_ARGS__> pow(const complex<__VA_ARGS__>& a, const __VA_ARGS__& b) { return wengert::detail::complex_pow(a, b); }
WENGERT_COMPLEX_FUNCTIONS(template <class V>, wengert::BasicScalar<V>)
WENGERT_COMPLEX_FUNCTIONS(template <class V>, wengert::BasicEagerScalar<V>)
WENGERT_COMPLEX_FUNCTIONS(template <int N>, wengert::Dual<N>)
#undef WENGERT_COMPLEX_FUNCTIONS

// Without these an exponent 2.5 would become the int 2.
/// The power e^(b ln a).
template <class A, class B>
requires wengert::detail::RealMixture<A, B> complex<wengert::detail::Result<A, B>> pow(const complex<A>& a, const B& b) {
  using R = wengert::detail::Result<A, B>;
  if constexpr (is_integral_v<B>) {
    return pow(a, static_cast<int>(b));
  } else {
    const complex<R> l = log(complex<R>(a));
    const auto& c = wengert::detail::recorded_once(b);
    return exp(complex<R>(R(c * l.real()), R(c * l.imag())));
  }
}
template <class A, class B>
requires wengert::detail::RealMixture<A, B> complex<wengert::detail::Result<A, B>> pow(const A& a, const complex<B>& b) {
  using R = wengert::detail::Result<A, B>;
  return pow(complex<R>(R(a)), complex<R>(b));
}
template <class A, class B>
requires wengert::detail::RealMixture<A, B> complex<wengert::detail::Result<A, B>> pow(const complex<A>& a, const complex<B>& b) {
  using R = wengert::detail::Result<A, B>;
  return pow(complex<R>(a), complex<R>(b));
}

// The functions of complex numbers for real ones.
template <wengert::detail::RealNumber E> wengert::detail::Result<E> real(const E& x) { return x; }
template <wengert::detail::RealNumber E> wengert::detail::Result<E> imag(const E&) { return 0.0; }
template <wengert::detail::RealNumber E> wengert::detail::Result<E> norm(const E& x) { return x * x; }
template <wengert::detail::RealNumber E> wengert::detail::Result<E> arg(const E& x) { return signbit(x) ? numbers::pi : 0.0; }
template <wengert::detail::RealNumber E> complex<wengert::detail::Result<E>> conj(const E& x) {
  using R = wengert::detail::Result<E>;
  return complex<R>(R(x), R(-0.0));
}
template <wengert::detail::RealNumber E> complex<wengert::detail::Result<E>> proj(const E& x) {
  using R = wengert::detail::Result<E>;
  return proj(complex<R>(R(x)));
}

}  // namespace std
