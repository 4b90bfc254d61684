#pragma once
// Pictures as PNG. Internal.
#include <cstdint>
#include <span>
#include <string>

#include "autodiff/tensor/shape.h"

namespace wengert::nn {

/// The bytes of a PNG file for pixels of three bytes each, red, green and blue, row by row. An Error with `what` in front if that fails.
std::string encode_png(const std::string& what, Index width, Index height, std::span<const std::uint8_t> pixels);

}  // namespace wengert::nn
