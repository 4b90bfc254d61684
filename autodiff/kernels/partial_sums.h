#pragma once
// Sums of parts that threads computed side by side.
#include <algorithm>

#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/windows.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// to[i] += from[i] + from[distance + i] + ..., of `parts` terms in this order, for each i below n.
template <class T> void add_parts(const T* from, Index parts, Index distance, Index n, T* to) {
  constexpr Index kAdditions = 32768, kLine = 16;  // of a block; numbers in a line of the cache
  const Index size = divided_up(kAdditions, std::max(parts, Index(1)) * kLine) * kLine;
  parallel_blocks(divided_up(n, size), [&](Index block) {
    const Index first = block * size, last = std::min(n, first + size);
    for (Index part = 0; part < parts; ++part)
      for (Index i = first; i < last; ++i) to[i] += from[part * distance + i];
  });
}

}  // namespace wengert::kernels
