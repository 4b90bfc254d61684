#pragma once
// Convolutions with two spatial dimensions, and the two gradients that they have.
#include "autodiff/kernels/windows.h"

namespace wengert::kernels {

/// The sizes of
///
///     y[n, o, i, j] = bias[o] + sum_{c, r, s} weight[o, c, r, s] x[n, c + first channel of o's group, i sh - ph + r dh, j sw - pw + s dw]
///
/// with x (batch, in_channels, height.in, width.in), weight (out_channels, in_channels / groups, height.kernel, width.kernel), bias
/// (out_channels) and y (batch, out_channels, height.out, width.out), all dense and row-major. `groups` divides both numbers of channels.
/// Of each dimension, kernel, in and out are at least 1, and `out` is at most what the padded input has room for.
struct Convolution {
  Index batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  WindowAxis height, width;

  /// Elements of x in one image, of y in one image, and of the weight.
  Index image_size() const { return in_channels * height.in * width.in; }
  Index output_size() const { return out_channels * height.out * width.out; }
  Index weight_size() const { return out_channels * (in_channels / groups) * height.kernel * width.kernel; }
  /// Products that the convolution adds up; as many as its gradient with respect to x, or to the weight.
  double multiply_adds() const {
    const Index terms = in_channels / groups * height.kernel * width.kernel;
    return static_cast<double>(batch * output_size()) * static_cast<double>(terms);
  }
};

// Each function writes all of its results and reads none of their old elements; T is float or double. The batch is cut into blocks, those
// of sums by the sizes alone, and spread over the thread pool: the bits do not depend on num_threads(). Scratch memory comes from the
// pool.

/// y of the formula above; `bias` may be null.
template <class T> void convolution_forward(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);

/// The transposed map from y to x: x[n, c, ...] = bias[c] + the sum of y[n, o, i, j] weight[o, c, r, s] over all products of the formula in
/// which that element of x occurs. `bias` (in_channels) may be null, and is for a gradient.
template <class T> void convolution_data_gradient(const Convolution& c, const T* y, const T* weight, const T* bias, T* x);

/// weight[o, c, r, s] = the sum over batch and positions of y[n, o, i, j] times the element of x that the formula multiplies with that
/// weight; bias[o] = the sum over y[:, o], where `bias` is not null.
template <class T> void convolution_weight_gradient(const Convolution& c, const T* x, const T* y, T* weight, T* bias);

/// In how many parts of the batch `sums` numbers are summed, each part into memory of its own; each image has a term for each of its
/// `positions`.
Index parts_of_batch(Index batch, Index sums, Index positions);

}  // namespace wengert::kernels
