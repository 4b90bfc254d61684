#pragma once
// Internal.
// The straight formulas (functions/straight.h) as source in C++17, for what is written as source and shall have the library's bits.
#include <string>
#include <string_view>

namespace wengert::detail {

/// The namespace `name` with those functions that a source calls as name::f, or as name::fn::f, and what these need in turn; empty if it
/// calls none. It needs <cmath>, <cstdint>, <limits> and <type_traits>.
std::string straight_namespace(std::string_view name, std::string_view source);

/// All of functions/exponential.h, which is a namespace `fn` of the others, and all of functions/straight.h.
extern const char *const exponential_text, *const straight_text;

}  // namespace wengert::detail
