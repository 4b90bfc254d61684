#include "autodiff/runtime.h"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <string_view>

#include "autodiff/error.h"
#include "autodiff/kernels/blas.h"
#include "autodiff/kernels/isa.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/version.h"

namespace wengert {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown processor";
}

// The instruction sets relevant to kernels that both the processor and the operating system support.
std::string instruction_sets() {
#if defined(__x86_64__)
  std::string names = "SSE2";
  const auto add = [&names](bool has, std::string_view name) {
    if (has) names.append(", ").append(name);
  };
  add(__builtin_cpu_supports("sse4.2"), "SSE4.2");
  add(__builtin_cpu_supports("avx"), "AVX");
  add(__builtin_cpu_supports("avx2"), "AVX2");
  add(__builtin_cpu_supports("fma"), "FMA");
  add(__builtin_cpu_supports("avx512f"), "AVX-512F");
  add(__builtin_cpu_supports("avx512cd"), "CD");
  add(__builtin_cpu_supports("avx512bw"), "BW");
  add(__builtin_cpu_supports("avx512dq"), "DQ");
  add(__builtin_cpu_supports("avx512vl"), "VL");
  return names;
#elif defined(__aarch64__)
  return "NEON";
#else
  return "those of the compiler's target";
#endif
}

std::string kernel_line() {
  try {
    const kernels::Isa used = kernels::isa(), best = kernels::best_isa();
    return used == best ? fmt::format("  kernels     {}\n", kernels::name_of(used))
                        : fmt::format("  kernels     {}, limited by WENGERT_MAX_ISA; the processor has {}\n", kernels::name_of(used),
                                      kernels::name_of(best));
  } catch (const Error& error) {
    return fmt::format("  kernels     unknown: {}\n", error.what());
  }
}

std::string_view chosen_by(blas::CoreChoice choice) {
  switch (choice) {
    case blas::CoreChoice::wengert:
      return "chosen by Wengert for this processor";
    case blas::CoreChoice::user:
      return "set by the user in OPENBLAS_CORETYPE";
    case blas::CoreChoice::already_loaded:
      return "loaded by the process before Wengert";
    case blas::CoreChoice::library:
      break;
  }
  return "chosen by OpenBLAS";
}

std::string blas_lines() {
  try {
    const blas::BlasInfo& info = blas::info();
    return fmt::format(
        "OpenBLAS      {}, {}\n"
        "  core type   {}, {}\n",
        info.version, info.file, info.core, chosen_by(info.chosen_by));
  } catch (const Error& error) {
    return fmt::format("OpenBLAS      none: {}\n", error.what());
  }
}

std::string thread_line() {
  try {
    return fmt::format("threads       {}\n", num_threads());
  } catch (const Error& error) {
    return fmt::format("threads       unknown: {}\n", error.what());
  }
}

double megabytes(std::int64_t bytes) { return 1e-6 * static_cast<double>(bytes); }

}  // namespace

std::string runtime_report() {
  const pool::Statistics memory = pool::statistics();
  return fmt::format(
             "Wengert       {}\n"
             "processor     {}\n"
             "  usable      {}\n",
             version(), processor_name(), instruction_sets()) +
         kernel_line() + thread_line() + blas_lines() +
         fmt::format(
             "memory pool   {:.1f} MB in {} blocks, {} requests to the heap\n"
             "  this thread {:.1f} MB in use, {:.1f} MB at most\n",
             megabytes(static_cast<std::int64_t>(memory.heap_bytes)), memory.heap_blocks, memory.heap_allocations, megabytes(memory.in_use),
             megabytes(memory.peak_in_use));
}

}  // namespace wengert
