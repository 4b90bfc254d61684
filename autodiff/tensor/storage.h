#pragma once
// Internal.
// The storage pool: where tensors and records keep their memory. A freed block is kept for the next request of its size class, so that a
// training step in its steady state asks nothing of the heap.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

namespace wengert::pool {

/// Every block starts at a multiple of this many bytes: a cache line, and the widest vector register.
inline constexpr std::size_t alignment = 64;

/// A block of at least `bytes` bytes (a valid, distinct block for 0), aligned to `alignment`, contents unspecified.
/// Throws std::bad_alloc where the heap has no more, or where no heap could ever hold so much.
[[nodiscard]] void* allocate(std::size_t bytes);

/// Takes back a block of allocate(bytes), from any thread and at any time, also while a thread or the process ends. Null is let pass.
void release(void* block, std::size_t bytes) noexcept;

/// Gives the blocks kept by the calling thread and by the central depot back to the heap, and returns how many bytes that were.
/// What other running threads keep for themselves (two magazines a size class) stays with them. So does a slab, which holds 32 KB of
/// blocks of up to 1 KB each, while one of them is in use.
std::size_t trim() noexcept;

/// What the pool holds. The heap figures are the process's, the figures in use are the calling thread's.
struct Statistics {
  std::size_t heap_bytes = 0;        ///< Held from the heap now, in use or kept.
  std::size_t heap_blocks = 0;       ///< Pieces held from the heap now: slabs of blocks of up to 1 KB, and larger blocks.
  std::size_t heap_allocations = 0;  ///< How often the heap was asked so far; still in a steady state.
  std::int64_t in_use = 0;           ///< Bytes allocated less bytes released by this thread; below 0 where it frees other threads' blocks.
  std::int64_t peak_in_use = 0;      ///< The highest in_use since the thread began or called reset_peak().
};
Statistics statistics() noexcept;

/// Starts the calling thread's peak_in_use again from what is in use now.
void reset_peak() noexcept;

/// The pool as a standard allocator.
template <class T> struct Allocator {
  static_assert(alignof(T) <= alignment);
  using value_type = T;
  static constexpr std::size_t element_bytes = sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may well be a pointer

  Allocator() = default;
  template <class U> constexpr Allocator(const Allocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / element_bytes) throw std::bad_array_new_length();
    return static_cast<T*>(pool::allocate(count * element_bytes));
  }
  void deallocate(T* block, std::size_t count) noexcept { pool::release(block, count * element_bytes); }

  friend constexpr bool operator==(Allocator, Allocator) noexcept { return true; }
};

template <class T> using Vector = std::vector<T, Allocator<T>>;

}  // namespace wengert::pool
