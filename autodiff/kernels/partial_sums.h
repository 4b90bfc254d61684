#pragma once
// Sums of parts that threads computed side by side.
#include "autodiff/kernels/blocks.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// to[i] += from[i] + from[distance + i] + ..., of `parts` terms in this order, for each i below n.
template <class T> void add_parts(const T* from, Index parts, Index distance, Index n, T* to) {
  constexpr Index kLine = 64 / sizeof(T);  // of the cache
  for_blocks_of(n, cost::kCopy<T> * static_cast<double>(parts), kLine, [=](Index first, Index last) {
    for (Index part = 0; part < parts; ++part)
      for (Index i = first; i < last; ++i) to[i] += from[part * distance + i];
  });
}

/// The sum of p[0], p[step], ... of n numbers, in a fixed tree. Destroys them.
template <class T> T tree_sum(T* p, Index n, Index step = 1) {
  for (Index gap = 1; gap < n; gap *= 2)
    for (Index i = 0; i + gap < n; i += 2 * gap) p[i * step] += p[(i + gap) * step];
  return n > 0 ? p[0] : T(0);
}

}  // namespace wengert::kernels
