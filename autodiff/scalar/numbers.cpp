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

// Blocks left by threads that have ended, and where new ones start.
class Blocks {
 public:
  Block draw() {
    const std::lock_guard hold(lock_);
    if (!left_.empty()) {
      const Block block = left_.back();
      left_.pop_back();
      return block;
    }
    if (++drawn_ > left_.capacity()) left_.reserve(2 * drawn_);  // so that giving back cannot fail
    const Block block{next_, next_ + kBlockSize};
    next_ += kBlockSize;
    return block;
  }
  void give_back(Block block) noexcept {
    const std::lock_guard hold(lock_);
    left_.push_back(block);
  }

 private:
  std::mutex lock_;
  std::vector<Block> left_;
  std::size_t drawn_ = 0;
  std::uint64_t next_ = 1;
};
Blocks& blocks() {
  static auto* all = new Blocks;  // never destroyed: threads may outlive static objects
  return *all;
}

// Blocks for this thread's next ranges. A tape uses two at a time, a tape inside another two more. Trivially destructible: tapes may
// begin and end while the thread, or the process, is ending.
struct IdleBlocks {
  static constexpr std::size_t kMost = 8;
  Block list[kMost];
  std::size_t size;
  enum class State : std::uint8_t { fresh, open, closed } state;

  Block take();
  void put_back(Block block) noexcept {
    if (state == State::open && size < kMost) {
      list[size++] = block;
    } else {
      blocks().give_back(block);
    }
  }
};
thread_local constinit IdleBlocks idle{};

Block IdleBlocks::take() {
  if (state == State::fresh) {
    struct AtThreadExit {
      ~AtThreadExit() {
        idle.state = State::closed;
        while (idle.size > 0) blocks().give_back(idle.list[--idle.size]);
      }
    };
    thread_local const AtThreadExit at_thread_exit;
    static_cast<void>(at_thread_exit);
    state = State::open;
  }
  return size > 0 ? list[--size] : Block{0, 0};
}

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
