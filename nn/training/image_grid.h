#pragma once
// Many small images as one picture.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

struct ImageGridOptions {
  /// What is written below each image, in ASCII; "\n" begins another line. Empty, or one for each image.
  std::vector<std::string> captions = {};
  /// Images with a red frame and caption (wrong predictions, say), by their positions.
  std::vector<Index> marked = {};
  /// Images in a row; 0: as wide as high.
  int columns = 0;
  /// Pixels of the picture for one pixel of an image, in both directions; 0: so that images are about 100 pixels wide.
  int magnification = 0;
  /// The values that are shown as black and as white (in each channel); values beyond them are clipped.
  double low = 0, high = 1;
};

/// Writes a grid of images as PNG: (n, height, width) or (n, 1, height, width) gray, (n, 3, height, width) in colour, any dtype; NaN is
/// shown in magenta. The file appears whole or not at all. A ShapeError if the shape or the number of captions does not fit, a
/// DataError if the file cannot be written.
void write_image_grid(const Tensor& images, const std::string& png_path, const ImageGridOptions& options = {},
                      Location site = Location::here());

/// Writes the filters of a convolution's weight (out, in, height, width): in colour where there are three inputs, otherwise in gray, the
/// filters of an output in a row. Each filter goes from black, its smallest weight, to white, its largest; `low` and `high` are not used.
/// Errors as of write_image_grid.
void write_filters(const Tensor& weight, const std::string& png_path, const ImageGridOptions& options = {},
                   Location site = Location::here());

/// Writes a layer's outputs for images: (channels, height, width) of one, or (n, channels, height, width), those of an image in a row. All
/// share one scale from black, the smallest value, to white, the largest; `low` and `high` are not used. Errors as of write_image_grid.
void write_activation_maps(const Tensor& maps, const std::string& png_path, const ImageGridOptions& options = {},
                           Location site = Location::here());

}  // namespace wengert::nn
