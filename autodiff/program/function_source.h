#pragma once
// Internal.
// The functions of programs as C++ source: elementary functions as the straight formulas that the evaluator uses, the others as functions
// of the source's own, whose formulas are recorded from their structs in functions.h.
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// A number as C++ reads it back to the bit.
std::string literal_of(double value);

class FunctionSource {
 public:
  enum class Of : bool { number, lanes };

  /// `prefix` begins the names of its own functions. With `lanes` the definitions have vectors and masks.
  FunctionSource(std::string prefix, bool lanes) : lanes_(lanes), prefix_(std::move(prefix)) {}

  /// The value of an operation. The operands are names or literals.
  std::string expression(Opcode opcode, const std::array<std::string, 3>& operands, const std::array<double, 2>& options) {
    return expression(opcode, operands, options, Of::number);
  }

  /// An operand of an operation on lanes. `mask` is set, in place of `text`, where no more is needed than whether a condition holds.
  struct Operand {
    std::string text, mask;
  };
  using Operands = std::array<Operand, 3>;
  /// The value of an operation that is no condition.
  std::string expression_on_lanes(Opcode opcode, const Operands& operands, const std::array<double, 2>& options);
  /// Where a condition holds.
  std::string mask(Opcode opcode, const Operands& operands);
  /// The namespace of vectors and masks.
  std::string lanes_namespace() const { return prefix_ + "lanes"; }

  /// The functions that expressions have called so far, in the order in which they must be written, behind the headers that they and
  /// the rest of the source, which has `headers`, need. Lanes are computed in so many `registers` at a time.
  std::string definitions(std::set<std::string> headers, int registers) const;

 private:
  std::string expression(Opcode opcode, const std::array<std::string, 3>& operands, const std::array<double, 2>& options, Of of);
  std::string name_of(Opcode opcode, const std::array<double, 2>& options, Of of);
  void define(const std::string& name, Opcode opcode, const std::array<double, 2>& options);
  void define_formula(const std::string& name, Opcode opcode, const std::array<double, 2>& options, Of of);
  void define_on_each_lane(const std::string& name, Opcode opcode, const std::array<double, 2>& options);

  const bool lanes_;
  const std::string prefix_;
  std::string definitions_;
  bool special_ = false;  // digamma or polygamma
  std::map<std::pair<Opcode, std::array<std::string, 2>>, std::string> names_;
  std::set<std::string> of_numbers_, on_lanes_;  // the functions that are defined
  std::map<Opcode, int> variants_;
};

/// The source of digamma and polygamma, functions/special.cpp: two functions of a namespace `special`.
extern const char* const special_functions_source;
/// The vectors of lanes, lane_vectors.h, behind the number of registers.
extern const char* const lane_vectors_text;

}  // namespace wengert::detail
