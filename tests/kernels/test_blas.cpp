#include "autodiff/kernels/blas.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/runtime.h"
#include "tests/support/child_process.h"

using namespace wengert;

namespace {

// Reproducible values in [-1, 1).
template <class T> std::vector<T> values(std::int64_t count, std::uint32_t seed) {
  std::vector<T> result(static_cast<std::size_t>(count));
  for (T& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<T>(static_cast<double>(seed) / 2147483648.0 - 1.0);
  }
  return result;
}

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  double alpha = 1, beta = 0;
  std::int64_t padding = 0;  // between the rows as stored
};

template <class T> struct Product {
  explicit Product(const Case& s)
      : lda((s.transpose_a ? s.m : s.k) + s.padding),
        ldb((s.transpose_b ? s.k : s.n) + s.padding),
        ldc(s.n + s.padding),
        a(values<T>(lda * (s.transpose_a ? s.k : s.m), 1)),
        b(values<T>(ldb * (s.transpose_b ? s.n : s.k), 2)),
        c(values<T>(ldc * s.m, 3)) {}

  std::int64_t lda, ldb, ldc;
  std::vector<T> a, b, c;
};

template <class T> std::vector<T> product(const Case& s) {
  Product<T> p(s);
  blas::gemm<T>(s.transpose_a, s.transpose_b, s.m, s.n, s.k, static_cast<T>(s.alpha), p.a.data(), p.lda, p.b.data(), p.ldb,
                static_cast<T>(s.beta), p.c.data(), p.ldc);
  return p.c;
}

// C by definition, in double; what lies between the rows of C stays.
template <class T> std::vector<T> naive_product(const Case& s) {
  Product<T> p(s);
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < s.k; ++l)
        sum += static_cast<double>(p.a[s.transpose_a ? l * p.lda + i : i * p.lda + l]) * p.b[s.transpose_b ? j * p.ldb + l : l * p.ldb + j];
      T& c = p.c[i * p.ldc + j];
      c = static_cast<T>(s.alpha * sum + (s.beta == 0 ? 0.0 : s.beta * c));
    }
  return p.c;
}

template <class T> void compare(const Case& s) {
  const std::vector<T> ours = product<T>(s), expected = naive_product<T>(s);
  const double tolerance = 4 * static_cast<double>(std::numeric_limits<T>::epsilon()) * (static_cast<double>(s.k) + 1);
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - expected[i]));
  BOOST_TEST(worst <= tolerance, s.m << " x " << s.n << " x " << s.k << (s.transpose_a ? " A'" : "") << (s.transpose_b ? " B'" : "")
                                     << " alpha " << s.alpha << " beta " << s.beta << " padding " << s.padding << ": off by " << worst);
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_the_naive_product) {
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true})
      for (std::int64_t padding : {0, 3})
        for (auto [alpha, beta] : {std::pair(1.0, 0.0), {1.0, 1.0}, {-0.5, 2.0}, {0.0, 0.5}})
          for (auto [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1}, {1, 17, 5}, {13, 1, 7}, {5, 3, 1}, {33, 65, 17}, {130, 70, 33}}) {
            const Case s{m, n, k, transpose_a, transpose_b, alpha, beta, padding};
            compare<float>(s);
            compare<double>(s);
          }
}

BOOST_AUTO_TEST_CASE(blocks_cover_large_products_exactly) {
  set_num_threads(3);
  for (auto [m, n, k] : {std::array<std::int64_t, 3>{700, 300, 200}, {3, 5000, 700}, {5000, 3, 700}, {31, 33, 40'000}, {513, 515, 64}})
    for (bool transpose : {false, true}) {
      compare<float>({m, n, k, transpose, !transpose, 1, 1, 1});
      compare<double>({m, n, k, !transpose, transpose, 2, 0, 0});
    }
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE(bits_do_not_depend_on_the_number_of_threads) {
  for (auto [m, n, k] : {std::array<std::int64_t, 3>{64, 512, 128}, {700, 300, 200}, {1030, 130, 260}, {8, 2000, 500}}) {
    set_num_threads(1);
    const Case s{m, n, k, false, true, 1, 1, 0};
    const auto single = product<float>(s);
    const auto single_double = product<double>(s);
    for (int threads : {2, 3, 16}) {
      set_num_threads(threads);
      for (int repeat = 0; repeat < 5; ++repeat) {
        BOOST_TEST((product<float>(s) == single));
        BOOST_TEST((product<double>(s) == single_double));
      }
    }
  }
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE(empty_products) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> c{1, 2, 3, 4};
  blas::gemm<double>(false, false, 2, 2, 0, 1, nullptr, 1, nullptr, 2, 0.5, c.data(), 2);
  BOOST_TEST(c == (std::vector<double>{0.5, 1, 1.5, 2}), boost::test_tools::per_element());
  c = {nan, nan, 3, 4};
  blas::gemm<double>(false, false, 1, 2, 0, 1, nullptr, 1, nullptr, 2, 0, c.data(), 2);
  BOOST_TEST(c == (std::vector<double>{0, 0, 3, 4}), boost::test_tools::per_element());
  blas::gemm<double>(false, false, 0, 2, 3, 1, nullptr, 3, c.data(), 2, 0, nullptr, 2);
  blas::gemm<double>(false, false, 2, 0, 3, 1, c.data(), 3, nullptr, 1, 0, nullptr, 1);
}

BOOST_AUTO_TEST_CASE(with_beta_zero_the_old_values_are_not_read) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> a{1, 2}, b{3, 4};
  float c = nan;
  blas::gemm<float>(false, false, 1, 1, 2, 1, a.data(), 2, b.data(), 1, 0, &c, 1);
  BOOST_TEST(c == 11);
}

BOOST_AUTO_TEST_CASE(wrong_sizes_are_errors) {
  float x = 0;
  const std::int64_t big = std::int64_t{1} << 31;
  const auto call = [&](std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t lda, std::int64_t ldb, std::int64_t ldc) {
    blas::gemm<float>(false, false, m, n, k, 1, &x, lda, &x, ldb, 0, &x, ldc);
  };
  BOOST_CHECK_THROW(call(big, 1, 1, 1, 1, 1), Error);
  BOOST_CHECK_THROW(call(1, big, 1, 1, big, big), Error);
  BOOST_CHECK_THROW(call(1, 1, big, big, 1, 1), Error);
  BOOST_CHECK_THROW(call(1, 1, 1, big, 1, 1), Error);
  BOOST_CHECK_THROW(call(-1, 1, 1, 1, 1, 1), Error);
  BOOST_CHECK_THROW(call(1, 1, 2, 1, 1, 1), Error);
  BOOST_CHECK_THROW(call(1, 2, 1, 1, 1, 2), Error);
  BOOST_CHECK_THROW(call(1, 2, 1, 1, 2, 1), Error);
}

// ---- LAPACK ----

namespace {

// A well-conditioned n x n matrix, by rows.
template <class T> std::vector<T> regular(std::int64_t n, std::uint32_t seed) {
  std::vector<T> a = values<T>(n * n, seed);
  for (std::int64_t i = 0; i < n; ++i) a[i * n + i] += static_cast<T>(n);
  return a;
}

// a x - b, the largest element, for one vector; `transpose`: a^T x - b.
template <class T> double residual(bool transpose, std::int64_t n, const std::vector<T>& a, const T* x, const T* b) {
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < n; ++k) sum += static_cast<double>(transpose ? a[k * n + i] : a[i * n + k]) * x[k];
    worst = std::max(worst, std::abs(sum - b[i]));
  }
  return worst;
}

template <class T> constexpr double kClose = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());

template <class T> void check_lu(std::int64_t n) {
  const std::vector<T> a = regular<T>(n, 5), b = values<T>(3 * n, 6);
  std::vector<T> factors = a;
  std::vector<std::int32_t> pivots(static_cast<std::size_t>(n));
  BOOST_TEST(blas::factor_lu<T>(n, factors.data(), pivots.data()) == 0);
  for (const bool transpose : {false, true}) {
    std::vector<T> x = b;
    blas::solve_lu<T>(transpose, n, 3, factors.data(), pivots.data(), x.data());
    for (std::int64_t k = 0; k < 3; ++k)
      BOOST_TEST(residual<T>(transpose, n, a, &x[k * n], &b[k * n]) <= kClose<T> * static_cast<double>(n));
  }
}

template <class T> void check_cholesky(std::int64_t n) {
  const std::vector<T> r = values<T>(n * n, 7);
  std::vector<T> a(r.size());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = i == j ? 1 : 0;
      for (std::int64_t k = 0; k < n; ++k) sum += static_cast<double>(r[i * n + k]) * r[j * n + k];
      a[i * n + j] = static_cast<T>(sum);
    }
  std::vector<T> l = a;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = i + 1; j < n; ++j) l[i * n + j] = std::numeric_limits<T>::quiet_NaN();  // not read
  BOOST_TEST(blas::factor_cholesky<T>(n, l.data()) == 0);
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k <= j; ++k) sum += static_cast<double>(l[i * n + k]) * l[j * n + k];
      worst = std::max(worst, std::abs(sum - a[i * n + j]));
    }
  BOOST_TEST(worst <= kClose<T> * static_cast<double>(n));
}

template <class T> void check_triangular(std::int64_t n) {
  for (const bool upper : {false, true}) {
    std::vector<T> a = regular<T>(n, 8), zeroed = a;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        if (upper ? j < i : j > i) {
          a[i * n + j] = std::numeric_limits<T>::quiet_NaN();  // not read
          zeroed[i * n + j] = 0;
        }
    const std::vector<T> b = values<T>(n * 2, 9);
    std::vector<T> x = b;
    blas::solve_triangular<T>(upper, n, 2, a.data(), x.data());
    for (std::int64_t k = 0; k < 2; ++k) {
      std::vector<T> column, right;
      for (std::int64_t i = 0; i < n; ++i) column.push_back(x[i * 2 + k]), right.push_back(b[i * 2 + k]);
      BOOST_TEST(residual<T>(false, n, zeroed, column.data(), right.data()) <= kClose<T> * static_cast<double>(n));
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(factorizations_solve_what_they_factor) {
  for (const std::int64_t n : {1, 2, 7, 40}) {
    check_lu<float>(n);
    check_lu<double>(n);
    check_cholesky<float>(n);
    check_cholesky<double>(n);
    check_triangular<float>(n);
    check_triangular<double>(n);
  }
}

BOOST_AUTO_TEST_CASE(pivots_exchange_rows) {
  std::vector<double> a{0, 2, 3, 0}, b{4, 9};  // 2 x1 = 4, 3 x0 = 9
  std::vector<std::int32_t> pivots(2);
  BOOST_TEST(blas::factor_lu<double>(2, a.data(), pivots.data()) == 0);
  blas::solve_lu<double>(false, 2, 1, a.data(), pivots.data(), b.data());
  BOOST_TEST(b == (std::vector<double>{3, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_factored_is_named) {
  std::vector<double> singular{1, 2, 0, 2, 4, 0, 0, 0, 1}, indefinite{1, 0, 0, 0, 1, 0, 0, 0, -1};
  std::vector<std::int32_t> pivots(3);
  BOOST_TEST(blas::factor_lu<double>(3, singular.data(), pivots.data()) > 0);
  BOOST_TEST(blas::factor_cholesky<double>(3, indefinite.data()) == 3);
  BOOST_CHECK_THROW(blas::factor_cholesky<double>(std::int64_t{1} << 31, nullptr), Error);
}

BOOST_AUTO_TEST_CASE(factorizations_of_nothing) {
  BOOST_TEST(blas::factor_lu<double>(0, nullptr, nullptr) == 0);
  BOOST_TEST(blas::factor_cholesky<float>(0, nullptr) == 0);
  blas::solve_lu<double>(false, 0, 0, nullptr, nullptr, nullptr);
  blas::solve_triangular<double>(false, 0, 2, nullptr, nullptr);
}

// ---- What happens once a process: in children. ----

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::string("=") + value : "unset";
}

#if defined(__x86_64__)
std::string best_core_here() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd"))
    return "SkylakeX";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
  return "";
}
#endif

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(child_reports) {
  if (!testing::is_child()) return;
  const std::string core = variable("OPENBLAS_CORETYPE"), threads = variable("OPENBLAS_NUM_THREADS");
  std::printf("%s", runtime_report().c_str());
  BOOST_TEST(variable("OPENBLAS_CORETYPE") == core);
  BOOST_TEST(variable("OPENBLAS_NUM_THREADS") == threads);
}

BOOST_AUTO_TEST_CASE(child_reports_with_openblas_loaded) {
  if (!testing::is_child()) return;
  void* library = dlopen("libopenblas.so.0", RTLD_NOW);
  BOOST_REQUIRE(library);
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  const auto get_threads = reinterpret_cast<int (*)()>(dlsym(library, "openblas_get_num_threads"));
  set_threads(2);
  compare<float>({300, 300, 300});
  BOOST_TEST(get_threads() == 2);
  BOOST_TEST((blas::info().chosen_by == blas::CoreChoice::already_loaded));
  std::printf("%s", runtime_report().c_str());
}

#if defined(__x86_64__)
BOOST_AUTO_TEST_CASE(the_core_type_is_the_best_for_this_processor) {
  const auto child = testing::run_in_child("child_reports", {"OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS"});
  BOOST_TEST(child.status == 0, child.output);
  if (!best_core_here().empty())
    BOOST_TEST(contains(child.output, "core type   " + best_core_here() + ", chosen by Wengert"), child.output);
}

BOOST_AUTO_TEST_CASE(the_core_type_of_the_user_stays) {
  const auto child = testing::run_in_child("child_reports", {"OPENBLAS_CORETYPE=Prescott", "OPENBLAS_NUM_THREADS=2"});
  BOOST_TEST(child.status == 0, child.output);
  BOOST_TEST(contains(child.output, "core type   Prescott, set by the user in OPENBLAS_CORETYPE"), child.output);
}
#endif

BOOST_AUTO_TEST_CASE(a_library_that_is_loaded_already_is_left_as_it_is) {
  const auto child = testing::run_in_child("child_reports_with_openblas_loaded", {"OPENBLAS_CORETYPE"});
  BOOST_TEST(child.status == 0, child.output);
  BOOST_TEST(contains(child.output, "loaded by the process before Wengert"), child.output);
}

BOOST_AUTO_TEST_CASE(a_library_that_cannot_be_loaded_is_explained) {
  const auto folder = std::filesystem::temp_directory_path() / ("wengert_test_blas_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  for (const char* name : {"libopenblas.so.0", "libopenblas.so"}) std::ofstream(folder / name) << "not a library";
  const auto child = testing::run_in_child("child_reports", {"LD_LIBRARY_PATH=" + folder.string()});
  BOOST_TEST(child.status == 0, child.output);
  BOOST_TEST(contains(child.output, "OpenBLAS      none: matrix product: OpenBLAS"), child.output);
  BOOST_TEST(contains(child.output, "apt install libopenblas0-pthread"), child.output);
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(the_report_names_everything) {
  const std::string report = runtime_report();
  for (const char* part : {"Wengert ", "processor ", "threads ", "OpenBLAS ", "libopenblas", "core type ", "memory pool "})
    BOOST_TEST(contains(report, part), report);
}
