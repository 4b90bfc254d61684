#pragma once
// The numbers that a program is recorded with. Code that is generic in its scalar type runs with them as with doubles: they have values,
// and every operation on them is noted in the list that is being recorded (record, program.h). What the code decides by their values
// becomes a guard: a comparison that is used as a bool, and every conversion to a number.
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "autodiff/error.h"
#include "autodiff/program/list.h"

namespace wengert {

class Condition;
class Recorded;

namespace detail {

class Recorder;
double guard_number(const Recorded& x, GuardKind kind);
void check_integer(double value, double lowest, double highest);

}  // namespace detail

/// A number of a recording, or a constant.
class Recorded {
 public:
  Recorded() = default;
  template <class N>
  requires std::is_arithmetic_v<N> Recorded(N value) : value_(static_cast<double>(value)) {}
  /// 1 where the condition holds, else 0; without a guard.
  Recorded(const Condition& c);

  /// The number itself, for code that leaves the recording: a guard on its value.
  double value() const { return detail::guard_number(*this, GuardKind::number); }
  template <class N>
  requires std::is_arithmetic_v<N>
  explicit operator N() const {
    if constexpr (std::same_as<N, bool>) {
      return detail::guard_number(*this, GuardKind::condition) != 0;
    } else if constexpr (std::is_integral_v<N>) {
      const double whole = detail::guard_number(*this, GuardKind::integer);
      detail::check_integer(whole, static_cast<double>(std::numeric_limits<N>::lowest()),
                            static_cast<double>(std::numeric_limits<N>::max()));
      return static_cast<N>(whole);
    } else {
      return static_cast<N>(value());
    }
  }

  friend Recorded operator+(const Recorded& a, const Recorded& b);
  friend Recorded operator-(const Recorded& a, const Recorded& b);
  friend Recorded operator*(const Recorded& a, const Recorded& b);
  friend Recorded operator/(const Recorded& a, const Recorded& b);
  friend Recorded operator-(const Recorded& x);
  friend Recorded operator+(const Recorded& x) { return x; }
  Recorded& operator+=(const Recorded& o) { return *this = *this + o; }
  Recorded& operator-=(const Recorded& o) { return *this = *this - o; }
  Recorded& operator*=(const Recorded& o) { return *this = *this * o; }
  Recorded& operator/=(const Recorded& o) { return *this = *this / o; }

 private:
  friend class detail::Recorder;
  Recorded(double value, std::uint32_t node, std::uint32_t recording) : value_(value), node_(node), recording_(recording) {}

  double value_ = 0;
  std::uint32_t node_ = 0, recording_ = 0;  ///< which recording it belongs to; 0: a constant
};

/// The result of a comparison. As a bool it becomes a guard; in `where`, or combined by &, | and !, it is an operation like any other.
class Condition {
 public:
  operator bool() const;
  Condition operator!() const;
  friend Condition operator&(const Condition& a, const Condition& b);
  friend Condition operator|(const Condition& a, const Condition& b);

 private:
  friend class detail::Recorder;
  Condition(double value, std::uint32_t node, std::uint32_t recording, Location site)
      : value_(value), node_(node), recording_(recording), site_(site) {}

  double value_;
  std::uint32_t node_, recording_;
  bool opposite_ = false;  ///< it holds where its value is 0
  Location site_;
};

/// An operand of a comparison, with the place where that is written.
struct Compared {
  Compared(const Recorded& x, Location site = Location::here()) : x(x), site(site) {}
  template <class N>
  requires std::is_arithmetic_v<N> Compared(N x, Location site = Location::here()) : x(x), site(site) {}

  Recorded x;
  Location site;
};
Condition operator<(const Compared& a, const Compared& b);
Condition operator<=(const Compared& a, const Compared& b);
Condition operator>(const Compared& a, const Compared& b);
Condition operator>=(const Compared& a, const Compared& b);
Condition operator==(const Compared& a, const Compared& b);
Condition operator!=(const Compared& a, const Compared& b);

namespace detail {

Recorded record_operation(Opcode opcode, const Recorded* operands, const double* options);
Recorded record_where(const Condition& c, const Recorded& a, const Recorded& b);

}  // namespace detail

/// A function of functions.h: one operation.
template <class F>
requires(detail::FunctionTraits<F>::operands == 1) Recorded evaluate(const F& f, const Recorded& x) {
  return detail::record_operation(detail::FunctionTraits<F>::opcode, &x, detail::options_of(f).data());
}
template <class F>
requires(detail::FunctionTraits<F>::operands == 2) Recorded evaluate(const F& f, const Recorded& a, const Recorded& b) {
  const Recorded operands[] = {a, b};
  return detail::record_operation(detail::FunctionTraits<F>::opcode, operands, detail::options_of(f).data());
}
inline Recorded zero_like(const Recorded&) { return {}; }

/// a where the condition holds, else b: an operation, without a guard. Both sides are computed.
template <class A, class B>
requires std::convertible_to<A, Recorded> && std::convertible_to<B, Recorded> Recorded where(const Condition& c, const A& a, const B& b) {
  return detail::record_where(c, a, b);
}
template <class F, class B> Recorded where_lazy(const Condition& c, F&& f, const B& b) { return detail::record_where(c, f(), b); }

#define WENGERT_FUNCTION(F, name) \
  inline Recorded name(const Recorded& x) { return evaluate(fn::F{}, x); }
WENGERT_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_OWN_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Round, rint)
WENGERT_FUNCTION(Round, nearbyint)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default) \
  inline Recorded name(const Recorded& x, double p = p_default) { return evaluate(fn::F{p}, x); }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default) \
  inline Recorded name(const Recorded& x, double p = p_default, double q = q_default) { return evaluate(fn::F{p, q}, x); }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) \
  inline Recorded name(const Recorded& a, const Recorded& b) { return evaluate(fn::F{}, a, b); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
// As the C++ library calls them.
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION
/// abs under its name in the C++ library.
inline Recorded fabs(const Recorded& x) { return abs(x); }
/// The nearest integer, of two that are equally near the one farther from 0, as in `<cmath>`.
inline Recorded round(const Recorded& x) {
  const Recorded even = rint(x);
  return where((abs(x - even) == 0.5) & (abs(even) < abs(x)), even + sign(x), even);
}
/// The larger of two numbers, or the other one where one is NaN (`max` is NaN then); fmin the smaller.
inline Recorded fmax(const Recorded& a, const Recorded& b) { return where(b != b, a, where(a != a, b, max(a, b))); }
inline Recorded fmin(const Recorded& a, const Recorded& b) { return where(b != b, a, where(a != a, b, min(a, b))); }

/// Whether x is NaN, infinite, finite, normal (as `std::isnormal` says), or has the sign bit set.
inline Condition isnan(const Recorded& x, Location site = Location::here()) { return Compared(x, site) != Compared(x, site); }
inline Condition isinf(const Recorded& x, Location site = Location::here()) { return Compared(abs(x), site) == Compared(HUGE_VAL, site); }
inline Condition isfinite(const Recorded& x, Location site = Location::here()) { return Compared(abs(x), site) < Compared(HUGE_VAL, site); }
inline Condition isnormal(const Recorded& x, Location site = Location::here()) {
  return (Compared(std::numeric_limits<double>::min(), site) <= Compared(abs(x), site)) & isfinite(x, site);
}
Condition signbit(const Recorded& x, Location site = Location::here());

}  // namespace wengert

/// Of the values: `std::numeric_limits<Recorded>::max()` is a number, which converts.
template <> struct std::numeric_limits<wengert::Recorded> : std::numeric_limits<double> {};
