#pragma once
// How many windows fit into a dimension of an image.
#include <string>

#include "autodiff/kernels/windows.h"

namespace wengert::detail {

/// Sets axis.out to the number of windows; what is wrong with the rest of it is the result, "" if nothing is. `dimension` ("height") is for
/// that message. With `hanging`, there is one more window where some elements remain at the end, if it starts inside the input or in the
/// padding before it.
std::string place_windows(const char* dimension, kernels::WindowAxis& axis, bool hanging = false);

/// The other way round: sets axis.in to the size on which `axis.out` windows are placed, and `remaining` more elements at the end.
std::string place_transposed(const char* dimension, kernels::WindowAxis& axis, Index remaining);

}  // namespace wengert::detail
