#pragma once
// Internal.
// Which recorded values a target depends on.
#include "autodiff/tape/records.h"

namespace wengert::detail {

/// Structural dependence, regardless of the values of derivatives. Computed only when a cotangent is absent or exactly zero.
class Reachability {
 public:
  /// `target`: the index of a scalar or a slot.
  Reachability(TapeState& t, bool scalar, std::uint32_t target);
  /// Whether the target depends on the scalar or slot.
  bool reached(bool scalar, std::uint32_t index) const { return (scalar ? scalars_ : slots_)[index] != 0; }

 private:
  bool reached(const TapeNode& node) const;

  pool::Vector<char> scalars_, slots_;
};

/// Propagates marks from inputs to outputs: calls mark(slot) for every slot that depends on one for which is_marked(slot) holds. Scalars
/// are not followed: `scalars` says whether they count as marked.
template <class IsMarked, class Mark>
void mark_dependents(const TapeState& t, std::uint32_t first_node, bool scalars, IsMarked&& is_marked, Mark&& mark) {
  for (std::uint32_t k = first_node; k < t.nodes.size(); ++k) {
    const TapeNode& node = t.nodes[k];
    if (node.kind == TapeNode::element) continue;
    if (!t.any_input(node, [&](const Input& x) { return x.scalar ? scalars : is_marked(x.index); })) continue;
    for (std::uint32_t j = 0; j < node.outputs; ++j) mark(node.first_output + j);
  }
}

}  // namespace wengert::detail
