#include "autodiff/check_option.h"

#include <fmt/format.h>

#include <cmath>

#include "autodiff/functions/math.h"

namespace wengert::detail {

void option_error(std::string_view owner, std::string_view option, const char* requirement, double value) {
  throw ValueError(fmt::format("{}: {} must be {}, but it is {}", owner, option, requirement, value));
}

void check_not_negative(std::string_view owner, std::string_view option, double value) {
  if (!(value >= 0 && std::isfinite(value))) option_error(owner, option, "finite and not negative", value);
}

void check_positive(std::string_view owner, std::string_view option, double value) {
  if (!(value > 0 && std::isfinite(value))) option_error(owner, option, "finite and positive", value);
}

void check_unit_interval(std::string_view owner, std::string_view option, double value) {
  if (!(value >= 0 && value <= 1)) option_error(owner, option, "in [0, 1]", value);
}

void check_decay(std::string_view owner, std::string_view option, double value) {
  if (!(value >= 0 && value < 1)) option_error(owner, option, "in [0, 1)", value);
}

}  // namespace wengert::detail

namespace wengert::fn {

void throw_mistake(const char* function, const char* mistake) { throw ValueError(fmt::format("{}: {}", function, mistake)); }

}  // namespace wengert::fn
