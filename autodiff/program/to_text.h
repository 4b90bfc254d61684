#pragma once
// A program as text: its evaluation trace, as textbooks print it.
#include <string>
#include <vector>

#include "autodiff/program/program.h"

namespace wengert {

struct TextOptions {
  std::vector<std::string> names = {};  ///< of the inputs, parameters first; empty: p0, p1, ..., d0, d1, ...
  std::vector<double> at = {};          ///< inputs; values are printed at them, on the path that they take
  bool adjoints = false;                ///< with `at`, of a program of one output: its derivative with respect to each value as well
  int digits = 6;                       ///< of values
};

/// One line for each input, operation, guard and output:
///
///     v1    = w * x                 0.5
///     v2    = v1 + b                0.6
///     guard   v2 < 0 is false           model.cpp:41
///
/// A guard stands where its value is known. A ShapeError if there are not as many names or numbers as inputs, a ValueError if adjoints
/// cannot be computed.
std::string to_text(const Program& program, const TextOptions& options = {});

}  // namespace wengert
