#include "autodiff/program/to_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/program/notation.h"
#include "autodiff/program/rounds.h"

namespace wengert {
namespace {

// The path that the inputs take, recorded if it must be.
const WengertList& list_at(const Program& program, std::span<const double> inputs) {
  const auto parameters = static_cast<std::size_t>(program.parameters());
  Columns columns;
  for (const double& x : inputs.subspan(parameters)) columns.add({&x, 1});
  if (program.data() == 0) columns = Columns::without_data(1);
  const PathReport report = program.report(inputs.first(parameters), columns);
  if (!report.left.empty())
    throw ValueError(fmt::format("to_text: at these inputs the program takes none of its paths: it leaves path {} at {}",
                                 report.left[0].path, report.left[0].asked));
  const auto taken = std::ranges::find_if(report.paths, [](const PathReport::Path& path) { return path.lanes > 0; });
  return program.path(taken->number);
}

std::vector<double> values_at(const WengertList& list, std::span<const double> inputs) {
  std::vector<double> values(inputs.begin(), inputs.end());
  values.insert(values.end(), list.constants.begin(), list.constants.end());
  for (const Instruction& i : list.instructions) {
    double x[3] = {};
    for (int k = 0; k < info(i.opcode).operands; ++k) x[k] = values[i.operands[static_cast<std::size_t>(k)]];
    values.push_back(detail::compute(i.opcode, false, x, list.options(i).data()));
  }
  return values;
}

// m times the derivative of y with respect to operand k.
double rule(const WengertList& list, const Instruction& i, int k, const std::vector<double>& values, double y, double m) {
  const auto x = [&](int j) { return values[i.operands[static_cast<std::size_t>(j)]]; };
  return detail::visit_function(i.opcode, list.options(i).data(), [&]<class F>(const F& f) -> double {
    if constexpr (std::is_same_v<F, fn::Where>) {
      return k > 0 && (x(0) != 0) == (k == 1) ? m : 0;
    } else if constexpr (requires { f.pullback(m, m, m); }) {
      return f.pullback(m, x(0), y);
    } else if constexpr (requires { f.left(m, m, m, m); }) {
      return k == 0 ? f.left(m, x(0), x(1), y) : f.right(m, x(0), x(1), y);
    } else {
      return 0;  // a condition
    }
  });
}

std::vector<double> adjoints_at(const WengertList& list, const std::vector<double>& values) {
  std::vector<double> adjoints(list.size());
  adjoints[list.outputs[0]] = 1;
  for (std::uint32_t v = list.size(); v-- > list.first_instruction();) {
    if (adjoints[v] == 0) continue;
    const Instruction& i = list.instruction(v);
    for (int k = 0; k < info(i.opcode).operands; ++k)
      adjoints[i.operands[static_cast<std::size_t>(k)]] += rule(list, i, k, values, values[v], adjoints[v]);
  }
  return adjoints;
}

struct Row {
  std::string name, formula, value, adjoint, note;
};

std::string table(const std::vector<Row>& rows) {
  const auto width = [&](std::string Row::*column) {
    std::size_t most = 0;
    for (const Row& row : rows) most = std::max(most, (row.*column).size());
    return most;
  };
  const std::size_t name = width(&Row::name), formula = width(&Row::formula), value = width(&Row::value), adjoint = width(&Row::adjoint);
  std::string text;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}  {:<{}}", row.name, name, row.formula, formula);
    if (value > 0) line += fmt::format("  {:>{}}", row.value, value);
    if (adjoint > 0) line += fmt::format("  {:>{}}", row.adjoint, adjoint);
    if (!row.note.empty()) line += "  " + row.note;
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace

std::string to_text(const Program& program, const TextOptions& options) {
  const bool with_values = !options.at.empty();
  if (with_values) detail::check_count("to_text", "numbers in .at", options.at.size(), program);
  if (options.adjoints && (!with_values || program.outputs() != 1))
    throw ValueError(fmt::format("to_text: .adjoints needs inputs in .at and a program of one output; this one has {}", program.outputs()));
  const WengertList& list = with_values ? list_at(program, options.at) : program.list();
  const detail::Notation notation("to_text", program, options.names);
  const std::vector<double> values = with_values ? values_at(list, options.at) : std::vector<double>();
  const std::vector<double> adjoints = options.adjoints ? adjoints_at(list, values) : std::vector<double>();

  std::vector<Row> rows;
  const auto number = [&](double x) { return fmt::format("{:.{}g}", x, options.digits); };
  const auto add = [&](std::string name, std::string formula, std::uint32_t value) {
    rows.push_back({std::move(name), std::move(formula), with_values ? number(values[value]) : "",
                    options.adjoints ? number(adjoints[value]) : "", ""});
  };
  if (with_values) rows.push_back({"", "", "value", options.adjoints ? "adjoint" : "", ""});
  if (with_values)
    for (std::uint32_t v = 0; v < list.inputs(); ++v) add(notation.name_of(list, v), "", v);
  for (const detail::Step& step : detail::steps_of(list)) {
    if (!step.is_guard) {
      add(notation.name_of(list, step.number), "= " + notation.formula_of(list, list.instruction(step.number)), step.number);
      continue;
    }
    const Guard& guard = list.guards[step.number];
    const std::string asked = guard.kind == GuardKind::integer ? fmt::format("trunc({})", notation.name_of(list, guard.value))
                                                               : notation.name_of(list, guard.value);
    const std::string outcome = guard.kind != GuardKind::condition ? fmt::format("{}", guard.outcome)
                                : guard.outcome != 0               ? "true"
                                                                   : "false";
    rows.push_back({"guard", fmt::format("  {} is {}", asked, outcome), "", "", guard.site});
  }
  for (std::size_t k = 0; k < list.outputs.size(); ++k)
    add(fmt::format("y{}", k), "= " + notation.name_of(list, list.outputs[k]), list.outputs[k]);
  return table(rows);
}

}  // namespace wengert
