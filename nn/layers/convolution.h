#pragma once
// Layers of convolutional networks: convolution and pooling. Names, weight layouts, defaults and first values are PyTorch's.
#include <initializer_list>
#include <string>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"
#include "nn/module/module.h"

namespace wengert::nn {

/// What convolution layers share. Weight and bias start uniform on [-k, k), k = 1 / sqrt(n), where the weight's slices along its first
/// dimension have n elements.
struct ConvolutionLayer : Module {
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }

  Parameter weight, bias;  ///< `bias` is undefined without the option

 protected:
  /// What a constructor knows before it draws the first values.
  struct Plan {
    Shape weight;
    Index out;
    bool bias;
    std::string label;
  };
  template <class Options> static Plan plan_of(const char* layer, Index in, Index out, HeightWidth kernel,
                                               std::initializer_list<Index> kernel_sizes, const Options& options, bool transposed,
                                               Location site);
  ConvolutionLayer(const Plan& plan, Generator& generator, Location site);
  /// A ShapeError unless x is (n, channels, ...) with the weight's rank; a DtypeError unless it has the weight's dtype.
  void check_input(const Tensor& x, Index channels, Location site) const;
};

struct Conv1dLayerOptions {
  Index stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};
/// Cross-correlation of sequences, (n, in, length) -> (n, out, ...) as `conv1d` says, with weight (out, in / groups, kernel) and bias
/// (out). A ShapeError for sizes that are out of range.
struct Conv1d : ConvolutionLayer {
  Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options = {}, Generator& generator = default_generator(),
         Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  std::string label() const override;

  /// The number of channels, in and out.
  Index in() const { return weight.shape()[1] * options.groups; }
  Index out() const { return weight.shape()[0]; }
  Index kernel() const { return weight.shape()[2]; }

  Conv1dLayerOptions options;
};

struct Conv2dLayerOptions {
  HeightWidth stride = 1, padding = 0, dilation = 1;
  Index groups = 1;
  bool bias = true;
};
/// Cross-correlation of images, (n, in, height, width) -> (n, out, ...) as `conv2d` says, with weight (out, in / groups, kernel height,
/// kernel width) and bias (out). A ShapeError for sizes that are out of range.
///
///     nn::Conv2d(1, 16, 5)
///     nn::Conv2d(16, 32, {3, 1}, {.padding = {1, 0}})
struct Conv2d : ConvolutionLayer {
  Conv2d(Index in, Index out, HeightWidth kernel, Conv2dLayerOptions options = {}, Generator& generator = default_generator(),
         Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  /// relu of it, and the maxima of windows of pool x pool, as `conv2d_relu` says.
  Tensor with_relu(const Tensor& x, Index pool = 1, Location site = Location::here()) const;
  std::string label() const override;

  /// The number of channels, in and out.
  Index in() const { return weight.shape()[1] * options.groups; }
  Index out() const { return weight.shape()[0]; }
  HeightWidth kernel() const { return {weight.shape()[2], weight.shape()[3]}; }

  Conv2dLayerOptions options;
};

struct ConvTranspose2dLayerOptions {
  HeightWidth stride = 1, padding = 0, output_padding = 0, dilation = 1;
  Index groups = 1;
  bool bias = true;
};
/// Transposed convolution, the adjoint of a Conv2d: (n, in, height, width) -> (n, out, ...) as `conv_transpose2d` says, with weight (in,
/// out / groups, kernel height, kernel width) and bias (out). A ShapeError for sizes that are out of range.
struct ConvTranspose2d : ConvolutionLayer {
  ConvTranspose2d(Index in, Index out, HeightWidth kernel, ConvTranspose2dLayerOptions options = {},
                  Generator& generator = default_generator(), Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  std::string label() const override;

  /// The number of channels, in and out.
  Index in() const { return weight.shape()[0]; }
  Index out() const { return weight.shape()[1] * options.groups; }
  HeightWidth kernel() const { return {weight.shape()[2], weight.shape()[3]}; }

  ConvTranspose2dLayerOptions options;
};

/// The largest element of each window, as `max_pool2d` says: (n, c, height, width) -> (n, c, ...). A ShapeError for sizes that are
/// out of range.
struct MaxPool2d : Stateless {
  explicit MaxPool2d(HeightWidth kernel, MaxPool2dOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return max_pool2d(x, kernel, options, site); }
  std::string label() const override;

  HeightWidth kernel;
  MaxPool2dOptions options;
};

/// The mean of each window, as `avg_pool2d` says: (n, c, height, width) -> (n, c, ...). A ShapeError for sizes that are out of range.
struct AvgPool2d : Stateless {
  explicit AvgPool2d(HeightWidth kernel, AvgPool2dOptions options = {}, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return avg_pool2d(x, kernel, options, site); }
  std::string label() const override;

  HeightWidth kernel;
  AvgPool2dOptions options;
};

/// Means of windows that cover the image: (n, c, height, width) -> (n, c, size), whatever the image's size. A ShapeError for a size below
/// 1.
struct AdaptiveAvgPool2d : Stateless {
  explicit AdaptiveAvgPool2d(HeightWidth size, Location site = Location::here());
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return adaptive_avg_pool2d(x, size, site); }
  std::string label() const override;

  HeightWidth size;
};

}  // namespace wengert::nn
