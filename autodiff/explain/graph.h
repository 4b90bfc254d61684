#pragma once
// Internal.
// A tape as boxes and edges, for pictures.
#include <cstdint>
#include <string>
#include <vector>

#include "autodiff/explain/trace.h"

namespace wengert::detail {

struct Box {
  enum class Kind : std::uint8_t { input, operation, module };
  Kind kind = Kind::operation;
  std::string title = {};          ///< "h = w * x + b"
  std::vector<std::string> lines;  ///< the value, and how many operations a module has
  std::string gradient = {};       ///< "gradient -0.07"; empty if there is none
  std::string module = {};         ///< "encoder.0"; empty if it belongs to none
};

struct Edge {
  std::size_t from, to;
  double norm;  ///< of the cotangent that goes back through it; 0 if there is none

  /// 1 to 5: in five steps of powers of ten below the largest norm of the picture.
  int width = 1;
};

struct Graph {
  std::vector<Box> boxes;   ///< each after those that it depends on
  std::vector<Edge> edges;  ///< at most one between two boxes
};

/// What the target was computed from. Modules at the given depth are one box each, unless their operations and those of another module
/// depend on each other in turn; 0: none are.
Graph graph_of(Trace& trace, std::uint32_t target, int module_depth);

}  // namespace wengert::detail
