#pragma once
// Internal.
// How values and operations of a list are written in text.
#include <string>
#include <vector>

#include "autodiff/program/program.h"

namespace wengert::detail {

/// A ShapeError if that is not the number of the program's inputs.
void check_count(const char* function, const char* what, std::size_t count, const Program& program);

/// A string of the DOT language; line ends stay line ends.
std::string dot_quoted(const std::string& text);

class Notation {
 public:
  /// `names` are those of the inputs, parameters first; without names p0, p1, ..., d0, d1, ....
  Notation(const char* function, const Program& program, std::vector<std::string> names);

  /// "w", "0.5" or "v12".
  std::string name_of(const WengertList& list, std::uint32_t value) const;
  /// "w * x", "clamp(v3, -1, 1)".
  std::string formula_of(const WengertList& list, const Instruction& i) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace wengert::detail
