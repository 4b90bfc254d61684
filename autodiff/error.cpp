#include "autodiff/error.h"

#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "autodiff/tensor/call_site.h"

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

std::string text_of(const ErrorMessage& m) {
  std::string text = m.what;
  for (std::size_t i = 0; i < m.operands.size(); ++i) {
    const ErrorOperand& operand = m.operands[i];
    text += fmt::format("{}{} {}", i > 0 ? ", " : ": ", operand.name, operand.type);
    if (operand.made_at.line) text += " made at " + to_string(operand.made_at);
  }
  if (!m.hint.empty()) text += "; hint: " + m.hint;
  return text + m.note;
}

std::string prefix_of(Location call) { return call.line ? to_string(call) + ": " : std::string(); }

ErrorMessage extended(const ErrorMessage& message, std::string_view before, std::string_view note) {
  ErrorMessage m = message;
  m.what.insert(0, before);
  m.note += note;
  return m;
}

}  // namespace

std::string to_string(Location site) {
  if (!is_loaded(site.file)) return "?";
  std::string_view file = site.file;
  file.remove_prefix(file.find_last_of('/') + 1);  // npos + 1 is 0: a name without folders stays whole
  if (file.empty()) return "?";
  return fmt::format("{}:{}", file, site.line);
}

Location current_call() noexcept { return CallSite::of({}); }

Error::Error(ErrorMessage message, Location call) : Error(prefix_of(call), std::make_shared<ErrorMessage>(std::move(message)), call) {}
Error::Error(const Error& caught, std::string_view before, std::string_view note)
    : Error(extended(caught.message(), before, note), caught.location()) {}
Error::Error(const std::string& place, std::shared_ptr<const ErrorMessage> message, Location call)
    : std::runtime_error(place + text_of(*message)), message_(std::move(message)), location_(call), begin_(place.size()) {}

}  // namespace wengert
