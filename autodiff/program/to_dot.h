#pragma once
// A program as a graph, in the language of Graphviz: `dot -Tsvg program.dot -o program.svg`.
#include <string>
#include <vector>

#include "autodiff/program/program.h"

namespace wengert {

struct DotOptions {
  std::vector<std::string> names = {};  ///< of the inputs, parameters first; empty: p0, p1, ..., d0, d1, ...
};

/// The first path of the program: a node for each value that is used, with an edge to each operation that reads it, for each guard and for
/// each output. A ShapeError if there are not as many names as inputs.
std::string to_dot(const Program& program, const DotOptions& options = {});

}  // namespace wengert
