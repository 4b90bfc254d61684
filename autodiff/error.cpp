#include "autodiff/error.h"

#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <string_view>

namespace wengert {
namespace {

// Whether the address lies in a program or library that is loaded. File names are literals of whoever made a tensor: those of a plugin are
// gone once it is unloaded.
bool is_loaded(const char* address) {
  const auto contains = [](dl_phdr_info* object, std::size_t, void* wanted) {
    const auto at = reinterpret_cast<std::uintptr_t>(wanted);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      if (segment.p_type == PT_LOAD && at - (object->dlpi_addr + segment.p_vaddr) < segment.p_memsz) return 1;
    }
    return 0;
  };
  return dl_iterate_phdr(contains, const_cast<char*>(address)) != 0;
}

}  // namespace

std::string to_string(Location site) {
  if (!is_loaded(site.file)) return "?";
  std::string_view file = site.file;
  file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1 is 0: a name without folders stays whole
  if (file.empty()) return "?";
  return fmt::format("{}:{}", file, site.line);
}

}  // namespace wengert
