#pragma once
// Internal.
// What a tape tells whoever measures it: the tape's interface to explain/profile.h, which implements it. Without a Profile, the tapes of a
// thread have no timer.
#include <span>

namespace wengert {

class Tensor;

namespace detail {

class TapeState;
struct TapeNode;

/// Calls may nest: the rule of a checkpoint opens a tape and sweeps over it.
class TapeTimer {
 public:
  /// A tape begins, or begins anew after its records were dropped. Returns whether to measure it from here on.
  virtual bool started(const TapeState& tape, bool anew) noexcept = 0;
  /// The last node of the tape has been recorded: an operation on x.
  virtual void recorded(const TapeState& tape, std::span<const Tensor* const> x) noexcept = 0;
  virtual void before_sweep() noexcept = 0;
  virtual void before_rule() noexcept = 0;
  /// The rule of the node is done, and its results are where they belong.
  virtual void after_rule(const TapeState& tape, const TapeNode& node) noexcept = 0;
  virtual void after_sweep() noexcept = 0;

 protected:
  ~TapeTimer() = default;
};

/// The timer of the calling thread's tapes, those that are open included; null: none.
void set_timer(TapeTimer* timer) noexcept;
TapeTimer* current_timer() noexcept;

}  // namespace detail
}  // namespace wengert
