#include "autodiff/explain/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "autodiff/explain/graph.h"
#include "autodiff/explain/layout.h"
#include "autodiff/explain/markup.h"
#include "autodiff/explain/reading.h"
#include "autodiff/program/notation.h"
#include "autodiff/tape/sources.h"
#include "autodiff/tape/sweep_scope.h"

namespace wengert::detail {
namespace {

constexpr double kCharacter = 8, kBoldCharacter = 8.6, kLine = 20, kPadding = 10;  // pixels, for letters of 14

Graph graph_of_tape(const char* function, Tape& tape, const Source& target, int module_depth) {
  TapeState& t = TapeAccess::state(tape);
  check_thread(t, function);
  const std::uint32_t y = find(t, target);
  if (y == kNoIndex)
    throw TapeError(fmt::format("{}: the target is not on this tape, or depends on no parameter and no variable", function));
  const PauseForSweep pause(true);
  Trace trace(t);
  read_names(trace);
  return graph_of(trace, trace.of(target.scalar, y), module_depth);
}

// ---- DOT --------------------------------------------------------------------------------------------------------------------

// Frames inside frames, by the paths of modules.
struct Frame {
  std::map<std::string, Frame> inside;
  std::vector<std::size_t> boxes;
};

std::string dot_box(const Box& box, std::size_t number) {
  std::string label = box.title;
  for (const std::string& line : box.lines) label += "\n" + line;
  if (!box.gradient.empty()) label += "\n" + box.gradient;
  const char* const look = box.kind == Box::Kind::input    ? "shape=box, style=rounded"
                           : box.kind == Box::Kind::module ? "shape=box3d"
                                                           : "shape=box";
  return fmt::format("n{} [{}, label={}];\n", number, look, dot_quoted(label));
}

std::string dot_frame(const Graph& graph, const Frame& frame, const std::string& indent, int& count) {
  std::string text;
  for (const std::size_t b : frame.boxes) text += indent + dot_box(graph.boxes[b], b);
  for (const auto& [name, inner] : frame.inside) {
    text += fmt::format("{0}subgraph cluster_{1} {{\n{0}  label={2};\n", indent, count++, dot_quoted(name));
    text += fmt::format("{}{}}}\n", dot_frame(graph, inner, indent + "  ", count), indent);
  }
  return text;
}

}  // namespace

std::string to_dot(Tape& tape, const Source& target, const PictureOptions& options) {
  const Graph graph = graph_of_tape("to_dot", tape, target, options.module_depth);
  Frame all;
  for (std::size_t b = 0; b < graph.boxes.size(); ++b) {
    Frame* frame = &all;
    std::string_view path = graph.boxes[b].module;
    while (!path.empty()) {
      const std::size_t dot = path.find('.');
      frame = &frame->inside[std::string(path.substr(0, dot))];
      path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    }
    frame->boxes.push_back(b);
  }
  int frames = 0;
  std::string text = "digraph tape {\n  rankdir=LR;\n" + dot_frame(graph, all, "  ", frames);
  for (const Edge& e : graph.edges)
    text += fmt::format("  n{} -> n{} [{}];\n", e.from, e.to, e.norm > 0 ? fmt::format("penwidth={}", e.width) : "style=dashed");
  return text + "}\n";
}

// ---- SVG --------------------------------------------------------------------------------------------------------------------

namespace {

double characters_of(std::string_view text) {
  return static_cast<double>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

Placed size_of(const Box& box) {
  double width = kBoldCharacter * characters_of(box.title);
  for (const std::string& line : box.lines) width = std::max(width, kCharacter * characters_of(line));
  width = std::max(width, kCharacter * characters_of(box.gradient));
  const std::size_t lines = 1 + box.lines.size() + (box.gradient.empty() ? 0 : 1);
  return {.width = width + 2 * kPadding, .height = kLine * static_cast<double>(lines) + kPadding};
}

// A smooth line through the points: level at each of them.
std::string path_of(const std::vector<Point>& way) {
  std::string text = fmt::format("M{:.1f} {:.1f}", way[0].x, way[0].y);
  for (std::size_t k = 1; k < way.size(); ++k) {
    const double middle = (way[k - 1].x + way[k].x) / 2;
    text += fmt::format("C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", middle, way[k - 1].y, middle, way[k].y, way[k].x, way[k].y);
  }
  return text;
}

}  // namespace

std::string to_svg(Tape& tape, const Source& target, const PictureOptions& options) {
  const Graph graph = graph_of_tape("to_svg", tape, target, options.module_depth);
  if (graph.boxes.size() > options.max_boxes)
    throw ValueError(
        fmt::format("to_svg: a picture of {} boxes, where .max_boxes is {}; hint: draw modules as one box each (.module_depth = 1), or "
                    "draw what to_dot "
                    "writes with Graphviz",
                    graph.boxes.size(), options.max_boxes));
  std::vector<Placed> sizes;
  for (const Box& box : graph.boxes) sizes.push_back(size_of(box));
  const Layout layout = layout_of(graph, sizes);

  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"14\">\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#ffffff\"/>\n",
      layout.width, layout.height);
  for (std::size_t e = 0; e < graph.edges.size(); ++e)
    text += fmt::format(
        "<path d=\"{}\" fill=\"none\" stroke=\"#8896a5\" {}/>\n", path_of(layout.ways[e]),
        graph.edges[e].norm > 0 ? fmt::format("stroke-width=\"{}\"", graph.edges[e].width) : "stroke-width=\"1\" stroke-dasharray=\"4 3\"");
  for (std::size_t b = 0; b < graph.boxes.size(); ++b) {
    const Box& box = graph.boxes[b];
    const Placed& at = layout.boxes[b];
    const char* const fill = box.kind == Box::Kind::input ? "#f6f6f6" : box.kind == Box::Kind::module ? "#fdf3e1" : "#eef4fb";
    text += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"6\" fill=\"{}\" stroke=\"#5b7fa6\"/>\n",
                        at.x, at.y, at.width, at.height, fill);
    double y = at.y + kLine;
    const auto line = [&](const std::string& what, const char* look) {
      text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n", at.x + kPadding, y, look, escaped_markup(what));
      y += kLine;
    };
    line(box.title, " font-weight=\"bold\"");
    for (const std::string& each : box.lines) line(each, "");
    if (!box.gradient.empty()) line(box.gradient, " fill=\"#b03a2e\"");
  }
  return text + "</svg>\n";
}

}  // namespace wengert::detail
