#pragma once
// Loops compiled for several instruction sets, of which the processor's best is taken at run time. Products and sums are never fused
// (-ffp-contract=off), so elementwise results have the same bits everywhere.

namespace wengert::kernels {

#if defined(__x86_64__) && defined(__GNUC__)
template <class F> __attribute__((target("avx2"))) void run_avx2(F& loop) { loop(); }
template <class F> __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void run_avx512(F& loop) { loop(); }

/// Runs a loop, which must be a lambda that is always inlined: `[&]() __attribute__((always_inline)) { for (...) ... }`.
template <class F> void run_on_best_target(F&& loop) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    run_avx512(loop);
  } else if (__builtin_cpu_supports("avx2")) {
    run_avx2(loop);
  } else {
    loop();
  }
}
#else
template <class F> void run_on_best_target(F&& loop) { loop(); }
#endif

}  // namespace wengert::kernels
