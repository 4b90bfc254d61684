#pragma once
// Internal.
namespace wengert::detail::frozen {

/// The source of exp and tanh of functions/exponential.h, and of the formulas of functions/straight.h, which call them in a namespace fn.
/// Both call bit_cast.
extern const char* const exponential_source;
extern const char* const straight_source;

}  // namespace wengert::detail::frozen
