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
  /// `layer` is how messages call the layer, and `suffix` what follows the parameters' names.
  RecurrentParameters(Index gates, Index in, Index hidden, bool bias, const std::string& layer, const std::string& suffix,
                      Generator& generator, Location site);
  operator RecurrentWeights() const;

  Parameter weight_ih, weight_hh, bias_ih, bias_hh;  ///< the biases are undefined without the option
};

// ---- one step -------------------------------------------------------------------------------------------------------------------------

struct RecurrentCellOptions {
  bool bias = true;
};

/// What the cells share: input (n, in), states (n, hidden). An undefined state is 0. A ShapeError for sizes below
/// 1.
struct RecurrentCell : Module {
  void visit(Visitor& v) override {
    v("weight_ih", weights.weight_ih);
    v("weight_hh", weights.weight_hh);
    v("bias_ih", weights.bias_ih);
    v("bias_hh", weights.bias_hh);
  }
  std::string label() const override;

  /// The sizes of the input and of the state.
  Index in() const { return weights.weight_ih.shape()[1]; }
  Index hidden() const { return weights.weight_hh.shape()[1]; }

  RecurrentParameters weights;

 protected:
  RecurrentCell(const char* name, Index gates, Index in, Index hidden, RecurrentCellOptions options, Generator& generator, Location site);
  void check_input(const Tensor& x, Location site) const;
  Tensor or_zeros(const Tensor& state, const Tensor& x) const;
};

/// h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh), or relu: x (n, in), h (n, hidden) -> (n, hidden).
struct RNNCell : RecurrentCell {
  RNNCell(Index in, Index hidden, RecurrentCellOptions options = {}, Generator& generator = default_generator(),
          Location site = Location::here())
      : RNNCell(in, hidden, Nonlinearity::tanh, options, generator, site) {}
  RNNCell(Index in, Index hidden, Nonlinearity nonlinearity, RecurrentCellOptions options = {}, Generator& generator = default_generator(),
          Location site = Location::here())
      : RecurrentCell("RNNCell", 1, in, hidden, options, generator, site), nonlinearity(nonlinearity) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}, Location site = Location::here()) const {
    check_input(x, site);
    return rnn_cell(x, or_zeros(h, x), weights, nonlinearity, site);
  }

  Nonlinearity nonlinearity;
};
/// A gated recurrent unit for one step, see gru_cell: x (n, in), h (n, hidden) -> (n, hidden).
struct GRUCell : RecurrentCell {
  GRUCell(Index in, Index hidden, RecurrentCellOptions options = {}, Generator& generator = default_generator(),
          Location site = Location::here())
      : RecurrentCell("GRUCell", 3, in, hidden, options, generator, site) {}
  Tensor operator()(const Tensor& x, const Tensor& h = {}, Location site = Location::here()) const {
    check_input(x, site);
    return gru_cell(x, or_zeros(h, x), weights, site);
  }
};
/// Long short-term memory for one step, see lstm_cell: x (n, in) and the state -> the new state.
struct LSTMCell : RecurrentCell {
  LSTMCell(Index in, Index hidden, RecurrentCellOptions options = {}, Generator& generator = default_generator(),
           Location site = Location::here())
      : RecurrentCell("LSTMCell", 4, in, hidden, options, generator, site) {}
  LstmState operator()(const Tensor& x, const LstmState& state = {}, Location site = Location::here()) const {
    check_input(x, site);
    return lstm_cell(x, {or_zeros(state.h, x), or_zeros(state.c, x)}, weights, site);
  }
};

// ---- whole sequences ------------------------------------------------------------------------------------------------------------------

/// Of RNN, GRU and LSTM.
struct RecurrentLayerOptions {
  Index layers = 1;
  bool bias = true;
  bool batch_first = false;    ///< input and output are (n, t, ...), not (t, n, ...)
  double dropout = 0;          ///< in training, between layers
  bool bidirectional = false;  ///< a second run from the end, whose outputs are appended to the first one's
};

/// What the layers share: input (t, n, in) -> output (t, n, directions hidden) of the last layer, and the last states of all layers,
/// (layers directions, n, hidden). An undefined initial state is 0. With lengths, (n) int64, each sequence ends there. A ShapeError
/// for sizes below 1, a ValueError for a dropout outside [0, 1].
struct RecurrentLayer : Module {
  /// weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, the same with _reverse, then layer 1, ...
  void visit(Visitor& v) override;
  std::string label() const override;

  Index in, hidden;
  RecurrentLayerOptions options;
  std::vector<RecurrentParameters> weights;  ///< layer by layer, the forward direction first
  mutable Generator generator;               ///< of the dropout; a fork of the given one

 protected:
  RecurrentLayer(const char* name, Index gates, Index in, Index hidden, RecurrentLayerOptions options, Generator& generator, Location site);
  void check_input(const Tensor& x, Location site) const;
  pool::Vector<RecurrentWeights> all_weights() const;
  RecurrentOptions run_options(const Tensor& lengths) const;
};

/// Layers of RNN cells over sequences (t, n, in), see rnn.
struct RNN : RecurrentLayer {
  RNN(Index in, Index hidden, RecurrentLayerOptions options = {}, Generator& generator = default_generator(),
      Location site = Location::here())
      : RNN(in, hidden, Nonlinearity::tanh, options, generator, site) {}
  RNN(Index in, Index hidden, Nonlinearity nonlinearity, RecurrentLayerOptions options = {}, Generator& generator = default_generator(),
      Location site = Location::here())
      : RecurrentLayer("RNN", 1, in, hidden, options, generator, site), nonlinearity(nonlinearity) {}
  Sequence operator()(const Tensor& x, const Tensor& h = {}, const Tensor& lengths = {}, Location site = Location::here()) const {
    check_input(x, site);
    return rnn(x, h, all_weights(), nonlinearity, run_options(lengths), site);
  }

  Nonlinearity nonlinearity;
};
/// Layers of GRU cells over sequences (t, n, in), see gru.
struct GRU : RecurrentLayer {
  GRU(Index in, Index hidden, RecurrentLayerOptions options = {}, Generator& generator = default_generator(),
      Location site = Location::here())
      : RecurrentLayer("GRU", 3, in, hidden, options, generator, site) {}
  Sequence operator()(const Tensor& x, const Tensor& h = {}, const Tensor& lengths = {}, Location site = Location::here()) const {
    check_input(x, site);
    return gru(x, h, all_weights(), run_options(lengths), site);
  }
};
/// Layers of LSTM cells over sequences (t, n, in), see lstm.
struct LSTM : RecurrentLayer {
  LSTM(Index in, Index hidden, RecurrentLayerOptions options = {}, Generator& generator = default_generator(),
       Location site = Location::here())
      : RecurrentLayer("LSTM", 4, in, hidden, options, generator, site) {}
  LstmSequence operator()(const Tensor& x, const LstmState& state = {}, const Tensor& lengths = {},
                          Location site = Location::here()) const {
    check_input(x, site);
    return lstm(x, state, all_weights(), run_options(lengths), site);
  }
};

}  // namespace wengert::nn
