#include "autodiff/program/list.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace wengert {
namespace {

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

std::string name_of_value(const WengertList& list, std::uint32_t value) {
  switch (list.kind(value)) {
    case ValueKind::parameter:
      return fmt::format("p{}", value);
    case ValueKind::data:
      return fmt::format("d{}", value - list.parameters);
    case ValueKind::constant:
      return fmt::format("{}", list.constant(value));
    case ValueKind::instruction:
      break;
  }
  return fmt::format("v{}", value - list.first_instruction() + 1);
}

}  // namespace

const char* detail::sign_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::add:
      return "+";
    case Opcode::subtract:
      return "-";
    case Opcode::multiply:
      return "*";
    case Opcode::divide:
      return "/";
    case Opcode::less:
      return "<";
    case Opcode::less_equal:
      return "<=";
    case Opcode::equal:
      return "==";
    case Opcode::not_equal:
      return "!=";
    case Opcode::both:
      return "&";
    case Opcode::either:
      return "|";
    default:
      return nullptr;
  }
}

double outcome_of(GuardKind kind, double v) {
  if (kind == GuardKind::condition) return v != 0 ? 1 : 0;
  if (v != v) return std::numeric_limits<double>::quiet_NaN();
  return kind == GuardKind::integer ? std::trunc(v) + 0.0 : v;
}

bool operator==(const Guard& a, const Guard& b) { return a.kind == b.kind && a.value == b.value && same_bits(a.outcome, b.outcome); }

bool operator==(const WengertList& a, const WengertList& b) {
  return a.parameters == b.parameters && a.data == b.data && std::ranges::equal(a.constants, b.constants, same_bits) &&
         a.instructions == b.instructions && a.guards == b.guards && a.outputs == b.outputs;
}

std::array<double, 2> WengertList::options(const Instruction& i) const {
  const OpcodeInfo& its = info(i.opcode);
  std::array<double, 2> options{};
  const auto first = static_cast<std::size_t>(its.operands), count = static_cast<std::size_t>(its.options);
  for (std::size_t k = 0; k < count; ++k) options[k] = constant(i.operands[first + k]);
  return options;
}

std::string defect_of(const WengertList& list) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max() / 2;
  if (std::uint64_t{list.parameters} + list.data > kMost || list.constants.size() > kMost || list.instructions.size() > kMost ||
      std::uint64_t{list.parameters} + list.data + list.constants.size() + list.instructions.size() > kMost)
    return fmt::format("it has more than {} values", kMost);
  const std::uint32_t first = list.first_instruction();
  for (std::size_t i = 0; i < list.instructions.size(); ++i) {
    const auto& [opcode, operands] = list.instructions[i];
    if (static_cast<int>(opcode) >= opcode_count)
      return fmt::format("instruction {} has the unknown opcode {}", i, static_cast<int>(opcode));
    const OpcodeInfo& its = info(opcode);
    const auto end = static_cast<std::uint32_t>(first + i);
    for (int k = 0; k < 3; ++k) {
      const std::uint32_t operand = operands[static_cast<std::size_t>(k)];
      if (k < its.operands) {
        if (operand >= list.size())
          return fmt::format("operand {} of instruction {} ({}) is value {} of {}", k, i, its.name, operand, list.size());
        if (operand >= end)
          return fmt::format("operand {} of instruction {} ({}) is value {}, which is not before it", k, i, its.name, operand);
      } else if (k < its.operands + its.options) {
        if (operand < list.inputs() || operand >= first)
          return fmt::format("an option of instruction {} ({}) is value {}, which is not a constant", i, its.name, operand);
      } else if (operand != 0) {
        return fmt::format("instruction {} ({}) has more than {} operands", i, its.name, its.operands);
      }
    }
  }
  for (std::size_t i = 0; i < list.guards.size(); ++i) {
    const Guard& guard = list.guards[i];
    if (guard.value >= list.size()) return fmt::format("guard {} is of value {} of {}", i, guard.value, list.size());
    if (guard.kind > GuardKind::number) return fmt::format("guard {} is of the unknown kind {}", i, static_cast<int>(guard.kind));
    if (guard.kind == GuardKind::condition && guard.outcome != 0 && guard.outcome != 1)
      return fmt::format("guard {} is of a condition and has the outcome {}", i, guard.outcome);
  }
  for (std::size_t i = 0; i < list.outputs.size(); ++i)
    if (list.outputs[i] >= list.size()) return fmt::format("output {} is value {} of {}", i, list.outputs[i], list.size());
  return {};
}

std::string describe_value(const WengertList& list, std::uint32_t value) {
  if (list.kind(value) != ValueKind::instruction) return name_of_value(list, value);
  const Instruction& i = list.instruction(value);
  const OpcodeInfo& its = info(i.opcode);
  if (const char* sign = detail::sign_of(i.opcode))
    return fmt::format("{} {} {}", name_of_value(list, i.operands[0]), sign, name_of_value(list, i.operands[1]));
  std::string text = fmt::format("{}(", its.name);
  for (int k = 0; k < its.operands + its.options; ++k)
    text += fmt::format("{}{}", k ? ", " : "", name_of_value(list, i.operands[static_cast<std::size_t>(k)]));
  return text + ")";
}

}  // namespace wengert
