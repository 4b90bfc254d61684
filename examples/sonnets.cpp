// A network reads text character by character and learns which comes next; then it writes. Shakespeare's sonnets, or any text file.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <nn/data/loader.h>
#include <nn/data/text.h>
#include <nn/training/history.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string text, output = ".", start;
  int layers = 2, nodes = 128, window = 128, step = 3, epochs = 10, batch = 256, length = 400;
  double rate = 5e-3, dropout = 0.1;
  std::uint64_t seed = 1;
  bool quick = false;
};

/// LSTM layers over one-hot characters; the last step's state tells the next character.
struct CharacterNet : nn::Module {
  CharacterNet(Index symbols, const Options& o, Generator& g)
      : lstm(symbols, o.nodes, {.layers = o.layers, .dropout = o.layers > 1 ? o.dropout : 0}, g), dropout(o.dropout, g), head(o.nodes, symbols, {}, g) {}

  /// Windows (n, steps) int64 -> logits (n, symbols).
  Tensor operator()(const Tensor& windows) {
    const Tensor h = lstm(one_hot(transpose(windows), head.out()).to(float32)).output;  // (steps, n, nodes)
    return head(dropout(select(h, 0, -1)));
  }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("dropout", dropout);
    v("head", head);
  }

  nn::LSTM lstm;
  nn::Dropout dropout;
  nn::Linear head;
};
