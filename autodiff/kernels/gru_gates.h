#pragma once
// The gates of a GRU: one pass over the elements, forwards and backwards.
#include <algorithm>

#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// From the sums a (of x) and b (of h):  r = sigmoid(a_r + b_r),  z = sigmoid(a_z + b_z),  n = tanh(a_n + r b_n),  h' = (1 - z) n + z h.
/// Rows of s have 4 hidden: three quarters hold a and become r, z and n; the last becomes b_n. Rows of b have 3 hidden. Nothing may
/// overlap.
template <class T> void gru_gates(Index rows, Index hidden, const T* b, const T* h, T* s, T* h_next) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    for (Index row = 0; row < rows; ++row) {
      const T* __restrict sums = b + row * 3 * hidden;
      const T* __restrict before = h + row * hidden;
      T* const r = s + row * 4 * hidden;
      T *const z = r + hidden, *const n = z + hidden, *const b_n = n + hidden;
      T* __restrict after = h_next + row * hidden;
      for (Index j = 0; j < 2 * hidden; ++j) r[j] = logistic(r[j] + sums[j]);
      for (Index j = 0; j < hidden; ++j) n[j] = fn::straight::tanh(n[j] + r[j] * sums[2 * hidden + j]);
      for (Index j = 0; j < hidden; ++j) after[j] = (1 - z[j]) * n[j] + z[j] * before[j];
      for (Index j = 0; j < hidden; ++j) b_n[j] = sums[2 * hidden + j];
    }
  });
}

/// The same from rows of a that lie elsewhere, of 3 hidden.
template <class T> void gru_gates(Index rows, Index hidden, const T* a, const T* b, const T* h, T* s, T* h_next) {
  for (Index row = 0; row < rows; ++row) std::copy_n(a + row * 3 * hidden, 3 * hidden, s + row * 4 * hidden);
  gru_gates(rows, hidden, b, h, s, h_next);
}

/// Rows of the cotangents of a, whose first two thirds are those of b, and of b_n, with their distances.
template <class T> struct GruGatesBars {
  T* a;
  Index a_row;
  T* b_n;
  Index b_row;
};

/// The cotangents, from s, h and h_bar = h'_bar, which becomes that of h:
///   m = h'_bar (1 - z) (1 - n^2),  a_bar = (m b_n r (1 - r), h'_bar (h - n) z (1 - z), m),  b_n_bar = m r,  h_bar = h'_bar z
/// Nothing may overlap.
template <class T> void gru_gates_vjp(Index rows, Index hidden, const T* s, const T* h, T* h_bar, const GruGatesBars<T>& bars) {
  // Short loops that each write one array: compilers make SIMD of them.
  run_elements<T>([=]() __attribute__((always_inline)) {
    constexpr Index kBlock = 64;
    for (Index row = 0; row < rows; ++row)
      for (Index begin = 0; begin < hidden; begin += kBlock) {
        const Index count = std::min(kBlock, hidden - begin), at = row * hidden + begin;
        const T *const r = s + row * 4 * hidden + begin, *const z = r + hidden, *const n = z + hidden, *const b_n = n + hidden;
        const T* const before = h + at;
        T *const bar = h_bar + at, *const a = bars.a + row * bars.a_row + begin, *const b = bars.b_n + row * bars.b_row + begin;
        T m[kBlock];
        for (Index j = 0; j < count; ++j) m[j] = bar[j] * (1 - z[j]) * (1 - n[j] * n[j]);
        for (Index j = 0; j < count; ++j) a[j] = m[j] * b_n[j] * r[j] * (1 - r[j]);
        for (Index j = 0; j < count; ++j) a[hidden + j] = bar[j] * (before[j] - n[j]) * z[j] * (1 - z[j]);
        for (Index j = 0; j < count; ++j) a[2 * hidden + j] = m[j];
        for (Index j = 0; j < count; ++j) b[j] = m[j] * r[j];
        for (Index j = 0; j < count; ++j) bar[j] *= z[j];
      }
  });
}

}  // namespace wengert::kernels
