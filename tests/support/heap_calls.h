#pragma once
// Counts every call of malloc and related functions, of which this header has its own: for one file of a program.
#include <dlfcn.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstring>

#include "tests/support/sanitizers.h"

namespace wengert::testing {

inline std::atomic<bool> counting{false};
inline std::atomic<long> of_ours{0}, of_openblas{0};

/// OpenBLAS allocates scratch memory for some products.
inline bool is_openblas(void* caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && std::strstr(info.dli_fname, "openblas");
}

[[maybe_unused]] inline void count(void* caller) {
  if (counting.load(std::memory_order_relaxed)) (is_openblas(caller) ? of_openblas : of_ours).fetch_add(1, std::memory_order_relaxed);
}

}  // namespace wengert::testing

// The sanitizers have their own malloc.
#if !WENGERT_TEST_ADDRESS_SANITIZER && !WENGERT_TEST_THREAD_SANITIZER
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  return __libc_calloc(n, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  return __libc_realloc(block, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  wengert::testing::count(__builtin_return_address(0));
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
}
#endif

namespace wengert::testing {

/// The number of heap calls in `rounds` runs of f, after as many to warm up. A second thread that gets its first work late allocates memory
/// then, so this makes several attempts, one of which must need none.
template <class F> long heap_calls(F&& f, int rounds) {
  constexpr int tries = 5;
  for (int i = 0; i < tries; ++i) {
    for (int k = 0; k < rounds; ++k) f();
    of_ours = of_openblas = 0;
    counting = true;
    for (int k = 0; k < rounds; ++k) f();
    counting = false;
    if (of_ours == 0) break;
  }
  BOOST_TEST_MESSAGE("calls of the heap in " << rounds << " rounds: " << of_ours << " of ours, " << of_openblas << " of OpenBLAS");
  return of_ours;
}

}  // namespace wengert::testing
