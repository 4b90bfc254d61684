// Magazines, after J. Bonwick and J. Adams, "Magazines and Vmem" (USENIX 2001). A thread keeps two magazines of free blocks for each size
// class, a loaded and a spare one, and works on the loaded one without a lock. When both are full (or empty) it exchanges a whole one
// with the depot, so the lock is taken at most once in a magazine's capacity of calls, however calls alternate, and what one thread frees
// another can allocate.
#include "autodiff/tensor/storage.h"

#include <pthread.h>

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
constexpr bool use_slabs = false;  // the leak checker knows allocations of the heap alone: one a block, then
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
constexpr bool use_slabs = true;
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

// ---- The heap. Blocks of up to 1 KB come by the slab, since the heap takes 64 bytes more for each aligned block, and ten times as long.
// ----

std::atomic<std::size_t> heap_bytes{0}, heap_blocks{0}, heap_allocations{0};

void* allocate_from_heap(std::size_t bytes, std::size_t aligned_to) {
  void* memory = std::aligned_alloc(aligned_to, bytes);
  if (!memory && trim() > 0) memory = std::aligned_alloc(aligned_to, bytes);
  if (!memory) throw std::bad_alloc();
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

// Blocks of one class behind a header, at a multiple of its own size: a block's address tells its slab.
struct Slab {
  static constexpr std::size_t bytes = 32 << 10;
  static constexpr std::size_t header_bytes = alignment;

  // For trim(): how many of its blocks were found free, and how many of them trim() has dropped.
  std::uint32_t found, dropped;

  static bool holds(std::size_t index) { return use_slabs && class_bytes(index) <= 1024; }
  static std::uint32_t block_count(std::size_t index) { return static_cast<std::uint32_t>((bytes - header_bytes) / class_bytes(index)); }
  static Slab* of(FreeBlock* block) { return reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(block) & ~(bytes - 1)); }
};
static_assert(sizeof(Slab) <= Slab::header_bytes && (Slab::bytes - Slab::header_bytes) / 64 <= capacities[0]);

// One block, or a slab of blocks, which are no more than a magazine holds.
Magazine magazine_from_heap(std::size_t index) {
  Magazine magazine = empty_magazine(index);
  if (!Slab::holds(index)) {
    char* memory = static_cast<char*>(allocate_from_heap(class_bytes(index) + link_bytes, alignment));
    magazine.push(from_user(memory + link_bytes, class_bytes(index)));
    return magazine;
  }
  char* memory = static_cast<char*>(allocate_from_heap(Slab::bytes, Slab::bytes));
  new (memory) Slab{};
  for (std::size_t i = Slab::block_count(index); i-- > 0;)  // so that they are handed out upwards
    magazine.push(new (memory + Slab::header_bytes + i * class_bytes(index)) FreeBlock);
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
  std::array<FreeBlock*, class_count> magazines_{};
};
constinit Depot depot;

// What trim() calls first.
constinit std::atomic<void (*)() noexcept> to_release{nullptr};

// Held by trim(), which counts in the slabs themselves.
constinit std::mutex trimming;

// fork() waits until neither is held: a child must not inherit a lock of a thread that it does not have.
void lock_for_fork() {
  trimming.lock();
  depot.lock();
}
void unlock_after_fork() {
  depot.unlock();
  trimming.unlock();
}

// ---- What a thread keeps. Zero-initialised and trivially destructible: usable at any time in a thread's life, its end included. ----

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

// The first call of a thread arranges for the end of the thread; the first of the process, for forks.
void open_cache() {
  struct AtThreadExit {
    ~AtThreadExit() { close_cache(); }
  };
  thread_local const AtThreadExit at_thread_exit;
  static_cast<void>(at_thread_exit);
  static const int fork_handlers = pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
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
  if (!magazine.top) magazine = magazine_from_heap(index);
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

// ---- Trimming. ----

// All free blocks of a class that the calling thread can reach.
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
    bytes += free_to_heap(block, class_bytes(index) + link_bytes);
    block = next;
  }
  return bytes;
}

// Frees the slabs all of whose blocks are free and within reach.
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
      bytes += free_to_heap(slab, Slab::bytes);
    block = next;
  }
  for (FreeBlock* block = kept; block; block = block->next) Slab::of(block)->found = 0;
  put_all(kept, index);
  return bytes;
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
  if (const auto release = to_release.load(std::memory_order_relaxed)) release();
  const std::lock_guard lock(trimming);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < class_count; ++i) bytes += Slab::holds(i) ? trim_slabs(i) : trim_blocks(i);
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
