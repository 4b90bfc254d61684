#pragma once
// One direction of one LSTM layer over a whole sequence.
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// Operands, which are dense but for x, whose rows alone are. The steps t = 0, 1, ... (or the other way round) compute
///
///     A_t = X_t W^T + H_t-1 U^T + b;   S_t, C_t, H_t from A_t, C_t-1 by lstm_gates (lstm_gates.h)
template <class T> struct LstmLayer {
  Index steps, n, in, hidden;
  bool backward;          ///< from the last position to the first
  const T* x;             ///< (steps, n, in)
  Index x_step, x_row;    ///< from a position of x to the next, and from a row to the next: at least `in`
  const T *w, *u, *bias;  ///< (4 hidden, in), (4 hidden, hidden), (4 hidden) or null
  const T *h0, *c0;       ///< (n, hidden)
  T *h, *c, *gates;       ///< (steps, n, hidden) twice, (steps, n, 4 hidden): the results
};

/// Cotangents of the operands; x, w, u and bias are null where nobody wants them.
template <class T> struct LstmLayerBars { T *x, *w, *u, *bias, *h0, *c0; };

// T is float or double. Rows of the batch are spread over the thread pool; the bits do not depend on num_threads(). Where each row of
// x is one symbol (1 in one place, 0 elsewhere), X_t W^T is a choice of columns of W, with the same bits, and the gradient with respect to
// W a sum of rows of A_bar into its columns: there only columns of symbols that occur see a cotangent that is not finite.

/// Writes h, c and gates.
template <class T> void lstm_layer_forward(const LstmLayer<T>& layer);

/// Writes `bars` from the results and their cotangents (steps, n, hidden), of which either may be null.
template <class T> void lstm_layer_backward(const LstmLayer<T>& layer, const T* h_bar, const T* c_bar, const LstmLayerBars<T>& bars);

}  // namespace wengert::kernels
