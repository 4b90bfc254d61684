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

// Of lanes, functions are overloads for vectors, in place of those of namespace std.
std::string pattern_for(std::string_view pattern, FunctionSource::Of of) {
  constexpr std::string_view kStd = "std::";
  std::string text(pattern);
  if (of == FunctionSource::Of::number) return text;
  for (std::size_t at = text.find(kStd); at != text.npos; at = text.find(kStd)) text.erase(at, kStd.size());
  return text;
}

// a where a condition holds, and b elsewhere.
std::string choice(const std::string& condition, const std::string& a, const std::string& b, FunctionSource::Of of) {
  return of == FunctionSource::Of::lanes ? fmt::format("where({}, {}, {})", condition, a, b) : fmt::format("{} ? {} : {}", condition, a, b);
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

std::string FunctionSource::expression(Opcode opcode, const Strings& operands, const std::array<double, 2>& options, Of of) {
  if (const char* condition = condition_of(opcode)) return choice(filled(pattern_for(condition, of), opcode, operands), "1.0", "0.0", of);
  if (opcode == Opcode::where) return choice(operands[0] + " != 0", operands[1], operands[2], of);
  if (const char* pattern = pattern_of(opcode)) return filled(pattern_for(pattern, of), opcode, operands);
  const std::string name = name_of(opcode, options, of);
  return info(opcode).operands == 1 ? fmt::format("{}({})", name, operands[0]) : fmt::format("{}({}, {})", name, operands[0], operands[1]);
}

std::string FunctionSource::expression_on_lanes(Opcode opcode, const Operands& operands, const std::array<double, 2>& options) {
  const auto& [a, b, c] = operands;
  if (opcode == Opcode::where && !a.mask.empty()) return choice(a.mask, b.text, c.text, Of::lanes);
  return expression(opcode, {a.text, b.text, c.text}, options, Of::lanes);
}

std::string FunctionSource::mask(Opcode opcode, const Operands& operands) {
  const auto& [a, b, none] = operands;
  const auto mask_of = [](const Operand& its) { return its.mask.empty() ? fmt::format("({} != 0)", its.text) : its.mask; };
  switch (opcode) {
    case Opcode::both:
      return fmt::format("{} & {}", mask_of(a), mask_of(b));
    case Opcode::either:
      return fmt::format("{} | {}", mask_of(a), mask_of(b));
    case Opcode::opposite:
      return "~" + mask_of(a);
    default:
      return filled(pattern_for(condition_of(opcode), Of::lanes), opcode, {a.text, b.text, ""});
  }
}

std::string FunctionSource::name_of(Opcode opcode, const std::array<double, 2>& options, Of of) {
  const auto [entry, is_new] = names_.try_emplace({opcode, {literal_of(options[0]), literal_of(options[1])}});
  std::string& name = entry->second;
  if (is_new) {
    const int variant = variants_[opcode]++;
    name = fmt::format("{}{}{}", prefix_, info(opcode).name, variant > 0 ? std::to_string(variant + 1) : "");
  }
  if (of == Of::lanes && is_arithmetic(opcode)) {
    if (on_lanes_.insert(name).second) define_formula(name, opcode, options, of);
  } else if (of == Of::lanes) {
    name_of(opcode, options, Of::number);
    if (on_lanes_.insert(name).second) define_on_each_lane(name, opcode, options);
  } else if (of_numbers_.insert(name).second) {
    define(name, opcode, options);
  }
  return name;
}

void FunctionSource::define(const std::string& name, Opcode opcode, const std::array<double, 2>& options) {
  if (opcode == Opcode::lgamma) {  // std::lgamma writes to a global variable
    definitions_ += fmt::format("static inline double {}(double x) {{\n  int sign;\n  return ::lgamma_r(x, &sign);\n}}\n", name);
    return;
  }
  const auto straight = straight_of(opcode, options, prefix_);
  if (!straight) return define_formula(name, opcode, options, Of::number);
  const bool is_unary = info(opcode).operands == 1;
  if ((straight->formula + straight->otherwise).find("special::") != std::string::npos) special_ = true;
  const std::string value =
      straight->holds.empty() ? straight->formula : fmt::format("{} ? {} : {}", straight->holds, straight->formula, straight->otherwise);
  definitions_ += fmt::format("static inline double {}({}) {{ return {}; }}\n", name, is_unary ? "double x" : "double a, double b",
                              filled(value, opcode, {is_unary ? "x" : "a", "b", ""}));
}

void FunctionSource::define_formula(const std::string& name, Opcode opcode, const std::array<double, 2>& options, Of of) {
  const std::string type = of == Of::lanes ? lanes_namespace() + "::Lanes" : "double";
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
    std::string text = expression(i.opcode, operands, list.options(i), of);
    if (const char* condition = condition_of(i.opcode)) conditions[v] = filled(pattern_for(condition, of), i.opcode, operands);
    if (i.opcode == Opcode::where && !conditions[i.operands[0]].empty())
      text = choice(conditions[i.operands[0]], operands[1], operands[2], of);
    if (v + 1 == list.size()) {
      body += fmt::format("  return {};\n", text);
    } else if (uses[v] == 1) {
      texts.push_back(text);
      in_brackets.push_back(has_operators(i.opcode) ? "(" + text + ")" : text);
    } else {
      texts.push_back(fmt::format("t{}", ++names));
      conditions[v].clear();
      in_brackets.push_back(texts.back());
      body += fmt::format("  const {} {} = {};\n", type, texts.back(), text);
    }
  }
  if (of == Of::lanes) body = fmt::format("  using namespace {};\n{}", lanes_namespace(), body);
  definitions_ +=
      fmt::format("static inline {0} {1}({0} {2}) {{\n{3}}}\n", type, name, list.inputs() == 1 ? "x" : fmt::format("a, {} b", type), body);
}

void FunctionSource::define_on_each_lane(const std::string& name, Opcode opcode, const std::array<double, 2>& options) {
  const bool is_unary = info(opcode).operands == 1;
  const Strings elements{is_unary ? "x[l]" : "a[l]", "b[l]", ""};
  const std::string lanes = lanes_namespace(), value = expression(opcode, elements, options, Of::number);
  const auto straight = straight_of(opcode, options, prefix_);
  const bool in_part = straight && !straight->holds.empty();
  const auto parameters = [&](const char* type) {
    return is_unary ? fmt::format("{}::{} x", lanes, type) : fmt::format("{0}::{1} a, {0}::{1} b", lanes, type);
  };
  const std::string loop = fmt::format("  for (int l = 0; l < {}::register_width; ++l)", lanes);
  definitions_ += fmt::format("[[gnu::flatten]] static {0}::Vector {1}({2}) {{\n  {0}::Vector y{{}};\n{3} y[l] = {4};\n", lanes, name,
                              parameters("Vector"), loop, in_part ? filled(straight->formula, opcode, elements) : value);
  if (in_part) definitions_ += fmt::format("{}\n    if (!({})) y[l] = {};\n", loop, filled(straight->holds, opcode, elements), value);
  definitions_ += fmt::format(
      "  return y;\n}}\nstatic inline {0}::Lanes {1}({2}) {{\n  {0}::Lanes y;\n"
      "  for (int r = 0; r < {0}::registers; ++r) y.v[r] = {1}({3});\n  return y;\n}}\n",
      lanes, name, parameters("Lanes"), is_unary ? "x.v[r]" : "a.v[r], b.v[r]");
}

std::string FunctionSource::definitions(std::set<std::string> headers, int registers) const {
  const std::string straight = straight_namespace(prefix_ + "straight", definitions_);
  headers.insert("cmath");
  if (special_) headers.insert("array");
  if (special_ || !straight.empty()) headers.insert("limits");
  if (!straight.empty()) headers.insert({"cstdint", "type_traits"});
  std::string text = "#include <math.h>\n\n";
  for (const std::string& header : headers) text += fmt::format("#include <{}>\n", header);
  if (special_) text += fmt::format("\nnamespace {}special {{\n{}}}\n", prefix_, special_functions_source);
  if (!straight.empty()) text += "\n" + straight;
  if (lanes_)
    text += fmt::format("\nnamespace {} {{\nconstexpr int registers = {};\n{}}}\n", lanes_namespace(), registers, lane_vectors_text);
  return text + "\n" + definitions_ + (definitions_.empty() ? "" : "\n");
}

}  // namespace wengert::detail
