#pragma once
// Images in folders, one for each class.
#include <cstddef>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"
#include "nn/data/loader.h"

namespace wengert::nn {

struct ImageFolderOptions {
  Index channels = 3;  ///< 3: red, green and blue; 1: gray. Images of the other kind are converted.
  /// An image with more pixels is refused: a small file may expand to a thousand times its size.
  Index max_pixels = Index{1} << 26;
};

/// The PNG files `ROOT/CLASS/NAME.png`, in the order of their paths: example i is an image x (channels, height, width), from 0, black, to
/// 1, and the number y () int64 of its class. Files are read when they are asked for, by several threads at once if they like. Images of
/// different sizes cannot share a batch.
///
///     const nn::ImageFolder images("flowers");
///     const nn::SourceLoader loader(images.size(), images, {.batch_size = 32, .shuffle = true, .workers = 2});
class ImageFolder {
 public:
  /// Lists the files. A DataError if the folder cannot be read or has no images; a ValueError unless there are 1 or 3 channels.
  explicit ImageFolder(const std::string& root, ImageFolderOptions options = {});

  /// How many images there are.
  Index size() const { return static_cast<Index>(files_.size()); }
  /// The names of the folders, sorted.
  const std::vector<std::string>& classes() const { return classes_; }
  /// The path of an example.
  const std::string& path(Index i) const { return file(i).path; }
  /// A ShapeError if there is no such example, a DataError that names the file if it is damaged.
  Batch operator()(Index i) const;

 private:
  struct File {
    std::string path;
    Index label;
  };
  const File& file(Index i) const;

  ImageFolderOptions options_;
  std::vector<std::string> classes_;
  std::vector<File> files_;
};

/// A PNG file as (channels, height, width), float32 from 0 to 1. A DataError that names the file if it is damaged or larger than the
/// options allow.
Tensor read_png(const std::string& path, ImageFolderOptions options = {});

}  // namespace wengert::nn
