#pragma once
// The gates of a GRU: one pass over the elements.
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// From the sums a (of x) and b (of h), rows of 3 hidden:  r = sigmoid(a_r + b_r),  z = sigmoid(a_z + b_z),  n = tanh(a_n + r b_n),
/// h' = (1 - z) n + z h.  s = (r, z, n). Nothing may overlap.
template <class T> void gru_gates(Index rows, Index hidden, const T* a, const T* b, const T* h, T* s, T* h_next) {
  run_elements<T>([&]() __attribute__((always_inline)) {
    for (Index row = 0; row < rows; ++row) {
      const T* __restrict p = a + row * 3 * hidden, * __restrict q = b + row * 3 * hidden;
      const T* __restrict h_row = h + row * hidden;
      T* const r = s + row * 3 * hidden;
      T *const z = r + hidden, *const n = z + hidden;
      T* __restrict out = h_next + row * hidden;
      for (Index j = 0; j < 2 * hidden; ++j) r[j] = logistic(p[j] + q[j]);
      for (Index j = 0; j < hidden; ++j) n[j] = fn::straight::tanh(p[2 * hidden + j] + r[j] * q[2 * hidden + j]);
      for (Index j = 0; j < hidden; ++j) out[j] = (1 - z[j]) * n[j] + z[j] * h_row[j];
    }
  });
}

}  // namespace wengert::kernels
