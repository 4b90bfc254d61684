#pragma once
// Numbers next to zero: exact and slow, or zero and fast.
#include <cstdint>

namespace wengert {

/// While it lives, its thread computes with zeros in place of denormal numbers, as operands and as results (below 1.2e-38 in float32, below
/// 2.2e-308 in float64), and so does the thread pool when it works for this thread; results have the same bits for every number of threads.
/// Some processors take a hundred times as long for a denormal number as for another (others, such as AMD's Zen 5, no longer), and what
/// decays in a training (activations, gradients, moments of an optimizer) may pass through them by the million.
///
///     FlushDenormals flush;
///     train(model);
///
/// It belongs to the thread that made it, and ends there; other threads of a program need guards of their own. Guards nest: each leaves the
/// mode as it found it, also by an exception. Outside of them the library never changes the mode.
///
/// An exact tiny result is lost: x != y no longer implies x - y != 0. Of a denormal argument the C library's functions (exp, log, ... of
/// float64) may return anything, because they take numbers apart by their bits. Your own arithmetic follows where it is not computed
/// by the compiler.
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
