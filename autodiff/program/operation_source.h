#pragma once
// Internal.
// Operations as C++ expressions: what programs and frozen networks, written as source, have in common.
#include <array>
#include <string>
#include <string_view>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// Operators, comparisons and functions of <cmath> that are written alike for float and double, with #1, #2 for the operands and @ for the
/// operation's name; null for other operations.
const char* operator_pattern(Opcode opcode);

/// The pattern with its operands.
std::string filled(std::string_view pattern, Opcode opcode, const std::array<std::string, 3>& operands);

/// The formula of a function, as a list of other operations. A ValueError if it has none.
WengertList formula_of(Opcode opcode, const std::array<double, 2>& options);

}  // namespace wengert::detail
