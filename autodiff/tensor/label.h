#pragma once
// Labels of elements: how messages call the parameter whose value they are. A label is a number, so that it fits into the header of the
// elements and costs nothing where no message is written.
#include <cstdint>
#include <string>
#include <string_view>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// The label of a parameter of that name, which may be empty; never 0. Names are kept for the life of the process: beyond some ten thousand
/// different ones, all get the label of the empty name.
std::uint32_t label_of_parameter(std::string_view name);
/// "parameter hidden.weight", "parameter", or "" for 0.
std::string text_of_label(std::uint32_t label);
/// Whether a parameter was read with these elements.
inline bool is_parameter_value(const Tensor& t) { return t.elements()->label.load(std::memory_order_relaxed) != 0; }

}  // namespace wengert::detail
