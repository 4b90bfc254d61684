#pragma once
// Layers. Names, weight layouts, defaults and first values are PyTorch's, so that state files map one to one. A wrong input is a ShapeError
// that names the layer and the input.
#include <string>

#include "autodiff/ops.h"
#include "autodiff/parameter.h"
#include "autodiff/random.h"
#include "nn/module.h"

namespace wengert::nn {

struct LinearOptions {
  bool bias = true;
};

/// y = x W^T + b: (..., in) -> (..., out), with weight (out, in) and bias (out). Both start uniform on [-k, k), k = 1 / sqrt(in).
struct Linear : Module {
  Linear(Index in, Index out, LinearOptions options = {}, Generator& generator = default_generator());

  Tensor operator()(const Tensor& x, Location where = Location::here()) const;
  /// relu of it, as one operation.
  Tensor with_relu(const Tensor& x, Location where = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Index in() const { return weight.shape()[1]; }
  Index out() const { return weight.shape()[0]; }

  Parameter weight, bias;  ///< `bias` is undefined without the option

 private:
  void check(const Tensor& x, Location where) const;
};

// ---- activations: any shape -> the same shape ------------------------------------------------------------------------------------------

struct Identity : Stateless {
  Tensor operator()(const Tensor& x) const { return x; }
};
struct ReLU : Stateless {
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return relu(x, where); }
};
struct Sigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return sigmoid(x, where); }
};
struct Tanh : Stateless {
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return tanh(x, where); }
};

struct SoftplusOptions {
  double beta = 1;
};
/// ln(1 + e^(beta x)) / beta
struct Softplus : Stateless {
  explicit Softplus(SoftplusOptions options = {}) : beta(options.beta) {}
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return softplus(x, beta, where); }

  double beta;
};

/// Softmax along a dimension. In front of cross_entropy it is one softmax too many: that takes logits.
struct Softmax : Stateless {
  explicit Softmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return softmax(x, dim, where); }

  Index dim;
};
struct LogSoftmax : Stateless {
  explicit LogSoftmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return log_softmax(x, dim, where); }

  Index dim;
};

/// The perceptron's activation: 1 where x >= 0, else 0. Its gradient is zero everywhere: gradient descent learns nothing through it.
struct Step : Stateless {
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return step(x, where); }
};

// ---- shapes
// ------------------------------------------------------------------------------------------------------------------------------

/// Merges the dimensions first..last into one; by default all but the batch's: (n, c, h, w) -> (n, c h w).
struct Flatten : Stateless {
  explicit Flatten(Index first = 1, Index last = -1) : first(first), last(last) {}
  Tensor operator()(const Tensor& x, Location where = Location::here()) const { return flatten(x, first, last, where); }

  Index first, last;
};

}  // namespace wengert::nn
