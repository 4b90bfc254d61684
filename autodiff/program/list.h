#pragma once
// The Wengert list as plain data: what a program consists of, for whoever reads it (printing, code generation, sparsity, other transforms).
//
// All values of a list are numbered in one row, and an operand is such a number:
//
//     parameters      0, 1, ...                 shared by all lanes
//     data            parameters, ...           one value a lane
//     constants       inputs(), ...             constants[i]
//     instructions    first_instruction(), ...  instruction i computes value first_instruction() + i
//
// An operand is smaller than the number of the value that it helps to compute, so a list has no cycle.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "autodiff/program/opcode.h"

namespace wengert {

/// One elementary operation.
struct Instruction {
  Opcode opcode;
  /// The operands, info(opcode).operands of them, and then the numbers of the constants that are its options; 0 beyond.
  std::array<std::uint32_t, 3> operands{};

  friend bool operator==(const Instruction&, const Instruction&) = default;
};

/// What the program asked of a recorded value, which made it run as it did.
enum class GuardKind : std::uint8_t {
  condition,  ///< whether a condition holds, or a number is not 0: `if`, `while`, `?:`, &&, ||, conversion to bool
  integer,    ///< its value without the fraction: conversion to an integer
  number,     ///< its value: conversion to a floating-point number
};
/// A decision that the recorded path rests on.
struct Guard {
  GuardKind kind = GuardKind::condition;
  std::uint32_t value = 0;  ///< the number of the value that was asked for
  double outcome = 0;       ///< 1 or 0 for a condition
  std::string site;         ///< "model.cpp:41", where the comparison is written; empty if unknown

  /// Sites are not compared, and outcomes are by their bits.
  friend bool operator==(const Guard& a, const Guard& b);
};

/// The outcome of asking a value of v for `kind`, as a guard keeps it. (A NaN is one outcome, and so are both zeros as integers.)
double outcome_of(GuardKind kind, double v);

/// What a number of the list stands for.
enum class ValueKind : std::uint8_t { parameter, data, constant, instruction };

/// A straight-line program. Instructions are in the order in which they were recorded; none is dead, and no two are equal.
struct WengertList {
  std::uint32_t parameters = 0, data = 0;
  std::vector<double> constants;
  std::vector<Instruction> instructions;
  std::vector<Guard> guards;           ///< in the order in which they were asked
  std::vector<std::uint32_t> outputs;  ///< the numbers of the values that are the results

  /// The number of parameters and data together.
  std::uint32_t inputs() const { return parameters + data; }
  std::uint32_t first_instruction() const { return inputs() + static_cast<std::uint32_t>(constants.size()); }
  /// How many values there are.
  std::uint32_t size() const { return first_instruction() + static_cast<std::uint32_t>(instructions.size()); }

  /// What the number `value` stands for.
  ValueKind kind(std::uint32_t value) const {
    return value < parameters            ? ValueKind::parameter
           : value < inputs()            ? ValueKind::data
           : value < first_instruction() ? ValueKind::constant
                                         : ValueKind::instruction;
  }
  double constant(std::uint32_t value) const { return constants[value - inputs()]; }
  const Instruction& instruction(std::uint32_t value) const { return instructions[value - first_instruction()]; }
  std::array<double, 2> options(const Instruction& i) const;

  /// Constants are compared by their bits.
  friend bool operator==(const WengertList& a, const WengertList& b);
};

/// What is wrong with a list: an operand out of range or not before its use, an option that is not a constant, an output out of range.
/// Empty if nothing is.
std::string defect_of(const WengertList& list);

/// "v12 < 0.5" of a guard's value, "p0" and "d1" for inputs: an instruction with its operands, constants as numbers.
std::string describe_value(const WengertList& list, std::uint32_t value);

namespace detail {

/// "+" of an operation that is written between its operands; null for the others.
const char* sign_of(Opcode opcode);

}  // namespace detail

}  // namespace wengert
