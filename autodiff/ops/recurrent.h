#pragma once
// Shared by recurrent cells and sequences.
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// The weights of a cell, with the sum of both biases, which a loop over time computes once.
struct CellWeights {
  explicit CellWeights(const RecurrentWeights& w)
      : input(w.weight_ih), hidden(w.weight_hh), bias(w.bias_ih.defined() ? w.bias_ih + w.bias_hh : Tensor()) {}
  Tensor input, hidden, bias;
};

/// Checks the weights of a cell with the given number of gates; the errors name the operation `name`.
void check_weights(const char* name, int gates, const Tensor& x, const RecurrentWeights& w);
void check_state(const char* name, const char* what, const Tensor& state, const Shape& shape, const Tensor& x);

/// x W_ih^T + h W_hh^T + bias.
Tensor gate_sum(const Tensor& x, const Tensor& h, const CellWeights& w);

// Cells without checks; their call site is that of the surrounding scope.
Tensor rnn_step(const Tensor& x, const Tensor& h, const CellWeights& w, Nonlinearity f);
Tensor gru_step(const Tensor& x, const Tensor& h, const RecurrentWeights& w);
LstmState lstm_step(const Tensor& x, const LstmState& state, const CellWeights& w);

// The rules of an LSTM's gates, in recorded operations; ops/recurrent_cells.cpp has the formula. Undefined (co)tangents are 0.
struct LstmSource {
  Tensor sums, c;
};
struct LstmResult {
  Tensor h, c, gates;
};
/// The cotangents of the sums and of c, from those of h', c' and the activated gates.
LstmSource lstm_vjp(const Tensor& gates, const Tensor& c, const Tensor& c_next, const LstmState& next_bar, const Tensor& gates_bar);
/// The tangents of h', c' and the gates, from those of the sums and of c.
LstmResult lstm_jvp(const Tensor& gates, const Tensor& c, const Tensor& c_next, const LstmSource& dot);

// The same of a GRU's, whose gates (n, 4 hidden) are r, z, n and b_n.
struct GruSource {
  Tensor a, b, h;
};
struct GruResult {
  Tensor h, gates;
};
/// The cotangents of the sums a and b and of h, from those of h' and the gates.
GruSource gru_vjp(const Tensor& gates, const Tensor& h, const GruResult& next_bar);
/// The tangents of h' and the gates, from those of a, b and h.
GruResult gru_jvp(const Tensor& gates, const Tensor& h, const GruSource& dot);

// One direction of one layer over x (t, n, in), where t and n are positive. They update `state` to the last one and return (t, n, hidden).
Tensor rnn_layer(const Tensor& x, Tensor& state, const CellWeights& w, Nonlinearity f, bool backward);
Tensor gru_layer(const Tensor& x, Tensor& state, const RecurrentWeights& w, bool backward);
Tensor lstm_layer(const Tensor& x, LstmState& state, const CellWeights& w, bool backward);

}  // namespace wengert::detail
