#pragma once
// Internal.
// Which recorded values a target depends on.
#include "autodiff/tape/records.h"

namespace wengert::detail {

/// Dependence by structure alone, whatever the derivatives are: asked only when a cotangent is absent or exactly zero.
class Reachability {
 public:
  /// Of the target: a scalar, or a slot.
  Reachability(TapeState& t, bool scalar, std::uint32_t target);
  /// Whether the target depends on the scalar or slot.
  bool reached(bool scalar, std::uint32_t index) const { return (scalar ? scalars_ : slots_)[index] != 0; }

 private:
  bool reached(const TapeNode& node) const;

  pool::Vector<char> scalars_, slots_;
};

/// Marks what depends on marked slots: those of `is_marked` and, as it finds more, of `mark`, each a function of a slot's index. Scalars
/// are not followed: `scalars` says what they count as.
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
