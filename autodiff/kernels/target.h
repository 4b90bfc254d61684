#pragma once
// Loops compiled for several instruction sets, of which the processor's best is taken at run time. Products and sums are never fused
// (-ffp-contract=off), so elementwise results have the same bits everywhere.

#if defined(__x86_64__) && defined(__GNUC__)
#define WENGERT_SEVERAL_TARGETS 1
#define WENGERT_TARGET_AVX2 __attribute__((target("avx2")))
#define WENGERT_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#endif

namespace wengert::kernels {

enum class Target { baseline, avx2, avx512 };

/// The best that the processor and the operating system have.
inline Target target() {
#ifdef WENGERT_SEVERAL_TARGETS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return Target::avx512;
  if (__builtin_cpu_supports("avx2")) return Target::avx2;
#endif
  return Target::baseline;
}

}  // namespace wengert::kernels
