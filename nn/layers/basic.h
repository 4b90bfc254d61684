#pragma once
// Layers. Names, weight layouts, defaults and first values are PyTorch's, so that state files map one to one. A wrong input is a ShapeError
// or a DtypeError that names the layer and the input; a wrong option, an Error that names the line on which the layer is made.
#include <optional>
#include <string>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "nn/layers/activations.h"
#include "nn/module/module.h"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
};

/// y = x W^T + b: (..., in) -> (..., out), with weight (out, in) and bias (out). Both start uniform on [-k, k), k = 1 / sqrt(in). A
/// ShapeError for negative sizes.
struct Linear : Module {
  Linear(Index in, Index out, LinearOptions options = {}, Generator& generator = default_generator(), Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  /// relu of it, as one operation.
  Tensor with_relu(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  /// The number of inputs and of outputs.
  Index in() const { return weight.shape()[1]; }
  Index out() const { return weight.shape()[0]; }

  Parameter weight, bias;  ///< `bias` is undefined without the option

 private:
  void check(const Tensor& x, Location site) const;
};

struct EmbeddingOptions {
  std::optional<Index> padding_idx = {};  ///< a row that starts at 0 and gets no gradient
};
/// Rows of a table for positions: int64 of any shape -> shape + (features). The weight (rows, features) starts normal with variance 1. A
/// ShapeError for a table without rows and for a padding row outside it.
struct Embedding : Module {
  Embedding(Index rows, Index features, EmbeddingOptions options = {}, Generator& generator = default_generator(),
            Location site = Location::here());

  Tensor operator()(const Tensor& index, Location site = Location::here()) const { return embedding(index, weight, padding_idx, site); }
  void visit(Visitor& v) override { v("weight", weight); }
  std::string label() const override;

  Parameter weight;
  std::optional<Index> padding_idx;
};

/// In training zeros elements with probability p and divides the others by 1 - p; in evaluation x itself. Draws from a generator of its
/// own, a fork of the given one; copies of the layer draw the same numbers. A ValueError unless p is in [0, 1].
struct Dropout : Module {
  explicit Dropout(double p = 0.5, Generator& generator = default_generator(), Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return training() ? dropout(x, p, generator, site) : x; }
  void visit(Visitor& v) override { v("generator", generator); }
  std::string label() const override;

  double p;
  mutable Generator generator;  ///< advances in training, where a model is not shared between threads
};

// ---- shapes --------------------------------------------------------------------------------------------------------------------------

/// Merges the dimensions first..last into one; by default all but the batch's: (n, c, h, w) -> (n, c h w).
struct Flatten : Stateless {
  explicit Flatten(Index first = 1, Index last = -1) : first(first), last(last) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return flatten(x, first, last, site); }

  Index first, last;
};

}  // namespace wengert::nn
