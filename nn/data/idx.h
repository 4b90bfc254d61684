#pragma once
// The IDX format of MNIST and its successors: a header (element type, sizes) and the elements, big-endian, plain or compressed by gzip.
#include <cstdint>
#include <string>

#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

struct IdxOptions {
  /// float32, float64, or int64 for files of integers.
  Dtype dtype = float32;
  /// A factor for floating elements: 1 / 255.0 brings bytes to [0, 1].
  double scale = 1;
  /// A file whose header announces more bytes of elements is refused.
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
};

/// The elements of an IDX file, in the shape that its header gives. A DataError that names file and offset if the header is not IDX's,
/// its sizes overflow or do not agree with what the file holds (too little or too much), gzip's data or checksum is damaged, or an
/// element is NaN or infinite. Memory is limited by what the file holds, whatever its header announces.
Tensor read_idx(const std::string& path, IdxOptions options = {}, Location site = Location::here());

/// Images with their labels.
struct LabelledImages {
  Tensor images;  ///< (n, rows, columns), or (n, channels, rows, columns), float32 in [0, 1]
  Tensor labels;  ///< (n) int64 in [0, classes)

  /// The number of images.
  Index size() const { return labels.size(); }
};

/// A data set of images in two parts.
struct ImageDataset {
  LabelledImages train, test;
  Index classes = 0;
};

/// Reads the four files of MNIST, Fashion-MNIST and data sets like them from `directory`, or from raw/, MNIST/raw/ or FashionMNIST/raw/ in
/// it: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or with .gz, also spelt
/// train-images.idx3-ubyte. Checks that there are as many labels as images, that test images have the size of the others, and that every
/// label is below `classes` (by default the largest training label and one).
ImageDataset load_idx_images(const std::string& directory, Index classes = 0, Location site = Location::here());

}  // namespace wengert::nn
