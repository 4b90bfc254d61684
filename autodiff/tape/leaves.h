#pragma once
// Internal.
// Which parameters a tape has read.
#include <cstdint>
#include <span>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

constexpr std::uint32_t kNoIndex = ~std::uint32_t(0);

/// The parameters that a tape has read, and the slot of each. A parameter remembers where the last tape that read it keeps it, so this is
/// searched for parameters that the tape has not read yet, and where threads take turns at reading the same ones.
class Leaves {
 public:
  struct Leaf {
    ParameterRef parameter;
    std::uint32_t slot;
  };
  /// kNoIndex if it is not there.
  std::uint32_t find(const ParameterState* p) const;
  void add(const ParameterState* p, std::uint32_t slot);
  void clear() { list_.clear(); }
  /// In the order in which they were read first.
  std::span<const Leaf> all() const { return list_; }

 private:
  void enter(std::uint32_t entry);

  pool::Vector<Leaf> list_;
  pool::Vector<std::uint32_t> table_;  // open addressing into the list, 0: free; used from kMaxLinear leaves on
};

}  // namespace wengert::detail
