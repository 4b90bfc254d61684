#include "nn/data/image_folder.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>

#include "autodiff/error.h"
#include "autodiff/io/mapped_file.h"

namespace wengert::nn {
namespace {

namespace fs = std::filesystem;

void check_channels(const ImageFolderOptions& options) {
  if (options.channels != 1 && options.channels != 3)
    throw ValueError(fmt::format("images have 1 or 3 channels, not {}", options.channels));
}

// The entries of a folder that `wanted` takes, sorted by name, so that the order does not depend on the file system.
template <class Wanted> std::vector<fs::path> entries_of(const fs::path& folder, Wanted wanted) {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (wanted(*it)) found.push_back(it->path());
  if (error) throw DataError(fmt::format("{}: {}", folder.string(), error.message()));
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

ImageFolder::ImageFolder(const std::string& root, ImageFolderOptions options) : options_(options) {
  check_channels(options);
  const auto is_folder = [](const fs::directory_entry& e) { return e.is_directory(); };
  const auto is_image = [](const fs::directory_entry& e) { return e.is_regular_file() && e.path().extension() == ".png"; };
  for (const fs::path& folder : entries_of(root, is_folder)) {
    for (const fs::path& image : entries_of(folder, is_image)) files_.push_back({image.string(), static_cast<Index>(classes_.size())});
    classes_.push_back(folder.filename().string());
  }
  if (files_.empty()) throw DataError(fmt::format("{}: there are no files CLASS/NAME.png in this folder", root));
}

const ImageFolder::File& ImageFolder::file(Index i) const {
  if (i < 0 || i >= size()) throw ShapeError(fmt::format("ImageFolder: there is no example {}; there are {}", i, size()));
  return files_[static_cast<std::size_t>(i)];
}

Batch ImageFolder::operator()(Index i) const {
  const File& f = file(i);
  return {read_png(f.path, options_), Tensor::full({}, f.label, int64)};
}

Tensor read_png(const std::string& path, ImageFolderOptions options) {
  check_channels(options);
  const std::vector<std::byte> bytes = InputFile(path).read_all();
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> release(&image, png_image_free);
  const auto fail = [&](const std::string& what) { throw DataError(fmt::format("{}: {}", path, what)); };
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) fail(fmt::format("is not a PNG image: {}", image.message));
  const Index width = image.width, height = image.height, channels = options.channels;
  if (width * height > options.max_pixels)
    fail(fmt::format("has {} x {} pixels, and at most {} are read", width, height, options.max_pixels));
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  const png_color paper{255, 255, 255};  // behind pixels that are transparent
  if (!png_image_finish_read(&image, &paper, pixels.data(), 0, nullptr)) fail(fmt::format("is damaged: {}", image.message));
  Tensor x = Tensor::uninitialized({channels, height, width});
  float* to = x.mutable_data<float>();
  for (Index c = 0; c < channels; ++c)
    for (Index i = 0; i < height * width; ++i) *to++ = static_cast<float>(pixels[static_cast<std::size_t>(i * channels + c)]) / 255;
  return x;
}

}  // namespace wengert::nn
