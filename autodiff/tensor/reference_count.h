#pragma once
// Internal.
// Reference counts, shared by handles that may belong to several threads.
#include <atomic>
#include <cstdint>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace wengert::detail {

/// Whether the process has only one thread. Then counting needs no atomic instructions, which would dominate small operations.
inline bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

using ReferenceCount = std::atomic<std::int32_t>;

inline void retain(ReferenceCount& count) {
  if (single_threaded()) {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else {
    count.fetch_add(1, std::memory_order_relaxed);
  }
}
/// Releases a reference. Returns whether it was the last.
inline bool release_was_last(ReferenceCount& count) {
  const std::int32_t before = count.load(std::memory_order_acquire);
  if (before == 1) return true;
  if (!single_threaded()) return count.fetch_sub(1, std::memory_order_acq_rel) == 1;
  count.store(before - 1, std::memory_order_relaxed);
  return false;
}

}  // namespace wengert::detail
