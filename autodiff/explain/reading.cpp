#include "autodiff/explain/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

namespace wengert::detail {
namespace {

constexpr std::uint32_t kWindow = 60;  // lines in which a statement without a place is looked for

// The name of the operation that the expression writes.
std::string operation_of(const SourceExpression& e) {
  if (e.kind == SourceExpression::Kind::sign) {
    const bool two = e.operands.size() == 2;
    return e.text == "+" ? "add" : e.text == "-" ? (two ? "subtract" : "negative") : e.text == "*" ? "multiply" : "divide";
  }
  return e.text == "max" ? "maximum" : e.text == "min" ? "minimum" : e.text == "fabs" ? "abs" : e.text;
}

bool is_leaf(const Trace& trace, std::uint32_t value, int statement) {
  const int step = trace.values[value].step;
  return step < 0 || (statement >= 0 && trace.steps[static_cast<std::size_t>(step)].statement != statement);
}

// `visit(value, expression)` for each pair that corresponds; false if the shapes of the trees differ. `statement`: of Scalars, where
// the expression ends at its statement's own operands; -1 for tensors, where it may go on to earlier results.
template <class F> bool pair_up(const Trace& trace, std::uint32_t value, const SourceExpression& e, int statement, F&& visit) {
  visit(value, e);
  const TracedValue& v = trace.values[value];
  using Kind = SourceExpression::Kind;
  if (e.kind == Kind::name) return statement < 0 || is_leaf(trace, value, statement);
  if (e.kind == Kind::number)
    return v.kind == TracedValue::Kind::constant && (!v.scalar || v.number == std::strtod(e.text.c_str(), nullptr));
  if (v.scalar && is_leaf(trace, value, statement)) return v.kind == TracedValue::Kind::constant || e.kind == Kind::call;
  if (v.step < 0) return true;
  const TracedStep& step = trace.steps[static_cast<std::size_t>(v.step)];
  const std::size_t n = std::min(step.operands.size(), e.operands.size());
  if (operation_of(e) != step.name || n == 0) return statement < 0;
  if (statement >= 0 && step.operands.size() != n) return false;
  bool all = true;
  for (std::size_t k = 0; k < n; ++k) all = pair_up(trace, step.operands[k], e.operands[k], statement, visit) && all;
  return all;
}

int statement_of(const Trace& trace, std::uint32_t value) {
  const int step = trace.values[value].step;
  return step < 0 ? -1 : trace.steps[static_cast<std::size_t>(step)].statement;
}

bool matches(const Trace& trace, std::uint32_t value, const SourceStatement& s) {
  const int step = trace.values[value].step;
  if (!s.sign) return matches(trace, value, s.expression);
  if (step < 0) return false;
  const TracedStep& its = trace.steps[static_cast<std::size_t>(step)];
  if (its.operands.size() != 2 || operation_of({SourceExpression::Kind::sign, std::string(1, s.sign), {{}, {}}}) != its.name) return false;
  return pair_up(trace, its.operands[1], s.expression, its.statement, [](std::uint32_t, const SourceExpression&) {});
}

// The last step of the statement that the step is a part of.
const TracedStep& whole(const Trace& trace, const TracedStep& step) {
  const TracedStep* last = &step;
  while (!last->last) ++last;
  static_cast<void>(trace);
  return *last;
}

}  // namespace

bool matches(const Trace& trace, std::uint32_t value, const SourceExpression& e) {
  return pair_up(trace, value, e, statement_of(trace, value), [](std::uint32_t, const SourceExpression&) {});
}

Location place_of(const Trace& trace, const TracedStep& step) {
  if (step.site.line || !step.previous.line) return step.site;
  const std::uint32_t value = whole(trace, step).results[0];
  const auto says_it = [&](std::uint32_t line) {
    const Location site(step.previous.file, line);
    const std::optional<std::string> text = source_line(site);
    if (!text || text->find('=') == std::string::npos) return false;
    const std::vector<SourceStatement> all = parse_statements(*text);
    return std::any_of(all.begin(), all.end(), [&](const SourceStatement& s) { return !s.name.empty() && matches(trace, value, s); });
  };
  for (std::uint32_t k = 0; k <= kWindow; ++k)
    if (says_it(step.previous.line + k)) return {step.previous.file, step.previous.line + k};
  for (std::uint32_t k = 1; k <= kWindow && k < step.previous.line; ++k)
    if (says_it(step.previous.line - k)) return {step.previous.file, step.previous.line - k};
  return {};
}

std::string place_text(const Trace& trace, const TracedStep& step) {
  const Location site = place_of(trace, step);
  if (site.line) return to_string(site);
  return step.previous.line ? "a line after " + to_string(step.previous) : "an unknown line";
}

void read_names(Trace& trace) {
  const auto give = [&](std::uint32_t value, const std::string& name) {
    TracedValue& v = trace.values[value];
    if (v.name.empty() && !name.empty()) v.name = name;
  };
  // What a line declares: several values may be made on one, in the order of its statements.
  std::map<std::pair<std::string, std::uint32_t>, std::vector<std::uint32_t>> made;
  for (std::uint32_t v = 0; v < trace.values.size(); ++v) {
    const TracedValue& value = trace.values[v];
    if (value.kind == TracedValue::Kind::variable && value.site.line) made[{value.site.file, value.site.line}].push_back(v);
  }
  for (auto& [site, values] : made) {
    std::sort(values.begin(), values.end(),
              [&](std::uint32_t a, std::uint32_t b) { return trace.values[a].index < trace.values[b].index; });
    const std::vector<SourceStatement> statements = statements_at({site.first.c_str(), site.second});
    if (statements.size() != values.size()) continue;  // in a loop, or of an array
    for (std::size_t k = 0; k < values.size(); ++k)
      if (!statements[k].sign) give(values[k], statements[k].name);
  }
  for (std::size_t s = trace.steps.size(); s-- > 0;) {
    const TracedStep& step = trace.steps[s];
    if (!step.last || step.in_sweep || step.results.size() != 1) continue;
    const std::uint32_t value = step.results[0];
    const Location site = place_of(trace, step);
    for (const SourceStatement& statement : statements_at(site)) {
      if (statement.sign) {
        if (!matches(trace, value, statement)) continue;
        give(value, statement.name);
        give(step.operands[0], statement.name);
        pair_up(trace, step.operands[1], statement.expression, step.statement, [&](std::uint32_t v, const SourceExpression& e) {
          if (e.kind == SourceExpression::Kind::name) give(v, e.text);
        });
        break;
      }
      const bool same = step.node
                            ? statement.expression.kind != SourceExpression::Kind::name && operation_of(statement.expression) == step.name
                            : matches(trace, value, statement.expression);
      if (!same) continue;
      // The last operation of a line is what the line is for; those before it are its parts.
      give(value, statement.name);
      pair_up(trace, value, statement.expression, step.statement, [&](std::uint32_t v, const SourceExpression& e) {
        if (e.kind == SourceExpression::Kind::name) give(v, e.text);
      });
      break;
    }
  }
}

}  // namespace wengert::detail
