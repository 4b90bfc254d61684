#pragma once
// The number of windows that fit into a dimension of an image.
#include <string>

#include "autodiff/kernels/windows.h"

namespace wengert::detail {

/// Sets axis.out to the number of windows. Returns "", or what is wrong with the other fields; `dimension` ("height") is for that message.
/// With `hanging`, a last window may hang over the end to cover remaining elements, if it starts inside the input or in the padding before
/// it.
std::string place_windows(const char* dimension, kernels::WindowAxis& axis, bool hanging = false);

/// The reverse: sets axis.in to the size of `axis.out` windows and `remaining` further elements at the end.
std::string place_transposed(const char* dimension, kernels::WindowAxis& axis, Index remaining);

}  // namespace wengert::detail
