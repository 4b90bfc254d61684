#pragma once
// Pictures changed a little at random, so that a network does not learn them by heart.
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

struct CropOptions {
  Index padding = 4;
};

/// Moves each image by up to `padding` pixels up, down, left and right, every distance being equally likely; what comes in is 0. That is a
/// random crop of the padded image. (n, ..., height, width) -> the same, a constant; all channels of an image move alike.
Tensor random_crop(const Tensor& images, const CropOptions& options = {}, Generator& generator = default_generator(),
                   Location site = Location::here());

struct FlipOptions {
  double probability = 0.5;
};

/// Mirrors images, left to right, each with the given probability. (n, ..., height, width) -> the same, a constant.
Tensor random_flip(const Tensor& images, const FlipOptions& options = {}, Generator& generator = default_generator(),
                   Location site = Location::here());

}  // namespace wengert::nn
