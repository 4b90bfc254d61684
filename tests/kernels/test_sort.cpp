// Sorting, beside std::stable_sort.
#include <autodiff/kernels/scratch.h>
#include <autodiff/kernels/sort.h>
#include <autodiff/tensor/random.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

using namespace wengert;

namespace {

// NaN counts as larger than every number.
template <class T> bool precedes(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a < b || (std::isnan(b) && !std::isnan(a));
  return a < b;
}

template <class T> std::vector<std::int64_t> expected_positions(const T* row, Index n, Index k, bool descending) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return descending ? precedes(row[b], row[a]) : precedes(row[a], row[b]); });
  order.resize(static_cast<std::size_t>(k));
  return order;
}

// Rows in which special values, repeated ones and many different ones stand beside each other.
template <class T> std::vector<T> elements(Index count) {
  const Tensor values = Generator(7).normal({count}, 0, 1000, float64), kinds = Generator(8).integers({count}, 0, 24);
  std::vector<T> x(static_cast<std::size_t>(count));
  using Limits = std::numeric_limits<T>;
  const std::array<T, 8> special{Limits::max(), Limits::lowest(),    Limits::min(),       Limits::infinity(), T(0),
                                 T(1),          Limits::quiet_NaN(), Limits::denorm_min()};
  for (Index i = 0; i < count; ++i) {
    const auto kind = static_cast<std::size_t>(kinds.element(i));
    T v = kind < special.size() ? special[kind] : static_cast<T>(values.element(i));
    if constexpr (std::is_floating_point_v<T>) {
      if (kind % 2 == 1) v = -v;
    }
    x[static_cast<std::size_t>(i)] = v;
  }
  return x;
}

template <class T> void check_sorted() {
  constexpr Index kRows = 3;
  for (const Index n : {1, 2, 3, 63, 64, 65, 200, 1000, 5000}) {
    const auto memory = elements<std::conditional_t<std::is_same_v<T, bool>, std::int64_t, T>>(kRows * n);
    const kernels::Scratch<T> copy(kRows * n);
    std::transform(memory.begin(), memory.end(), copy.data(), [](auto v) { return static_cast<T>(std::is_same_v<T, bool> ? v > 0 : v); });
    for (const Index k : {Index{0}, Index{1}, n / 16, n / 16 + 1, n / 2, n})
      for (const bool descending : {false, true}) {
        if (k > n) continue;
        std::vector<std::int64_t> found(static_cast<std::size_t>(kRows * k));
        kernels::positions_in_order(copy.data(), kRows, n, k, descending, found.data());
        for (Index r = 0; r < kRows; ++r) {
          const auto expected = expected_positions(copy.data() + r * n, n, k, descending);
          BOOST_TEST(std::equal(expected.begin(), expected.end(), found.begin() + r * k),
                     n << " elements, the first " << k << (descending ? " descending" : " ascending") << ", row " << r);
        }
      }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(positions_are_those_of_a_stable_sort) {
  check_sorted<float>();
  check_sorted<double>();
  check_sorted<std::int64_t>();
  check_sorted<bool>();
}

// Digits that are the same in all keys are skipped.
BOOST_AUTO_TEST_CASE(rows_of_equal_elements_keep_their_order) {
  const std::vector<double> zeros(300, -0.0);
  std::vector<std::int64_t> found(zeros.size()), expected(zeros.size());
  std::iota(expected.begin(), expected.end(), 0);
  for (const bool descending : {false, true}) {
    kernels::positions_in_order(zeros.data(), 1, 300, 300, descending, found.data());
    BOOST_TEST(found == expected);
  }
}
