#pragma once
// Kernels written with Highway: one source, compiled once for each instruction set, of which isa() says at run time which one is called.
//
//     #undef HWY_TARGET_INCLUDE
//     #define HWY_TARGET_INCLUDE "autodiff/kernels/this_file.cpp"
//     #include "autodiff/kernels/simd.h"
//     #include <hwy/foreach_target.h>
//     #include <hwy/highway.h>
//
//     HWY_BEFORE_NAMESPACE();
//     namespace wengert::kernels::HWY_NAMESPACE { void work(...) { ... } }
//     HWY_AFTER_NAMESPACE();
//
//     #if HWY_ONCE
//     ... WENGERT_BEST_TARGET(work)(...) ...
//     #endif
//
// Highway is headers alone here: its own choice of the target would need its library wherever this one is used, and would not be the choice
// of the loops in target.h. Inside the target's namespace stand no lambdas (clang compiles them for the baseline) and nothing that another
// translation unit may share.
#include <array>
#include <cstddef>
#include <type_traits>

#include "autodiff/kernels/isa.h"

// Few processors have SSSE3 as their best set. Vectors whose length is known only at run time cannot be kept in arrays. The baseline is
// EMU128, or SCALAR with compilers that fail at the former.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include <hwy/detect_targets.h>

#if HWY_TARGETS & HWY_EMU128
#define WENGERT_ON_BASELINE(function) &N_EMU128::function
#elif HWY_TARGETS & HWY_SCALAR
#define WENGERT_ON_BASELINE(function) &N_SCALAR::function
#else
#define WENGERT_ON_BASELINE(function) nullptr
#endif
#if HWY_TARGETS & HWY_SSE4
#define WENGERT_ON_SSE4(function) &N_SSE4::function
#else
#define WENGERT_ON_SSE4(function) nullptr
#endif
#if HWY_TARGETS & HWY_AVX2
#define WENGERT_ON_AVX2(function) &N_AVX2::function
#else
#define WENGERT_ON_AVX2(function) nullptr
#endif
#if HWY_TARGETS & HWY_AVX3
#define WENGERT_ON_AVX512(function) &N_AVX3::function
#else
#define WENGERT_ON_AVX512(function) nullptr
#endif
#if HWY_TARGETS & HWY_NEON
#define WENGERT_ON_NEON(function) &N_NEON::function
#else
#define WENGERT_ON_NEON(function) nullptr
#endif

namespace wengert::kernels {

/// A function's versions by Isa. What the compiler's options leave out (-march=native, say, all below it) is the next best that there is.
template <class Function> constexpr std::array<Function*, kIsaCount> without_gaps(std::array<Function*, kIsaCount> versions) {
  for (int i = 1; i < kIsaCount; ++i)
    if (!versions[i]) versions[i] = versions[i - 1];
  for (int i = kIsaCount - 2; i >= 0; --i)
    if (!versions[i]) versions[i] = versions[i + 1];
  return versions;
}

}  // namespace wengert::kernels

/// The version of a function for an instruction set. To be used in the namespace around the targets' namespaces.
#define WENGERT_TARGET(function, isa)                                                                                                    \
  ([](::wengert::kernels::Isa wanted) {                                                                                                  \
    static constexpr auto versions = ::wengert::kernels::without_gaps<std::remove_reference_t<decltype(HWY_STATIC_DISPATCH(function))>>( \
        {WENGERT_ON_BASELINE(function), WENGERT_ON_SSE4(function), WENGERT_ON_AVX2(function), WENGERT_ON_AVX512(function),               \
         WENGERT_ON_NEON(function)});                                                                                                    \
    return versions[static_cast<std::size_t>(wanted)];                                                                                   \
  }(isa))
/// The one for isa().
#define WENGERT_BEST_TARGET(function) WENGERT_TARGET(function, ::wengert::kernels::isa())
