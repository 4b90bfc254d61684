#include "autodiff/error.h"

#include <fmt/format.h>

#include <string_view>

namespace wengert {

std::string to_string(Location where) {
  std::string_view file = where.file;
  file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1 is 0: a name without folders stays whole
  if (file.empty()) return "?";
  return fmt::format("{}:{}", file, where.line);
}

}  // namespace wengert
