#pragma once
// Texts of a file in messages. Internal.
#include <string>
#include <string_view>

namespace wengert {

/// A text as a message may show it: short, in quotes, without control characters, which a terminal would obey.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 60;
  std::string shown = "\"";
  for (const char c : text.substr(0, most)) shown += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  return shown + (text.size() > most ? "...\"" : "\"");
}

}  // namespace wengert
