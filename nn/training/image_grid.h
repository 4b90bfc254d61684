#pragma once
// Many small images as one picture.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor.h"

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
  /// The values that are shown black and white (in each channel); values beyond them are clipped.
  double low = 0, high = 1;
};

/// Writes a grid of images as PNG: (n, height, width) or (n, 1, height, width) gray, (n, 3, height, width) in colour, any dtype; NaN is
/// shown in magenta. The file appears whole or not at all. A ShapeError if the shape or the number of captions does not fit, a
/// DataError if the file cannot be written.
void write_image_grid(const Tensor& images, const std::string& png_path, const ImageGridOptions& options = {},
                      Location where = Location::here());

}  // namespace wengert::nn
