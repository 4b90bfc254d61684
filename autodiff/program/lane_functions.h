#pragma once
// Internal.
// What an operation of a program computes from the numbers of one lane, the same in every loop. Elementary functions are the straight
// formulas of functions/straight.h, as for elements of tensors.
#include "autodiff/functions/element.h"
#include "autodiff/program/opcode.h"

namespace wengert::detail {

/// f(x...), if the straight formulas hold there (fn::is_beyond).
template <class F, class T, class... X> WENGERT_INLINE T straight_value(const F& f, T x, X... more) {
  if constexpr (requires { F::smooth; }) {
    return f.value(fn::Element<T>{x}, fn::Element<T>{more}...).v;
  } else {
    return f.value(x, more...);
  }
}
/// f(x...)
template <class F, class T, class... X> WENGERT_INLINE T lane_value(const F& f, T x, X... more) {
  if constexpr (fn::kHoldsInPart<F>) {
    return fn::is_beyond<F>(x) ? static_cast<T>(f.value(x)) : straight_value(f, x);
  } else {
    return straight_value(f, x, more...);
  }
}

}  // namespace wengert::detail
