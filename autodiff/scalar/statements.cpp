#include "autodiff/scalar/statements.h"

#include <exception>
#include <utility>

namespace wengert::detail {
namespace {

// The alignment of the loop changes its time by 20%.
#define WENGERT_SWEEP __attribute__((noinline, aligned(64)))
#define WENGERT_SWEEP_PARAMETERS const std::uint16_t *lengths, double *adjoints, char *args, std::size_t from, std::size_t to

template <bool kClear> WENGERT_SWEEP char* reverse_plain(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, false>(lengths, adjoints, args, from, to);
}

// Without branches, so that it is vectorized.
WENGERT_INLINE bool consecutive_inline(const std::uint64_t* number, std::size_t n) {
  constexpr std::size_t kStride = sizeof(Scalar) / sizeof(std::uint64_t);
  std::uint64_t scattered = 0;
  for (std::size_t k = 0; k < n; ++k) scattered |= number[k * kStride] - k - number[0];
  return !scattered;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) bool consecutive_wide(const std::uint64_t* number, std::size_t n) {
  return consecutive_inline(number, n);
}
template <bool kClear> WENGERT_SWEEP __attribute__((target("avx2,fma"))) char* reverse_fused(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, true>(lengths, adjoints, args, from, to);
}
bool has_fma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#elif defined(__ARM_FEATURE_FMA)
template <bool kClear> WENGERT_SWEEP char* reverse_fused(WENGERT_SWEEP_PARAMETERS) {
  return reverse_statements_inline<kClear, true>(lengths, adjoints, args, from, to);
}
constexpr bool has_fma() { return true; }
#else
template <bool kClear> constexpr auto reverse_fused = reverse_plain<kClear>;
constexpr bool has_fma() { return false; }
#endif

thread_local std::exception_ptr kept_error;

}  // namespace

void keep_error() noexcept { kept_error = std::current_exception(); }
void throw_kept_error() { std::rethrow_exception(std::exchange(kept_error, nullptr)); }

bool consecutive(const std::uint64_t* number, std::size_t n) {
#if defined(__x86_64__)
  static const bool wide = has_fma();
  if (wide) return consecutive_wide(number, n);
#endif
  return consecutive_inline(number, n);
}

template <>
char* reverse_statements(const std::uint16_t* lengths, double* adjoints, char* args, std::size_t from, std::size_t to, bool clear) {
  static const bool fused = has_fma();
  const auto sweep = fused ? (clear ? reverse_fused<true> : reverse_fused<false>) : (clear ? reverse_plain<true> : reverse_plain<false>);
  return sweep(lengths, adjoints, args, from, to);
}

}  // namespace wengert::detail
