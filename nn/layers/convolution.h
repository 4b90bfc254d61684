#pragma once
// Layers of convolutional networks: convolution and pooling. Names, weight layouts, defaults and first values are PyTorch's.
#include <string>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "nn/module/module.h"

namespace wengert::nn {

struct Conv1dOptions {
  Index kernel = 0;  ///< must be given
  Index stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};
/// Cross-correlation of sequences, (n, in, length) -> (n, out, ...) as `conv1d` says, with weight (out, in / groups, kernel) and bias
/// (out). Both start uniform on [-k, k), k = 1 / sqrt(in / groups * kernel).
struct Conv1d : Module {
  Conv1d(Index in, Index out, Conv1dOptions options, Generator& generator = default_generator());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Index in() const { return weight.shape()[1] * options.groups; }
  Index out() const { return weight.shape()[0]; }

  Conv1dOptions options;
  Parameter weight, bias;  ///< `bias` is undefined without the option
};

struct Conv2dOptions {
  HeightWidth kernel = 0;  ///< must be given
  HeightWidth stride = 1, padding = 0, dilation = 1;
  Index groups = 1;
  bool bias = true;
};
/// Cross-correlation of images, (n, in, height, width) -> (n, out, ...) as `conv2d` says, with weight (out, in / groups, kernel height,
/// kernel width) and bias (out). Both start uniform on [-k, k), k = 1 / sqrt(in / groups * kernel height * kernel width).
///
///     nn::Conv2d(1, 16, {.kernel = 5})
struct Conv2d : Module {
  Conv2d(Index in, Index out, Conv2dOptions options, Generator& generator = default_generator());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  /// relu of it, and the maxima of windows of pool x pool, as `conv2d_relu` says.
  Tensor with_relu(const Tensor& x, Index pool = 1, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Index in() const { return weight.shape()[1] * options.groups; }
  Index out() const { return weight.shape()[0]; }

  Conv2dOptions options;
  Parameter weight, bias;  ///< `bias` is undefined without the option
};

struct ConvTranspose2dOptions {
  HeightWidth kernel = 0;  ///< must be given
  HeightWidth stride = 1, padding = 0, output_padding = 0, dilation = 1;
  Index groups = 1;
  bool bias = true;
};
/// The transposed map of a Conv2d, (n, in, height, width) -> (n, out, ...) as `conv_transpose2d` says, with weight (in, out / groups,
/// kernel height, kernel width) and bias (out). Both start uniform on [-k, k), k = 1 / sqrt(out / groups * kernel height * kernel width).
struct ConvTranspose2d : Module {
  ConvTranspose2d(Index in, Index out, ConvTranspose2dOptions options, Generator& generator = default_generator());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Index in() const { return weight.shape()[0]; }
  Index out() const { return weight.shape()[1] * options.groups; }

  ConvTranspose2dOptions options;
  Parameter weight, bias;  ///< `bias` is undefined without the option
};

/// The largest element of each window, as `max_pool2d` says: (n, c, height, width) -> (n, c, ...).
struct MaxPool2d : Stateless {
  explicit MaxPool2d(HeightWidth kernel, MaxPool2dOptions options = {}) : kernel(kernel), options(options) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return max_pool2d(x, kernel, options, site); }
  std::string label() const override;

  HeightWidth kernel;
  MaxPool2dOptions options;
};

/// The mean of each window, as `avg_pool2d` says: (n, c, height, width) -> (n, c, ...).
struct AvgPool2d : Stateless {
  explicit AvgPool2d(HeightWidth kernel, AvgPool2dOptions options = {}) : kernel(kernel), options(options) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return avg_pool2d(x, kernel, options, site); }
  std::string label() const override;

  HeightWidth kernel;
  AvgPool2dOptions options;
};

/// Means of windows that cover the image: (n, c, height, width) -> (n, c, size), whatever the image's size.
struct AdaptiveAvgPool2d : Stateless {
  explicit AdaptiveAvgPool2d(HeightWidth size) : size(size) {}
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return adaptive_avg_pool2d(x, size, site); }
  std::string label() const override;

  HeightWidth size;
};

}  // namespace wengert::nn
