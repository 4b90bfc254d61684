#include "autodiff/freeze/source_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/program/operation_source.h"
#include "autodiff/program/straight_source.h"

namespace wengert::detail::frozen {
namespace {

// A number as C++ reads it back to the bit.
std::string literal(float v) {
  if (std::isnan(v)) return "NAN";
  if (std::isinf(v)) return v > 0 ? "HUGE_VALF" : "-HUGE_VALF";
  std::string text = fmt::format("{}", v);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

bool is_condition(Opcode opcode) { return info(opcode).condition && opcode != Opcode::where; }

// What is written with operators and functions of <cmath>, # for the operand or #1, #2, #3; null for the others.
const char* pattern_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::reciprocal:
      return "1.0f / #1";
    case Opcode::where:
      return "#1 ? #2 : #3";
    case Opcode::both:
      return "#1 && #2";
    case Opcode::either:
      return "#1 || #2";
    case Opcode::opposite:
      return "!#1";
    // Straight formulas, as those of elements (functions/element.h).
    case Opcode::exp:
    case Opcode::exp2:
    case Opcode::expm1:
    case Opcode::log:
    case Opcode::log2:
    case Opcode::log10:
    case Opcode::log1p:
    case Opcode::logit:
    case Opcode::asin:
    case Opcode::acos:
    case Opcode::sinh:
    case Opcode::cosh:
    case Opcode::tanh:
    case Opcode::asinh:
    case Opcode::acosh:
    case Opcode::atanh:
    case Opcode::erf:
    case Opcode::erfc:
      return "straight::@(#1)";
    case Opcode::pow:
    case Opcode::atan2:
    case Opcode::hypot:
      return "straight::@(#1, #2)";
    case Opcode::sin:
    case Opcode::cos:
    case Opcode::tan:
      return "std::fabs(#1) <= 1e6f ? straight::@(#1) : std::@(#1)";
    case Opcode::atan:
      return "static_cast<float>(straight::@(static_cast<double>(#1)))";
    case Opcode::gelu:
      return "(#1 < -40 ? -40.0f : #1) * straight::normal(#1).left";
    default:
      return operator_pattern(opcode);
  }
}

}  // namespace

std::string SourceWriter::array(std::span<const float> values) {
  const auto [entry, is_new] = arrays_by_values_.try_emplace({values.begin(), values.end()});
  if (!is_new) return entry->second;
  entry->second = fmt::format("kArray{}", arrays_by_values_.size());
  arrays_ += fmt::format("alignas(64) inline constexpr float {}[] = {{", entry->second);
  std::size_t column = arrays_.size();
  for (const float v : values) {
    if (arrays_.size() - column > 120) {
      arrays_ += "\n   ";
      column = arrays_.size();
    }
    arrays_ += (arrays_.back() == '{' ? "" : " ") + literal(v) + ",";
  }
  arrays_.back() = '}';
  arrays_ += ";\n";
  return entry->second;
}

std::string SourceWriter::at(Place p, Index count) {
  if (p.base == kOutput) return fmt::format("y + {}", p.offset);
  if (p.base != kConstants) return fmt::format("m + {}", p.offset);
  return array(std::span(constants_).subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(count)));
}

void SourceWriter::need(const char* function) {
  if (std::find(helpers_.begin(), helpers_.end(), function) == helpers_.end()) helpers_.push_back(function);
}

std::string SourceWriter::call(std::string_view name, const std::array<double, 2>& options, std::span<const std::string> operands) {
  std::array<std::string, 3> three;
  std::copy(operands.begin(), operands.end(), three.begin());
  return operation(*opcode_named(name), three, options);
}

std::string SourceWriter::operation(Opcode opcode, const std::array<std::string, 3>& operands, const std::array<double, 2>& options) {
  if (const char* const pattern = pattern_of(opcode)) return filled(pattern, opcode, operands);
  const std::string its = function(opcode, options);
  return info(opcode).operands == 1 ? fmt::format("{}({})", its, operands[0]) : fmt::format("{}({}, {})", its, operands[0], operands[1]);
}

std::string SourceWriter::function(Opcode opcode, const std::array<double, 2>& options) {
  const auto [entry, is_new] = functions_by_options_.try_emplace({opcode, options});
  if (!is_new) return entry->second;
  entry->second = fmt::format("{}_{}", info(opcode).name, functions_by_options_.size());
  std::string name = entry->second;
  const WengertList list = formula_of(opcode, options);
  std::vector<std::string> values{"a", "b"};
  values.resize(list.inputs());
  for (const double c : list.constants) {
    std::string text = literal(static_cast<float>(c));
    values.push_back(text[0] == '-' ? "(" + text + ")" : std::move(text));
  }
  std::string body;
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    std::array<std::string, 3> operands;
    for (int k = 0; k < info(i.opcode).operands; ++k)
      operands[static_cast<std::size_t>(k)] = values[i.operands[static_cast<std::size_t>(k)]];
    const std::string text = operation(i.opcode, operands, list.options(i));
    values.push_back(fmt::format("t{}", v - list.first_instruction()));
    body += fmt::format("  const {} {} = {};\n", is_condition(i.opcode) ? "bool" : "float", values.back(), text);
  }
  functions_ += fmt::format("inline float {}({}) {{\n{}  return {};\n}}\n", name, list.inputs() == 1 ? "float a" : "float a, float b", body,
                            values[list.outputs[0]]);
  return name;
}

std::string SourceWriter::definitions() const {
  std::string text = functions_;
  for (const char* const helper : helpers_) text += helper;
  return straight_namespace("straight", text + body_) + text + "\n" + arrays_;
}

}  // namespace wengert::detail::frozen
