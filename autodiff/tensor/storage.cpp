// Magazines, after J. Bonwick and J. Adams, "Magazines and Vmem" (USENIX 2001). A thread keeps two magazines of free blocks for each size
// class, a loaded and a spare one, and works on the loaded one without a lock. When both are full (or empty), it exchanges a whole one
// with the depot. So the lock is taken at most once for as many calls as a magazine has blocks, in any order of calls, and blocks that one
// thread frees can be allocated by another.
#include "autodiff/tensor/storage.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "autodiff/tensor/trim.h"

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

// ---- Size classes: 64, 128, 192, 256, then four for each power of two (320, 384, 448, 512, 640, ...), all multiples of 64. ----

constexpr int kMaxBits = 47;  // the address space of a process on x86-64 and AArch64
constexpr std::size_t kMaxBytes = std::size_t{1} << kMaxBits;
constexpr std::size_t kClassCount = 4 + 4 * (kMaxBits - 8);

struct SizeClass {
  std::size_t index;
  std::size_t bytes;
};

// The smallest class that holds `bytes`, which is at most kMaxBytes.
constexpr SizeClass size_class(std::size_t bytes) {
  const std::size_t last = bytes - (bytes != 0);
  if (last < 256) return {last / 64, (last / 64 + 1) * 64};
  const int bits = std::bit_width(last);          // last in [2^(bits-1), 2^bits)
  const std::size_t eighth = last >> (bits - 3);  // 4, 5, 6 or 7 eighths of 2^bits
  return {4 * static_cast<std::size_t>(bits - 8) + eighth - 4, (eighth + 1) << (bits - 3)};
}

constexpr std::size_t class_bytes(std::size_t index) { return index < 4 ? (index + 1) * 64 : (index % 4 + 5) << (index / 4 + 5); }

// The capacity of a magazine in blocks: about 128 KB, at least one block, at most 512.
constexpr auto kCapacities = [] {
  std::array<std::uint16_t, kClassCount> capacities{};
  for (std::size_t i = 0; i < kClassCount; ++i)
    capacities[i] = static_cast<std::uint16_t>(std::clamp<std::size_t>((128 << 10) / class_bytes(i), 1, 512));
  return capacities;
}();

static_assert(size_class(kMaxBytes).index == kClassCount - 1 && size_class(kMaxBytes).bytes == kMaxBytes);
static_assert(size_class(257).bytes == 320 && class_bytes(size_class(257).index) == 320 && class_bytes(size_class(1000).index) == 1024);

// ---- Free blocks. ----
//
// The links are stored in the block itself. Under AddressSanitizer they precede it: the whole block is poisoned while it is free, and the
// links are poisoned while it is in use, so that the leak checker can follow the links of free blocks (it skips poisoned memory).

struct FreeBlock {
  FreeBlock* next;           // in the same magazine
  FreeBlock* next_magazine;  // in the depot; set only in the first block of a magazine, as is `room`
  std::uint32_t room;
};

#ifdef WENGERT_ADDRESS_SANITIZER
constexpr bool kUseSlabs = false;  // the leak checker sees only allocations from the heap, so each block is one
constexpr std::size_t kLinkBytes = 64;
static_assert(sizeof(FreeBlock) <= kLinkBytes);

void* to_user(FreeBlock* block, std::size_t bytes) {
  char* user = reinterpret_cast<char*>(block) + kLinkBytes;
  ASAN_POISON_MEMORY_REGION(block, kLinkBytes);
  ASAN_UNPOISON_MEMORY_REGION(user, bytes);
  return user;
}
FreeBlock* from_user(void* user, std::size_t bytes) {
  ASAN_POISON_MEMORY_REGION(user, bytes);
  char* block = static_cast<char*>(user) - kLinkBytes;
  ASAN_UNPOISON_MEMORY_REGION(block, kLinkBytes);
  return reinterpret_cast<FreeBlock*>(block);
}
#else
constexpr bool kUseSlabs = true;
constexpr std::size_t kLinkBytes = 0;

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

Magazine empty_magazine(std::size_t index) { return {.top = nullptr, .room = kCapacities[index]}; }

// ---- The heap. ----
//
// Blocks of up to 1 KB are allocated in slabs, because an aligned allocation from the heap takes 64 bytes more and ten times as long.

std::atomic<std::size_t> heap_bytes{0}, heap_blocks{0}, heap_allocations{0};

// Blocks of this size and more lie in huge pages, where the system grants them: arrays of megabytes are read and written faster through
// fewer entries of the processor's address cache. What does not fill a huge page at the end of a block stays in small ones.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

void ask_for_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  static_cast<void>(madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
#endif
}

// Null if there is none. (The size need not be a multiple of the alignment, as for std::aligned_alloc.)
void* aligned_memory(std::size_t bytes, std::size_t aligned_to) {
  void* memory = nullptr;
  return posix_memalign(&memory, aligned_to, bytes) == 0 ? memory : nullptr;
}

void* allocate_from_heap(std::size_t bytes, std::size_t aligned_to) {
  const bool is_large = bytes >= kHugePage;
  if (is_large) aligned_to = kHugePage;
  void* memory = aligned_memory(bytes, aligned_to);
  if (!memory && trim() > 0) memory = aligned_memory(bytes, aligned_to);
  if (!memory) throw std::bad_alloc();
  if (is_large) ask_for_huge_pages(memory, bytes);
  heap_bytes.fetch_add(bytes, std::memory_order_relaxed);
  heap_blocks.fetch_add(1, std::memory_order_relaxed);
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

std::size_t free_to_heap(void* memory, std::size_t bytes) {
  std::free(memory);
  heap_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  heap_blocks.fetch_sub(1, std::memory_order_relaxed);
  return bytes;
}

// A header followed by blocks of one class. Slabs are aligned to their size, so a block's address gives its slab.
struct Slab {
  static constexpr std::size_t kBytes = 32 << 10;
  static constexpr std::size_t kHeaderBytes = kAlignment;

  // For trim(): the number of free blocks found, and how many of them trim() has removed from its list.
  std::uint32_t found, dropped;

  static bool holds(std::size_t index) { return kUseSlabs && class_bytes(index) <= 1024; }
  static std::uint32_t block_count(std::size_t index) { return static_cast<std::uint32_t>((kBytes - kHeaderBytes) / class_bytes(index)); }
  static Slab* of(FreeBlock* block) { return reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(block) & ~(kBytes - 1)); }
};
static_assert(sizeof(Slab) <= Slab::kHeaderBytes && (Slab::kBytes - Slab::kHeaderBytes) / 64 <= kCapacities[0]);

// One block, or the blocks of a new slab, which fit into one magazine.
Magazine magazine_from_heap(std::size_t index) {
  Magazine magazine = empty_magazine(index);
  if (!Slab::holds(index)) {
    char* memory = static_cast<char*>(allocate_from_heap(class_bytes(index) + kLinkBytes, kAlignment));
    magazine.push(from_user(memory + kLinkBytes, class_bytes(index)));
    return magazine;
  }
  char* memory = static_cast<char*>(allocate_from_heap(Slab::kBytes, Slab::kBytes));
  new (memory) Slab{};
  for (std::size_t i = Slab::block_count(index); i-- > 0;)  // backwards, so that they are handed out in ascending order
    magazine.push(new (memory + Slab::kHeaderBytes + i * class_bytes(index)) FreeBlock);
  return magazine;
}

// ---- The depot: magazines that no thread holds. Constant-initialised and never destroyed, so it outlives every user. ----

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
  std::array<FreeBlock*, kClassCount> magazines_{};
};
constinit Depot depot;

// What trim() calls first.
constinit std::atomic<void (*)() noexcept> to_release{nullptr};

// Held by trim(), which counts in the slabs themselves.
constinit std::mutex trimming;

// fork() waits until neither is held: a child must not inherit a lock held by a thread that does not exist in the child.
void lock_for_fork() {
  trimming.lock();
  depot.lock();
}
void unlock_after_fork() {
  depot.unlock();
  trimming.unlock();
}

// ---- The cache of a thread. Zero-initialised and trivially destructible, so it is usable at any time, also while the thread exits. ----

// A shelf that is all zero is closed: there is nothing to pop and no room to push, so allocate() and release() take their slow paths.
// Shelves are closed until the thread's first call, which opens them, and again when the thread exits.
struct Shelf {
  Magazine loaded;  // any number of blocks
  Magazine spare;   // empty or full
};

enum class State : std::uint8_t { fresh, open, closed };

struct ThreadCache {
  std::array<Shelf, kClassCount> shelves;
  std::int64_t in_use, peak_in_use;
  State state;
};
constinit thread_local ThreadCache cache{};

// Hands everything to the depot and closes the shelves: blocks that thread_local or static objects free later must not go to shelves that
// are never emptied again.
void close_cache() {
  cache.state = State::closed;
  for (std::size_t i = 0; i < kClassCount; ++i) {
    depot.put(i, cache.shelves[i].loaded);
    depot.put(i, cache.shelves[i].spare);
    cache.shelves[i] = {};
  }
}

// Registers close_cache() for the exit of the thread and, once in a process, the handlers for fork().
void open_cache() {
  struct AtThreadExit {
    ~AtThreadExit() { close_cache(); }
  };
  thread_local const AtThreadExit at_thread_exit;
  static_cast<void>(at_thread_exit);
  static const int fork_handlers = pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
  static_cast<void>(fork_handlers);
  for (std::size_t i = 0; i < kClassCount; ++i) cache.shelves[i] = {.loaded = empty_magazine(i), .spare = empty_magazine(i)};
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
  if (!magazine.top) magazine = magazine_from_heap(index);
  FreeBlock* block = magazine.pop();
  if (cache.state == State::open)
    shelf.loaded = magazine;
  else
    depot.put(index, magazine);
  return block;
}

// Stores a block for which the loaded magazine has no room.
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

// ---- Trimming. ----

// Takes all free blocks of a class from the calling thread's shelf and the depot.
FreeBlock* take_all(std::size_t index) {
  FreeBlock* all = nullptr;
  const auto add = [&all](Magazine magazine) {
    while (magazine.top) all = new (magazine.pop()) FreeBlock{.next = all, .next_magazine = nullptr, .room = 0};
  };
  Shelf& shelf = cache.shelves[index];
  add(shelf.loaded);
  add(shelf.spare);
  if (cache.state == State::open) shelf = {.loaded = empty_magazine(index), .spare = empty_magazine(index)};
  for (Magazine magazine = depot.take(index); magazine.top; magazine = depot.take(index)) add(magazine);
  return all;
}

void put_all(FreeBlock* blocks, std::size_t index) {
  while (blocks) {
    Magazine magazine = empty_magazine(index);
    while (blocks && magazine.room > 0) magazine.push(std::exchange(blocks, blocks->next));
    depot.put(index, magazine);
  }
}

std::size_t trim_blocks(std::size_t index) {
  std::size_t bytes = 0;
  for (FreeBlock* block = take_all(index); block;) {
    FreeBlock* next = block->next;
    bytes += free_to_heap(block, class_bytes(index) + kLinkBytes);
    block = next;
  }
  return bytes;
}

// Frees the slabs of which all blocks are free and were found by take_all().
std::size_t trim_slabs(std::size_t index) {
  FreeBlock* const blocks = take_all(index);
  for (FreeBlock* block = blocks; block; block = block->next) ++Slab::of(block)->found;
  const std::uint32_t block_count = Slab::block_count(index);
  std::size_t bytes = 0;
  FreeBlock* kept = nullptr;
  for (FreeBlock* block = blocks; block;) {
    FreeBlock* next = block->next;
    Slab* slab = Slab::of(block);
    if (slab->found < block_count)
      block->next = std::exchange(kept, block);
    else if (++slab->dropped == block_count)
      bytes += free_to_heap(slab, Slab::kBytes);
    block = next;
  }
  for (FreeBlock* block = kept; block; block = block->next) Slab::of(block)->found = 0;
  put_all(kept, index);
  return bytes;
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > kMaxBytes) throw std::bad_alloc();
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
  if (const auto release = to_release.load(std::memory_order_relaxed)) release();
  const std::lock_guard lock(trimming);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kClassCount; ++i) bytes += Slab::holds(i) ? trim_slabs(i) : trim_blocks(i);
  return bytes;
}

Statistics statistics() noexcept {
  return {.heap_bytes = heap_bytes.load(std::memory_order_relaxed),
          .heap_blocks = heap_blocks.load(std::memory_order_relaxed),
          .heap_allocations = heap_allocations.load(std::memory_order_relaxed),
          .in_use = cache.in_use,
          .peak_in_use = cache.peak_in_use};
}

void release_when_trimming(void (*release)() noexcept) noexcept { to_release.store(release, std::memory_order_relaxed); }

void reset_peak() noexcept { cache.peak_in_use = cache.in_use; }

}  // namespace wengert::pool
