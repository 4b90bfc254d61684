#include "autodiff/error.h"

#include <fmt/format.h>

#include <string_view>

namespace wengert {

std::string to_string(Location site) {
  std::string_view file = site.file;
  file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1 is 0: a name without folders stays whole
  if (file.empty()) return "?";
  return fmt::format("{}:{}", file, site.line);
}

}  // namespace wengert
