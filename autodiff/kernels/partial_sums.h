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

}  // namespace wengert::kernels
