#pragma once
// Scalars whose operators return their own type, for templates that insist on one type: `std::max(a * b, c)`, a lambda with two returns,
// Boost.Math. Each operation is one statement, where a whole expression of Scalars is one. Both may be mixed; they are on the same tape.
#include <compare>
#include <concepts>
#include <type_traits>
#include <utility>

#include "autodiff/scalar/scalar.h"

namespace wengert {
namespace numeric {

/// A BasicScalar without expression templates. It converts from numbers, Scalars and their expressions, and to BasicScalar.
template <class V> class BasicEagerScalar {
 public:
  using Value = V;  ///< of the value and of derivatives

  BasicEagerScalar() = default;
  WENGERT_INLINE constexpr BasicEagerScalar(Number auto value) : scalar_(value) {}
  WENGERT_INLINE BasicEagerScalar(const V& value) requires(!std::is_arithmetic_v<V>) : scalar_(value) {}
  WENGERT_INLINE BasicEagerScalar(const BasicScalar<V>& s) : scalar_(s) {}
  template <ScalarExpression E> WENGERT_INLINE BasicEagerScalar(const E& e) : scalar_(e) {}
  WENGERT_INLINE operator BasicScalar<V>() const { return scalar_; }

  constexpr const V& value() const { return scalar_.value(); }  ///< without its derivative
  const BasicScalar<V>& scalar() const { return scalar_; }
  std::uint64_t number() const { return scalar_.number(); }
  /// The same value as a constant: gradients stop here.
  BasicEagerScalar constant() const { return scalar_.constant(); }
  /// The value as a number, without its derivative.
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(scalar_); }

  // (Numbers are kept as numbers; everything else becomes a Scalar first.)
#define WENGERT_ASSIGNMENT(op)                                \
  BasicEagerScalar& operator op(const BasicEagerScalar& o)& { \
    scalar_ op o.scalar_;                                     \
    return *this;                                             \
  }                                                           \
  BasicEagerScalar& operator op(Number auto c)& {             \
    scalar_ op c;                                             \
    return *this;                                             \
  }
  WENGERT_ASSIGNMENT(+=)
  WENGERT_ASSIGNMENT(-=)
  WENGERT_ASSIGNMENT(*=)
  WENGERT_ASSIGNMENT(/=)
#undef WENGERT_ASSIGNMENT
  BasicEagerScalar& operator++() & { return *this += 1; }
  BasicEagerScalar& operator--() & { return *this -= 1; }
  BasicEagerScalar operator++(int) & { return std::exchange(*this, *this + 1); }
  BasicEagerScalar operator--(int) & { return std::exchange(*this, *this - 1); }

  // Not templates, so that they are preferred to boost::math's templates of any type.
#define WENGERT_FUNCTION(name) \
  friend auto name(const BasicEagerScalar& x) { return std::name(detail::plain(x)); }
  WENGERT_FUNCTION(fpclassify)
  WENGERT_FUNCTION(isfinite)
  WENGERT_FUNCTION(isinf)
  WENGERT_FUNCTION(isnan)
  WENGERT_FUNCTION(isnormal)
  WENGERT_FUNCTION(signbit)
#undef WENGERT_FUNCTION

 private:
  BasicScalar<V> scalar_;
};

}  // namespace numeric

using numeric::BasicEagerScalar;
using EagerScalar = BasicEagerScalar<double>;  ///< a Scalar whose operators return Scalars, not expressions

template <class T> struct IsEagerScalar : std::false_type {};
template <class V> struct IsEagerScalar<BasicEagerScalar<V>> : std::true_type {};
template <class T> concept EagerLike = IsEagerScalar<std::remove_cvref_t<T>>::value;
/// Two operands, at least one of which is an eager Scalar.
template <class A, class B> concept EagerOperands = (EagerLike<A> && (EagerLike<B> || ScalarOperand<B>)) ||
                                                    (EagerLike<B> && ScalarOperand<A>);

namespace detail {

template <class A, class B> struct CommonEager {};
template <class A, class B>
requires EagerOperands<A, B>
struct CommonEager<A, B> {
  using type = BasicEagerScalar<typename std::conditional_t<EagerLike<A>, A, B>::Value>;
};
template <class A, class B> using EagerOf = typename CommonEager<std::remove_cvref_t<A>, std::remove_cvref_t<B>>::type;

/// f of operands of which a tape follows one at least. A constant is passed on as a number, for then it needs no argument in a statement.
/// Not inlined: where nothing is recorded, an operation is a branch and what it is for doubles.
template <class F, class V>
[[gnu::noinline]] BasicEagerScalar<V> eager_recorded(const F& f, const BasicScalar<V>& a, const BasicScalar<V>& b) {
  if constexpr (std::same_as<V, double>) {
    if (!b.leaf().number) return apply(f, a, b.value());
    if (!a.leaf().number) return apply(f, a.value(), b);
  }
  return apply(f, a, b);
}
template <class F, class V> [[gnu::noinline]] BasicEagerScalar<V> eager_recorded(const F& f, const BasicScalar<V>& a, double b) {
  return apply(f, a, b);
}
template <class F, class V> [[gnu::noinline]] BasicEagerScalar<V> eager_recorded(const F& f, double a, const BasicScalar<V>& b) {
  return apply(f, a, b);
}
template <class F, class V> WENGERT_INLINE BasicEagerScalar<V> eager(const F& f, const BasicScalar<V>& a, const BasicScalar<V>& b) {
  if constexpr (std::same_as<V, double>) {
    if (!(a.leaf().number | b.leaf().number)) return f.value(a.value(), b.value());
  }
  return eager_recorded(f, a, b);
}
template <class F, class V> WENGERT_INLINE BasicEagerScalar<V> eager(const F& f, const BasicScalar<V>& a, double b) {
  if constexpr (std::same_as<V, double>) {
    if (!a.leaf().number) return f.value(a.value(), b);
  }
  return eager_recorded(f, a, b);
}
template <class F, class V> WENGERT_INLINE BasicEagerScalar<V> eager(const F& f, double a, const BasicScalar<V>& b) {
  if constexpr (std::same_as<V, double>) {
    if (!b.leaf().number) return f.value(a, b.value());
  }
  return eager_recorded(f, a, b);
}
template <class V> WENGERT_INLINE const BasicScalar<V>& eager_operand(const BasicEagerScalar<V>& x) { return x.scalar(); }
template <class V> WENGERT_INLINE const BasicScalar<V>& eager_operand(const BasicScalar<V>& x) { return x; }
template <ScalarExpression E> WENGERT_INLINE BasicScalar<typename E::Value> eager_operand(const E& e) { return e; }
WENGERT_INLINE double eager_operand(Number auto x) { return static_cast<double>(x); }
template <class F, class A, class B> WENGERT_INLINE EagerOf<A, B> eager_of(const F& f, const A& a, const B& b) {
  return eager(f, eager_operand(a), eager_operand(b));
}

/// A class without arithmetic of its own that converts to an eager Scalar: std::reference_wrapper, a proxy, a quantity.
template <class T, class E> concept ConvertsToEager =
    EagerLike<E> && std::is_class_v<T> && !EagerLike<T> && !ScalarOperand<T> && std::convertible_to<const T&, E> && !requires(const T& t) {
  t + t;
};

}  // namespace detail

namespace numeric {

#define WENGERT_FUNCTION(F, name) \
  template <class A, class B>     \
  requires EagerOperands<A, B> detail::EagerOf<A, B> name(const A& a, const B& b) { return detail::eager_of(fn::F{}, a, b); }
#define WENGERT_OPERATOR(F, op) WENGERT_FUNCTION(F, operator op)
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR
WENGERT_BINARY_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION

// What converts to an operand, as with the operators of double.
#define WENGERT_OPERATOR(F, op)                                                                                          \
  template <class E, class T>                                                                                            \
  requires detail::ConvertsToEager<T, E> E operator op(const E& a, const T& b) { return a op static_cast<const E&>(b); } \
  template <class E, class T>                                                                                            \
  requires detail::ConvertsToEager<T, E> E operator op(const T& a, const E& b) { return static_cast<const E&>(a) op b; }
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR

#define WENGERT_ASSIGNMENT(op) \
  template <class V> BasicScalar<V>& operator op(BasicScalar<V>& s, const BasicEagerScalar<V>& x) { return s op x.scalar(); }
WENGERT_ASSIGNMENT(+=)
WENGERT_ASSIGNMENT(-=)
WENGERT_ASSIGNMENT(*=)
WENGERT_ASSIGNMENT(/=)
#undef WENGERT_ASSIGNMENT

template <class V> BasicEagerScalar<V> operator-(const BasicEagerScalar<V>& x) { return -x.scalar(); }
template <class V> BasicEagerScalar<V> operator+(const BasicEagerScalar<V>& x) { return x; }
#define WENGERT_FUNCTION(F, name) \
  template <class V> BasicEagerScalar<V> name(const BasicEagerScalar<V>& x) { return detail::apply(fn::F{}, x.scalar()); }
WENGERT_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Abs, fabs)
WENGERT_FUNCTION(Round, rint)
WENGERT_FUNCTION(Round, nearbyint)
#undef WENGERT_FUNCTION

#define WENGERT_COMPARISON(op) \
  template <class A, class B>  \
  requires EagerOperands<A, B> \
  constexpr bool operator op(const A& a, const B& b) { return detail::plain(a) op detail::plain(b); }
WENGERT_COMPARISON(<)
WENGERT_COMPARISON(<=)
WENGERT_COMPARISON(>)
WENGERT_COMPARISON(>=)
WENGERT_COMPARISON(==)
WENGERT_COMPARISON(!=)
#undef WENGERT_COMPARISON
template <class E, class T>
requires detail::ConvertsToEager<T, E>
bool operator==(const E& a, const T& b) { return a == static_cast<const E&>(b); }
template <class E, class T>
requires detail::ConvertsToEager<T, E> std::partial_ordering operator<=>(const E& a, const T& b) { return a <=> static_cast<const E&>(b); }
/// The order of the values.
template <class A, class B>
requires EagerOperands<A, B>
constexpr std::partial_ordering operator<=>(const A& a, const B& b) { return detail::plain(a) <=> detail::plain(b); }

}  // namespace numeric

// The functions that <cmath> does not have, as in scalar.h.
#define WENGERT_FUNCTION(F, name) \
  template <class E, std::enable_if_t<EagerLike<E>, int> = 0> E name(const E& e) { return detail::apply(fn::F{}, e.scalar()); }
WENGERT_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default)                                                          \
  template <class E, std::enable_if_t<EagerLike<E>, int> = 0> E name(const E& e, double p = p_default) { \
    return detail::apply(fn::checked(fn::F{p}), e.scalar());                                             \
  }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                                                  \
  template <class E, std::enable_if_t<EagerLike<E>, int> = 0> E name(const E& e, double p = p_default, double q = q_default) { \
    return detail::apply(fn::checked(fn::F{p, q}), e.scalar());                                                                \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                                                                                  \
  template <class A, class B, std::enable_if_t<EagerOperands<A, B>, int> = 0> detail::EagerOf<A, B> name(const A& a, const B& b) { \
    return detail::eager_of(fn::F{}, a, b);                                                                                        \
  }
WENGERT_BINARY_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert

/// The common type of an eager Scalar and a number, a Scalar or an expression is the eager one.
template <class A, class B>
requires(wengert::EagerOperands<A, B> && !std::is_same_v<A, B>) struct std::common_type<A, B> : wengert::detail::CommonEager<A, B> {
};
