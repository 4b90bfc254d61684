#pragma once
// Internal.
// The loops over a block of lanes: one for each operation and one for the rule of each of its operands, on the instruction set of isa().
#include <optional>

#include "autodiff/program/opcode.h"
#include "autodiff/tensor/shape.h"

namespace wengert::detail {

/// y[i] = f(a[i], b[i], c[i]) for i < n. y may be one of the operands.
template <class T> struct ForwardArguments {
  Index n;
  T* y;
  const T* operands[3];
  const double* options;
};
/// to[i] += the rule of one operand at (m[i], a[i], b[i], c[i], y[i]), but nothing where m[i] is 0, whatever the slope. (As on a tape: an
/// infinite slope on a side that does not matter must not turn a sum into NaN.) If the operand is one number for all lanes, `to` has
/// kPartialSums sums over lanes, and lane i belongs to sum i % kPartialSums. What the rule does not read may point anywhere.
inline constexpr Index kPartialSums = 16;
template <class T> struct ReverseArguments {
  Index n;
  T* to;
  const T *m, *operands[3], *y;
  const double* options;
};
template <class T> using ForwardLoop = void (*)(const ForwardArguments<T>&);
template <class T> using ReverseLoop = void (*)(const ReverseArguments<T>&);

/// Two operations in one loop, a pair: (a o b) + c, (a o b) - c, c - (a o b) or (a o b) c, where o is +, - or *.
inline constexpr int kPairs = 12;
/// The pair of two operations, of which the second reads the first one's result as its operand k; empty if there is none.
constexpr std::optional<int> pair_of(Opcode first, Opcode second, int k) {
  const int o = first == Opcode::add ? 0 : first == Opcode::subtract ? 1 : first == Opcode::multiply ? 2 : -1;
  const int then = second == Opcode::add ? 0 : second == Opcode::subtract ? 1 + k : second == Opcode::multiply ? 3 : -1;
  if (o < 0 || then < 0) return std::nullopt;
  return 4 * o + then;
}

/// `mode` is a set of bits: bit k says that operand k is one number for all lanes. Modes in which all operands are that do not occur; loops
/// of one lane take mode 0.
template <class T> struct BlockKernels {
  ForwardLoop<T> forward[opcode_count][8];
  ForwardLoop<T> pairs[kPairs][8];                   ///< null where both operands of the first operation are one number
  ReverseLoop<T> reverse[opcode_count][3][8];        ///< null for what has no slope
  ReverseLoop<T> reverse_first[opcode_count][3][8];  ///< the same with = for +=; null where `to` has sums over lanes
};
/// For the instruction set that isa() is now.
template <class T> const BlockKernels<T>& block_kernels();
template <> const BlockKernels<float>& block_kernels();
template <> const BlockKernels<double>& block_kernels();

}  // namespace wengert::detail
