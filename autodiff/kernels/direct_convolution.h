#pragma once
// float32 convolutions of images with 16 channels or so, without a matrix of columns, and what may follow them in the same pass.
#include <cstdint>

#include "autodiff/kernels/convolution.h"

namespace wengert::kernels {

/// What is done with a convolution's results before they are written: y = max over 2 x 2 windows (pool) of max(sum, 0) (relu). Pooling
/// needs an even height and width.
struct ConvolutionTail {
  bool relu = false, pool = false;
};

/// Whether these functions take such a convolution and are faster than products of matrices: a stride or a dilation along each dimension
/// but not both, padding below what a window spans, no 1 x 1 kernel without a stride, and enough channels in a group and results in a row
/// to fill tiles.
bool is_direct(const Convolution& c);
/// The same for the gradient of x; strides are at most 2, or 4 along one dimension.
bool has_direct_data_gradient(const Convolution& c);

/// Bytes of `at` for one image: where in its window each maximum stood (row * 2 + column), or 4 where relu let nothing through. Their
/// order is (group, row, column, channel), with channels padded.
Index pooled_positions(const Convolution& c);
/// The place of one of them.
Index pooled_position(const Convolution& c, Index channel, Index row, Index column);

/// y as convolution_forward, with the tail; y has half the height and width with `pool`. `bias` may be null. `at` is written with `pool`.
void direct_convolution(const Convolution& c, const ConvolutionTail& tail, const float* x, const float* weight, const float* bias, float* y,
                        std::uint8_t* at);

/// Where gradients go; null for those that nobody wants.
struct ConvolutionGradients {
  float *x = nullptr, *weight = nullptr, *bias = nullptr;
  const float* x_bias = nullptr;  ///< what the gradient of x begins with, by channels; null: 0
};
/// The gradients, from that by the results, y_bar. x is read for the weight's gradient, y with relu alone (it says what relu let through),
/// `at` with pooling.
void direct_gradients(const Convolution& c, const ConvolutionTail& tail, const float* x, const float* weight, const float* y,
                      const std::uint8_t* at, const float* y_bar, const ConvolutionGradients& gradients);

}  // namespace wengert::kernels
