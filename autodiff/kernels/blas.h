#pragma once
// Matrix products and factorizations through OpenBLAS, which is found and loaded at its first use.
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

/// @name Factorizations (LAPACK), on one thread
/// Square matrices of float or double with dense rows, overwritten in place. Each throws Error where OpenBLAS cannot be loaded or lacks
/// the function, or where a size is beyond its 32-bit integers.
/// @{
/// A^T = P L U of a row-major n x n matrix A, with unit diagonal in L. The diagonal of U stands on a's; row i was exchanged with row
/// pivots[i], counted from 1. Returns 0, or the first position (from 1) on U's diagonal that is exactly 0.
template <class T> std::int64_t factor_lu(std::int64_t n, T* a, std::int32_t* pivots);
/// b = A^-1 b (or A^-T b) for the factors of A; b holds `columns` vectors of n elements, one after the other.
template <class T> void solve_lu(bool transpose, std::int64_t n, std::int64_t columns, const T* factors, const std::int32_t* pivots, T* b);
/// A = L L^T of a row-major symmetric matrix, of which the lower triangle is read and replaced by L. Returns 0, or the order (from 1) of
/// the first leading minor that is not positive.
template <class T> std::int64_t factor_cholesky(std::int64_t n, T* a);
/// b = A^-1 b for a row-major triangular matrix, of which the other triangle is not read; b is row-major, n x columns.
template <class T> void solve_triangular(bool upper, std::int64_t n, std::int64_t columns, const T* a, T* b);
/// @}

/// Who decided for which processor OpenBLAS computes (its "core type").
enum class CoreChoice {
  library,         ///< OpenBLAS itself: this processor has neither AVX-512 nor AVX2.
  wengert,         ///< We did, by the processor's instruction sets.
  user,            ///< The environment variable OPENBLAS_CORETYPE.
  already_loaded,  ///< The process had OpenBLAS loaded before us; we changed nothing.
};

/// The OpenBLAS in use.
struct BlasInfo {
  std::string file;     ///< Where it is.
  std::string version;  ///< As in "0.3.21".
  std::string core;     ///< As in "SkylakeX".
  CoreChoice chosen_by = CoreChoice::library;
};

/// Loads OpenBLAS if this has not happened yet, and tells which. Throws Error, as gemm does, where it cannot be loaded.
const BlasInfo& info();

}  // namespace wengert::blas
