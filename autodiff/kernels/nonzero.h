#pragma once
// The elements of an array that are not zero, in their order. They are counted first, so that threads know where those of a block go.
#include <numeric>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/target.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {

template <class T> class Nonzero {
 public:
  Nonzero(const T* x, Index size) : size_(size), before_(static_cast<std::size_t>((size + kBlock - 1) / kBlock + 1)) {
    for_each_range([&](Index block, Index first, Index last) {
      Index count = 0;
      run_on_best_target([&]() __attribute__((always_inline)) {
        for (Index i = first; i < last; ++i) count += x[i] != T(0);
      });
      before_[static_cast<std::size_t>(block) + 1] = count;
    });
    std::partial_sum(before_.begin(), before_.end(), before_.begin());
  }

  Index count() const { return before_.back(); }

  /// f(first, last, k, end) for blocks that together cover the array, on any threads: those of [first, last) are the kth of all and the
  /// following ones before `end`.
  template <class F> void for_each_block(F&& f) const {
    for_each_range([&](Index block, Index first, Index last) {
      f(first, last, before_[static_cast<std::size_t>(block)], before_[static_cast<std::size_t>(block) + 1]);
    });
  }

 private:
  static constexpr Index kBlock = Index(1) << 14;

  template <class F> void for_each_range(F&& f) const {
    parallel_blocks((size_ + kBlock - 1) / kBlock, [&](Index block) { f(block, block * kBlock, std::min(size_, (block + 1) * kBlock)); });
  }

  Index size_;
  pool::Vector<Index> before_;  // of each block, how many come before it; then of all
};

}  // namespace wengert::kernels
