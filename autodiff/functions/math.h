#pragma once
// Internal.
// The functions that the formulas of functions.h use, for C++ numbers. Dual numbers and tensors have their own overloads.
#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "autodiff/error.h"
#include "autodiff/functions/exponential.h"
#include "autodiff/functions/special.h"

// Inlined, whatever the compiler thinks. Not where nothing is optimised: functions of many Scalars would compile four times as slowly.
#ifdef __OPTIMIZE__
#define WENGERT_INLINE __attribute__((always_inline)) inline
#else
#define WENGERT_INLINE inline
#endif

namespace wengert::detail {

/// The double in a number of any kind: of a dual number or a Scalar its value, without derivatives.
template <class T> WENGERT_INLINE constexpr double plain(const T& x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(x);
  } else if constexpr (requires { x.v; }) {
    return plain(x.v);
  } else {
    return plain(x.value());
  }
}

}  // namespace wengert::detail

namespace wengert::fn {

/// Where a function is smooth.
struct Interval {
  double low, high;
};
/// A set of operands and results that a rule reads.
enum class Reads : unsigned { nothing = 0, x = 1, a = 1, b = 2, y = 4, both = 5 };
constexpr Reads operator|(Reads p, Reads q) { return static_cast<Reads>(static_cast<unsigned>(p) | static_cast<unsigned>(q)); }
constexpr bool operator&(Reads p, Reads q) { return (static_cast<unsigned>(p) & static_cast<unsigned>(q)) != 0; }

using std::abs, std::sqrt, std::exp2, std::expm1, std::log, std::log2, std::log10, std::log1p, std::pow, std::hypot;
using std::erf, std::erfc, std::floor, std::ceil, std::rint;
using std::sin, std::cos, std::tan, std::asin, std::acos, std::atan, std::atan2, std::sinh, std::cosh, std::asinh, std::acosh, std::atanh;

template <class A, class B> WENGERT_INLINE constexpr auto where(bool condition, const A& a, const B& b) {
  using R = std::common_type_t<A, B>;
  return condition ? R(a) : R(b);
}
template <class F, class B> WENGERT_INLINE constexpr auto where_lazy(bool condition, F&& f, const B& b) {
  using R = std::common_type_t<decltype(f()), B>;
  if (condition) [[unlikely]]
    return R(f());
  return R(b);
}

/// The number c in the precision of x. (Operands that are not C++ numbers take a double.)
template <class T> WENGERT_INLINE constexpr auto constant(double c, const T&) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<T>(c);
  } else {
    return c;
  }
}
/// Another function of functions.h at x. If the namespace of x has an `evaluate`, it is one operation, with its own accurate slope;
/// otherwise its formula is expanded.
template <class F, class T> WENGERT_INLINE auto call(const F& f, const T& x) {
  if constexpr (requires { evaluate(f, x); }) {
    return evaluate(f, x);
  } else {
    return f.value(x);
  }
}
WENGERT_INLINE constexpr bool is_finite(double c) { return c - c == 0; }
[[noreturn]] void throw_mistake(const char* function, const char* mistake);
/// A function with parameters, which must make sense: otherwise a ValueError that names the function.
template <class F> WENGERT_INLINE const F& checked(const F& f) {
  if constexpr (requires { f.mistake(); }) {
    if (const char* mistake = f.mistake()) [[unlikely]]
      throw_mistake(F::name, mistake);
  }
  return f;
}
template <class T>
requires std::is_arithmetic_v<T> WENGERT_INLINE constexpr T zero_like(const T&) { return 0; }

}  // namespace wengert::fn
