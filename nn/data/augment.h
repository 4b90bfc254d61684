#pragma once
// Random changes of images (data augmentation), so that a network does not memorise them.
#include "autodiff/tensor/random.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

struct CropOptions {
  Index padding = 4;
};

/// Moves each image by up to `padding` pixels up, down, left and right, each distance being equally likely; pixels from outside the image
/// are 0. That is a random crop of the padded image. (n, ..., height, width) -> the same, a constant; all channels of an image move alike.
Tensor random_crop(const Tensor& images, CropOptions options = {}, Generator& generator = default_generator(),
                   Location site = Location::here());

struct FlipOptions {
  double probability = 0.5;
};

/// Mirrors images, left to right, each with the given probability. (n, ..., height, width) -> the same, a constant.
Tensor random_flip(const Tensor& images, FlipOptions options = {}, Generator& generator = default_generator(),
                   Location site = Location::here());

}  // namespace wengert::nn
