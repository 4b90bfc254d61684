// Parameters on a tape: each becomes a leaf when the tape first reads it.
#include "autodiff/tape/leaves.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "autodiff/tape/records.h"

namespace wengert::detail {
namespace {

constexpr std::size_t kMaxLinear = 16;  // up to this many leaves, search is linear

std::size_t hash_of(const ParameterState* p) { return (reinterpret_cast<std::uintptr_t>(p) >> 4) * 0x9e3779b97f4a7c15u >> 32; }

}  // namespace

std::uint32_t Leaves::find(const ParameterState* p) const {
  if (list_.size() <= kMaxLinear) {
    for (const Leaf& leaf : list_)
      if (leaf.parameter.get() == p) return leaf.slot;
    return kNoIndex;
  }
  for (std::size_t i = hash_of(p);; ++i) {
    const std::uint32_t entry = table_[i & (table_.size() - 1)];
    if (!entry) return kNoIndex;
    if (list_[entry - 1].parameter.get() == p) return list_[entry - 1].slot;
  }
}

void Leaves::add(const ParameterState* p, std::uint32_t slot) {
  // Everything that can throw comes first.
  const std::size_t size = list_.size() + 1;
  if (size > list_.capacity()) list_.reserve(std::max(kMaxLinear, 2 * size));
  const bool rebuild = size > kMaxLinear && (2 * size > table_.size() || size == kMaxLinear + 1);
  if (rebuild) table_.assign(std::max<std::size_t>(64, std::bit_ceil(4 * size)), 0);

  list_.push_back({ParameterRef(const_cast<ParameterState*>(p)), slot});
  if (rebuild) {
    for (std::uint32_t entry = 1; entry <= list_.size(); ++entry) enter(entry);
  } else if (size > kMaxLinear) {
    enter(static_cast<std::uint32_t>(size));
  }
}

void Leaves::enter(std::uint32_t entry) {
  std::size_t i = hash_of(list_[entry - 1].parameter.get());
  while (table_[i & (table_.size() - 1)]) ++i;
  table_[i & (table_.size() - 1)] = entry;
}

std::uint32_t TapeState::find_leaf(const ParameterState& p) const {
  // A number in this tape's range belongs to this parameter on this tape. But the tape of another thread that reads the parameter too may
  // have overwritten the cache.
  const std::uint64_t cached = p.leaf.load(std::memory_order_relaxed) - tensor_base;
  return cached < slots.size() ? static_cast<std::uint32_t>(cached) : leaves.find(&p);
}

// [leaf]
Tensor TapeState::leaf(const ParameterState& p) {
  std::uint32_t index = find_leaf(p);
  if (index == kNoIndex) {
    slots.reserve(1);
    leaves.add(&p, slots.size());
    index = add_slot(p.value.shape(), p.value.dtype());
    const_cast<ParameterState&>(p).leaf.store(tensor_base + index, std::memory_order_relaxed);
  }
  const Slot& slot = slots[index];
  const Tensor& bound = slot.saved;
  if (!bound.defined() && (slot.shape != p.value.shape() || slot.dtype != p.value.dtype()))
    throw TapeError(fmt::format(
        "parameter {}: it was {} {} when this tape first read it, and is now {}; hint: open a new tape after changing its shape or dtype",
        p.name, to_string(slot.shape), to_string(slot.dtype), describe(p.value)));
  Tensor value = bound.defined() ? bound : p.value;
  return Tensor(value.take(), tensor_base + index);
}
// [leaf]

Tensor TapeState::bind_parameter(const ParameterState& p, const Tensor& value) {
  slots.reserve(1);
  leaves.add(&p, slots.size());
  const std::uint32_t index = add_slot(value.shape(), value.dtype());
  slots[index].saved = value;
  Tensor shared = value;
  return Tensor(shared.take(), tensor_base + index);
}

}  // namespace wengert::detail
