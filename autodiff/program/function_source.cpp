#include "autodiff/program/function_source.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "autodiff/functions/straight.h"
#include "autodiff/program/operation_source.h"
#include "autodiff/program/straight_source.h"

namespace wengert::detail {
namespace {

using Strings = std::array<std::string, 3>;

// What is written with operators and functions of <cmath>, # for the operand or #1, #2, #3; null for the others.
const char* pattern_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::reciprocal:
      return "1.0 / #1";
    case Opcode::rsqrt:
      return "1.0 / std::sqrt(#1)";
    case Opcode::where:
      return "#1 != 0 ? #2 : #3";
    default:
      return operator_pattern(opcode);
  }
}

// A function with a straight formula, as lane_value (lane_functions.h): the formula where `holds` or everywhere if that is empty, and
// `otherwise` elsewhere. # is the operand, or #1 and #2.
struct Straight {
  std::string formula, holds, otherwise;
};
std::optional<Straight> straight_of(Opcode opcode, const std::array<double, 2>& options, const std::string& prefix) {
  const char* name = info(opcode).name;
  const auto of_positive = [&](const char* straight, const std::string& otherwise) {
    return Straight{fmt::format("{}straight::{}_of_positive(#1)", prefix, straight), "#1 > 0", prefix + "special::" + otherwise};
  };
  switch (opcode) {
    case Opcode::exp:
    case Opcode::exp2:
    case Opcode::expm1:
    case Opcode::log:
    case Opcode::log2:
    case Opcode::log10:
    case Opcode::log1p:
    case Opcode::asin:
    case Opcode::acos:
    case Opcode::atan:
    case Opcode::sinh:
    case Opcode::cosh:
    case Opcode::tanh:
    case Opcode::asinh:
    case Opcode::acosh:
    case Opcode::atanh:
    case Opcode::erf:
    case Opcode::erfc:
      return Straight{fmt::format("{}straight::{}(#1)", prefix, name), {}, {}};
    case Opcode::sin:
    case Opcode::cos:
    case Opcode::tan:
      return Straight{fmt::format("{}straight::{}(#1)", prefix, name),
                      fmt::format("std::fabs(#1) <= {}", literal_of(fn::straight::kTrigonometricLimit)), fmt::format("std::{}(#1)", name)};
    case Opcode::pow:
    case Opcode::atan2:
    case Opcode::hypot:
      return Straight{fmt::format("{}straight::{}(#1, #2)", prefix, name), {}, {}};
    case Opcode::digamma:
      return of_positive("digamma", "digamma(#1)");
    case Opcode::polygamma: {
      const std::string any = fmt::format("polygamma({}, #1)", literal_of(options[0]));
      if (options[0] == 0) return of_positive("digamma", any);
      if (options[0] == 1) return of_positive("trigamma", any);
      if (options[0] == 2) return of_positive("tetragamma", any);
      return Straight{prefix + "special::" + any, {}, {}};
    }
    default:
      return std::nullopt;
  }
}

// When a condition holds; null for other operations.
const char* condition_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::both:
      return "((#1 != 0) & (#2 != 0))";
    case Opcode::either:
      return "((#1 != 0) | (#2 != 0))";
    case Opcode::opposite:
      return "#1 == 0";
    case Opcode::less:
    case Opcode::less_equal:
    case Opcode::equal:
    case Opcode::not_equal:
    case Opcode::signbit:
      return operator_pattern(opcode);
    default:
      return nullptr;
  }
}

// Whether an operation is written with operators, so that it needs brackets as an operand. Others are calls, whose operands need none.
bool has_operators(Opcode opcode) {
  return sign_of(opcode) || condition_of(opcode) || opcode == Opcode::negative || opcode == Opcode::square ||
         opcode == Opcode::reciprocal || opcode == Opcode::rsqrt || opcode == Opcode::where;
}

}  // namespace

std::string literal_of(double value) {
  if (value != value) return std::signbit(value) ? "(-NAN)" : "NAN";
  if (std::isinf(value)) return value > 0 ? "HUGE_VAL" : "(-HUGE_VAL)";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text[0] == '-' ? "(" + text + ")" : text;
}

std::string FunctionSource::expression(Opcode opcode, const Strings& operands, const std::array<double, 2>& options) {
  if (const char* condition = condition_of(opcode)) return filled(condition, opcode, operands) + " ? 1.0 : 0.0";
  if (const char* pattern = pattern_of(opcode)) return filled(pattern, opcode, operands);
  const std::string name = name_of(opcode, options);
  return info(opcode).operands == 1 ? fmt::format("{}({})", name, operands[0]) : fmt::format("{}({}, {})", name, operands[0], operands[1]);
}

std::string FunctionSource::name_of(Opcode opcode, const std::array<double, 2>& options) {
  const auto [entry, is_new] = names_.try_emplace({opcode, {literal_of(options[0]), literal_of(options[1])}});
  if (!is_new) return entry->second;
  const int variant = variants_[opcode]++;
  std::string name = fmt::format("{}{}{}", prefix_, info(opcode).name, variant > 0 ? std::to_string(variant + 1) : "");
  entry->second = name;
  if (opcode == Opcode::lgamma) {  // std::lgamma writes to a global variable
    definitions_ += fmt::format("static inline double {}(double x) {{\n  int sign;\n  return ::lgamma_r(x, &sign);\n}}\n", name);
    return name;
  }
  const bool is_unary = info(opcode).operands == 1;
  if (const auto straight = straight_of(opcode, options, prefix_)) {
    if ((straight->formula + straight->otherwise).find("special::") != std::string::npos) special_ = true;
    const std::string value =
        straight->holds.empty() ? straight->formula : fmt::format("{} ? {} : {}", straight->holds, straight->formula, straight->otherwise);
    definitions_ += fmt::format("static inline double {}({}) {{ return {}; }}\n", name, is_unary ? "double x" : "double a, double b",
                                filled(value, opcode, {is_unary ? "x" : "a", "b", ""}));
    return name;
  }
  const WengertList list = formula_of(opcode, options);
  std::vector<int> uses(list.size());
  for (const Instruction& i : list.instructions)
    for (int k = 0; k < info(i.opcode).operands; ++k) ++uses[i.operands[static_cast<std::size_t>(k)]];
  // What is used once stands where it is used.
  std::vector<std::string> texts{"a", "b"};
  if (list.inputs() == 1) texts = {"x"};
  for (double c : list.constants) texts.push_back(literal_of(c));
  std::vector<std::string> in_brackets = texts, conditions(list.size());
  std::string body = list.instructions.empty() ? fmt::format("  return {};\n", texts[list.outputs[0]]) : "";
  int names = 0;
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    Strings operands;
    for (int k = 0; k < info(i.opcode).operands; ++k)
      operands[static_cast<std::size_t>(k)] = (has_operators(i.opcode) ? in_brackets : texts)[i.operands[static_cast<std::size_t>(k)]];
    std::string text = expression(i.opcode, operands, list.options(i));
    if (const char* condition = condition_of(i.opcode)) conditions[v] = filled(condition, i.opcode, operands);
    if (i.opcode == Opcode::where && !conditions[i.operands[0]].empty())
      text = fmt::format("{} ? {} : {}", conditions[i.operands[0]], operands[1], operands[2]);
    if (v + 1 == list.size()) {
      body += fmt::format("  return {};\n", text);
    } else if (uses[v] == 1) {
      texts.push_back(text);
      in_brackets.push_back(has_operators(i.opcode) ? "(" + text + ")" : text);
    } else {
      texts.push_back(fmt::format("t{}", ++names));
      conditions[v].clear();
      in_brackets.push_back(texts.back());
      body += fmt::format("  const double {} = {};\n", texts.back(), text);
    }
  }
  definitions_ += fmt::format("static inline double {}({}) {{\n{}}}\n", name, list.inputs() == 1 ? "double x" : "double a, double b", body);
  return name;
}

std::string FunctionSource::call_on_lanes(Opcode opcode, const Strings& operands, const std::string& to,
                                          const std::array<double, 2>& options) {
  const bool is_unary = info(opcode).operands == 1;
  const Strings elements{is_unary ? "x[i]" : "a[i]", "b[i]", ""};
  const auto [entry, is_new] = lane_loops_.try_emplace({opcode, {literal_of(options[0]), literal_of(options[1])}});
  if (is_new) {
    entry->second = fmt::format("{}lanes_{}_{}", prefix_, info(opcode).name, lane_loops_.size());
    const std::string value = expression(opcode, elements, options);
    const auto straight = straight_of(opcode, options, prefix_);
    const bool in_part = straight && !straight->holds.empty();
    definitions_ +=
        fmt::format("[[gnu::flatten]] static void {}(long n, {}, double* y) {{\n  {}\n  for (long i = 0; i < n; ++i) y[i] = {};\n",
                    entry->second, is_unary ? "const double* x" : "const double* a, const double* b", independent(),
                    in_part ? filled(straight->formula, opcode, elements) : value);
    if (in_part)
      definitions_ +=
          fmt::format("  for (long i = 0; i < n; ++i)\n    if (!({})) y[i] = {};\n", filled(straight->holds, opcode, elements), value);
    definitions_ += "}\n";
  }
  return is_unary ? fmt::format("{}(n, {}, {});", entry->second, operands[0], to)
                  : fmt::format("{}(n, {}, {}, {});", entry->second, operands[0], operands[1], to);
}

std::string FunctionSource::independent() {
  independent_ = true;
  return prefix_ + "INDEPENDENT";
}

std::string FunctionSource::definitions(bool with_vector) const {
  const std::string straight = straight_namespace(prefix_ + "straight", definitions_);
  std::string text = "#include <math.h>\n\n";
  if (special_) text += "#include <array>\n";
  text += "#include <cmath>\n";
  if (!straight.empty()) text += "#include <cstdint>\n";
  if (special_ || !straight.empty()) text += "#include <limits>\n";
  if (!straight.empty()) text += "#include <type_traits>\n";
  if (with_vector) text += "#include <vector>\n";
  if (special_) text += fmt::format("\nnamespace {}special {{\n{}}}\n", prefix_, special_functions_source);
  if (!straight.empty()) text += "\n" + straight;
  // (GCC would make calls of memmove of the shortest copies.)
  if (independent_)
    text += fmt::format(
        "\n#ifdef __clang__\n#define {0}INDEPENDENT\n#else\n#define {0}INDEPENDENT _Pragma(\"GCC ivdep\")\n"
        "#pragma GCC optimize(\"no-tree-loop-distribute-patterns\")\n#endif\n",
        prefix_);
  return text + "\n" + definitions_ + (definitions_.empty() ? "" : "\n");
}

}  // namespace wengert::detail
