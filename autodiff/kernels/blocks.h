#pragma once
// Loops over many equal pieces of work, cut into blocks over the thread pool where there is enough of it.
#include <algorithm>

#include "autodiff/kernels/parallel.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// What a loop takes for each element on one thread, in nanoseconds: roughly, as it only decides where loops are cut.
namespace cost {
/// Reads and writes, and a few instructions that hide behind them.
template <class T> constexpr double kCopy = 0.15 * sizeof(T) / sizeof(float);
/// An exponential, a logarithm ...
template <class T> constexpr double kFormula = 0.8 * sizeof(T) / sizeof(float);
/// An element that is far from the one before.
inline constexpr double kScattered = 1;
/// A function that is called for each element.
inline constexpr double kScalarCall = 8;
}  // namespace cost

/// The least work of a block, in nanoseconds: several times what it takes to hand it to another thread.
inline constexpr double kBlockTime = 8000;

/// Neighbouring elements that a thread should have where rows are cut: memory is read more slowly in shorter runs.
inline constexpr Index kElementsTogether = 256;

/// How many of `count` pieces, each of `ns` nanoseconds, a block covers: a multiple of `unit`, or all where they do not fill two blocks.
inline Index block_size(Index count, double ns, Index unit) {
  if (static_cast<double>(count) * ns < 2 * kBlockTime) return std::max(count, Index{1});
  const auto blocks = static_cast<Index>(static_cast<double>(count) * std::min(ns / kBlockTime, 1.0));
  const Index size = (count + blocks - 1) / blocks;
  return (size + unit - 1) / unit * unit;
}

/// Calls f(first, last) for blocks that together cover [0, count), over the pool; for all at once where `count` pieces, each of `ns`
/// nanoseconds, do not fill two blocks. Blocks begin at multiples of `unit`. The cut depends on the arguments alone.
template <class F> void for_blocks_of(Index count, double ns, Index unit, F&& f) {
  const Index size = block_size(count, ns, unit);
  const auto run = [&](Index block) __attribute__((noinline)) {  // one copy of f, for the calling thread and the pool alike
    f(block * size, std::min(count, (block + 1) * size));
  };
  parallel_blocks((count + size - 1) / size, run);
}
template <class F> void for_blocks_of(Index count, double ns, F&& f) { for_blocks_of(count, ns, 1, f); }

}  // namespace wengert::kernels
