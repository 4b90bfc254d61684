#pragma once
// Internal.
// The module that a parameter belongs to, by its name.
#include <string>
#include <string_view>

namespace wengert::detail {

/// "encoder.0" of "encoder.0.weight"; empty for a parameter of no module.
inline std::string module_of(std::string_view parameter) {
  const std::size_t dot = parameter.rfind('.');
  return std::string(dot == std::string_view::npos ? std::string_view() : parameter.substr(0, dot));
}

}  // namespace wengert::detail
