// Magazines, after J. Bonwick and J. Adams, "Magazines and Vmem" (USENIX 2001). A thread keeps two magazines of free blocks for each size
// class, a loaded and a spare one, and works on the loaded one without a lock. When both are full (or empty) it exchanges a whole one
// with the depot, so the lock is taken at most once in a magazine's capacity of calls, however calls alternate, and what one thread frees
// another can allocate.
#include "autodiff/storage.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define WENGERT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WENGERT_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef WENGERT_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace wengert::pool {
namespace {

// ---- Size classes: 64, 128, 192, 256, then four for each power of two (320, 384, 448, 512, 640, ...), all multiples of 64. ---

constexpr int max_bits = 47;  // no x86-64 or AArch64 process addresses more
constexpr std::size_t max_bytes = std::size_t{1} << max_bits;
constexpr std::size_t class_count = 4 + 4 * (max_bits - 8);

struct SizeClass {
  std::size_t index;
  std::size_t bytes;
};

// The smallest class that holds `bytes`, which is at most max_bytes.
constexpr SizeClass size_class(std::size_t bytes) {
  const std::size_t last = bytes - (bytes != 0);
  if (last < 256) return {last / 64, (last / 64 + 1) * 64};
  const int bits = std::bit_width(last);          // last in [2^(bits-1), 2^bits)
  const std::size_t eighth = last >> (bits - 3);  // 4, 5, 6 or 7 eighths of 2^bits
  return {4 * static_cast<std::size_t>(bits - 8) + eighth - 4, (eighth + 1) << (bits - 3)};
}

constexpr std::size_t class_bytes(std::size_t index) { return index < 4 ? (index + 1) * 64 : (index % 4 + 5) << (index / 4 + 5); }

// How many blocks a magazine holds: about 128 KB, at most 512 blocks, at least one.
constexpr auto capacities = [] {
  std::array<std::uint16_t, class_count> capacities{};
  for (std::size_t i = 0; i < class_count; ++i)
    capacities[i] = static_cast<std::uint16_t>(std::clamp<std::size_t>((128 << 10) / class_bytes(i), 1, 512));
  return capacities;
}();

static_assert(size_class(max_bytes).index == class_count - 1 && size_class(max_bytes).bytes == max_bytes);
static_assert(size_class(257).bytes == 320 && class_bytes(size_class(257).index) == 320 && class_bytes(size_class(1000).index) == 1024);

// ---- Free blocks. The links live in the block itself. Under AddressSanitizer they live in front of it instead: the whole block is
// poisoned while it is free, the links are poisoned while it is in use, and the leak checker may follow them (it skips poisoned memory).
// ----

struct FreeBlock {
  FreeBlock* next;           // in the same magazine
  FreeBlock* next_magazine;  // in the depot: set in the first block of a magazine, like its room
  std::uint32_t room;
};

#ifdef WENGERT_ADDRESS_SANITIZER
constexpr std::size_t link_bytes = 64;
static_assert(sizeof(FreeBlock) <= link_bytes);

void* to_user(FreeBlock* block, std::size_t bytes) {
  char* user = reinterpret_cast<char*>(block) + link_bytes;
  ASAN_POISON_MEMORY_REGION(block, link_bytes);
  ASAN_UNPOISON_MEMORY_REGION(user, bytes);
  return user;
}
FreeBlock* from_user(void* user, std::size_t bytes) {
  ASAN_POISON_MEMORY_REGION(user, bytes);
  char* block = static_cast<char*>(user) - link_bytes;
  ASAN_UNPOISON_MEMORY_REGION(block, link_bytes);
  return reinterpret_cast<FreeBlock*>(block);
}
#else
constexpr std::size_t link_bytes = 0;

void* to_user(FreeBlock* block, std::size_t) { return block; }
FreeBlock* from_user(void* user, std::size_t) { return static_cast<FreeBlock*>(user); }
#endif

struct Magazine {
  FreeBlock* top = nullptr;
  std::uint32_t room = 0;

  void push(FreeBlock* block) {
    block->next = top;
    top = block;
    --room;
  }
  FreeBlock* pop() {
    FreeBlock* block = top;
    top = block->next;
    ++room;
    return block;
  }
};

Magazine empty_magazine(std::size_t index) { return {.top = nullptr, .room = capacities[index]}; }

// ---- The heap. ---

std::atomic<std::size_t> heap_bytes{0}, heap_blocks{0}, heap_allocations{0};

FreeBlock* allocate_from_heap(std::size_t index) {
  const std::size_t bytes = class_bytes(index) + link_bytes;
  void* memory = std::aligned_alloc(alignment, bytes);
  if (!memory && trim() > 0) memory = std::aligned_alloc(alignment, bytes);
  if (!memory) throw std::bad_alloc();
  heap_bytes.fetch_add(bytes, std::memory_order_relaxed);
  heap_blocks.fetch_add(1, std::memory_order_relaxed);
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return from_user(static_cast<char*>(memory) + link_bytes, class_bytes(index));
}

std::size_t free_to_heap(Magazine magazine, std::size_t index) {
  std::size_t blocks = 0;
  for (; magazine.top; ++blocks) std::free(magazine.pop());
  const std::size_t bytes = blocks * (class_bytes(index) + link_bytes);
  heap_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  heap_blocks.fetch_sub(blocks, std::memory_order_relaxed);
  return bytes;
}

// ---- The depot: magazines that no thread holds. Constant-initialised and never destroyed, so it outlives every user. ---

class Depot {
 public:
  void put(std::size_t index, Magazine magazine) {
    if (!magazine.top) return;
    magazine.top->room = magazine.room;
    const std::lock_guard lock(mutex_);
    magazine.top->next_magazine = magazines_[index];
    magazines_[index] = magazine.top;
  }
  Magazine take(std::size_t index) {
    const std::lock_guard lock(mutex_);
    FreeBlock* top = magazines_[index];
    if (!top) return empty_magazine(index);
    magazines_[index] = top->next_magazine;
    return {.top = top, .room = top->room};
  }
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::array<FreeBlock*, class_count> magazines_{};
};
constinit Depot depot;

// ---- What a thread keeps. Zero-initialised and trivially destructible: usable at any time in a thread's life, its end included. ---

// All zero, a shelf is shut: nothing to pop and no room to push, so that both allocate() and release() take their slow paths. Shelves are
// shut before the thread's first call, which opens them, and again from the end of the thread.
struct Shelf {
  Magazine loaded;  // holds any number of blocks
  Magazine spare;   // empty or full
};

enum class State : std::uint8_t { fresh, open, closed };

struct ThreadCache {
  std::array<Shelf, class_count> shelves;
  std::int64_t in_use, peak_in_use;
  State state;
};
constinit thread_local ThreadCache cache{};

// Hands everything to the depot. Tensors that other thread_local or static objects free after this must not go to shelves that nobody
// clears any more.
void close_cache() {
  cache.state = State::closed;
  for (std::size_t i = 0; i < class_count; ++i) {
    depot.put(i, cache.shelves[i].loaded);
    depot.put(i, cache.shelves[i].spare);
    cache.shelves[i] = {};
  }
}

// The first call of a thread arranges for the end of the thread; the first of the process, for forks: a child must not inherit a depot
// locked by a thread that it does not have.
void open_cache() {
  struct AtThreadExit {
    ~AtThreadExit() { close_cache(); }
  };
  thread_local const AtThreadExit at_thread_exit;
  static_cast<void>(at_thread_exit);
  static const int fork_handlers = pthread_atfork([] { depot.lock(); }, [] { depot.unlock(); }, [] { depot.unlock(); });
  static_cast<void>(fork_handlers);
  for (std::size_t i = 0; i < class_count; ++i) cache.shelves[i] = {.loaded = empty_magazine(i), .spare = empty_magazine(i)};
  cache.state = State::open;
}

// A block for a thread whose loaded magazine is empty.
[[gnu::noinline, gnu::cold]] FreeBlock* refill(std::size_t index) {
  if (cache.state == State::fresh) open_cache();
  Shelf& shelf = cache.shelves[index];
  if (shelf.spare.top) {
    std::swap(shelf.loaded, shelf.spare);
    return shelf.loaded.pop();
  }
  Magazine magazine = depot.take(index);
  if (!magazine.top) return allocate_from_heap(index);
  FreeBlock* block = magazine.pop();
  if (cache.state == State::open)
    shelf.loaded = magazine;
  else
    depot.put(index, magazine);
  return block;
}

// Takes a block for which the loaded magazine has no room.
[[gnu::noinline, gnu::cold]] void overflow(FreeBlock* block, std::size_t index) {
  if (cache.state == State::fresh) open_cache();
  Shelf& shelf = cache.shelves[index];
  Magazine magazine = empty_magazine(index);
  if (cache.state == State::closed) {
    magazine.push(block);
    depot.put(index, magazine);
    return;
  }
  if (shelf.loaded.room == 0) {
    depot.put(index, shelf.spare);
    shelf.spare = std::exchange(shelf.loaded, magazine);
  }
  shelf.loaded.push(block);
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > max_bytes) throw std::bad_alloc();
  const SizeClass size = size_class(bytes);
  ThreadCache& mine = cache;
  Magazine& loaded = mine.shelves[size.index].loaded;
  FreeBlock* block = loaded.top ? loaded.pop() : refill(size.index);
  mine.in_use += static_cast<std::int64_t>(size.bytes);
  mine.peak_in_use = std::max(mine.peak_in_use, mine.in_use);
  return to_user(block, bytes);
}

void release(void* memory, std::size_t bytes) noexcept {
  if (!memory) return;
  const SizeClass size = size_class(bytes);
  ThreadCache& mine = cache;
  mine.in_use -= static_cast<std::int64_t>(size.bytes);
  FreeBlock* block = from_user(memory, size.bytes);
  Magazine& loaded = mine.shelves[size.index].loaded;
  if (loaded.room > 0)
    loaded.push(block);
  else
    overflow(block, size.index);
}

std::size_t trim() noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < class_count; ++i) {
    Shelf& shelf = cache.shelves[i];
    bytes += free_to_heap(shelf.loaded, i) + free_to_heap(shelf.spare, i);
    if (cache.state == State::open) shelf = {.loaded = empty_magazine(i), .spare = empty_magazine(i)};
    for (Magazine magazine = depot.take(i); magazine.top; magazine = depot.take(i)) bytes += free_to_heap(magazine, i);
  }
  return bytes;
}

Statistics statistics() noexcept {
  return {.heap_bytes = heap_bytes.load(std::memory_order_relaxed),
          .heap_blocks = heap_blocks.load(std::memory_order_relaxed),
          .heap_allocations = heap_allocations.load(std::memory_order_relaxed),
          .in_use = cache.in_use,
          .peak_in_use = cache.peak_in_use};
}

void reset_peak() noexcept { cache.peak_in_use = cache.in_use; }

}  // namespace wengert::pool
