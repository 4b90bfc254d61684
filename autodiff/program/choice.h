#pragma once
// where(condition, a, b) for numbers, Scalars and dual numbers, so that a function can be written once for them and for recorded numbers
// (recorded.h), where it is an operation without a guard.
#include <concepts>
#include <type_traits>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/scalar.h"

namespace wengert {

/// a if the condition holds, else b. Both are computed.
template <std::same_as<bool> C, class A, class B>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>) constexpr std::common_type_t<A, B> where(C condition, A a, B b) {
  return condition ? static_cast<std::common_type_t<A, B>>(a) : static_cast<std::common_type_t<A, B>>(b);
}
template <std::same_as<bool> C, class A, class B>
requires ScalarOperands<A, B> detail::ScalarOf<A, B> where(C condition, A&& a, B&& b) {
  if (condition) return detail::ScalarOf<A, B>(std::forward<A>(a));
  return detail::ScalarOf<A, B>(std::forward<B>(b));
}
#define WENGERT_CHOICE(A, B) \
  template <int N> Dual<N> where(bool condition, const A& a, const B& b) { return condition ? Dual<N>(a) : Dual<N>(b); }
WENGERT_CHOICE(Dual<N>, Dual<N>)
WENGERT_CHOICE(Dual<N>, double)
WENGERT_CHOICE(double, Dual<N>)
#undef WENGERT_CHOICE

}  // namespace wengert
