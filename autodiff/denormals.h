#pragma once
// Denormal numbers: exact but slow, or flushed to zero.
#include <cstdint>

namespace wengert {

/// While this guard exists, its thread treats denormal numbers (below 1.2e-38 in float32, below 2.2e-308 in float64) as zero, as operands
/// and as results. So does the thread pool when it works for this thread, and results have the same bits for any number of threads. Some
/// processors take a hundred times as long for a denormal number as for another (others, such as AMD's Zen 5, do not), and values that
/// decay during training (activations, gradients, an optimizer's moments) may become denormal by the million.
///
///     FlushDenormals flush;
///     train(model);
///
/// A guard belongs to the thread that made it and must be destroyed there; other threads of a program need their own. Guards nest: each
/// restores the previous mode, also after an exception. Outside of guards the library never changes the mode.
///
/// Exact tiny results are lost: x != y no longer implies x - y != 0. For denormal arguments, the C library's functions (exp, log, ... of
/// float64) may return anything, because they inspect the bits of numbers. Your own arithmetic is affected as well, except for what the
/// compiler evaluates.
///
/// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 10.2.3.3 and 10.2.3.4 (MXCSR: FTZ, DAZ); Arm
/// Architecture Reference Manual, FPCR.FZ. On other processors it does nothing.
class [[nodiscard]] FlushDenormals {
 public:
  FlushDenormals() noexcept;
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  std::uint64_t before_;
};

}  // namespace wengert
