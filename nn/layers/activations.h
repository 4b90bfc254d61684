#pragma once
// Activations as layers: any shape -> the same shape. Each is the operation of that name in autodiff/ops.h; names and defaults are
// PyTorch's.
#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "nn/module/module.h"

namespace wengert::nn {

// ---- without options -----------------------------------------------------------------------------------------------------------------

struct Identity : Stateless {
  Tensor operator()(const Tensor& x) const { return x; }
};
/// The perceptron's activation: 1 where x >= 0, else 0. Its gradient is zero everywhere: gradient descent learns nothing through it.
struct Step : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return step(x, site); }
};
struct ReLU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return relu(x, site); }
};
struct ReLU6 : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return relu6(x, site); }
};
struct SELU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return selu(x, site); }
};
struct SiLU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return silu(x, site); }
};
struct Mish : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return mish(x, site); }
};
struct Sigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return sigmoid(x, site); }
};
struct LogSigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return log_sigmoid(x, site); }
};
struct Hardsigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardsigmoid(x, site); }
};
struct Hardswish : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardswish(x, site); }
};
struct Tanh : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return tanh(x, site); }
};
struct Softsign : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softsign(x, site); }
};

// ---- with options --------------------------------------------------------------------------------------------------------------------

struct GELUOptions {
  bool tanh = false;  ///< the approximation by tanh in place of the error function
};
struct GELU : Stateless {
  explicit GELU(GELUOptions options = {}) : approximate(options.tanh) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return approximate ? gelu_tanh(x, site) : gelu(x, site); }

  bool approximate;
};

/// x where x > 0, else slope x.
struct LeakyReLU : Stateless {
  explicit LeakyReLU(double slope = 0.01) : slope(slope) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return leaky_relu(x, slope, site); }

  double slope;
};

struct PReLUOptions {
  Index channels = 1;   ///< slopes: one, or one for each channel
  double start = 0.25;  ///< their first value
};
/// LeakyReLU with slopes that are learnt.
struct PReLU : Module {
  /// A ShapeError for fewer than one channel.
  explicit PReLU(PReLUOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return prelu(x, weight, site); }
  void visit(Visitor& v) override { v("weight", weight); }

  Parameter weight;
};

/// x where x > 0, else alpha (e^x - 1).
struct ELU : Stateless {
  explicit ELU(double alpha = 1) : alpha(alpha) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return elu(x, alpha, site); }

  double alpha;
};

struct SoftplusOptions {
  double beta = 1;
};
/// ln(1 + e^(beta x)) / beta
struct Softplus : Stateless {
  /// A ValueError unless beta is positive.
  explicit Softplus(SoftplusOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softplus(x, beta, site); }

  double beta;
};

struct Softshrink : Stateless {
  /// A ValueError for a negative lambda.
  explicit Softshrink(double lambda = 0.5, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softshrink(x, lambda, site); }

  double lambda;
};

struct HardtanhOptions {
  double low = -1, high = 1;
};
struct Hardtanh : Stateless {
  /// A ValueError unless low < high.
  explicit Hardtanh(HardtanhOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardtanh(x, low, high, site); }

  double low, high;
};

/// Softmax along a dimension. In front of cross_entropy it is one softmax too many: that takes logits.
struct Softmax : Stateless {
  explicit Softmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softmax(x, dim, site); }

  Index dim;
};
struct LogSoftmax : Stateless {
  explicit LogSoftmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return log_softmax(x, dim, site); }

  Index dim;
};

}  // namespace wengert::nn
