#pragma once
// A program as formulas in LaTeX (amsmath).
#include <string>
#include <vector>

#include "autodiff/program/program.h"

namespace wengert {

struct LatexOptions {
  std::vector<std::string> names = {};    ///< of the inputs in LaTeX, parameters first; empty: p_{0}, p_{1}, ..., d_{0}, d_{1}, ...
  std::vector<std::string> outputs = {};  ///< their names in LaTeX; empty: y, or y_{0}, y_{1}, ...
  bool nested = false;                    ///< values that are used once are written where they are used, not on a line of their own
};

/// The first path of the program: an aligned environment with a line for each operation, guard and output. A ShapeError if there are not
/// as many names as inputs or outputs.
std::string to_latex(const Program& program, const LatexOptions& options = {});

}  // namespace wengert
