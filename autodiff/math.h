#pragma once
// The elementwise functions for C++ numbers and for everything that has operators of its own (dual numbers, tensors).
#include <cmath>
#include <type_traits>

#define WENGERT_INLINE __attribute__((always_inline)) inline

namespace wengert::fn {

/// Where a function is smooth.
struct Interval {
  double low, high;
};
/// A set of operands and results that a rule looks at.
enum class Reads : unsigned { nothing = 0, x = 1, a = 1, b = 2, y = 4, both = 5 };
constexpr Reads operator|(Reads p, Reads q) { return static_cast<Reads>(static_cast<unsigned>(p) | static_cast<unsigned>(q)); }
constexpr bool operator&(Reads p, Reads q) { return (static_cast<unsigned>(p) & static_cast<unsigned>(q)) != 0; }

using std::abs, std::sqrt, std::exp, std::exp2, std::expm1, std::log, std::log2, std::log10, std::log1p, std::pow, std::hypot;
using std::erf, std::erfc, std::floor, std::ceil, std::round;
using std::sin, std::cos, std::tan, std::asin, std::acos, std::atan, std::atan2, std::sinh, std::cosh, std::tanh, std::asinh, std::acosh,
    std::atanh;

template <class A, class B> WENGERT_INLINE constexpr auto where(bool condition, const A& a, const B& b) {
  using R = std::common_type_t<A, B>;
  return condition ? R(a) : R(b);
}
template <class F, class B> WENGERT_INLINE constexpr auto rarely(bool condition, F&& f, const B& b) {
  using R = std::common_type_t<decltype(f()), B>;
  if (condition) [[unlikely]]
    return R(f());
  return R(b);
}

#include "autodiff/functions.h"

}  // namespace wengert::fn
