#pragma once
// Internal. Checks of numeric options, with messages like "Adam: beta1 must be in [0, 1), but it is 1.5". NaN fails all of them.
#include <string_view>

#include "autodiff/error.h"

namespace wengert::detail {

[[noreturn]] void option_error(std::string_view owner, std::string_view option, const char* requirement, double value);

/// In [0, inf).
void check_not_negative(std::string_view owner, std::string_view option, double value);
/// In (0, inf).
void check_positive(std::string_view owner, std::string_view option, double value);
/// In [0, 1].
void check_unit_interval(std::string_view owner, std::string_view option, double value);
/// In [0, 1): the factor of a value that decays.
void check_decay(std::string_view owner, std::string_view option, double value);

}  // namespace wengert::detail
