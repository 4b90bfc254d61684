#pragma once
// Recurrent layers and their single steps. Names, weight layouts, defaults and first values (uniform on [-k, k), k = 1 / sqrt(hidden)) are
// PyTorch's, so that state files map one to one.
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "nn/module/module.h"

namespace wengert::nn {

using wengert::LstmSequence;
using wengert::LstmState;
using wengert::Nonlinearity;
using wengert::Sequence;

/// The weights of one layer and direction.
struct RecurrentParameters {
  RecurrentParameters(Index gates, Index in, Index hidden, bool bias, Generator& generator);
  operator RecurrentWeights() const;

  Parameter weight_ih, weight_hh, bias_ih, bias_hh;  ///< the biases are undefined without the option
};

// ---- one step -------------------------------------------------------------------------------------------------------------------------

struct CellOptions {
  bool bias = true;
};

/// What the cells share: input (n, in), states (n, hidden). An undefined state is 0.
struct RecurrentCell : Module {
  void visit(Visitor& v) override {
    v("weight_ih", weights.weight_ih);
    v("weight_hh", weights.weight_hh);
    v("bias_ih", weights.bias_ih);
    v("bias_hh", weights.bias_hh);
  }
  std::string label() const override;

  Index in() const { return weights.weight_ih.shape()[1]; }
  Index hidden() const { return weights.weight_hh.shape()[1]; }

  RecurrentParameters weights;

 protected:
  RecurrentCell(Index gates, Index in, Index hidden, CellOptions options, Generator& generator)
      : weights(gates, in, hidden, options.bias, generator) {}
  Tensor or_zeros(const Tensor& state, const Tensor& x) const;
};

struct RNNCellOptions {
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  bool bias = true;
};
struct RNNCell : RecurrentCell {
  RNNCell(Index in, Index hidden, RNNCellOptions options = {}, Generator& generator = default_generator())
      : RecurrentCell(1, in, hidden, {options.bias}, generator), nonlinearity(options.nonlinearity) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}, Location site = Location::here()) const {
    return rnn_cell(x, or_zeros(h, x), weights, nonlinearity, site);
  }

  Nonlinearity nonlinearity;
};
struct GRUCell : RecurrentCell {
  GRUCell(Index in, Index hidden, CellOptions options = {}, Generator& generator = default_generator())
      : RecurrentCell(3, in, hidden, options, generator) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}, Location site = Location::here()) const {
    return gru_cell(x, or_zeros(h, x), weights, site);
  }
};
struct LSTMCell : RecurrentCell {
  LSTMCell(Index in, Index hidden, CellOptions options = {}, Generator& generator = default_generator())
      : RecurrentCell(4, in, hidden, options, generator) {}
  LstmState operator()(const Tensor& x, const LstmState& state = {}, Location site = Location::here()) const {
    return lstm_cell(x, {or_zeros(state.h, x), or_zeros(state.c, x)}, weights, site);
  }
};

// ---- whole sequences ------------------------------------------------------------------------------------------------------------------

struct RecurrentLayerOptions {
  Index layers = 1;
  bool bias = true;
  bool batch_first = false;    ///< input and output are (n, t, ...) in place of (t, n, ...)
  double dropout = 0;          ///< in training, between layers
  bool bidirectional = false;  ///< a second run from the end, whose outputs stand beside the first one's
};

/// What the layers share: input (t, n, in) -> output (t, n, directions hidden) of the last layer, and the last states of all layers,
/// (layers directions, n, hidden). An undefined initial state is 0. With lengths, (n) int64, each sequence ends there.
struct RecurrentLayer : Module {
  /// weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, the same with _reverse, then layer 1, ...
  void visit(Visitor& v) override;
  std::string label() const override;

  Index in, hidden;
  RecurrentLayerOptions options;
  std::vector<RecurrentParameters> weights;  ///< layer by layer, the forward direction first
  mutable Generator generator;               ///< of the dropout; a fork of the given one

 protected:
  RecurrentLayer(Index gates, Index in, Index hidden, RecurrentLayerOptions options, Generator& generator);
  pool::Vector<RecurrentWeights> all_weights() const;
  RecurrentOptions run_options(const Tensor& lengths) const;
};

struct RNNOptions {
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  Index layers = 1;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
};
struct RNN : RecurrentLayer {
  RNN(Index in, Index hidden, RNNOptions options = {}, Generator& generator = default_generator())
      : RecurrentLayer(1, in, hidden, {options.layers, options.bias, options.batch_first, options.dropout, options.bidirectional},
                       generator),
        nonlinearity(options.nonlinearity) {}
  Sequence operator()(const Tensor& x, const Tensor& h = {}, const Tensor& lengths = {}, Location site = Location::here()) const {
    return rnn(x, h, all_weights(), nonlinearity, run_options(lengths), site);
  }

  Nonlinearity nonlinearity;
};
struct GRU : RecurrentLayer {
  GRU(Index in, Index hidden, RecurrentLayerOptions options = {}, Generator& generator = default_generator())
      : RecurrentLayer(3, in, hidden, options, generator) {}
  Sequence operator()(const Tensor& x, const Tensor& h = {}, const Tensor& lengths = {}, Location site = Location::here()) const {
    return gru(x, h, all_weights(), run_options(lengths), site);
  }
};
struct LSTM : RecurrentLayer {
  LSTM(Index in, Index hidden, RecurrentLayerOptions options = {}, Generator& generator = default_generator())
      : RecurrentLayer(4, in, hidden, options, generator) {}
  LstmSequence operator()(const Tensor& x, const LstmState& state = {}, const Tensor& lengths = {},
                          Location site = Location::here()) const {
    return lstm(x, state, all_weights(), run_options(lengths), site);
  }
};

}  // namespace wengert::nn
