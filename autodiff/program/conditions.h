#pragma once
// Internal.
// The operations of a program beside those of functions.h: conditions, which are 1 where they hold and 0 elsewhere, and the choice by one.
// All have the slope 0, but for the two sides of a choice. Written as functions.h is.
#include "autodiff/functions/functions.h"

namespace wengert::fn {

#define WENGERT_CONDITION(F, its_name, its_latex, expression)                                                      \
  struct F {                                                                                                       \
    static constexpr const char *name = its_name, *latex = its_latex;                                              \
    template <class T> WENGERT_INLINE T value(const T& a, const T& b) const { return (expression) ? T(1) : T(0); } \
  };
WENGERT_CONDITION(Less, "less", "[#1 < #2]", a < b)
WENGERT_CONDITION(LessEqual, "less_equal", R"([#1 \le #2])", a <= b)
WENGERT_CONDITION(Equal, "equal", "[#1 = #2]", a == b)
WENGERT_CONDITION(NotEqual, "not_equal", R"([#1 \ne #2])", a != b)
WENGERT_CONDITION(Both, "both", R"(#1 \wedge #2)", (a != 0) & (b != 0))
WENGERT_CONDITION(Either, "either", R"(#1 \vee #2)", (a != 0) | (b != 0))
#undef WENGERT_CONDITION

/// Whether a condition does not hold.
struct Opposite {
  static constexpr const char *name = "opposite", *latex = R"(\neg #)";
  template <class T> WENGERT_INLINE T value(const T& x) const { return x != 0 ? T(0) : T(1); }
};
/// Whether the sign is minus, also of -0 and of a NaN.
struct Signbit {
  static constexpr const char *name = "signbit", *latex = R"([\operatorname{signbit} #])";
  template <class T> WENGERT_INLINE T value(const T& x) const { return std::copysign(T(1), x) < 0 ? T(1) : T(0); }
};
/// a where the condition c holds, else b.
struct Where {
  static constexpr const char *name = "where", *latex = R"(#1 \mathbin{?} #2 : #3)";
  template <class T> WENGERT_INLINE T value(const T& c, const T& a, const T& b) const { return c != 0 ? a : b; }
};

}  // namespace wengert::fn

#define WENGERT_CONDITIONS_OF_ONE(X) \
  X(Opposite, opposite)              \
  X(Signbit, signbit)
#define WENGERT_CONDITIONS_OF_TWO(X) \
  X(Less, less)                      \
  X(LessEqual, less_equal)           \
  X(Equal, equal)                    \
  X(NotEqual, not_equal)             \
  X(Both, both)                      \
  X(Either, either)
