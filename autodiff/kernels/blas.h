#pragma once
// Matrix products through OpenBLAS, which is found and loaded at its first use.
#include <cstdint>
#include <string>

namespace wengert::blas {

/// C = alpha op(A) op(B) + beta C, all row-major: op(A) is m x k, op(B) is k x n, C is m x n; op transposes where asked, lda, ldb and ldc
/// are the distances from row to row of the matrices as stored. With beta = 0 the old C is not read. Elements are float or double. Large
/// products are cut into blocks of C by their sizes alone and spread over the thread pool, so the bits do not depend on num_threads().
/// Throws Error where OpenBLAS cannot be loaded, where a size is negative or beyond its 32-bit integers, or a distance is below the row
/// length.
template <class T> void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
                             std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc);

/// Who decided for which processor OpenBLAS computes (its "core type").
enum class CoreChoice {
  library,         ///< OpenBLAS itself: this processor has neither AVX-512 nor AVX2.
  wengert,         ///< We did, by the processor's instruction sets.
  user,            ///< The environment variable OPENBLAS_CORETYPE.
  already_loaded,  ///< The process had OpenBLAS loaded before us; we changed nothing.
};

/// The OpenBLAS in use.
struct BlasInfo {
  std::string library;  ///< The file.
  std::string version;  ///< As in "0.3.21".
  std::string core;     ///< As in "SkylakeX".
  CoreChoice chosen_by = CoreChoice::library;
};

/// Loads OpenBLAS if this has not happened yet, and tells which. Throws Error, as gemm does, where it cannot be loaded.
const BlasInfo& info();

}  // namespace wengert::blas
