// Why OpenBLAS is loaded by hand: up to 0.3.24 it takes newer Intel processors for a "Prescott" of 2004 and computes at a fifth of their
// speed (OpenBLAS issue 4267). The variable that helps, OPENBLAS_CORETYPE, is read while the library is loaded, which for a linked
// library is before main. So it is loaded at first use, with the variable set for that moment.
#include "autodiff/kernels/blas.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "autodiff/error.h"
#include "autodiff/kernels/isa.h"
#include "autodiff/kernels/parallel.h"

namespace wengert::blas {
namespace {

// From cblas.h, so that building the library does not need OpenBLAS.
enum CblasOrder : int { row_major = 101 };
enum CblasTranspose : int { as_stored = 111, transposed = 112 };
template <class T> using CblasGemm = void (*)(CblasOrder, CblasTranspose, CblasTranspose, int m, int n, int k, T alpha, const T* a, int lda,
                                              const T* b, int ldb, T beta, T* c, int ldc);

enum CblasTriangle : int { upper_triangle = 121, lower_triangle = 122 };
enum CblasDiagonal : int { any_diagonal = 131 };
enum CblasSide : int { from_left = 141 };
template <class T> using CblasTriangularSolve = void (*)(CblasOrder, CblasSide, CblasTriangle, CblasTranspose, CblasDiagonal, int m, int n,
                                                         T alpha, const T* a, int lda, T* b, int ldb);
// LAPACK's Fortran interface: column-major, everything by address.
template <class T> using FactorLu = void (*)(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info);
template <class T> using SolveLu = void (*)(const char* transpose, const int* n, const int* columns, const T* a, const int* lda,
                                            const int* pivots, T* b, const int* ldb, int* info);
template <class T> using FactorCholesky = void (*)(const char* triangle, const int* n, T* a, const int* lda, int* info);

// Null where the build of OpenBLAS has them not.
template <class T> struct Factorizations {
  FactorLu<T> factor_lu = nullptr;
  SolveLu<T> solve_lu = nullptr;
  FactorCholesky<T> factor_cholesky = nullptr;
  CblasTriangularSolve<T> solve_triangular = nullptr;
};

constexpr std::array kLibraryNames = {"libopenblas.so.0", "libopenblas.so"};
constexpr int openmp_build = 2;  // of openblas_get_parallel()

// An environment variable for one scope. (The environment is the process's: a thread that changes it at the same time must not exist, as
// for every setenv. It is changed once, for the milliseconds in which OpenBLAS is loaded.)
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  ~ScopedVariable() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

// The core type to ask for, null to leave it to OpenBLAS. Every processor with these AVX-512 sets is served by SkylakeX within a few per
// cent of the best (the types above it add bfloat16 kernels alone), AMD's AVX2 processors by Haswell, whose kernels Zen shares.
const char* best_core() {
  switch (kernels::isa()) {
    case kernels::Isa::avx512:
      return "SkylakeX";
    case kernels::Isa::avx2:
      return "Haswell";
    default:
      return nullptr;
  }
}

struct Library {
  void* handle = nullptr;
  BlasInfo info;
  CblasGemm<float> sgemm = nullptr;
  CblasGemm<double> dgemm = nullptr;
  Factorizations<float> of_floats;
  Factorizations<double> of_doubles;
  // Null where the build of OpenBLAS has them not.
  int (*get_threads)() = nullptr;
  void (*set_threads)(int) = nullptr;
  int (*omp_get_threads)() = nullptr;
  void (*omp_set_threads)(int) = nullptr;
};

template <class Function> void find(void* handle, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(handle, name));
}

// Null if there is none; then `reasons` says why, of each name: one may be damaged and another missing.
void* open_any(int flags, std::string& reasons) {
  for (const char* name : kLibraryNames) {
    if (void* handle = dlopen(name, flags)) return handle;
    const char* reason = dlerror();
    reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", reason ? reason : "no reason given");
  }
  return nullptr;
}

// Loads the library for the right core, with no threads of its own, and leaves the environment as it was.
void* load(CoreChoice& chosen_by) {
  std::optional<ScopedVariable> core, threads;
  chosen_by = CoreChoice::library;
  if (is_set("OPENBLAS_CORETYPE")) {
    chosen_by = CoreChoice::user;
  } else if (const char* best = best_core()) {
    core.emplace("OPENBLAS_CORETYPE", best);
    chosen_by = CoreChoice::wengert;
  }
  if (!is_set("OPENBLAS_NUM_THREADS")) threads.emplace("OPENBLAS_NUM_THREADS", "1");
  std::string reasons;
  if (void* handle = open_any(RTLD_NOW | RTLD_LOCAL, reasons)) return handle;
  throw Error(
      fmt::format("matrix product: OpenBLAS ({} or {}) cannot be loaded: {}; install it (Debian, Ubuntu: apt install "
                  "libopenblas0-pthread; a damaged one with --reinstall)",
                  kLibraryNames[0], kLibraryNames[1], reasons));
}

std::string text_of(void* handle, const char* name) {
  char* (*function)() = nullptr;
  find(handle, name, function);
  const char* text = function ? function() : nullptr;
  return text ? text : "";
}

std::string file_of(void* function) {
  Dl_info found;
  if (!dladdr(function, &found)) return "unknown";
  std::error_code error;
  const auto file = std::filesystem::canonical(found.dli_fname, error);
  return error ? found.dli_fname : file.string();
}

// "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." -> "0.3.21"
std::string version_in(const std::string& config) {
  constexpr std::string_view name = "OpenBLAS ";
  if (!config.starts_with(name)) return "unknown";
  const std::size_t end = config.find(' ', name.size());
  return config.substr(name.size(), end == std::string::npos ? end : end - name.size());
}

Library open_library() {
  Library library;
  std::string not_loaded;
  library.handle = open_any(RTLD_NOW | RTLD_NOLOAD, not_loaded);
  library.info.chosen_by = CoreChoice::already_loaded;
  if (!library.handle) library.handle = load(library.info.chosen_by);

  find(library.handle, "cblas_sgemm", library.sgemm);
  find(library.handle, "cblas_dgemm", library.dgemm);
  const std::string config = text_of(library.handle, "openblas_get_config");
  if (!library.sgemm || !library.dgemm || config.find("USE64BITINT") != std::string::npos)
    throw Error(
        "matrix product: the OpenBLAS that was found lacks the C interface with 32-bit integers; install another (Debian, Ubuntu: "
        "apt install libopenblas0-pthread)");
  find(library.handle, "sgetrf_", library.of_floats.factor_lu);
  find(library.handle, "dgetrf_", library.of_doubles.factor_lu);
  find(library.handle, "sgetrs_", library.of_floats.solve_lu);
  find(library.handle, "dgetrs_", library.of_doubles.solve_lu);
  find(library.handle, "spotrf_", library.of_floats.factor_cholesky);
  find(library.handle, "dpotrf_", library.of_doubles.factor_cholesky);
  find(library.handle, "cblas_strsm", library.of_floats.solve_triangular);
  find(library.handle, "cblas_dtrsm", library.of_doubles.solve_triangular);
  library.info.file = file_of(reinterpret_cast<void*>(library.sgemm));
  library.info.version = version_in(config);
  library.info.core = text_of(library.handle, "openblas_get_corename");

  int (*get_parallel)() = nullptr;
  find(library.handle, "openblas_get_parallel", get_parallel);
  find(library.handle, "openblas_get_num_threads", library.get_threads);
  find(library.handle, "openblas_set_num_threads", library.set_threads);
  if (get_parallel && get_parallel() == openmp_build) {
    find(library.handle, "omp_get_max_threads", library.omp_get_threads);
    find(library.handle, "omp_set_num_threads", library.omp_set_threads);
  } else if (library.info.chosen_by != CoreChoice::already_loaded && library.set_threads) {
    library.set_threads(1);
  }
  return library;
}

// Never unloaded.
const Library& library() {
  static const Library& library = *new Library(open_library());
  return library;
}

// OpenBLAS's own threads would divide a product by their number, and the bits with it; they would also compete with the pool's. So each
// product runs with one. A library that we loaded has one anyway. In a library that the process had before us the number belongs to the
// process: while at least one product of ours runs it is 1 (also for the process's own calls at that time), then it is what it was.
class OneThreadInProcess {
 public:
  explicit OneThreadInProcess(const Library& library) : library_(library) {
    if (!applies()) return;
    const std::lock_guard lock(mutex);
    if (products++ > 0) return;
    threads_before = library.get_threads();
    if (threads_before != 1) library.set_threads(1);
  }
  ~OneThreadInProcess() {
    if (!applies()) return;
    const std::lock_guard lock(mutex);
    if (--products == 0 && threads_before != 1) library_.set_threads(threads_before);
  }
  OneThreadInProcess(const OneThreadInProcess&) = delete;
  OneThreadInProcess& operator=(const OneThreadInProcess&) = delete;

 private:
  bool applies() const {
    return library_.info.chosen_by == CoreChoice::already_loaded && library_.get_threads && library_.set_threads &&
           !library_.omp_set_threads;
  }

  const Library& library_;
  static inline std::mutex mutex;
  static inline int products = 0;
  static inline int threads_before = 1;
};

// The same for a build of OpenBLAS that uses OpenMP, where each thread that calls it has a number of its own.
class OneOpenMpThread {
 public:
  explicit OneOpenMpThread(const Library& library) : set_(library.omp_get_threads ? library.omp_set_threads : nullptr) {
    if (!set_) return;
    before_ = library.omp_get_threads();
    set_(1);
  }
  ~OneOpenMpThread() {
    if (set_) set_(before_);
  }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  void (*set_)(int);
  int before_ = 1;
};

struct BlockSize {
  std::int64_t rows, columns;
};

constexpr std::int64_t count_of(std::int64_t size, std::int64_t block) { return (size + block - 1) / block; }

// `size` in equal parts of at most `block`, but for rounding up to whole multiples of the microkernel's 16.
constexpr std::int64_t even_part(std::int64_t size, std::int64_t block) {
  const std::int64_t part = count_of(size, count_of(size, block));
  return std::min(size, (part + 15) / 16 * 16);
}

// How C is cut. Blocks of 1024 x 1024, or four of 512 x 512, run on one thread at 93 to 98% of the speed of a whole product; a product is
// cut further until it has four blocks, as long as a block keeps some 40 us of work. The number of threads must not matter here: OpenBLAS's
// bits depend on the block.
BlockSize block_size(std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr double least_work = 8e6;
  constexpr std::int64_t enough_blocks = 4;
  std::int64_t rows = even_part(m, 1024), columns = even_part(n, 1024);
  const auto work = [&] { return 2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(k); };
  while (count_of(m, rows) * count_of(n, columns) < enough_blocks && work() >= 2 * least_work) {
    if (columns >= rows && columns > 32)
      columns = even_part(columns, (columns + 1) / 2);
    else if (rows > 32)
      rows = even_part(rows, (rows + 1) / 2);
    else
      break;
  }
  return {rows, columns};
}

void check_size(const char* name, std::int64_t size, std::int64_t least) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  if (size < least || size > most)
    throw Error(fmt::format("matrix product: {} is {}; OpenBLAS takes {} to {} here", name, size, least, most));
}

// c = beta c
template <class T> void scale(std::int64_t m, std::int64_t n, T beta, T* c, std::int64_t ldc) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == 0 ? T(0) : beta * c[i * ldc + j];
}

}  // namespace

template <class T> void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
                             std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  check_size("m", m, 0);
  check_size("n", n, 0);
  check_size("k", k, 0);
  if (m == 0 || n == 0) return;  // dense matrices without elements have rows of length 0
  check_size("lda", lda, std::max<std::int64_t>(1, transpose_a ? m : k));
  check_size("ldb", ldb, std::max<std::int64_t>(1, transpose_b ? k : n));
  check_size("ldc", ldc, std::max<std::int64_t>(1, n));
  if (k == 0) return scale(m, n, beta, c, ldc);

  const Library& blas = library();
  const auto product = [&] {
    if constexpr (std::is_same_v<T, float>)
      return blas.sgemm;
    else
      return blas.dgemm;
  }();
  const OneThreadInProcess one_thread(blas);
  const BlockSize size = block_size(m, n, k);
  const std::int64_t across = count_of(n, size.columns);
  parallel_blocks(count_of(m, size.rows) * across, [&](std::int64_t block) {
    const std::int64_t row = block / across * size.rows, column = block % across * size.columns;
    const OneOpenMpThread one_openmp_thread(blas);
    product(row_major, transpose_a ? transposed : as_stored, transpose_b ? transposed : as_stored,
            static_cast<int>(std::min(size.rows, m - row)), static_cast<int>(std::min(size.columns, n - column)), static_cast<int>(k),
            alpha, a + (transpose_a ? row : row * lda), static_cast<int>(lda), b + (transpose_b ? column * ldb : column),
            static_cast<int>(ldb), beta, c + row * ldc + column, static_cast<int>(ldc));
  });
}

template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, float, const float*, std::int64_t, const float*, std::int64_t,
                   float, float*, std::int64_t);
template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, double, const double*, std::int64_t, const double*, std::int64_t,
                   double, double*, std::int64_t);

namespace {

int checked_order(const char* name, std::int64_t size) {
  check_size(name, size, 0);
  return static_cast<int>(size);
}

// Calls f(functions for T) with OpenBLAS on one thread.
template <class T, class F> void with_factorizations(F&& f) {
  const Library& blas = library();
  const Factorizations<T>& functions = [&]() -> const auto& {
    if constexpr (std::is_same_v<T, float>)
      return blas.of_floats;
    else
      return blas.of_doubles;
  }
  ();
  if (!functions.factor_lu || !functions.solve_lu || !functions.factor_cholesky || !functions.solve_triangular)
    throw Error(
        fmt::format("linear algebra: {} was built without LAPACK; install another OpenBLAS (Debian, Ubuntu: apt install "
                    "libopenblas0-pthread)",
                    blas.info.file));
  const OneThreadInProcess one_thread(blas);
  const OneOpenMpThread one_openmp_thread(blas);
  f(functions);
}

}  // namespace

// LAPACK's columns are our rows: what it factorizes is the transposed matrix.
template <class T> std::int64_t factor_lu(std::int64_t n, T* a, std::int32_t* pivots) {
  const int order = checked_order("n", n), distance = std::max(1, order);
  int info = 0;
  with_factorizations<T>([&](const auto& f) { f.factor_lu(&order, &order, a, &distance, pivots, &info); });
  return info;
}

template <class T> void solve_lu(bool transpose, std::int64_t n, std::int64_t columns, const T* factors, const std::int32_t* pivots, T* b) {
  const int order = checked_order("n", n), count = checked_order("columns", columns), distance = std::max(1, order);
  const char how = transpose ? 'N' : 'T';
  int info = 0;
  with_factorizations<T>([&](const auto& f) { f.solve_lu(&how, &order, &count, factors, &distance, pivots, b, &distance, &info); });
}

template <class T> std::int64_t factor_cholesky(std::int64_t n, T* a) {
  const int order = checked_order("n", n), distance = std::max(1, order);
  const char triangle = 'U';
  int info = 0;
  with_factorizations<T>([&](const auto& f) { f.factor_cholesky(&triangle, &order, a, &distance, &info); });
  return info;
}

template <class T> void solve_triangular(bool upper, std::int64_t n, std::int64_t columns, const T* a, T* b) {
  const int order = checked_order("n", n), count = checked_order("columns", columns);
  if (order == 0 || count == 0) return;
  with_factorizations<T>([&](const auto& f) {
    f.solve_triangular(row_major, from_left, upper ? upper_triangle : lower_triangle, as_stored, any_diagonal, order, count, T(1), a, order,
                       b, count);
  });
}

template std::int64_t factor_lu(std::int64_t, float*, std::int32_t*);
template std::int64_t factor_lu(std::int64_t, double*, std::int32_t*);
template void solve_lu(bool, std::int64_t, std::int64_t, const float*, const std::int32_t*, float*);
template void solve_lu(bool, std::int64_t, std::int64_t, const double*, const std::int32_t*, double*);
template std::int64_t factor_cholesky(std::int64_t, float*);
template std::int64_t factor_cholesky(std::int64_t, double*);
template void solve_triangular(bool, std::int64_t, std::int64_t, const float*, float*);
template void solve_triangular(bool, std::int64_t, std::int64_t, const double*, double*);

const BlasInfo& info() { return library().info; }

}  // namespace wengert::blas
