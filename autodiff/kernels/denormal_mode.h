#pragma once
// The bits of a thread's floating-point control register by which it takes denormal numbers for zeros.
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace wengert::kernels {

using DenormalMode = std::uint64_t;

#if defined(__x86_64__)

inline constexpr DenormalMode kFlushedDenormals = 0x8040;  // of MXCSR: FTZ for results, DAZ for operands
inline DenormalMode control_register() { return _mm_getcsr(); }
inline void set_control_register(DenormalMode value) { _mm_setcsr(static_cast<unsigned>(value)); }

#elif defined(__aarch64__)

inline constexpr DenormalMode kFlushedDenormals = 0x100'0000;  // of FPCR: FZ for both
inline DenormalMode control_register() {
  DenormalMode value = 0;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
inline void set_control_register(DenormalMode value) { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }

#else

inline constexpr DenormalMode kFlushedDenormals = 0;
inline DenormalMode control_register() { return 0; }
inline void set_control_register(DenormalMode) {}

#endif

/// The calling thread's mode: flushed_denormals, 0, or what a program has made of these bits.
inline DenormalMode denormal_mode() { return control_register() & kFlushedDenormals; }

/// Leaves the register's other bits (rounding, exceptions) as they are.
inline void set_denormal_mode(DenormalMode mode) { set_control_register((control_register() & ~kFlushedDenormals) | mode); }

}  // namespace wengert::kernels
