#pragma once
// The gates of an LSTM: one pass over the elements, forwards and backwards.
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

// T is float or double. Rows of 4 hidden gates and of hidden states lie densely. The bits depend on isa(), as those of products do, whose
// sums these are.

/// s = (i, f, g, o) = (sigmoid, sigmoid, tanh, sigmoid) of the sums;  c' = f c + i g;  h' = o tanh(c'). s may be where the sums are.
template <class T> void lstm_gates(Index rows, Index hidden, const T* sums, const T* c, T* s, T* h_next, T* c_next);

/// The cotangents of the sums and of c, from those of h' and c', where c_bar may lie:
///   t = tanh c',  total = c'_bar + h'_bar o (1 - t^2),  c_bar = total f
///   sums_bar = (total g i (1 - i),  total c f (1 - f),  total i (1 - g^2),  h'_bar t o (1 - o))
template <class T> void lstm_gates_vjp(Index rows, Index hidden, const T* s, const T* c, const T* c_next, const T* h_next_bar,
                                       const T* c_next_bar, T* sums_bar, T* c_bar);

}  // namespace wengert::kernels
