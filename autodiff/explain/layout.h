#pragma once
// Internal.
// Where the boxes of a picture stand: in columns from left to right, each right of those that it depends on.
#include <cstddef>
#include <vector>

#include "autodiff/explain/graph.h"

namespace wengert::detail {

struct Point {
  double x = 0, y = 0;
};
struct Placed {
  double x = 0, y = 0, width = 0, height = 0;  ///< of the upper left corner, in pixels
};

struct Layout {
  std::vector<Placed> boxes;
  std::vector<std::vector<Point>> ways;  ///< of the edges: their ends, and between them where they pass the columns that they cross
  double width = 0, height = 0;
};

/// Columns by the longest way to a box, rows so that edges cross seldom (Sugiyama, Tagawa, Toda: Methods for visual understanding of
/// hierarchical system structures, IEEE Trans. SMC 11, 1981: barycenters).
Layout layout_of(const Graph& graph, const std::vector<Placed>& sizes);

}  // namespace wengert::detail
