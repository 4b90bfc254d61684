#pragma once
// One direction of one recurrent layer over a whole sequence.
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// Operands of every kind of layer, which are dense but for x, whose rows alone are. An RNN has 1 gate, a GRU 3, an LSTM 4.
template <class T> struct RecurrentLayer {
  Index steps, n, in, hidden;
  bool backward;        ///< from the last position to the first
  const T* x;           ///< (steps, n, in)
  Index x_step, x_row;  ///< from a position of x to the next, and from a row to the next: at least `in`
  const T *w, *u;       ///< (gates hidden, in), (gates hidden, hidden)
  const T* bias;        ///< (gates hidden) or null
  const T* h0;          ///< (n, hidden)
  T* h;                 ///< (steps, n, hidden): the result
};

/// H_t = f(X_t W^T + H_t-1 U^T + b), where f is tanh or relu.
template <class T> struct RnnLayer : RecurrentLayer<T> { bool relu; };
/// H_t and S_t from A_t = X_t W^T + b, B_t = H_t-1 U^T + b' and H_t-1 by gru_gates (gru_gates.h).
template <class T> struct GruLayer : RecurrentLayer<T> {
  const T* bias_hh;  ///< b', (3 hidden) or null
  T* gates;          ///< (steps, n, 4 hidden): r, z, n and what r multiplies, a result
};
/// H_t, C_t and S_t from A_t = X_t W^T + H_t-1 U^T + b and C_t-1 by lstm_gates (lstm_gates.h).
template <class T> struct LstmLayer : RecurrentLayer<T> {
  const T* c0;   ///< (n, hidden)
  T *c, *gates;  ///< (steps, n, hidden), (steps, n, 4 hidden): results
};

/// Cotangents of the operands. Null where a layer has no such operand; x, w, u, bias and bias_hh also where nobody wants them.
template <class T> struct RecurrentLayerBars { T *x, *w, *u, *bias, *bias_hh, *h0, *c0; };

// T is float or double. Rows of the batch are spread over the thread pool; the bits do not depend on num_threads(). Where each row of
// x is one symbol (1 in one place, 0 elsewhere), X_t W^T is a choice of columns of W, with the same bits, and the gradient with respect to
// W a sum of rows of A_bar into its columns: there only columns of symbols that occur see a cotangent that is not finite.

/// Writes the results.
template <class T> void rnn_layer_forward(const RnnLayer<T>& layer);
template <class T> void gru_layer_forward(const GruLayer<T>& layer);
template <class T> void lstm_layer_forward(const LstmLayer<T>& layer);

/// Writes `bars` from the results and their cotangents (steps, n, hidden). Those of an LSTM may be null.
template <class T> void rnn_layer_backward(const RnnLayer<T>& layer, const T* h_bar, const RecurrentLayerBars<T>& bars);
template <class T> void gru_layer_backward(const GruLayer<T>& layer, const T* h_bar, const RecurrentLayerBars<T>& bars);
template <class T> void lstm_layer_backward(const LstmLayer<T>& layer, const T* h_bar, const T* c_bar, const RecurrentLayerBars<T>& bars);

}  // namespace wengert::kernels
