#include "autodiff/program/notation.h"

#include <fmt/format.h>

namespace wengert::detail {

void check_count(const char* function, const char* what, std::size_t count, const Program& program) {
  if (static_cast<Index>(count) != Index{program.parameters()} + program.data())
    throw ShapeError(fmt::format("{}: {} {} for a program of {} inputs ({} parameters, {} data)", function, count, what,
                                 program.parameters() + program.data(), program.parameters(), program.data()));
}

std::string dot_quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return result + "\"";
}

Notation::Notation(const char* function, const Program& program, std::vector<std::string> names) : names_(std::move(names)) {
  if (!names_.empty()) {
    check_count(function, "names", names_.size(), program);
    return;
  }
  for (int k = 0; k < program.parameters(); ++k) names_.push_back(fmt::format("p{}", k));
  for (int k = 0; k < program.data(); ++k) names_.push_back(fmt::format("d{}", k));
}

std::string Notation::name_of(const WengertList& list, std::uint32_t value) const {
  if (value < list.inputs()) return names_[value];
  if (list.kind(value) == ValueKind::constant) return fmt::format("{}", list.constant(value));
  return fmt::format("v{}", value - list.first_instruction() + 1);
}

std::string Notation::formula_of(const WengertList& list, const Instruction& i) const {
  const OpcodeInfo& its = info(i.opcode);
  if (const char* sign = sign_of(i.opcode))
    return fmt::format("{} {} {}", name_of(list, i.operands[0]), sign, name_of(list, i.operands[1]));
  if (i.opcode == Opcode::negative) return "-" + name_of(list, i.operands[0]);
  std::string text = fmt::format("{}(", its.name);
  for (int k = 0; k < its.operands + its.options; ++k)
    text += fmt::format("{}{}", k ? ", " : "", name_of(list, i.operands[static_cast<std::size_t>(k)]));
  return text + ")";
}

}  // namespace wengert::detail
