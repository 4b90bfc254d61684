#include "autodiff/tape/reachability.h"

#include <utility>

namespace wengert::detail {

Reachability::Reachability(TapeState& t, bool scalar, std::uint32_t target) : scalars_(t.next()), slots_(t.slots.size()) {
  (scalar ? scalars_ : slots_)[target] = true;
  // Dependence is traced from later to earlier records. Statements can only be listed forwards, so they are collected first.
  pool::Vector<std::pair<std::uint32_t, std::uint32_t>> arguments;
  ForwardStatements<double>(t).up_to(t.next(), [&](std::uint32_t s, std::uint32_t i, double) { arguments.emplace_back(s, i); });
  const auto statements_down_to = [&](std::uint32_t to) {
    for (; !arguments.empty() && arguments.back().first >= to; arguments.pop_back())
      if (scalars_[arguments.back().first]) scalars_[arguments.back().second] = true;
  };
  t.walk_back(statements_down_to, [&](const TapeNode& node) {
    if (!reached(node)) return;
    for (std::uint32_t i = 0; i < node.inputs; ++i)
      if (const Input& x = t.input(node, i); x.tracked()) (x.scalar ? scalars_ : slots_)[x.index] = true;
  });
}

bool Reachability::reached(const TapeNode& node) const {
  if (node.kind == TapeNode::element) return reached(true, node.first_output);
  for (std::uint32_t j = 0; j < node.outputs; ++j)
    if (reached(false, node.first_output + j)) return true;
  return false;
}

}  // namespace wengert::detail
