#pragma once
// Internal.
// Finds where a list repeats itself: the rounds of a loop in the recorded function. (A recording has them one after another.)
#include <cstdint>
#include <vector>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// An instruction, or a guard that is asked between two of them.
struct Step {
  std::uint32_t number;  ///< of the value that it computes, or of the guard
  bool is_guard;
};
/// All steps in order. A guard comes as soon as its value and those of the guards before it are known.
std::vector<Step> steps_of(const WengertList& list);

/// Steps first, first + 1, ...: `rounds` times `period` steps that do the same. From one round to the next the number of each operand
/// grows by the same, which may be negative; those of operands that are constants may change freely.
struct Stretch {
  std::size_t first, period, rounds;
  std::uint32_t first_value;       ///< of round 0
  std::uint32_t values_per_round;  ///< how many of the steps are instructions

  std::uint32_t end_value() const { return first_value + values_per_round * static_cast<std::uint32_t>(rounds); }
};

/// The operands of a step: of an instruction without its options.
struct Operands {
  std::uint32_t at[3];
  int count;
};
Operands operands_of(const WengertList& list, const Step& step);

/// How an operand of a stretch is found in each round.
struct OperandRule {
  enum Kind {
    strided,         ///< value base + stride * round: an input, or of an earlier stretch, or the same in all rounds
    constant_table,  ///< a constant that changes from round to round
    own,             ///< of the same round, `back` = 0, or of an earlier one
  } kind;
  std::uint32_t base;   ///< in round 0
  std::int64_t stride;  ///< strided: how much the number grows from round to round
  std::uint32_t back;   ///< own: how many rounds before
};
OperandRule rule_of_operand(const WengertList& list, const std::vector<Step>& steps, const Stretch& stretch, std::size_t position,
                            int operand);

/// The stretch that computes a value; null if it stands alone. Stretches are in the order of their steps.
const Stretch* stretch_of(const std::vector<Stretch>& stretches, std::uint32_t value);

/// The stretches of steps [0, split) and [split, steps.size()). The time is about that of sorting the list.
std::vector<Stretch> find_stretches(const WengertList& list, const std::vector<Step>& steps, std::size_t split);

}  // namespace wengert::detail
