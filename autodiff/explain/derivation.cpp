#include "autodiff/explain/derivation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "autodiff/explain/finite.h"
#include "autodiff/explain/markup.h"
#include "autodiff/explain/reading.h"
#include "autodiff/explain/term.h"
#include "autodiff/program/opcode.h"
#include "autodiff/tape/sources.h"
#include "autodiff/tape/sweep_scope.h"

namespace wengert {
namespace detail {
namespace {

constexpr std::size_t kMaxSize = 80;        // of a formula that another one contains
constexpr std::size_t kMaxCollected = 160;  // of a formula from the target to a source
constexpr std::size_t kMaxPeriod = 8;       // lines of a loop's body
constexpr std::size_t kMaxTerms = 6;        // of a sum that is written out

// Functions that explanations call f, g, ...: those whose derivative is written with f itself, or in words.
bool is_activation(std::string_view name) {
  return one_of(name, {"sigmoid",   "tanh",        "relu",     "step",       "sign",       "softplus", "gelu",     "gelu_tanh",
                       "silu",      "elu",         "selu",     "mish",       "leaky_relu", "relu6",    "softsign", "hardsigmoid",
                       "hardswish", "log_sigmoid", "hardtanh", "softshrink", "erf",        "floor",    "ceil",     "round"});
}

// The text with # for its numbers: equal for the lines of a loop.
std::string skeleton(const std::string& text) {
  const auto digit = [&](std::size_t i) { return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); };
  std::string s;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!digit(i)) {
      s += text[i];
      continue;
    }
    while (digit(i) || text[i] == '.') ++i;
    if (text[i] == 'e' && (digit(i + 1) || digit(i + 2)))  // an exponent, with or without a sign
      for (i += digit(i + 1) ? 1 : 2; digit(i);) ++i;
    s += '#';
    --i;
  }
  return s;
}

class Author {
 public:
  Author(Trace& trace, std::uint32_t target, std::vector<std::uint32_t> sources)
      : trace_(trace),
        target_(target),
        sources_(std::move(sources)),
        needed_(trace.needed_by(target)),
        active_(trace.values.size()),
        sweep_(trace, target, {}) {
    for (std::uint32_t source : sources_) {
      const std::vector<char> depends = trace.depending_on(source);
      for (std::size_t v = 0; v < active_.size(); ++v) active_[v] = active_[v] || depends[v];
    }
    find_uses();
    name_values();
  }

  Derivation write() {
    Derivation d;
    for (const std::uint32_t v : unnamed_constants_) {
      const TracedValue& value = trace_.values[v];
      Equation e{.left = symbol(v).text(), .symbols = "a constant", .left_latex = symbol(v).latex(), .symbols_latex = "\\text{a constant}"};
      e.value = to_string(value.shape);
      if (value.site.line) e.note = to_string(value.site);
      d.forward.push_back(std::move(e));
    }
    for (std::size_t s = 0; s < trace_.steps.size(); ++s) {
      const TracedStep& step = trace_.steps[s];
      if (!step.last || !needed_[step.results[0]] || step.in_sweep) continue;
      for (std::uint32_t v : step.results)
        d.forward.push_back(equation(symbol(v), step.results.size() == 1 ? built(s) : call_of(step), v, step));
    }
    backward(d);
    for (std::uint32_t source : sources_) {
      Term formula = expanded_sum(source);
      if (formula.size() > kMaxCollected) formula = sum_of_adjoints(source);
      Equation e = equation(adjoint_symbol(source), formula, adjoint_value(source));
      d.collected.push_back(std::move(e));
    }
    for (std::size_t k = 0; k < pending_.size(); ++k)  // grows while it is read
      d.where.push_back(equation(adjoint_symbol(pending_[k]), expanded_sum(pending_[k]), adjoint_value(pending_[k])));
    d.where.insert(d.where.end(), functions_.begin(), functions_.end());
    d.remarks.assign(remarks_.begin(), remarks_.end());
    std::set<std::string> asked_for;  // never left out
    for (std::uint32_t source : sources_) asked_for.insert(adjoint_symbol(source).text());
    d.forward = folded(std::move(d.forward), asked_for);
    d.backward = folded(std::move(d.backward), asked_for);
    d.where = folded(std::move(d.where), asked_for);
    return d;
  }

 private:
  // ---- names ------------------------------------------------------------------------------------------------------------------

  // A value that is called by a name: an input, the result of a statement, or a tensor.
  bool has_symbol(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    if (value.kind == TracedValue::Kind::constant) return !value.name.empty() || !value.scalar;
    return !value.scalar || value.step < 0 || trace_.steps[static_cast<std::size_t>(value.step)].last;
  }

  void name_values() {
    std::map<std::string, std::vector<std::uint32_t>> by_name;  // without subscripts
    std::map<std::uint32_t, std::string> written;
    std::map<std::pair<std::string, std::string>, std::uint32_t> constants;  // the same constant may have been read often
    names_.resize(trace_.values.size());
    alias_.resize(trace_.values.size());
    int unnamed = 0;
    for (std::uint32_t v = 0; v < trace_.values.size(); ++v) {
      const TracedValue& value = trace_.values[v];
      alias_[v] = v;
      if (!needed_[v] || !has_symbol(v)) continue;
      std::string name = value.name;
      if (name.empty() && value.kind == TracedValue::Kind::constant && value.shape.size() == 1 && value.known) continue;  // a number
      if (name.empty()) name = v == target_ ? "E" : fmt::format("v{}", ++unnamed);
      if (value.kind == TracedValue::Kind::constant) {
        const std::string content =
            value.scalar ? number_text(value.number)
                         : fmt::format("{}", static_cast<const void*>(value.tensor.defined() ? value.tensor.elements() : nullptr));
        const auto known = constants.emplace(std::pair(name, content), v);
        if (!known.second) {
          alias_[v] = known.first->second;
          continue;
        }
        if (value.name.empty()) unnamed_constants_.push_back(v);
      }
      written[v] = name;
      by_name[name.substr(0, name.find('['))].push_back(v);
    }
    std::set<std::string> taken;
    const auto give = [&](std::uint32_t v, std::string name) {
      while (!taken.insert(name).second) name += "'";
      names_[v] = std::move(name);
    };
    for (const auto& [name, values] : by_name) {
      std::set<std::string> texts;
      for (std::uint32_t v : values) texts.insert(written[v]);
      const bool distinct = texts.size() == values.size();
      for (std::size_t k = 0; k < values.size(); ++k) {
        const std::uint32_t v = values[k];
        if (distinct) {
          give(v, written[v]);
        } else if (written[v] != name) {  // elements, of whose subscripts only the text is known: numbered as they occur
          give(v, fmt::format("{}[{}]", name, k + 1));
          remarks_.insert(fmt::format(
              "{0}[1], {0}[2], ... are numbered in the order of their use, not by their subscripts; equal numbers are one.", name));
        } else if (k + 1 == values.size() && (v == target_ || k < 2)) {  // the last of two is what the name stands for
          give(v, name);
        } else {
          give(v, fmt::format("{}_{}", name, k));
          remarks_.insert(fmt::format("{0}_0, {0}_1, ... are the values that {0} has had, in this order.", name));
        }
      }
    }
  }

  std::optional<double> number_of(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    if (!value.known) return std::nullopt;
    if (value.scalar) return value.number;
    if (value.tensor.size() == 1) return value.tensor.element(0);
    return std::nullopt;
  }
  Term symbol(std::uint32_t v) const { return Term::symbol(names_[alias_[v]], number_of(v)); }
  Term term(std::uint32_t v) const {
    if (!names_[alias_[v]].empty()) return symbol(v);
    const TracedValue& value = trace_.values[v];
    if (value.step >= 0) return built(static_cast<std::size_t>(value.step));
    const std::optional<double> number = number_of(v);
    return number ? Term(*number) : Term::symbol("?", std::nullopt);
  }
  std::string target_name() const { return names_[target_]; }
  Term adjoint_symbol(std::uint32_t v) const {
    if (!trace_.values[v].scalar) return Term::symbol(names_[v] + "_bar", adjoint_value(v));
    return Term::symbol(fmt::format("d{}/d{}", target_name(), names_[v]), adjoint_value(v),
                        fmt::format("\\frac{{\\partial {}}}{{\\partial {}}}", latex_of_name(target_name()), latex_of_name(names_[v])));
  }
  std::optional<double> adjoint_value(std::uint32_t v) const {
    if (trace_.values[v].scalar) return sweep_.scalar(v);
    const Tensor& t = sweep_.tensor(v);
    if (t.defined() && t.size() == 1) return t.element(0);
    return std::nullopt;
  }

  // ---- forward formulas -------------------------------------------------------------------------------------------------------

  // f, g, ... in the order of their first use.
  std::string letter(const std::string& name) const {
    constexpr const char* kLetters[] = {"f", "g", "r", "s", "q"};
    const auto known = letters_.find(name);
    if (known != letters_.end()) return known->second;
    const std::size_t n = letters_.size();
    return letters_.emplace(name, n < std::size(kLetters) ? kLetters[n] : fmt::format("f_{{{}}}", n)).first->second;
  }

  Term call_of(const TracedStep& step) const {
    Formulas operands;
    for (std::uint32_t v : step.operands) operands.push_back(term(v));
    return Term::call(step.name, "", std::move(operands), std::nullopt);
  }

  Term built(std::size_t s) const {
    const TracedStep& step = trace_.steps[s];
    Formulas x;
    for (std::uint32_t v : step.operands) x.push_back(term(v));
    const std::optional<double> y = number_of(step.results[0]);
    const std::string& op = step.name;
    if (op == "add") return x[0] + x[1];
    if (op == "subtract") return x[0] - x[1];
    if (op == "negative") return Term(-1.0) * x[0];
    if (op == "multiply") return matrix(step) ? Term::elements(x[0], x[1]) : x[0] * x[1];
    if (op == "divide") return x[0] / x[1];
    if (op == "square") return matrix(step) ? Term::elements(x[0], x[0]) : power(x[0], 2.0);
    if (op == "pow") return power(x[0], x[1]);
    if (op == "reciprocal") return Term(1.0) / x[0];
    if (op == "matmul") return x[0] * x[1];
    if (op == "linear") return x.size() > 2 ? x[0] * transposed(x[1]) + x[2] : x[0] * transposed(x[1]);
    if (op == "element" || op == "select")
      return Term::symbol(fmt::format("{}[{}]", names_[alias_[step.operands[0]]], static_cast<Index>(step.options[0])), y);
    if (op == "statement") return Term::call("known only by its slopes", "", std::move(x), y);
    if (is_activation(op)) return Term::call(letter(op), "", std::move(x), y);
    const std::optional<Opcode> opcode = opcode_named(op);
    const bool plain = opcode && info(*opcode).operands == 1 && info(*opcode).options == 0;
    const std::string pattern = plain ? info(*opcode).latex : step.node ? pattern_of(*step.node->operation, x.size()) : "";
    return Term::call(op, pattern, std::move(x), y);
  }
  // The operation's formula, unless it names operands that are missing here, such as a bias.
  static std::string pattern_of(const Operation& operation, std::size_t operands) {
    const std::string pattern = operation.latex();
    std::size_t named = pattern.find('#') == std::string::npos ? 0 : 1;
    for (char k = '2'; k <= '9'; ++k)
      if (pattern.find(std::string{'#', k}) != std::string::npos) named = static_cast<std::size_t>(k - '0');
    return named == operands ? pattern : "";
  }
  // Whether the step works on more than one number.
  bool matrix(const TracedStep& step) const { return step.node && trace_.values[step.results[0]].shape.size() > 1; }

  // ---- derivatives ------------------------------------------------------------------------------------------------------------

  // The derivative of an elementary function with respect to operand i.
  Term partial(std::size_t s, std::size_t i) {
    const TracedStep& step = trace_.steps[s];
    const std::string& op = step.name;
    const Term x = term(step.operands[0]);
    const std::uint32_t result = step.results[0];
    std::optional<double> slope;
    if (!step.node && i < sweep_.partials(static_cast<int>(s)).size()) slope = sweep_.partials(static_cast<int>(s))[i];
    if (op == "add") return 1.0;
    if (op == "subtract") return i == 0 ? 1.0 : -1.0;
    if (op == "negative") return -1.0;
    if (op == "multiply") return term(step.operands[1 - i]);
    if (op == "divide") return i == 0 ? Term(1.0) / term(step.operands[1]) : Term(-1.0) * (x / power(term(step.operands[1]), 2.0));
    if (op == "square") return Term(2.0) * x;
    if (op == "pow" && i == 0) {
      const Term n = term(step.operands[1]);
      return n * power(x, n.kind() == Term::Kind::number ? Term(*number_of(step.operands[1]) - 1) : n - Term(1.0));
    }
    if (op == "reciprocal") return Term(-1.0) / power(x, 2.0);
    if (op == "exp") return names_[result].empty() ? built(s) : symbol(result);
    if (op == "log") return Term(1.0) / x;
    if (op == "sqrt") return Term(1.0) / (Term(2.0) * (names_[result].empty() ? built(s) : symbol(result)));
    if (op == "sin") return Term::call("cos", "\\cos #", {x}, slope);
    if (op == "cos") return Term(-1.0) * Term::call("sin", "\\sin #", {x}, slope ? std::optional(-*slope) : std::nullopt);
    if (op == "tan") return Term(1.0) + power(names_[result].empty() ? built(s) : symbol(result), 2.0);
    if (op == "atan") return Term(1.0) / (Term(1.0) + power(x, 2.0));
    if (op == "statement") return Term(step.partials[i]);
    if (is_activation(op)) {
      const std::string f = letter(op);
      explain_slope(op, f, x, number_of(result), slope);
      return Term::call(f + "'", "", {x}, slope);
    }
    std::string of = step.operands.size() > 1 ? fmt::format("{}_{{,{}}}", op, i + 1) : op + "'";
    Formulas operands;
    for (std::uint32_t v : step.operands) operands.push_back(term(v));
    return Term::call(of, "", std::move(operands), slope);
  }

  // f'(h) in terms of f(h), once for each operand.
  void explain_slope(const std::string& op, const std::string& f, const Term& x, std::optional<double> y, std::optional<double> slope) {
    const Term value = Term::call(f, "", {x}, y), left = Term::call(f + "'", "", {x}, slope);
    if (!explained_.insert(left.text()).second) return;
    std::optional<Term> right;
    if (op == "sigmoid") right = y ? value * (Term(1.0) - value) : Term::elements(value, Term(1.0) - value);
    if (op == "tanh") right = Term(1.0) - (y ? power(value, 2.0) : Term::elements(value, value));
    if (op == "softplus") right = Term::call("sigmoid", "\\sigma(#)", {x}, slope);
    if (one_of(op, {"step", "sign", "floor", "ceil", "round"})) {
      right = 0.0;
      remarks_.insert(
          fmt::format("{} is the function {}, whose slope is 0 everywhere: no derivative passes through it. A perceptron with such a step "
                      "has no gradient, "
                      "and learns by the perceptron's own rule; a sigmoid in its place has one.",
                      f, op));
    }
    Equation e;
    if (right) {
      e = equation(left, *right, slope);
    } else {
      e.left = left.text();
      e.left_latex = left.latex();
      e.symbols = op == "relu" ? "1 where the operand is positive, else 0" : "the slope of " + op;
      e.symbols_latex = op == "relu" ? "\\theta(" + x.latex() + ")" : "\\text{the slope of " + op + "}";
      if (slope) e.value = number_text(*slope);
    }
    e.note = fmt::format("{} is {}", f, op);
    functions_.push_back(std::move(e));
  }

  // What a value passes on to: the steps of statements and nodes that read it.
  struct Use {
    std::size_t step;  // the last step of the statement, or the node
    std::size_t operand;
  };
  void find_uses() {
    uses_.resize(trace_.values.size());
    for (std::size_t s = 0; s < trace_.steps.size(); ++s) {
      const TracedStep& step = trace_.steps[s];
      if (step.in_sweep) continue;
      std::size_t root = s;
      while (!trace_.steps[root].last) ++root;
      if (!needed_[trace_.steps[root].results[0]]) continue;
      for (std::size_t i = 0; i < step.operands.size(); ++i) {
        const std::uint32_t v = step.operands[i];
        if (step.node) {
          uses_[v].push_back({s, i});
        } else if (uses_[v].empty() || uses_[v].back().step != root) {
          uses_[v].push_back({root, 0});
        }
      }
    }
  }

  // The derivative of the result of an expression by one of its leaves.
  Term through_expression(std::size_t s, std::uint32_t leaf) {
    const TracedStep& step = trace_.steps[s];
    Term total = 0.0;
    for (std::size_t i = 0; i < step.operands.size(); ++i) {
      const std::uint32_t v = step.operands[i];
      if (v == leaf) {
        total = total + partial(s, i);
      } else if (trace_.values[v].step >= 0 && trace_.steps[static_cast<std::size_t>(trace_.values[v].step)].statement == step.statement &&
                 step.statement >= 0) {
        const Term inner = through_expression(static_cast<std::size_t>(trace_.values[v].step), leaf);
        if (!inner.is(0)) total = total + partial(s, i) * inner;
      }
    }
    return total;
  }

  // The term that a use adds to the derivative of v, where that of the result of the use is y_bar.
  Term contribution(std::uint32_t v, const Use& use, const Term& y_bar) {
    const TracedStep& step = trace_.steps[use.step];
    if (!step.node) return y_bar * through_expression(use.step, v);
    const TracedValue &x = trace_.values[v], &y = trace_.values[step.results[0]];
    const std::string& op = step.name;
    const auto reduced = [&](const Term& t) { return sum_to(t, x, y); };
    if (op == "matmul") return use.operand == 0 ? y_bar * transposed(term(step.operands[1])) : transposed(term(step.operands[0])) * y_bar;
    if (op == "linear")
      return use.operand == 0   ? y_bar * term(step.operands[1])
             : use.operand == 1 ? transposed(y_bar) * term(step.operands[0])
                                : reduced(y_bar);
    if (op == "sum") return spread(y_bar, x, y);
    if (op == "mean") return Term(static_cast<double>(y.shape.size()) / static_cast<double>(x.shape.size())) * spread(y_bar, x, y);
    if (op == "expand") return reduced(y_bar);
    if (op == "to") return y_bar;
    if (op == "reshape" || op == "flatten") {
      if (x.shape == y.shape) return y_bar;
      if (y_bar.kind() == Term::Kind::filled) return Term::filled(y_bar.part(0), x.shape);
      return Term::call("reshape", "\\operatorname{reshape}(#)", {y_bar}, std::nullopt);
    }
    if (op == "transpose") return transposed(y_bar);
    if (op == "element") {
      const std::string position = position_text(x.shape, step.node->flat);
      remarks_.insert(fmt::format("e{0} is 1 at position {0} and 0 elsewhere.", position));
      return y_bar * Term::symbol("e" + position, std::nullopt, fmt::format("e_{{{}}}", position));
    }
    if (op == "conv1d" || op == "conv2d") return through_convolution(step, use.operand, y_bar);
    if (op == "stack") return Term::symbol(fmt::format("{}_bar[{}]", names_[step.results[0]], use.operand), adjoint_value(v));
    const std::optional<Opcode> opcode = opcode_named(op);
    if (opcode && info(*opcode).operands == static_cast<int>(step.operands.size())) {
      const Term slope = partial(use.step, use.operand);
      const bool whole = std::all_of(step.operands.begin(), step.operands.end(),
                                     [&](std::uint32_t operand) { return trace_.values[operand].shape == y.shape; });
      if (matrix(step) && !whole && y_bar.kind() == Term::Kind::filled && slope.kind() != Term::Kind::number)
        return reduced(y_bar.part(0) * Term::elements(y_bar.ones(), slope));  // the slope may be smaller than y
      return reduced(matrix(step) ? Term::elements(y_bar, slope) : y_bar * slope);
    }
    remarks_.insert(fmt::format("J_{0},{1} is the Jacobian of {0} with respect to {1}.", op, names_[v]));
    return Term::symbol(fmt::format("J_{},{}^T", op, names_[v]), std::nullopt,
                        fmt::format("J_{{\\mathrm{{{}}}, {}}}^{{\\mathsf T}}", op, latex_of_name(names_[v]))) *
           y_bar;
  }

  // What a sum passes on: the same to each element.
  static Term spread(const Term& y_bar, const TracedValue& x, const TracedValue& y) {
    if (x.shape == y.shape) return y_bar;
    if (y.shape.size() == 1) return Term::filled(y_bar, x.shape);
    return Term::call("broadcast", "\\operatorname{broadcast}(#)", {y_bar}, std::nullopt);
  }
  // A cotangent in y's shape as one for x, which was repeated to that shape: the sum over the repetitions.
  static Term sum_to(const Term& t, const TracedValue& x, const TracedValue& y) {
    if (x.scalar || x.shape == y.shape || t.kind() == Term::Kind::number) return t;
    if (t.kind() == Term::Kind::filled) {
      const Term sum = Term(static_cast<double>(y.shape.size()) / static_cast<double>(x.shape.size())) * t.part(0);
      return x.shape.size() == 1 ? sum : Term::filled(sum, x.shape);
    }
    if (x.shape.size() == 1) return Term::call("sum", "\\sum #", {t}, std::nullopt);
    const bool rows = x.shape.rank() == y.shape.rank() - 1 && std::equal(x.shape.begin(), x.shape.end(), y.shape.begin() + 1);
    if (rows) return Term::call("sum_rows", "\\sum_i #_i", {t}, std::nullopt);
    return Term::call("sum_to" + to_string(x.shape), fmt::format("\\operatorname{{sum}}_{{{}}} #", to_string(x.shape)), {t}, std::nullopt);
  }
  Term through_convolution(const TracedStep& step, std::size_t operand, const Term& y_bar) {
    const std::string transpose = step.name == "conv1d" ? "conv_transpose1d" : "conv_transpose2d";
    if (operand == 0) {
      remarks_.insert(fmt::format("{} carries a cotangent back through {}: the convolution with the kernel flipped in every direction.",
                                  transpose, step.name));
      return Term::call(transpose, "", {y_bar, term(step.operands[1])}, std::nullopt);
    }
    if (operand == 1) {
      remarks_.insert(
          "correlate(x, y_bar) is, for each weight, the sum over all examples and positions of y_bar times what the weight multiplies "
          "there.");
      return Term::call("correlate", "", {term(step.operands[0]), y_bar}, std::nullopt);
    }
    return Term::call("sum_positions", "\\sum_{n, i} #_{n, i}", {y_bar}, std::nullopt);
  }

  // The derivative of v, from those of the results that were computed from it.
  template <class F> Term sum_of_uses(std::uint32_t v, F&& y_bar) {
    Formulas terms;
    for (const Use& use : uses_[v]) terms.push_back(contribution(v, use, y_bar(trace_.steps[use.step].results[0])));
    if (terms.size() > kMaxTerms) {
      const std::string same = skeleton(terms[0].text());
      if (std::all_of(terms.begin(), terms.end(), [&](const Term& t) { return skeleton(t.text()) == same; }))
        return Term::call(fmt::format("sum of {} terms such as ", terms.size()), fmt::format("\\sum_{{i=1}}^{{{}}} #", terms.size()),
                          {terms[0]}, adjoint_value(v));
    }
    Term total = v == target_ ? Term(1.0) : Term(0.0);
    for (const Term& t : terms) total = total + t;
    return total;
  }
  Term sum_of_adjoints(std::uint32_t v) {
    return sum_of_uses(v, [this](std::uint32_t result) { return result == target_ ? Term(1.0) : adjoint_symbol(result); });
  }
  Term expanded_sum(std::uint32_t v) {
    return sum_of_uses(v, [this](std::uint32_t result) { return expanded(result); });
  }
  // The derivative of a value as a formula, or its symbol where the formula would be long or stand in several places.
  Term expanded(std::uint32_t v) {
    if (v == target_) return 1.0;
    const auto known = expansions_.find(v);
    if (known != expansions_.end()) return known->second;
    std::size_t readers = 0;  // values whose derivative contains that of this one
    if (trace_.values[v].step >= 0) readers = active_operands(static_cast<std::size_t>(trace_.values[v].step));
    Term formula = expanded_sum(v);
    const bool sums = formula.kind() == Term::Kind::sum && readers > 1;
    if ((formula.size() > kMaxSize || sums) && formula.kind() != Term::Kind::number) {
      pending_.push_back(v);
      formula = adjoint_symbol(v);
    }
    expansions_.emplace(v, formula);
    return formula;
  }
  std::size_t active_operands(std::size_t s) const {
    const TracedStep& step = trace_.steps[s];
    std::set<std::uint32_t> all;
    for (std::size_t k = s;; --k) {
      const TracedStep& part = trace_.steps[k];
      if (k != s && (part.statement != step.statement || step.statement < 0)) break;
      for (std::uint32_t v : part.operands)
        if (active_[v] && has_symbol(v)) all.insert(v);
      if (k == 0) break;
    }
    return all.size();
  }

  void backward(Derivation& d) {
    std::set<std::uint32_t> done;
    const auto add = [&](std::uint32_t v) {
      if (!needed_[v] || !active_[v] || !has_symbol(v) || !done.insert(v).second) return;
      d.backward.push_back(equation(adjoint_symbol(v), sum_of_adjoints(v), adjoint_value(v)));
      if (trace_.values[v].shape.size() > 1 && d.backward.back().value.empty()) d.backward.back().value = to_string(trace_.values[v].shape);
    };
    add(target_);
    for (std::size_t s = trace_.steps.size(); s-- > 0;) {
      const TracedStep& step = trace_.steps[s];
      if (!step.last || step.in_sweep) continue;
      for (std::uint32_t v : step.results) add(v);
    }
    for (std::uint32_t v : sources_) add(v);
  }

  // ---- equations --------------------------------------------------------------------------------------------------------------

  static Equation equation(const Term& left, const Term& right, std::optional<double> value) {
    Equation e{.left = left.text(), .symbols = right.text(), .left_latex = left.latex(), .symbols_latex = right.latex()};
    if (value) e.value = number_text(*value);
    if (right.kind() != Term::Kind::number && right.has_numbers() && right.numbers(false) != e.value) {
      e.numbers = right.numbers(false);
      e.numbers_latex = right.numbers(true);
    }
    if (e.symbols == e.value) e.value.clear();
    return e;
  }
  Equation equation(const Term& left, const Term& right, std::uint32_t v, const TracedStep& step) const {
    Equation e = equation(left, right, number_of(v));
    if (!trace_.values[v].scalar && e.value.empty()) e.value = to_string(trace_.values[v].shape);
    const Location site = place_of(trace_, step);
    if (site.line) e.note = to_string(site);
    return e;
  }

  // Three or more repetitions of the same lines: the first and the last of them.
  static std::vector<Equation> folded(std::vector<Equation> all, const std::set<std::string>& asked_for) {
    const auto key = [&](std::size_t k) {
      return asked_for.contains(all[k].left) ? all[k].left : skeleton(all[k].left + " = " + all[k].symbols) + all[k].note;
    };
    std::vector<Equation> kept;
    for (std::size_t k = 0; k < all.size();) {
      std::size_t best_period = 0, best_count = 0;
      for (std::size_t p = 1; p <= kMaxPeriod && k + 3 * p <= all.size(); ++p) {
        std::size_t count = 1;
        const auto repeats = [&](std::size_t n) {
          for (std::size_t j = 0; j < p; ++j)
            if (k + n * p + j >= all.size() || key(k + n * p + j) != key(k + j)) return false;
          return true;
        };
        while (repeats(count)) ++count;
        if (count >= 3 && count * p > best_count * best_period) best_period = p, best_count = count;
      }
      if (!best_period) {
        kept.push_back(all[k++]);
        continue;
      }
      for (const std::size_t n : {std::size_t{1}, best_count})
        for (std::size_t j = 0; j < best_period; ++j) {
          Equation e = all[k + (n - 1) * best_period + j];
          e.note += fmt::format("{}repetition {} of {}", e.note.empty() ? "" : ", ", n, best_count);
          kept.push_back(std::move(e));
        }
      k += best_count * best_period;
    }
    return kept;
  }

  Trace& trace_;
  std::uint32_t target_;
  std::vector<std::uint32_t> sources_;
  std::vector<char> needed_, active_;
  TracedSweep sweep_;
  std::vector<std::vector<Use>> uses_;
  std::vector<std::string> names_;
  std::vector<std::uint32_t> alias_;
  std::vector<std::uint32_t> unnamed_constants_;
  mutable std::map<std::string, std::string> letters_;
  std::map<std::uint32_t, Term> expansions_;
  std::vector<std::uint32_t> pending_;
  std::set<std::string> explained_, remarks_;
  std::vector<Equation> functions_;
};

}  // namespace

Derivation explain(Tape& tape, const Source& target, const Tensor& value, std::span<const Source> sources) {
  TapeState& t = TapeAccess::state(tape);
  check_thread(t, "explain");
  const History* history = history_of(t);
  if (!history || !history->formulas)
    throw TapeError("explain: the tape keeps no formulas; hint: open it with Tape tape({.formulas = true})");
  const std::uint32_t y = find(t, target);
  if (y == kNoIndex) throw TapeError("explain: the target is not on this tape, or depends on no parameter and no variable");
  const PauseForSweep pause(true);
  Trace trace(t);
  read_names(trace);
  std::vector<std::uint32_t> from;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::uint32_t index = find(t, sources[i]);
    const std::uint32_t v = index == kNoIndex ? kNoIndex : trace.of(sources[i].scalar, index);
    if (v == kNoIndex) throw TapeError(fmt::format("explain: source {} is not on this tape, or nothing was computed from it", i));
    from.push_back(v);
  }
  static_cast<void>(value);
  return Author(trace, trace.of(target.scalar, y), std::move(from)).write();
}

// ---- forms ------------------------------------------------------------------------------------------------------------------

namespace {

std::string line_of(const Equation& e) {
  std::string text = fmt::format("{} = {}", e.left, e.symbols);
  if (!e.numbers.empty()) text += " = " + e.numbers;
  if (!e.value.empty()) text += (e.value[0] == '(' ? ", of shape " : " = ") + e.value;
  return text;
}
std::string latex_of(const Equation& e, const char* sign) {
  std::string text = fmt::format("{} {} {}", e.left_latex, sign, e.symbols_latex);
  if (!e.numbers_latex.empty()) text += " = " + e.numbers_latex;
  if (!e.value.empty() && e.value[0] != '(') text += " = " + e.value;
  return text;
}

struct Section {
  const char* title;
  const std::vector<Equation>& equations;
};
std::vector<Section> sections_of(const Derivation& d) {
  return {{"Forward: what was computed", d.forward},
          {"Backward: the chain rule, from the last value to the first", d.backward},
          {"Collected", d.collected},
          {"where", d.where}};
}

}  // namespace
}  // namespace detail

std::string Derivation::text() const {
  std::string out;
  for (const detail::Section& s : detail::sections_of(*this)) {
    if (s.equations.empty()) continue;
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", s.title);
    std::size_t widest = 0;
    for (const Equation& e : s.equations) widest = std::max(widest, std::min<std::size_t>(detail::line_of(e).size(), 76));
    for (const Equation& e : s.equations) {
      const std::string line = detail::line_of(e);
      out += e.note.empty() ? fmt::format("  {}\n", line) : fmt::format("  {:<{}}   {}\n", line, widest, e.note);
    }
  }
  for (const std::string& remark : remarks) out += "\n" + remark + "\n";
  return out;
}

std::string Derivation::markdown() const {
  std::string out;
  for (const detail::Section& s : detail::sections_of(*this)) {
    if (s.equations.empty()) continue;
    out += fmt::format("{}**{}**\n\n$$\n\\begin{{aligned}}\n", out.empty() ? "" : "\n", s.title);
    for (std::size_t k = 0; k < s.equations.size(); ++k)
      out += detail::latex_of(s.equations[k], "&=") + (k + 1 < s.equations.size() ? " \\\\\n" : "\n");
    out += "\\end{aligned}\n$$\n";
  }
  for (const std::string& remark : remarks) out += "\n" + remark + "\n";
  return out;
}

std::string Derivation::latex() const {
  std::string out;
  for (const detail::Section& s : detail::sections_of(*this)) {
    if (s.equations.empty()) continue;
    out += fmt::format("\\paragraph{{{}}}\n\\begin{{align*}}\n", s.title);
    for (std::size_t k = 0; k < s.equations.size(); ++k)
      out += detail::latex_of(s.equations[k], "&=") + (k + 1 < s.equations.size() ? " \\\\\n" : "\n");
    out += "\\end{align*}\n";
  }
  for (const std::string& remark : remarks) out += remark + "\n";
  return out;
}

std::string Derivation::html() const {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Derivation</title>\n<style>\n"
      "body { font-family: serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff; }\n"
      "table { border-collapse: collapse; }\ntd { padding: 0.2em 0.6em; vertical-align: baseline; }\n"
      "td.l { text-align: right; }\ntd.n { color: #777; font-size: 85%; }\n"
      "@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b; } td.n { color: #999; } }\n"
      "</style>\n</head>\n<body>\n<h1>Derivation</h1>\n";
  for (const detail::Section& s : detail::sections_of(*this)) {
    if (s.equations.empty()) continue;
    out += fmt::format("<h2>{}</h2>\n<table>\n", s.title);
    for (const Equation& e : s.equations) {
      std::string right = detail::escaped_markup(e.symbols);
      if (!e.numbers.empty()) right += " = " + detail::escaped_markup(e.numbers);
      if (!e.value.empty()) right += (e.value[0] == '(' ? ", of shape " : " = ") + detail::escaped_markup(e.value);
      out += fmt::format("<tr><td class=\"l\">{}</td><td>= {}</td><td class=\"n\">{}</td></tr>\n", detail::escaped_markup(e.left), right,
                         detail::escaped_markup(e.note));
    }
    out += "</table>\n";
  }
  for (const std::string& remark : remarks) out += fmt::format("<p>{}</p>\n", detail::escaped_markup(remark));
  return out + "</body>\n</html>\n";
}

}  // namespace wengert
