#include "nn/training/png_image.h"

#include <fmt/format.h>
#include <png.h>

#include "autodiff/error.h"

namespace wengert::nn {

std::string encode_png(const std::string& what, Index width, Index height, std::span<const std::uint8_t> pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  std::string png(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t bytes = png.size();
  if (!png_image_write_to_memory(&image, png.data(), &bytes, 0, pixels.data(), 0, nullptr))
    throw DataError(fmt::format("{}: the picture cannot be made: {}", what, image.message));
  png.resize(bytes);
  return png;
}

}  // namespace wengert::nn
