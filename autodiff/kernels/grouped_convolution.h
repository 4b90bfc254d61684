#pragma once
// Convolutions with many groups of a few channels each, of which the depthwise ones have a single channel in a group: products of matrices
// would be too small there, and the matrix of columns would take longer than they do.
#include "autodiff/kernels/convolution.h"

namespace wengert::kernels {

/// Whether the functions below are faster than products.
bool has_small_groups(const Convolution& c);

// As the functions of convolution.h with these names.
template <class T> void grouped_forward(const Convolution& c, const T* x, const T* weight, const T* bias, T* y);
template <class T> void grouped_data_gradient(const Convolution& c, const T* y, const T* weight, const T* bias, T* x);
template <class T> void grouped_weight_gradient(const Convolution& c, const T* x, const T* y, T* weight, T* bias);

}  // namespace wengert::kernels
