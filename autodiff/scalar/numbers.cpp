#include "autodiff/scalar/numbers.h"

#include <mutex>
#include <vector>

namespace wengert::detail {
namespace {

struct Block {
  std::uint64_t next, end;
};
constexpr std::uint64_t kBlockSize = std::uint64_t(1) << 42;  // 2^22 blocks; when a thread ends, its last block goes to another thread
static_assert(kBlockSize > NumberRange::kMaxValues);

std::atomic<LiveRange*> live_ranges{nullptr};

/// Blocks left by threads that have ended, and where new ones start.
struct Blocks {
  std::mutex lock;
  std::vector<Block> left;
  std::uint64_t next = 1;

  Block draw() {
    std::lock_guard hold(lock);
    if (!left.empty()) {
      const Block block = left.back();
      left.pop_back();
      return block;
    }
    const Block block{next, next + kBlockSize};
    next += kBlockSize;
    return block;
  }
};
Blocks& blocks() {
  static auto* all = new Blocks;  // never destroyed: threads may outlive static objects
  return *all;
}

/// Blocks for this thread's next ranges. A tape uses two at a time, and each nested tape two more.
struct IdleBlocks {
  std::vector<Block> list;
  std::size_t in_use = 0;  // blocks that will be returned; room is reserved for them, so that closing cannot fail

  Block take() {
    list.reserve(list.size() + in_use + 1);
    ++in_use;
    if (list.empty()) return {0, 0};
    const Block block = list.back();
    list.pop_back();
    return block;
  }
  void put_back(Block block) noexcept {
    list.push_back(block);
    --in_use;
  }
  ~IdleBlocks() {
    std::lock_guard hold(blocks().lock);
    for (const Block& b : list) blocks().left.push_back(b);
  }
};
thread_local IdleBlocks idle;
thread_local constinit char thread_tag = 0;

LiveRange* acquire_row() {
  const void* free = nullptr;
  for (LiveRange* r = live_ranges.load(std::memory_order_acquire); r; r = r->next, free = nullptr)
    if (r->thread.compare_exchange_strong(free, this_thread(), std::memory_order_acq_rel)) return r;
  auto* r = new LiveRange;
  r->thread.store(this_thread(), std::memory_order_relaxed);
  r->next = live_ranges.load(std::memory_order_relaxed);
  while (!live_ranges.compare_exchange_weak(r->next, r, std::memory_order_release, std::memory_order_relaxed)) {
  }
  return r;
}

}  // namespace

void NumberRange::take() {
  Block block = row_ ? Block{0, 0} : idle.take();
  if (block.end - block.next < kMaxValues) block = blocks().draw();  // the rest of the old block is abandoned
  if (!row_) row_ = acquire_row();
  first_ = block.next;
  end_ = block.end;
  row_->first.store(first_, std::memory_order_relaxed);
  row_->end.store(end_, std::memory_order_release);
}

void NumberRange::open() { take(); }

void NumberRange::close(std::uint64_t next) noexcept {
  row_->end.store(0, std::memory_order_relaxed);
  row_->first.store(0, std::memory_order_relaxed);
  row_->thread.store(nullptr, std::memory_order_release);
  row_ = nullptr;
  idle.put_back({next, end_});
}

std::uint64_t NumberRange::reserve_from(std::uint64_t next) {
  if (end_ - next >= kMaxValues) return next;
  take();
  return first_;
}

Owner owner_of(std::uint64_t number) {
  for (LiveRange* r = live_ranges.load(std::memory_order_acquire); r; r = r->next) {
    const std::uint64_t end = r->end.load(std::memory_order_acquire), first = r->first.load(std::memory_order_relaxed);
    if (number >= first && number < end)
      return r->thread.load(std::memory_order_relaxed) == this_thread() ? Owner::this_thread : Owner::another_thread;
  }
  return Owner::none;
}

const void* this_thread() { return &thread_tag; }

}  // namespace wengert::detail
