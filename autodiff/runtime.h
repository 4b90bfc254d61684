#pragma once
// How the library uses the machine: threads, instruction sets, OpenBLAS and the memory pool.
#include <string>

namespace wengert {

/// The number of threads that a computation may use, including the calling one. Initially that of the environment variable
/// WENGERT_NUM_THREADS or, without it, the number of processors available to this process. Results have the same bits for any number of
/// threads. Throws Error if the variable is not a number from 1 to 1024.
int num_threads();

/// Sets num_threads() for the whole process, from any thread. Running computations keep their number of threads.
/// Throws Error unless `count` is from 1 to 1024.
void set_num_threads(int count);

/// A human-readable report of several lines: processor, its instruction sets and the one that kernels use (the environment variable
/// WENGERT_MAX_ISA limits it to baseline, sse4, avx2, avx512 or neon), threads, OpenBLAS (file, version, core type and who chose it) and
/// the memory pool. Loads OpenBLAS unless a computation has done so; if it cannot be loaded, the report says why.
std::string runtime_report();

}  // namespace wengert
