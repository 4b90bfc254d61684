#pragma once
// Labels of elements: the name of the parameter whose value they are, for messages. A label is a number, so that it fits into the header of
// the elements and costs nothing unless a message is written.
#include <cstdint>
#include <string>
#include <string_view>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// The label of a parameter with this name, which may be empty; never 0. Names are stored until the process exits: beyond about ten
/// thousand different ones, all get the label of the empty name.
std::uint32_t label_of_parameter(std::string_view name);
/// "parameter hidden.weight", "parameter", or "" for 0.
std::string text_of_label(std::uint32_t label);
/// Whether the elements are those of a parameter that has been read.
inline bool is_parameter_value(const Tensor& t) { return t.elements()->label.load(std::memory_order_relaxed) != 0; }

}  // namespace wengert::detail
