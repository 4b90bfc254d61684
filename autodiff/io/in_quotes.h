#pragma once
// Internal. Strings from a file, for messages.
#include <string>
#include <string_view>

namespace wengert {

/// A string as messages show it: shortened, in quotes, without control characters, which a terminal would interpret.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMaxLength = 60;
  std::string shown = "\"";
  for (const char c : text.substr(0, kMaxLength)) shown += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  return shown + (text.size() > kMaxLength ? "...\"" : "\"");
}

}  // namespace wengert
