#include "autodiff/program/to_dot.h"

#include <fmt/format.h>

#include "autodiff/program/notation.h"

namespace wengert {
namespace {

std::string label_of(Opcode opcode) {
  if (const char* sign = detail::sign_of(opcode)) return sign;
  return opcode == Opcode::negative ? "-" : info(opcode).name;
}

}  // namespace

std::string to_dot(const Program& program, const DotOptions& options) {
  const WengertList& list = program.list();
  const detail::Notation notation("to_dot", program, options.names);
  std::string constants, edges, text = "digraph program {\n  rankdir=LR;\n  node [shape=box];\n";
  int constant_count = 0;
  // Each use of a constant has a node of its own: edges from one 0.5 to all its uses would cross the whole picture.
  const auto edge_to = [&](const std::string& to, std::uint32_t from, const std::string& attributes) {
    std::string source = fmt::format("n{}", from);
    if (list.kind(from) == ValueKind::constant) {
      source = fmt::format("c{}", constant_count++);
      constants += fmt::format("  {} [shape=plaintext, label={}];\n", source, detail::dot_quoted(notation.name_of(list, from)));
    }
    edges += fmt::format("  {} -> {}{};\n", source, to, attributes);
  };
  for (std::uint32_t v = 0; v < list.inputs(); ++v)
    text += fmt::format("  n{} [shape=ellipse, label={}];\n", v, detail::dot_quoted(notation.name_of(list, v)));
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    std::string label = label_of(i.opcode);
    for (int k = 0; k < info(i.opcode).options; ++k)
      label += fmt::format("{}{}", k ? ", " : " ", list.options(i)[static_cast<std::size_t>(k)]);
    text += fmt::format("  n{} [label={}];\n", v, detail::dot_quoted(fmt::format("{}: {}", notation.name_of(list, v), label)));
    // Where the order counts, edges say which operand they are.
    const bool ordered = info(i.opcode).operands > 1 && i.opcode != Opcode::add && i.opcode != Opcode::multiply;
    for (int k = 0; k < info(i.opcode).operands; ++k)
      edge_to(fmt::format("n{}", v), i.operands[static_cast<std::size_t>(k)], ordered ? fmt::format(" [label={}]", k + 1) : "");
  }
  for (std::size_t g = 0; g < list.guards.size(); ++g) {
    const Guard& guard = list.guards[g];
    const std::string outcome = guard.kind != GuardKind::condition ? fmt::format("{}", guard.outcome)
                                : guard.outcome != 0               ? "true"
                                                                   : "false";
    text += fmt::format("  g{} [shape=diamond, style=dashed, label={}];\n", g,
                        detail::dot_quoted(guard.site.empty() ? outcome : fmt::format("{}, {}", outcome, guard.site)));
    edge_to(fmt::format("g{}", g), guard.value, " [style=dashed]");
  }
  for (std::size_t k = 0; k < list.outputs.size(); ++k) {
    text += fmt::format("  y{} [shape=ellipse, style=bold];\n", k);
    edge_to(fmt::format("y{}", k), list.outputs[k], "");
  }
  return text + constants + edges + "}\n";
}

}  // namespace wengert
