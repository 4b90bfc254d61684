#pragma once
// Internal.
// Numbers of recorded values: no two values of a process have the same number. A tape takes its numbers from a range; the table of live
// ranges distinguishes values of other live tapes from values of tapes that have ended.
#include <atomic>
#include <cstdint>

namespace wengert::detail {

/// One live range. Rows are never freed, so that the table can be read without a lock.
struct LiveRange {
  std::atomic<std::uint64_t> first{0}, end{0};  ///< equal: no range is live in this row
  std::atomic<const void*> thread{nullptr};     ///< the tape's thread; null: the row is free
  LiveRange* next = nullptr;
};

/// The numbers of a tape's scalars, or those of its tensors.
class NumberRange {
 public:
  /// Opens a range with room for at least `kMaxValues` numbers, from `first()` on.
  void open();
  /// Closes the range and returns the numbers from `next` on, where the next range of this thread may start.
  void close(std::uint64_t next) noexcept;
  /// Makes room for kMaxValues numbers after all numbers below `next` have been used. Returns `next`, or the first number of a new range if
  /// this one has too few left.
  std::uint64_t reserve_from(std::uint64_t next);

  std::uint64_t first() const { return first_; }
  bool contains(std::uint64_t number) const { return number - first_ < end_ - first_; }

  static constexpr std::uint64_t kMaxValues = std::uint64_t(1) << 32;

 private:
  void take();

  std::uint64_t first_ = 0, end_ = 0;
  LiveRange* row_ = nullptr;
};

/// The owner of the live tape that a number belongs to.
enum class Owner { none, this_thread, another_thread };
Owner owner_of(std::uint64_t number);
/// An address that identifies the calling thread.
const void* this_thread();

}  // namespace wengert::detail
