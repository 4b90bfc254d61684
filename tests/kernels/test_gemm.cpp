#include "autodiff/kernels/gemm.h"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/kernels/isa.h"
#include "autodiff/kernels/product.h"
#include "autodiff/runtime.h"
#include "tests/support/child_process.h"
#include "tests/support/every_isa.h"

using namespace wengert;
using kernels::Isa;
using testing::on_every_isa;

namespace {

using Types = std::tuple<float, double>;

// Reproducible values in [-1, 1).
template <class T> std::vector<T> values(Index count, std::uint32_t seed) {
  std::vector<T> result(static_cast<std::size_t>(count));
  for (T& value : result) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<T>(static_cast<double>(seed) / 2147483648.0 - 1.0);
  }
  return result;
}

struct Layout {
  bool transposed = false;
  Index padding = 0;  // between the rows as stored
};

struct Case {
  Index m, n, k;
  Layout a = {}, b = {};
  bool accumulate = false, bias = false, relu = false;
};

template <class T> struct Operands {
  explicit Operands(const Case& s)
      : a(view(s.a, s.m, s.k, a_elements, 1)),
        b(view(s.b, s.k, s.n, b_elements, 2)),
        c_row(s.n + 3),
        c(values<T>(c_row * s.m, 3)),
        bias(values<T>(s.n, 4)) {}
  static kernels::MatrixView<T> view(const Layout& l, Index rows, Index columns, std::vector<T>& elements, std::uint32_t seed) {
    const Index distance = (l.transposed ? rows : columns) + l.padding;
    elements = values<T>(distance * (l.transposed ? columns : rows), seed);
    return l.transposed ? kernels::MatrixView<T>{elements.data(), 1, distance} : kernels::MatrixView<T>{elements.data(), distance, 1};
  }
  std::vector<T> a_elements, b_elements;
  kernels::MatrixView<T> a, b;
  Index c_row;
  std::vector<T> c, bias;
};

template <class T> kernels::ProductOptions<T> options(const Case& s, const Operands<T>& o) {
  return {.accumulate = s.accumulate, .bias = s.bias ? o.bias.data() : nullptr, .relu = s.relu};
}

template <class T> std::vector<T> product(const Case& s, Operands<T> o) {
  kernels::gemm<T>(s.m, s.n, s.k, o.a, o.b, o.c.data(), o.c_row, options(s, o));
  return o.c;
}
template <class T> std::vector<T> product(const Case& s) { return product(s, Operands<T>(s)); }

// With B packed beforehand.
template <class T> std::vector<T> packed_product(const Case& s) {
  Operands<T> o(s);
  const kernels::PackedMatrix<T> b(s.k, s.n, o.b);
  kernels::gemm(s.m, o.a, b, o.c.data(), o.c_row, options(s, o));
  return o.c;
}

// By definition, in long double; what lies between the rows of C stays.
template <class T> std::vector<T> naive_product(const Case& s) {
  Operands<T> o(s);
  for (Index i = 0; i < s.m; ++i)
    for (Index j = 0; j < s.n; ++j) {
      T& c = o.c[static_cast<std::size_t>(i * o.c_row + j)];
      long double sum = s.accumulate ? c : s.bias ? o.bias[static_cast<std::size_t>(j)] : 0;
      for (Index l = 0; l < s.k; ++l)
        sum += static_cast<long double>(o.a.data[i * o.a.row + l * o.a.column]) * o.b.data[l * o.b.row + j * o.b.column];
      c = static_cast<T>(s.relu ? std::max(sum, 0.0L) : sum);
    }
  return o.c;
}

std::string text(const Case& s) {
  std::string result = std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k);
  if (s.a.transposed) result += " A'";
  if (s.b.transposed) result += " B'";
  if (s.accumulate) result += " accumulate";
  if (s.bias) result += " bias";
  if (s.relu) result += " relu";
  return result;
}

template <class T> void compare(const Case& s) {
  const std::vector<T> expected = naive_product<T>(s);
  const double tolerance = std::numeric_limits<T>::epsilon() * (static_cast<double>(s.k) + 4);
  for (const std::vector<T>& ours : {product<T>(s), packed_product<T>(s)}) {
    double worst = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) worst = std::max(worst, static_cast<double>(std::abs(ours[i] - expected[i])));
    BOOST_TEST(worst <= tolerance, text(s) << ": off by " << worst);
  }
}

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(it_is_the_naive_product_on_every_instruction_set, T, Types) {
  constexpr std::array<std::array<Index, 3>, 16> sizes{{{1, 1, 1},
                                                        {1, 70, 5},
                                                        {3, 129, 33},
                                                        {4, 17, 19},
                                                        {9, 35, 7},
                                                        {13, 1, 7},
                                                        {1, 9, 300},
                                                        {7, 16, 270},
                                                        {19, 8, 259},
                                                        {64, 10, 20},
                                                        {65, 33, 17},
                                                        {70, 130, 9},
                                                        {100, 32, 1},
                                                        {33, 300, 1},
                                                        {130, 31, 40},
                                                        {3, 2, 0}}};
  on_every_isa([&] {
    for (const auto& [m, n, k] : sizes)
      for (const bool transposed_a : {false, true})
        for (const bool transposed_b : {false, true})
          for (const Index padding : {0, 3})
            for (const auto& [accumulate, bias, relu] :
                 {std::array{false, false, false}, {true, false, false}, {false, true, true}, {false, true, false}, {true, false, true}})
              compare<T>({m, n, k, {transposed_a, padding}, {transposed_b, padding}, accumulate, bias, relu});
  });
}

// A few rows times the transpose of a large matrix, as in a layer's forward pass.
BOOST_AUTO_TEST_CASE_TEMPLATE(rows_of_a_batch_and_of_weights, T, Types) {
  set_num_threads(2);
  on_every_isa([&] {
    for (const auto& [m, n, k] : {std::array<Index, 3>{32, 260, 140}, {48, 200, 300}, {31, 190, 200}})
      for (const auto& [bias, relu] : {std::array{false, false}, {true, false}, {true, true}})
        compare<T>({m, n, k, {false, 2}, {true, 1}, false, bias, relu});
  });
  set_num_threads(1);
}

// A few rows times a matrix that is read from memory some rows at a time. Packed, it is not.
BOOST_AUTO_TEST_CASE_TEMPLATE(rows_times_a_matrix_larger_than_the_caches, T, Types) {
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (const Index m : {1, 3, 8})
      for (const auto& [accumulate, bias, relu] : {std::array{false, false, false}, {true, false, false}, {false, true, true}}) {
        const Case s{m, 2051, 2049, {}, {}, accumulate, bias, relu};
        BOOST_TEST(same_bits(product<T>(s), packed_product<T>(s)), text(s));
      }
  }
  set_num_threads(1);
  compare<T>({2, 2051, 2049, {}, {}, false, true, true});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocks_cover_large_products_exactly, T, Types) {
  set_num_threads(3);
  for (const auto& [m, n, k] : {std::array<Index, 3>{300, 200, 600}, {520, 70, 130}, {5, 3000, 300}, {257, 257, 257}})
    for (const bool transposed : {false, true}) compare<T>({m, n, k, {transposed, 1}, {!transposed, 2}, true});
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bits_do_not_depend_on_the_number_of_threads, T, Types) {
  on_every_isa([&] {
    for (const auto& [m, n, k] : {std::array<Index, 3>{64, 256, 784}, {300, 70, 300}, {2, 3000, 700}, {520, 11, 513}})
      for (const bool transposed_a : {false, true}) {
        const Case s{m, n, k, {transposed_a, 0}, {true, 0}, false, true, true};
        set_num_threads(1);
        const auto single = product<T>(s);
        for (const int threads : {2, 3, 16}) {
          set_num_threads(threads);
          BOOST_TEST(same_bits(product<T>(s), single), text(s) << " with " << threads << " threads");
        }
      }
  });
  set_num_threads(1);
}

// The transposed product sums as the other does, and one that accumulates is never done transposed.
BOOST_AUTO_TEST_CASE_TEMPLATE(bits_do_not_depend_on_the_way_of_a_product, T, Types) {
  on_every_isa([&] {
    const Case s{64, 300, 600, {}, {true, 0}, false, true, false};
    Operands<T> o(s);
    for (Index i = 0; i < s.m; ++i) std::copy(o.bias.begin(), o.bias.end(), o.c.begin() + i * o.c_row);
    kernels::gemm<T>(s.m, s.n, s.k, o.a, o.b, o.c.data(), o.c_row, {.accumulate = true});
    std::vector<T> once = product<T>(s);
    for (Index i = 0; i < s.m; ++i)
      for (Index j = s.n; j < o.c_row; ++j)
        once[static_cast<std::size_t>(i * o.c_row + j)] = o.c[static_cast<std::size_t>(i * o.c_row + j)];
    BOOST_TEST(same_bits(once, o.c));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(small_products_have_the_bits_of_single_ones, T, Types) {
  constexpr Index kProducts = 3;
  const auto check = [&](Index m, Index n, Index k, bool a_transposed, bool b_transposed, Index b_step) {
    const std::vector<T> a = values<T>(kProducts * m * k, 1), b = values<T>(kProducts * k * n, 2);
    std::vector<T> c(static_cast<std::size_t>(kProducts * m * n + 1), T(7)), expected = c;
    const auto view = [](const T* data, Index rows, Index columns, bool transposed) {
      return transposed ? kernels::MatrixView<T>{data, 1, rows} : kernels::MatrixView<T>{data, columns, 1};
    };
    for (Index i = 0; i < kProducts; ++i)
      kernels::gemm<T>(m, n, k, view(a.data() + i * m * k, m, k, a_transposed), view(b.data() + i * b_step, k, n, b_transposed),
                       expected.data() + i * m * n, n);
    kernels::small_products<T>({m, n, k, view(a.data(), m, k, a_transposed), view(b.data(), k, n, b_transposed), m * k, b_step, c.data()},
                               0, kProducts);
    if (c != expected) BOOST_ERROR(m << " x " << k << " x " << n << ", transposed " << a_transposed << " " << b_transposed);
  };
  on_every_isa([&] {
    for (const Index m : {1, 3, 4, 5, 16})
      for (const Index n : {1, 2, 4, 5, 8, 13, 16})
        for (const Index k : {2, 5, 8, 15, 16})
          for (const bool a_transposed : {false, true})
            for (const bool b_transposed : {false, true})
              for (const Index b_step : {Index(0), k * n})
                if (kernels::are_small_products<T>(m, n, k)) check(m, n, k, a_transposed, b_transposed, b_step);
  });
  BOOST_TEST(kernels::are_small_products<T>(16, 16, 16));
  BOOST_TEST(!kernels::are_small_products<T>(17, 4, 4));
  BOOST_TEST(!kernels::are_small_products<T>(1, 1, 4));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_descent_has_the_bits_of_a_product_and_a_difference, T, Types) {
  constexpr T rate = T(0.3);
  set_num_threads(2);
  on_every_isa([&] {
    for (const auto& [m, n, k] : {std::array<Index, 3>{256, 784, 1}, {256, 784, 64}, {190, 35, 17}, {7, 5, 264}, {40, 1, 9}, {3, 70, 1}})
      for (const bool transposed_a : {false, true})
        for (const bool transposed_b : {false, true}) {
          const Case s{m, n, k, {transposed_a, 0}, {transposed_b, 0}};
          Operands<T> o(s);
          std::vector<T> expected = o.c;
          const std::vector<T> product_alone = product<T>(s);
          for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < n; ++j) {
              const auto at = static_cast<std::size_t>(i * o.c_row + j);
              const T step = rate * product_alone[at];
              expected[at] -= step;
            }
          kernels::gemm_descent<T>(m, n, k, o.a, o.b, rate, o.c.data(), o.c_row);
          double worst = 0;
          for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, static_cast<double>(std::abs(o.c[i] - expected[i])));
          // As for gradients of weights, whose products are no dot products: those add in another order.
          if (transposed_a && !transposed_b && n > 1)
            BOOST_TEST(same_bits(o.c, expected), text(s));
          else
            BOOST_TEST(worst < 1e-5, text(s) << ": off by " << worst);
        }
  });
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(views_without_dense_rows_or_columns, T, Types) {
  const std::vector<T> a = values<T>(5 * 7 * 6, 1), b = values<T>(70 * 7 * 4, 2);
  on_every_isa([&] {
    std::vector<T> c(5 * 70), expected(5 * 70);
    kernels::gemm<T>(5, 70, 7, {a.data(), 42, 6}, {b.data(), 280, 4}, c.data(), 70);
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < 70; ++j)
        for (Index l = 0; l < 7; ++l)
          expected[static_cast<std::size_t>(i * 70 + j)] +=
              a[static_cast<std::size_t>(i * 42 + l * 6)] * b[static_cast<std::size_t>(l * 280 + j * 4)];
    for (std::size_t i = 0; i < c.size(); ++i) BOOST_TEST(std::abs(c[i] - expected[i]) < T(1e-5));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nan_and_infinity_go_where_the_formula_takes_them, T, Types) {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
  on_every_isa([&] {
    for (const Index m : {1, 3, 9, 70})
      for (const Index k : {1, 21, 300})
        for (const bool transposed_b : {false, true})
          for (const bool relu : {false, true}) {
            const Case s{m, 37, k, {}, {transposed_b, 0}, false, false, relu};
            Operands<T> o(s);
            std::fill(o.a_elements.begin(), o.a_elements.end(), T(1));
            std::fill(o.b_elements.begin(), o.b_elements.end(), T(1));
            o.a_elements[static_cast<std::size_t>((m - 1) * k)] = infinity;  // the last row, whose neighbours must not see it
            const auto at_b = [&](Index column) -> T& {
              return o.b_elements[static_cast<std::size_t>(transposed_b ? column * k : column)];
            };
            at_b(36) = 0;
            at_b(35) = nan;
            at_b(34) = -infinity;
            kernels::gemm<T>(m, 37, k, {o.a_elements.data(), o.a.row, o.a.column}, {o.b_elements.data(), o.b.row, o.b.column}, o.c.data(),
                             o.c_row, options(s, o));
            const auto c = [&](Index i, Index j) { return o.c[static_cast<std::size_t>(i * o.c_row + j)]; };
            for (Index j = 0; j < 34; ++j) BOOST_TEST(c(m - 1, j) == infinity);
            BOOST_TEST(c(m - 1, 34) == (relu ? 0 : -infinity));
            BOOST_TEST(std::isnan(c(m - 1, 35)));  // relu keeps it
            BOOST_TEST(std::isnan(c(m - 1, 36)));  // infinity times 0
            if (m == 1) continue;
            for (Index j = 0; j < 34; ++j) BOOST_TEST(c(0, j) == static_cast<T>(k));
            BOOST_TEST(std::isnan(c(0, 35)));
            BOOST_TEST(c(0, 36) == static_cast<T>(k - 1));
          }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(denormal_numbers_are_kept, T, Types) {
  constexpr T tiny = std::numeric_limits<T>::denorm_min();
  on_every_isa([&] {
    for (const Index m : {1, 70})
      for (const bool transposed_b : {false, true}) {
        const std::vector<T> a(static_cast<std::size_t>(m) * 20, 1), b(20 * 33, tiny);
        std::vector<T> c(static_cast<std::size_t>(m) * 33);
        kernels::gemm<T>(m, 33, 20, {a.data(), 20, 1}, {b.data(), transposed_b ? 1 : 33, transposed_b ? 20 : 1}, c.data(), 33);
        for (const T y : c) BOOST_TEST(y == 20 * tiny);
      }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(relu_gives_no_negative_zero, T, Types) {
  on_every_isa([&] {
    const T a = -1, b[20] = {};
    for (const Index n : {1, 20}) {
      T c[20];
      std::fill(std::begin(c), std::end(c), T(5));
      kernels::gemm<T>(1, n, 1, {&a, 1, 1}, {b, n, 1}, c, n, {.relu = true});
      for (Index j = 0; j < n; ++j) BOOST_TEST(!std::signbit(c[j]));
    }
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whichever_library_computes_a_product_the_options_hold, T, Types) {
  for (const Index n : {40, 700}) {
    const Case s{n, n, n, {true, 0}, {}, false, true, true};
    Operands<T> o(s);
    kernels::product<T>(n, n, n, o.a, o.b, o.c.data(), o.c_row, options(s, o));
    const auto expected = naive_product<T>(s);
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, static_cast<double>(std::abs(o.c[i] - expected[i])));
    BOOST_TEST(worst <= 1e-7 * static_cast<double>(n));
  }
}

// ---- which instruction set ----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(child_reports_its_instruction_set) {
  if (!testing::is_child()) return;
  std::printf("%s", runtime_report().c_str());
  compare<float>({70, 33, 17});
  compare<double>({70, 33, 17});
}

BOOST_AUTO_TEST_CASE(the_environment_lowers_it_and_the_report_says_so) {
  const auto run = [](const std::string& setting) { return testing::run_in_child("child_reports_its_instruction_set", {setting}); };
  const auto says = [](const testing::ChildResult& child, const std::string& part) { return child.output.find(part) != std::string::npos; };
  const auto free = run("WENGERT_MAX_ISA");
  BOOST_TEST(free.status == 0, free.output);
  BOOST_TEST(says(free, std::string("kernels     ") + kernels::name_of(kernels::best_isa()) + "\n"), free.output);
  const auto lowered = run("WENGERT_MAX_ISA=baseline");
  BOOST_TEST(lowered.status == 0, lowered.output);
  if (kernels::best_isa() != Isa::baseline)
    BOOST_TEST(says(lowered, "baseline, limited by WENGERT_MAX_ISA; the processor has"), lowered.output);
  const auto wrong = run("WENGERT_MAX_ISA=avx3");
  BOOST_TEST(wrong.status != 0);
  BOOST_TEST(says(wrong, "WENGERT_MAX_ISA is \"avx3\"; set it to baseline, sse4, avx2, avx512 or neon"), wrong.output);
}

BOOST_AUTO_TEST_CASE(every_level_of_the_environment) {
  if (kernels::best_isa() < Isa::avx2) return;
  for (const char* level : {"sse4", "avx2"}) {
    const auto child = testing::run_in_child("child_reports_its_instruction_set", {std::string("WENGERT_MAX_ISA=") + level});
    BOOST_TEST(child.status == 0, child.output);
    BOOST_TEST(child.output.find(level[0] == 's' ? "kernels     SSE4.2" : "kernels     AVX2") != std::string::npos, child.output);
  }
}
