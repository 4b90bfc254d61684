#include "autodiff/statements.h"

namespace wengert::detail {
namespace {

// Where the loop lies changes its time by 20%.
#define WENGERT_SWEEP __attribute__((noinline, aligned(64)))
#define WENGERT_SWEEP_PARAMETERS const std::uint8_t *counts, double *adjoints, char *args, std::size_t from, std::size_t to

template <bool kClear> WENGERT_SWEEP char* reverse_plain(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, false>(counts, adjoints, args, from, to);
}

#if defined(__x86_64__)
template <bool kClear> WENGERT_SWEEP __attribute__((target("avx2,fma"))) char* reverse_fused(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, true>(counts, adjoints, args, from, to);
}
bool has_fma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#elif defined(__ARM_FEATURE_FMA)
template <bool kClear> WENGERT_SWEEP char* reverse_fused(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, true>(counts, adjoints, args, from, to);
}
constexpr bool has_fma() { return true; }
#else
template <bool kClear> constexpr auto reverse_fused = reverse_plain<kClear>;
constexpr bool has_fma() { return false; }
#endif

}  // namespace

template <>
char* reverse_statements(const std::uint8_t* counts, double* adjoints, char* args, std::size_t from, std::size_t to, bool clear) {
  static const bool fused = has_fma();
  const auto sweep = fused ? (clear ? reverse_fused<true> : reverse_fused<false>) : (clear ? reverse_plain<true> : reverse_plain<false>);
  return sweep(counts, adjoints, args, from, to);
}

}  // namespace wengert::detail
