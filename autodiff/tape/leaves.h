#pragma once
// Internal.
// Which parameters a tape has read.
#include <cstdint>
#include <span>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

constexpr std::uint32_t kNoIndex = ~std::uint32_t(0);

/// The parameters that a tape has read, and the slot of each. A parameter caches its slot on the tape that last read it, so a search here
/// is needed only for parameters that this tape has not read yet, or that other threads have read in between.
class Leaves {
 public:
  struct Leaf {
    ParameterRef parameter;
    std::uint32_t slot;
  };
  /// The slot of the parameter; kNoIndex if the tape has not read it.
  std::uint32_t find(const ParameterState* p) const;
  void add(const ParameterState* p, std::uint32_t slot);
  void clear() { list_.clear(); }
  /// In the order of their first reads.
  std::span<const Leaf> all() const { return list_; }

 private:
  void enter(std::uint32_t entry);

  pool::Vector<Leaf> list_;
  pool::Vector<std::uint32_t> table_;  // open addressing into the list, 0: free; used beyond kMaxLinear leaves
};

}  // namespace wengert::detail
