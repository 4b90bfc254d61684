#pragma once
// Internal.
// Text inside HTML and SVG.
#include <string>
#include <string_view>

namespace wengert::detail {

inline std::string escaped_markup(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

}  // namespace wengert::detail
