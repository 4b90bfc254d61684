#pragma once
// Activations as layers: any shape -> the same shape. Each is the operation of that name in autodiff/ops.h; names and defaults are
// PyTorch's.
#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "nn/module/module.h"

namespace wengert::nn {

// ---- without options -----------------------------------------------------------------------------------------------------------------

/// x itself.
struct Identity : Stateless {
  Tensor operator()(const Tensor& x) const { return x; }
};
/// The perceptron's activation: 1 where x >= 0, else 0. Its gradient is zero everywhere, so gradient descent cannot train what comes before
/// it.
struct Step : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return step(x, site); }
};
/// max(x, 0)
struct ReLU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return relu(x, site); }
};
/// min(max(x, 0), 6)
struct ReLU6 : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return relu6(x, site); }
};
/// 1.0507 x where x > 0, else 1.0507 * 1.6733 (e^x - 1). (Klambauer et al. 2017)
struct SELU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return selu(x, site); }
};
/// x / (1 + e^-x), also called swish.
struct SiLU : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return silu(x, site); }
};
/// x tanh(ln(1 + e^x)). (Misra 2019)
struct Mish : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return mish(x, site); }
};
/// 1 / (1 + e^-x)
struct Sigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return sigmoid(x, site); }
};
/// -ln(1 + e^-x)
struct LogSigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return log_sigmoid(x, site); }
};
/// x / 6 + 1/2, clamped to [0, 1].
struct Hardsigmoid : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardsigmoid(x, site); }
};
/// x hardsigmoid(x)
struct Hardswish : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardswish(x, site); }
};
/// The hyperbolic tangent.
struct Tanh : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return tanh(x, site); }
};
/// x / (1 + |x|)
struct Softsign : Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softsign(x, site); }
};

// ---- with options --------------------------------------------------------------------------------------------------------------------

struct GELUOptions {
  bool tanh = false;  ///< the approximation by tanh in place of the error function
};
/// x times the standard normal distribution function of x. (Hendrycks and Gimpel 2016)
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
/// LeakyReLU with trainable slopes, in `weight` (channels).
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
  /// A ValueError if beta is 0 or not finite.
  explicit Softplus(SoftplusOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softplus(x, beta, site); }

  double beta;
};

/// Moves x towards 0 by lambda: x - lambda where x > lambda, x + lambda where x < -lambda, else 0.
struct Softshrink : Stateless {
  /// A ValueError for a negative lambda.
  explicit Softshrink(double lambda = 0.5, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softshrink(x, lambda, site); }

  double lambda;
};

struct HardtanhOptions {
  double low = -1, high = 1;
};
/// x, clamped to [low, high].
struct Hardtanh : Stateless {
  /// A ValueError unless low < high.
  explicit Hardtanh(HardtanhOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return hardtanh(x, low, high, site); }

  double low, high;
};

/// Softmax along a dimension. Not to be used before cross_entropy, which takes logits.
struct Softmax : Stateless {
  explicit Softmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return softmax(x, dim, site); }

  Index dim;
};
/// The logarithm of Softmax, computed without loss of digits.
struct LogSoftmax : Stateless {
  explicit LogSoftmax(Index dim = -1) : dim(dim) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return log_softmax(x, dim, site); }

  Index dim;
};

}  // namespace wengert::nn
