#pragma once
// Ctrl-C and a polite request to end, put off until the state of a training is safe.

namespace wengert::nn {

/// While one lives, SIGINT and SIGTERM do not end the process: `requested()` tells that one has come, and `deliver()` gives it the effect
/// that it would have had. A second signal has its effect at once.
///
///     const nn::DelayedInterrupts interrupts;
///     for (...) {
///       ... a batch ...
///       if (interrupts.requested()) {
///         checkpoint.save();
///         interrupts.deliver();
///       }
///     }
///
/// Signals that the program ignores stay ignored. If several live at a time, the outermost one counts.
class DelayedInterrupts {
 public:
  DelayedInterrupts();
  DelayedInterrupts(const DelayedInterrupts&) = delete;
  DelayedInterrupts& operator=(const DelayedInterrupts&) = delete;
  /// A signal that has come and was not delivered is delivered now.
  ~DelayedInterrupts();

  /// Whether a signal has come.
  bool requested() const;
  /// "SIGINT" or "SIGTERM"; "" if none has come.
  const char* name() const;
  /// Raises the signal as if it came now, after writing what the standard streams hold back: usually this ends the process. It returns if
  /// no signal has come, or if the program's own handler does.
  void deliver();

 private:
  bool outermost_;
};

}  // namespace wengert::nn
