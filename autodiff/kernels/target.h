#pragma once
// Loops that the compiler makes SIMD of, compiled for several instruction sets, of which isa() is taken at run time. Products and sums are
// never fused (-ffp-contract=off), so elementwise results have the same bits everywhere. (Kernels that choose their registers themselves
// are written with Highway, simd.h. A loop over any function object cannot be: its file would have to be compiled once for each target.)
#include "autodiff/kernels/isa.h"

namespace wengert::kernels {

#if defined(__x86_64__) && defined(__GNUC__)
template <class F> __attribute__((target("avx2"))) void run_avx2(F& loop) { loop(); }
template <class F> __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void run_avx512(F& loop) { loop(); }

/// Runs a loop, which must be a lambda that is always inlined: `[&]() __attribute__((always_inline)) { for (...) ... }`. A loop that is
/// too short to be `worth_it` runs on the baseline.
template <class F> void run_on_best_target(F&& loop, bool worth_it = true) {
  switch (worth_it ? isa() : Isa::baseline) {
    case Isa::avx512:
      return run_avx512(loop);
    case Isa::avx2:
      return run_avx2(loop);
    default:
      return loop();
  }
}
#else
template <class F> void run_on_best_target(F&& loop, bool = true) { loop(); }
#endif

}  // namespace wengert::kernels
