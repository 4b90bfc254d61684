#pragma once
// Internal.
// Numbers of recorded values: no two values of the process ever have the same one. A tape takes its numbers from a range; the table
// of live ranges tells a value of another live tape from a value of a tape that has ended.
#include <atomic>
#include <cstdint>

namespace wengert::detail {

/// One live range. Rows are never freed, so that the table can be read without a lock.
struct LiveRange {
  std::atomic<std::uint64_t> first{0}, end{0};  ///< equal: no range lives here
  std::atomic<const void*> thread{nullptr};     ///< of the tape; null: the row is free
  LiveRange* next = nullptr;
};

/// The numbers of one stream of values of one tape.
class NumberRange {
 public:
  /// A range with room for at least `kMostValues` numbers, from `first()` on.
  void open();
  /// Gives back the numbers from `next` on: the next range of this thread may start there.
  void close(std::uint64_t next) noexcept;
  /// Where numbering goes on when all numbers below `next` were given out: there, or in a new range if this one is used up.
  std::uint64_t advance(std::uint64_t next);

  std::uint64_t first() const { return first_; }
  bool contains(std::uint64_t number) const { return number - first_ < end_ - first_; }

  static constexpr std::uint64_t kMostValues = std::uint64_t(1) << 32;

 private:
  void take();

  std::uint64_t first_ = 0, end_ = 0;
  LiveRange* row_ = nullptr;
};

/// Whose live tape a number belongs to.
enum class Owner { nobody, this_thread, another_thread };
Owner owner_of(std::uint64_t number);
/// The address of something that this thread alone has.
const void* this_thread();

}  // namespace wengert::detail
