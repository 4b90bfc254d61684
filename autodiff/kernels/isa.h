#pragma once
// The instruction set for which the kernels of this library run.
#include <atomic>

namespace wengert::kernels {

/// What kernels are compiled for. A level of x86 includes those before it.
enum class Isa : int {
  baseline,  ///< what every processor of the architecture has
  sse4,      ///< SSE4.2
  avx2,      ///< AVX2, FMA, BMI2
  avx512,    ///< AVX-512 F, BW, DQ, VL
  neon,      ///< of AArch64
};
inline constexpr int kIsaCount = 5;

namespace detail {
inline std::atomic<int> chosen_isa{-1};  // -1: not yet asked for
Isa choose_isa();
}  // namespace detail

/// The best that the processor and the operating system have; no more than the environment variable WENGERT_MAX_ISA says: baseline, sse4,
/// avx2, avx512 or neon. Throws Error where that holds anything else.
inline Isa isa() {
  const int chosen = detail::chosen_isa.load(std::memory_order_relaxed);
  return chosen >= 0 ? static_cast<Isa>(chosen) : detail::choose_isa();
}
/// The best of the processor, whatever the environment says.
Isa best_isa();
/// For tests: isa() from now on. Must not be better than best_isa().
void set_isa(Isa isa);
/// As in "AVX-512".
const char* name_of(Isa isa);

}  // namespace wengert::kernels
