#pragma once
// The gates of an LSTM: one pass over the elements, forwards and backwards.
#include <type_traits>

#include "autodiff/exponential.h"
#include "autodiff/kernels/target.h"
#include "autodiff/shape.h"

// Elements of a row do not depend on each other; g++ cannot see that the rows do not overlap.
#if defined(__GNUC__) && !defined(__clang__)
#define WENGERT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define WENGERT_INDEPENDENT
#endif

namespace wengert::kernels {

/// Runs a loop over elements of type T, which is an always inlined lambda, on the best instruction set.
template <class T, class F> void run_elements(F&& loop) {
  if constexpr (std::is_same_v<T, float>) {
    run_on_best_target(loop);
  } else {
    loop();
  }
}

template <class T> __attribute__((always_inline)) inline T logistic(T x) { return 1 / (1 + fn::exp(-x)); }

/// s = (i, f, g, o) = (sigmoid, sigmoid, tanh, sigmoid) of the sums;  c' = f c + i g;  h' = o tanh(c'). Rows of 4 hidden gates and of
/// hidden states lie densely; s may be where the sums are.
template <class T> void lstm_gates(Index rows, Index hidden, const T* sums, const T* c, T* s, T* h_next, T* c_next) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    for (Index row = 0; row < rows; ++row) {
      const T *in = sums + row * 4 * hidden, *before = c + row * hidden;
      T *gate = s + row * 4 * hidden, *h = h_next + row * hidden, *after = c_next + row * hidden;
      WENGERT_INDEPENDENT
      for (Index j = 0; j < hidden; ++j) {
        const T i = logistic(in[j]), f = logistic(in[hidden + j]), g = fn::tanh(in[2 * hidden + j]), o = logistic(in[3 * hidden + j]);
        const T cell = f * before[j] + i * g;
        gate[j] = i;
        gate[hidden + j] = f;
        gate[2 * hidden + j] = g;
        gate[3 * hidden + j] = o;
        after[j] = cell;
        h[j] = o * fn::tanh(cell);
      }
    }
  });
}

/// The cotangents of the sums and of c, from those of h' and c', where c_bar may lie:
///   t = tanh c',  total = c'_bar + h'_bar o (1 - t^2),  c_bar = total f
///   sums_bar = (total g i (1 - i),  total c f (1 - f),  total i (1 - g^2),  h'_bar t o (1 - o))
template <class T> void lstm_gates_vjp(Index rows, Index hidden, const T* s, const T* c, const T* c_next, const T* h_next_bar,
                                       const T* c_next_bar, T* sums_bar, T* c_bar) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    for (Index row = 0; row < rows; ++row) {
      const T *gate = s + row * 4 * hidden, *before = c + row * hidden, *after = c_next + row * hidden;
      const T *h_bar = h_next_bar + row * hidden, *after_bar = c_next_bar + row * hidden;
      T *bar = sums_bar + row * 4 * hidden, *before_bar = c_bar + row * hidden;
      WENGERT_INDEPENDENT
      for (Index j = 0; j < hidden; ++j) {
        const T i = gate[j], f = gate[hidden + j], g = gate[2 * hidden + j], o = gate[3 * hidden + j], t = fn::tanh(after[j]);
        const T total = after_bar[j] + h_bar[j] * o * (1 - t * t);
        bar[j] = total * g * i * (1 - i);
        bar[hidden + j] = total * before[j] * f * (1 - f);
        bar[2 * hidden + j] = total * i * (1 - g * g);
        bar[3 * hidden + j] = h_bar[j] * t * o * (1 - o);
        before_bar[j] = total * f;
      }
    }
  });
}

}  // namespace wengert::kernels

#undef WENGERT_INDEPENDENT
