#pragma once
// Internal.
// The functions of programs as C++ source: elementary functions as the straight formulas that the evaluator uses, the others as functions
// of the source's own, whose formulas are recorded from their structs in functions.h.
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// A number as C++ reads it back to the bit.
std::string literal_of(double value);

class FunctionSource {
 public:
  /// `prefix` begins the names of its own functions.
  explicit FunctionSource(std::string prefix) : prefix_(std::move(prefix)) {}

  /// The value of an operation. The operands are names or literals.
  std::string expression(Opcode opcode, const std::array<std::string, 3>& operands, const std::array<double, 2>& options);
  /// "f(n, x, to);": the same for arrays of n lanes, which must not overlap `to`.
  std::string call_on_lanes(Opcode opcode, const std::array<std::string, 3>& operands, const std::string& to,
                            const std::array<double, 2>& options);
  /// A line before a loop whose rounds do not depend on each other, though its arrays might overlap.
  std::string independent();
  /// The functions that expressions have called so far, in the order in which they must be written, behind the headers that they and
  /// the rest of the source need.
  std::string definitions(bool with_vector) const;

 private:
  std::string name_of(Opcode opcode, const std::array<double, 2>& options);

  std::string prefix_, definitions_;
  bool special_ = false;  // digamma or polygamma
  bool independent_ = false;
  std::map<std::pair<Opcode, std::array<std::string, 2>>, std::string> names_, lane_loops_;
  std::map<Opcode, int> variants_;
};

/// The source of digamma and polygamma, functions/special.cpp: two functions of a namespace `special`.
extern const char* const special_functions_source;

}  // namespace wengert::detail
