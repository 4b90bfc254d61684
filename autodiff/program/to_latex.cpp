#include "autodiff/program/to_latex.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "autodiff/program/notation.h"
#include "autodiff/program/rounds.h"

namespace wengert {
namespace {

// How tightly the parts of a formula are bound together.
enum Level {
  kLoose,    // a choice, "and", "or"
  kSum,      // a + b, -a
  kProduct,  // a b
  kPower,    // what may not be the base of a power: a function, a fraction, a power
  kAtom,     // a name, a number, what is in brackets
};
struct Formula {
  std::string text;
  Level level;
};

std::string at_least(Level level, const Formula& formula) {
  return formula.level >= level ? formula.text : fmt::format("\\left({}\\right)", formula.text);
}

Formula number(double x) {
  if (x != x) return {"\\mathrm{NaN}", kAtom};
  if (std::isinf(x)) return x > 0 ? Formula{"\\infty", kAtom} : Formula{"-\\infty", kSum};
  if (x == 0.5) return {"\\tfrac{1}{2}", kPower};
  std::string text = fmt::format("{}", x);
  const std::size_t e = text.find('e');
  if (e == std::string::npos) return {text, x < 0 ? kSum : kAtom};
  const std::string mantissa = text.substr(0, e), power = fmt::format("10^{{{}}}", std::stoi(text.substr(e + 1)));
  if (mantissa == "1") return {power, kPower};
  if (mantissa == "-1") return {"-" + power, kSum};
  return {fmt::format("{} \\cdot {}", mantissa, power), x < 0 ? kSum : kProduct};
}

bool begins(std::string_view text, std::size_t at, std::string_view part) { return text.substr(at, part.size()) == part; }
bool ends(std::string_view text, std::string_view part) {
  return text.size() >= part.size() && text.substr(text.size() - part.size()) == part;
}

// The formula of a function with its operands in it, in brackets where what stands around them binds more tightly.
std::string filled(std::string_view pattern, const std::vector<Formula>& operands) {
  std::string text;
  int depth = 0;  // of brackets in the pattern
  for (std::size_t c = 0; c < pattern.size(); ++c) {
    if (pattern[c] == '{' || pattern[c] == '(' || begins(pattern, c, "\\lvert") || begins(pattern, c, "\\lfloor") ||
        begins(pattern, c, "\\lceil"))
      ++depth;
    if (pattern[c] == '}' || pattern[c] == ')' || begins(pattern, c, "\\rvert") || begins(pattern, c, "\\rfloor") ||
        begins(pattern, c, "\\rceil"))
      --depth;
    if (pattern[c] != '#') {
      text += pattern[c];
      continue;
    }
    const bool numbered = c + 1 < pattern.size() && pattern[c + 1] >= '1' && pattern[c + 1] <= '3';
    const Formula& operand = operands[numbered ? static_cast<std::size_t>(pattern[c + 1] - '1') : 0];
    if (numbered) ++c;
    const std::string_view before = pattern.substr(0, c - (numbered ? 1 : 0)), after = pattern.substr(c + 1);
    const bool first = before.empty() || ends(before, "{") || ends(before, "("),
               last = after.empty() || begins(after, 0, "}") || begins(after, 0, ")");
    Level level = depth > 0 ? kSum : kPower;
    if (begins(after, 0, "^")) {
      level = kAtom;
    } else if (ends(before, "\\cdot ") || begins(after, 0, " \\cdot")) {
      level = kPower;
    } else if (ends(before, "- ") || ends(before, "-")) {
      level = kProduct;
    } else if (depth > 0 && first && last) {
      level = kLoose;
    }
    text += at_least(level, operand);
  }
  return text;
}

class LatexWriter {
 public:
  LatexWriter(const Program& program, const LatexOptions& options) : list_(program.list()), options_(options), names_(options.names) {
    if (!names_.empty()) detail::check_count("to_latex", "names", names_.size(), program);
    if (!options.outputs.empty() && options.outputs.size() != list_.outputs.size())
      throw ShapeError(
          fmt::format("to_latex: {} names in .outputs for a program of {} outputs", options.outputs.size(), list_.outputs.size()));
    for (int k = 0; names_.size() < list_.inputs() && k < program.parameters(); ++k) names_.push_back(fmt::format("p_{{{}}}", k));
    for (int k = 0; names_.size() < list_.inputs(); ++k) names_.push_back(fmt::format("d_{{{}}}", k));
    uses_.resize(list_.size());
    for (const Instruction& i : list_.instructions)
      for (int k = 0; k < info(i.opcode).operands; ++k) ++uses_[i.operands[static_cast<std::size_t>(k)]];
    for (const Guard& guard : list_.guards) uses_[guard.value] += 2;  // it has a line of its own
    for (std::uint32_t y : list_.outputs) ++uses_[y];
  }

  std::string text() {
    std::vector<std::string> lines;
    for (std::uint32_t v = 0; v < list_.first_instruction(); ++v)
      formulas_.push_back(v < list_.inputs() ? Formula{names_[v], names_[v].find('^') == std::string::npos ? kAtom : kPower}
                                             : number(list_.constant(v)));
    for (const detail::Step& step : detail::steps_of(list_)) {
      if (step.is_guard) {
        lines.push_back(line_of(list_.guards[step.number]));
        continue;
      }
      Formula formula = formula_of(list_.instruction(step.number));
      if (options_.nested && uses_[step.number] == 1) {
        formulas_.push_back(std::move(formula));
        continue;
      }
      const std::string name = fmt::format("v_{{{}}}", ++names_given_);
      lines.push_back(fmt::format("{} &= {}", name, formula.text));
      formulas_.push_back({name, kAtom});
    }
    for (std::size_t k = 0; k < list_.outputs.size(); ++k) {
      const std::string name = !options_.outputs.empty()   ? options_.outputs[k]
                               : list_.outputs.size() == 1 ? "y"
                                                           : fmt::format("y_{{{}}}", k);
      lines.push_back(fmt::format("{} &= {}", name, formulas_[list_.outputs[k]].text));
    }
    std::string text = "\\begin{aligned}\n";
    for (std::size_t k = 0; k < lines.size(); ++k) text += lines[k] + (k + 1 < lines.size() ? " \\\\\n" : "\n");
    return text + "\\end{aligned}\n";
  }

 private:
  Formula formula_of(const Instruction& i) const {
    std::vector<Formula> operands;
    operands.reserve(static_cast<std::size_t>(info(i.opcode).operands));
    for (int k = 0; k < info(i.opcode).operands; ++k) operands.push_back(formulas_[i.operands[static_cast<std::size_t>(k)]]);
    const auto join = [&](const char* sign, Level left, Level right) {
      return fmt::format("{} {} {}", at_least(left, operands[0]), sign, at_least(right, operands[1]));
    };
    switch (i.opcode) {
      case Opcode::add:
        return {join("+", kSum, operands[1].text[0] == '-' ? kProduct : kSum), kSum};
      case Opcode::subtract:
        return {join("-", kSum, kProduct), kSum};
      case Opcode::multiply:
        return {join("\\cdot", kProduct, kProduct), kProduct};
      case Opcode::negative:
        return {"-" + at_least(kProduct, operands[0]), kSum};
      case Opcode::less:
      case Opcode::less_equal:
      case Opcode::equal:
      case Opcode::not_equal:
        return {filled(info(i.opcode).latex, operands), kAtom};  // in brackets
      case Opcode::both:
      case Opcode::either:
      case Opcode::where:
        return {filled(info(i.opcode).latex, operands), kLoose};
      default:
        break;
    }
    const OpcodeInfo& its = info(i.opcode);
    if (its.options == 0) return {filled(its.latex, operands), kPower};
    std::string name = its.name;
    for (std::size_t at = 0; (at = name.find('_', at)) != std::string::npos; at += 2) name.insert(at, "\\");
    std::string text = fmt::format("\\operatorname{{{}}}({}", name, operands[0].text);
    for (int k = 0; k < its.options; ++k) text += ", " + number(list_.options(i)[static_cast<std::size_t>(k)]).text;
    return {text + ")", kPower};
  }

  std::string line_of(const Guard& guard) const {
    const Formula& value = formulas_[guard.value];
    switch (guard.kind) {
      case GuardKind::condition:
        return fmt::format("{} &{} 0 \\quad\\text{{(guard)}}", value.text, guard.outcome != 0 ? "\\ne" : "=");
      case GuardKind::integer:
        return fmt::format("\\operatorname{{trunc}}({}) &= {} \\quad\\text{{(guard)}}", value.text, number(guard.outcome).text);
      case GuardKind::number:
        break;
    }
    return fmt::format("{} &= {} \\quad\\text{{(guard)}}", value.text, number(guard.outcome).text);
  }

  const WengertList& list_;
  const LatexOptions& options_;
  std::vector<std::string> names_;
  std::vector<int> uses_;
  std::vector<Formula> formulas_;
  int names_given_ = 0;
};

}  // namespace

std::string to_latex(const Program& program, const LatexOptions& options) { return LatexWriter(program, options).text(); }

}  // namespace wengert
