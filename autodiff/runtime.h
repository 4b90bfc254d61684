#pragma once
// How the library uses this machine: its threads, the processor's instructions, OpenBLAS and the memory pool.
#include <string>

namespace wengert {

/// How many threads a computation may use, the calling one included. At first the environment variable WENGERT_NUM_THREADS says, and
/// without it the number of processors that this process may run on. Results have the same bits for every number of threads.
/// Throws Error where the variable holds anything but a number from 1 to 1024.
int num_threads();

/// Sets num_threads(), for the whole process and from any thread. Computations under way keep what they have.
/// Throws Error unless `count` is from 1 to 1024.
void set_num_threads(int count);

/// Several lines for people: processor, its instruction sets and the one that kernels use (the environment variable WENGERT_MAX_ISA lowers
/// it to baseline, sse4, avx2, avx512 or neon), threads, OpenBLAS (file, version, core type and who chose it) and the memory pool. Loads
/// OpenBLAS where no computation has done so before; if it cannot be loaded, the report says why.
std::string runtime_report();

}  // namespace wengert
