#include "autodiff/explain/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "autodiff/explain/finite.h"
#include "autodiff/explain/module_path.h"
#include "autodiff/ops.h"

namespace wengert::detail {
namespace {

constexpr std::size_t kMaxTitle = 32;
constexpr std::size_t kNoBox = ~std::size_t(0);

double norm_of(const Tensor& t) { return norm(t).item(); }

// The norms of the cotangents that each step passes to its operands.
struct Norms final : TracedSweep::Visitor {
  explicit Norms(std::size_t steps) : of_step(steps) {}
  void tensors(int step, std::span<const Tensor>, std::span<const Tensor> x_bar) override {
    for (const Tensor& g : x_bar) of(step).push_back(g.defined() ? norm_of(g) : 0);
  }
  void scalars(int step, double, std::span<const double> x_bar) override {
    for (const double g : x_bar) of(step).push_back(std::abs(g));
  }
  void failed(int) override {}
  std::vector<double>& of(int step) { return of_step[static_cast<std::size_t>(step)]; }

  std::vector<std::vector<double>> of_step;
};

// The first parts of a path; the whole path if it has no more.
std::string first_parts(const std::string& path, int parts) {
  std::size_t end = 0;
  for (; parts > 0 && end != std::string::npos; --parts) end = path.find('.', end + (end > 0 ? 1 : 0));
  return path.substr(0, end);
}

class Draughtsman {
 public:
  Draughtsman(Trace& trace, std::uint32_t target)
      : trace_(trace),
        target_(target),
        needed_(trace.needed_by(target)),
        norms_(trace.steps.size()),
        sweep_(trace, target, {}, &norms_),
        titles_(trace.values.size()),
        box_of_value_(trace.values.size(), kNoBox) {}

  Graph draw() {
    for (std::size_t s = 0; s < trace_.steps.size(); ++s)
      if (is_drawn(trace_.steps[s])) draw(s);
    if (box_of(target_) == kNoBox) draw_input(target_);  // the target is a variable
    return std::move(graph_);
  }

 private:
  bool is_drawn(const TracedStep& step) const {
    return std::any_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed_[v]; });
  }

  void draw(std::size_t s) {
    const TracedStep& step = trace_.steps[s];
    std::string module;
    std::map<std::size_t, double> from;  // boxes of operands, with the norms of the edges
    for (std::size_t i = 0; i < step.operands.size(); ++i) {
      const std::uint32_t v = step.operands[i];
      const TracedValue& value = trace_.values[v];
      if (module.empty() && value.kind == TracedValue::Kind::parameter) module = module_of(value.name);
      if (is_literal(v)) continue;
      if (box_of(v) == kNoBox) draw_input(v);
      const std::vector<double>& norms = norms_.of_step[s];
      double& norm = from.emplace(box_of(v), 0.0).first->second;
      if (i < norms.size() && value.kind != TracedValue::Kind::constant) norm = std::hypot(norm, norms[i]);
    }
    const std::uint32_t first = step.results[0];
    Box box{.lines = value_lines(first), .gradient = gradient_text(first), .module = module};
    const std::string name = trace_.values[first].name, expression = expression_of(step);
    box.title = name.empty() ? expression : fmt::format("{} = {}", name, expression);
    if (length_of(box.title) > kMaxTitle) box.title = name.empty() ? step.name : fmt::format("{} = {}", name, step.name);
    titles_[first] = !name.empty() ? name : expression;
    const std::size_t at = add(std::move(box));
    for (const std::uint32_t v : step.results) box_of_value_[v] = at;
    for (const auto& [operand, norm] : from) graph_.edges.push_back({operand, at, norm});
    // Parameters stand in the frame of the operation that reads them first.
    if (!module.empty())
      for (const std::uint32_t v : step.operands)
        if (trace_.values[v].kind == TracedValue::Kind::parameter && module_of(trace_.values[v].name) == module)
          graph_.boxes[box_of(v)].module = module;
  }

  void draw_input(std::uint32_t v) {
    const TracedValue& value = trace_.values[v];
    const bool is_constant = value.kind == TracedValue::Kind::constant;
    std::string title = value.name;
    if (title.empty()) title = is_constant ? "constant" : fmt::format("v{}", v);
    // A constant that several operations read is drawn once.
    if (is_constant) {
      const std::string content =
          value.scalar ? number_text(value.number) : fmt::format("{}", static_cast<const void*>(value.tensor.elements()));
      const auto [known, is_new] = constants_.emplace(std::pair(title, content), graph_.boxes.size());
      if (!is_new) {
        box_of_value_[v] = known->second;
        titles_[v] = title;
        return;
      }
    }
    titles_[v] = title;
    box_of_value_[v] =
        add({.kind = Box::Kind::input, .title = title, .lines = value_lines(v), .gradient = is_constant ? "" : gradient_text(v)});
  }

  std::size_t add(Box box) {
    graph_.boxes.push_back(std::move(box));
    return graph_.boxes.size() - 1;
  }
  std::size_t box_of(std::uint32_t v) const { return box_of_value_[v]; }

  // ---- text -------------------------------------------------------------------------------------------------------------------

  // Characters, not bytes.
  static std::size_t length_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
  }

  // A number that stands in the title of the operation.
  bool is_literal(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    return value.kind == TracedValue::Kind::constant && value.known && value.name.empty() && (value.scalar || value.tensor.size() == 1);
  }

  std::string title_of(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    if (is_literal(v)) return number_text(value.scalar ? value.number : value.tensor.element(0));
    return titles_[v];
  }

  // "w * x", "sigmoid(h)".
  std::string expression_of(const TracedStep& step) const {
    const auto operand = [&](std::size_t i, bool is_factor) {
      const std::uint32_t v = step.operands[i];
      std::string text = title_of(v);
      const bool is_sum = text.find(" + ") != std::string::npos || text.find(" - ") != std::string::npos || text.starts_with('-');
      if (is_factor && is_sum && text.back() != ')') text = fmt::format("({})", text);
      return text;
    };
    if (step.operands.size() == 2) {
      if (step.name == "add") return operand(0, false) + " + " + operand(1, false);
      if (step.name == "subtract") return operand(0, false) + " - " + operand(1, true);
      if (step.name == "multiply") return operand(0, true) + " * " + operand(1, true);
      if (step.name == "divide") return operand(0, true) + " / " + operand(1, true);
    }
    if (step.name == "negative" && step.operands.size() == 1) return "-" + operand(0, true);
    std::string text = step.name + "(";
    for (std::size_t i = 0; i < step.operands.size(); ++i) text += (i ? ", " : "") + operand(i, false);
    return text + ")";
  }

  std::vector<std::string> value_lines(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    if (value.scalar) return {value.known ? "value " + number_text(value.number) : "a number"};
    const std::string shape = fmt::format("{} {}", to_string(value.shape), to_string(value.dtype));
    if (value.known && value.tensor.size() == 1) return {"value " + number_text(value.tensor.element(0))};
    if (value.known && is_floating(value.dtype)) return {shape, "norm " + number_text(norm_of(value.tensor))};
    return {shape};
  }

  std::string gradient_text(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    if (value.scalar) return "gradient " + number_text(sweep_.scalar(v));
    const Tensor& g = sweep_.tensor(v);
    if (!g.defined()) return "";
    return g.size() == 1 ? "gradient " + number_text(g.element(0)) : "gradient, norm " + number_text(norm_of(g));
  }

  Trace& trace_;
  std::uint32_t target_;
  std::vector<char> needed_;
  Norms norms_;
  TracedSweep sweep_;
  std::vector<std::string> titles_;
  std::vector<std::size_t> box_of_value_;
  std::map<std::pair<std::string, std::string>, std::size_t> constants_;
  Graph graph_;
};

// ---- modules as one box -------------------------------------------------------------------------------------------------------

// Which boxes depend on one of these; `forwards`: otherwise, which these depend on. Edges go from lower to higher numbers.
std::vector<char> reached(const Graph& graph, std::vector<char> from, bool forwards) {
  std::vector<const Edge*> edges;
  for (const Edge& e : graph.edges) edges.push_back(&e);
  if (forwards) {
    std::sort(edges.begin(), edges.end(), [](const Edge* a, const Edge* b) { return a->to < b->to; });
    for (const Edge* e : edges) from[e->to] = from[e->to] || from[e->from];
  } else {
    std::sort(edges.begin(), edges.end(), [](const Edge* a, const Edge* b) { return a->from > b->from; });
    for (const Edge* e : edges) from[e->from] = from[e->from] || from[e->to];
  }
  return from;
}

// The group of each box: operations and parameters of a module, and all operations between them. Empty for boxes of none. A module whose
// operations enclose those of another one in part is no group.
std::vector<std::string> groups_of(const Graph& graph, int depth) {
  std::vector<std::string> groups(graph.boxes.size());
  std::set<std::string> modules;
  for (std::size_t b = 0; b < groups.size(); ++b)
    if (!graph.boxes[b].module.empty()) modules.insert(groups[b] = first_parts(graph.boxes[b].module, depth));
  const std::vector<std::string> own = groups;
  for (const std::string& module : modules) {
    std::vector<char> members(groups.size());
    for (std::size_t b = 0; b < groups.size(); ++b) members[b] = own[b] == module;
    const std::vector<char> after = reached(graph, members, true), before = reached(graph, members, false);
    std::vector<std::size_t> between;
    bool is_whole = true;
    for (std::size_t b = 0; b < groups.size(); ++b) {
      if (!after[b] || !before[b]) continue;
      between.push_back(b);
      is_whole = is_whole && (groups[b].empty() || groups[b] == module);
    }
    for (std::size_t b = 0; b < groups.size(); ++b)
      if (!is_whole && groups[b] == module) groups[b].clear();
    if (is_whole)
      for (const std::size_t b : between) groups[b] = module;
  }
  return groups;
}

// The boxes in an order in which each comes after those that it depends on; fewer than all if some depend on each other in turn.
std::vector<std::size_t> ordered(const Graph& graph) {
  std::vector<std::size_t> open(graph.boxes.size()), order;
  for (const Edge& e : graph.edges) ++open[e.to];
  std::set<std::size_t> ready;
  for (std::size_t b = 0; b < open.size(); ++b)
    if (open[b] == 0) ready.insert(b);
  while (!ready.empty()) {
    const std::size_t b = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(b);
    for (const Edge& e : graph.edges)
      if (e.from == b && --open[e.to] == 0) ready.insert(e.to);
  }
  return order;
}

// The graph with the boxes of each group merged into one.
Graph merged(const Graph& graph, const std::vector<std::string>& groups) {
  struct Module {
    std::size_t operations = 0, parameters = 0, last = 0;
  };
  std::map<std::string, Module> modules;
  for (std::size_t b = 0; b < groups.size(); ++b) {
    if (groups[b].empty()) continue;
    Module& m = modules[groups[b]];
    ++(graph.boxes[b].kind == Box::Kind::input ? m.parameters : m.operations);
    m.last = b;
  }
  Graph result;
  std::map<std::string, std::size_t> place_of_group;
  std::vector<std::size_t> place(groups.size());
  for (std::size_t b = 0; b < groups.size(); ++b) {
    const std::string& group = groups[b];
    if (!group.empty()) {
      const auto [known, is_new] = place_of_group.emplace(group, result.boxes.size());
      place[b] = known->second;
      if (!is_new) continue;
      const Module& m = modules[group];
      const Box& last = graph.boxes[m.last];
      Box box{.kind = Box::Kind::module, .title = group, .lines = last.lines, .gradient = last.gradient};
      box.lines.insert(box.lines.begin(), fmt::format("{} operation{}, {} parameter{}", m.operations, m.operations == 1 ? "" : "s",
                                                      m.parameters, m.parameters == 1 ? "" : "s"));
      result.boxes.push_back(std::move(box));
    } else {
      place[b] = result.boxes.size();
      result.boxes.push_back(graph.boxes[b]);
    }
  }
  std::map<std::pair<std::size_t, std::size_t>, double> edges;
  for (const Edge& e : graph.edges) {
    if (place[e.from] == place[e.to]) continue;
    double& norm = edges.emplace(std::pair(place[e.from], place[e.to]), 0.0).first->second;
    norm = std::hypot(norm, e.norm);
  }
  for (const auto& [ends, norm] : edges) result.edges.push_back({ends.first, ends.second, norm});
  return result;
}

Graph reordered(const Graph& graph, const std::vector<std::size_t>& order) {
  Graph result;
  std::vector<std::size_t> place(order.size());
  for (const std::size_t b : order) {
    place[b] = result.boxes.size();
    result.boxes.push_back(graph.boxes[b]);
  }
  for (const Edge& e : graph.edges) result.edges.push_back({place[e.from], place[e.to], e.norm});
  return result;
}

Graph with_modules_as_boxes(const Graph& graph, int depth) {
  std::vector<std::string> groups = groups_of(graph, depth);
  for (;;) {
    const Graph result = merged(graph, groups);
    const std::vector<std::size_t> order = ordered(result);
    if (order.size() == result.boxes.size()) return reordered(result, order);
    // Two modules that depend on each other in turn: one of them is drawn in parts.
    std::vector<char> is_ordered(result.boxes.size());
    for (const std::size_t b : order) is_ordered[b] = true;
    std::size_t b = 0;
    while (is_ordered[b] || result.boxes[b].kind != Box::Kind::module) ++b;
    std::replace(groups.begin(), groups.end(), result.boxes[b].title, std::string());
  }
}

void set_widths(Graph& graph) {
  double largest = 0;
  for (const Edge& e : graph.edges) largest = std::fmax(largest, std::isfinite(e.norm) ? e.norm : 0);
  for (Edge& e : graph.edges) {
    if (!(e.norm > 0) || largest == 0) continue;
    e.width = std::isfinite(e.norm) ? std::clamp(static_cast<int>(std::lround(5 + std::log10(e.norm / largest))), 1, 5) : 5;
  }
}

}  // namespace

Graph graph_of(Trace& trace, std::uint32_t target, int module_depth) {
  Graph graph = Draughtsman(trace, target).draw();
  if (module_depth > 0) graph = with_modules_as_boxes(graph, module_depth);
  set_widths(graph);
  return graph;
}

}  // namespace wengert::detail
