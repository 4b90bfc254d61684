#pragma once
// Internal.
// Sources and targets of derivatives: their indices on a tape, and the errors if they are not there.
#include <cstddef>
#include <optional>

#include "autodiff/tape/reachability.h"
#include "autodiff/tape/records.h"

namespace wengert::detail {

/// The index of the source or target on the tape, of a slot or a scalar; kNoIndex if it is not there. A TapeError if it is undefined,
/// consumed, or a value of another live tape.
std::uint32_t find(TapeState& t, const Source& s);
/// The target's index. Checks target and seed before anything changes. For a constant kNoIndex if `.unreached` is zero, otherwise a
/// TapeError.
std::uint32_t find_target(TapeState& t, const Source& target, const GradientOptions& o);

/// A TapeError unless the tape belongs to the calling thread.
void check_thread(const TapeState& t, const char* operation);
/// Whether the target need not depend on the source: if `.unreached` is zero, or if the source is a frozen parameter.
bool may_be_unreached(const Source& s, const GradientOptions& o);
enum class Unknown { not_on_tape, no_dependence };
/// `i`: the position of s among the sources.
[[noreturn]] void throw_unreached(const Source& s, std::size_t i, Unknown why);

/// The indices of the sources of a gradient.
class SourceIndices {
 public:
  /// Consecutive variables of the tape, from index `first` on.
  explicit SourceIndices(std::uint32_t first) : first_(first) {}
  /// `source_at(i)` is the ith of n sources. A TapeError if one is not on the tape but must be.
  template <class F> SourceIndices(TapeState& t, std::size_t n, F&& source_at, const GradientOptions& o) : at_(n) {
    for (std::size_t i = 0; i < n; ++i) {
      const Source& s = source_at(i);
      at_[i] = find(t, s);
      if (at_[i] == kNoIndex) {
        if (!may_be_unreached(s, o)) throw_unreached(s, i, Unknown::not_on_tape);
      } else if (s.scalar) {
        variables_only_ &= t.is_variable(at_[i]);
      }
    }
  }
  std::uint32_t operator[](std::size_t i) const { return first_ ? first_ + static_cast<std::uint32_t>(i) : at_[i]; }
  /// Whether no scalar among the sources is the result of a statement.
  bool variables_only() const { return variables_only_; }

 private:
  std::uint32_t first_ = 0;  // 0: not consecutive
  pool::Vector<std::uint32_t> at_;
  bool variables_only_ = true;
};

/// After a sweep: a TapeError for the first source on which the target does not depend. `is_absent(i)`: the cotangent of the ith source is
/// absent or exactly zero.
template <class F, class Absent> void report_unreached(TapeState& t, const Source& target, std::uint32_t target_index, std::size_t n,
                                                       F&& source_at, const SourceIndices& at, Absent&& is_absent,
                                                       const GradientOptions& o) {
  std::optional<Reachability> reachable;
  for (std::size_t i = 0; i < n; ++i) {
    if (at[i] == kNoIndex || !is_absent(i)) continue;
    const Source& s = source_at(i);
    if (may_be_unreached(s, o)) continue;
    if (!reachable) reachable.emplace(t, target.scalar, target_index);
    if (!reachable->reached(s.scalar, at[i])) throw_unreached(s, i, Unknown::no_dependence);
  }
}

}  // namespace wengert::detail
