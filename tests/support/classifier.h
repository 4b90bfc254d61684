#pragma once
// A small classification with everything that a checkpoint must keep: weights, running statistics and random numbers.
#include <autodiff/autodiff.h>
#include <nn/nn.h>

namespace wengert::testing {

struct Classifier : nn::Module {
  Classifier(Index width, Generator& g)
      : hidden(16, width, {}, g), norm(width), dropout(0.2, g), deep(width, width, {}, g), out(width, 3, {}, g) {}
  Tensor operator()(const Tensor& x) { return out(relu(deep(dropout(relu(norm(hidden(x))))))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("norm", norm);
    v("dropout", dropout);
    v("deep", deep);
    v("out", out);
  }

  nn::Linear hidden;
  nn::BatchNorm1d norm;
  nn::Dropout dropout;
  nn::Linear deep, out;
};

/// n points in three classes, by the angle of their first two coordinates: (n, 16) and n labels.
inline nn::Batch points_in_classes(Index n, Generator& g) {
  const Tensor x = g.normal({n, 16});
  const Tensor angle = atan2(select(x, 1, 0), select(x, 1, 1));
  return {x, (angle > -1.0).to(int64) + (angle > 1.0).to(int64)};
}

}  // namespace wengert::testing
