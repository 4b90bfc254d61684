#pragma once
// Internal.
// The storage pool: the memory of tensors and records. A freed block is kept for the next request of its size class, so that a training
// step in its steady state allocates nothing from the heap.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

namespace wengert::pool {

/// Every block starts at a multiple of this many bytes: a cache line, and the widest vector register.
inline constexpr std::size_t kAlignment = 64;

/// A block of at least `bytes` bytes (a valid, distinct block for 0), aligned to `kAlignment`, contents unspecified.
/// Throws std::bad_alloc if the heap is exhausted, or if the size exceeds the address space.
[[nodiscard]] void* allocate(std::size_t bytes);

/// Frees a block of allocate(bytes), on any thread and at any time, also while a thread or the process exits. Does nothing for null.
void release(void* block, std::size_t bytes) noexcept;

/// Returns the blocks kept by the calling thread and by the central depot to the heap; the result is their size in bytes. Blocks kept by
/// other running threads (two magazines per size class) remain. So does each slab (32 KB, divided into blocks of up to 1 KB) of which a
/// block is in use.
std::size_t trim() noexcept;

/// Statistics of the pool. Those of the heap are for the process, those in use for the calling thread.
struct Statistics {
  std::size_t heap_bytes = 0;        ///< bytes held from the heap, in use or kept
  std::size_t heap_blocks = 0;       ///< pieces held from the heap: slabs, and blocks larger than 1 KB
  std::size_t heap_allocations = 0;  ///< number of heap allocations so far; constant in a steady state
  std::int64_t in_use = 0;           ///< bytes allocated minus bytes released by this thread; negative if it frees blocks of other threads
  std::int64_t peak_in_use = 0;      ///< largest in_use since the thread began or called reset_peak()
};
Statistics statistics() noexcept;

/// Resets the calling thread's peak_in_use to the bytes in use now.
void reset_peak() noexcept;

/// The pool as a standard allocator.
template <class T> struct Allocator {
  static_assert(alignof(T) <= kAlignment);
  using value_type = T;
  static constexpr std::size_t kElementBytes = sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may well be a pointer

  Allocator() = default;
  template <class U> constexpr Allocator(const Allocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / kElementBytes) throw std::bad_array_new_length();
    return static_cast<T*>(pool::allocate(count * kElementBytes));
  }
  void deallocate(T* block, std::size_t count) noexcept { pool::release(block, count * kElementBytes); }

  friend constexpr bool operator==(Allocator, Allocator) noexcept { return true; }
};

template <class T> using Vector = std::vector<T, Allocator<T>>;

}  // namespace wengert::pool
