#include "autodiff/kernels/isa.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "autodiff/error.h"

namespace wengert::kernels {
namespace {

struct Level {
  Isa isa;
  std::string_view setting;
  const char* name;
};
constexpr Level kLevels[kIsaCount] = {{Isa::baseline, "baseline", "the processor family's baseline"},
                                      {Isa::sse4, "sse4", "SSE4.2"},
                                      {Isa::avx2, "avx2", "AVX2"},
                                      {Isa::avx512, "avx512", "AVX-512"},
                                      {Isa::neon, "neon", "NEON"}};

Isa allowed_isa() {
  const char* setting = std::getenv("WENGERT_MAX_ISA");
  if (!setting || !*setting) return best_isa();
  const auto* level = std::find_if(std::begin(kLevels), std::end(kLevels), [&](const Level& l) { return l.setting == setting; });
  if (level == std::end(kLevels))
    throw Error(
        fmt::format("kernels: the environment variable WENGERT_MAX_ISA is \"{}\"; set it to baseline, sse4, avx2, avx512 or neon, or unset "
                    "it to use what the processor has",
                    setting));
  return std::min(best_isa(), level->isa);
}

}  // namespace

Isa detail::choose_isa() {
  const Isa chosen = allowed_isa();
  set_isa(chosen);
  return chosen;
}

// The builtins also ask whether the operating system saves the registers.
Isa best_isa() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (!__builtin_cpu_supports("sse4.2")) return Isa::baseline;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2")) return Isa::sse4;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::avx512 : Isa::avx2;
#elif defined(__aarch64__)
  return Isa::neon;
#else
  return Isa::baseline;
#endif
}

void set_isa(Isa isa) { detail::chosen_isa.store(static_cast<int>(isa), std::memory_order_relaxed); }

const char* name_of(Isa isa) { return kLevels[static_cast<int>(isa)].name; }

}  // namespace wengert::kernels
