// Copies of runs of all lengths, wherever they lie.
#include <autodiff/autodiff.h>
#include <autodiff/kernels/copy_bytes.h>
#include <autodiff/kernels/strided.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/support/every_isa.h"

using namespace wengert;

namespace {

// Also where the target seems to overlap the source.
BOOST_AUTO_TEST_CASE(runs_of_bytes_that_lie_anywhere) {
  constexpr std::size_t kPage = 4096, kSize = 5 * kPage;
  std::vector<std::byte> source(kSize), target(kSize), expected(kSize);
  for (std::size_t i = 0; i < kSize; ++i) source[i] = static_cast<std::byte>(i * 7 + i / 256);
  const std::size_t base = kPage - reinterpret_cast<std::uintptr_t>(target.data()) % kPage +
                           reinterpret_cast<std::uintptr_t>(source.data()) % kPage;  // as far into a page as the source
  testing::on_every_isa([&] {
    for (const std::size_t n : {0, 1, 15, 16, 17, 63, 64, 65, 1000, 1024, 1025, 1087, 1088, 4000, 9001})
      for (const std::size_t behind : {0, 1, 4, 8, 63, 64, 100}) {
        std::fill(target.begin(), target.end(), std::byte{0});
        std::fill(expected.begin(), expected.end(), std::byte{0});
        kernels::copy_bytes(target.data() + base + behind, source.data(), n);
        std::memcpy(expected.data() + base + behind, source.data(), n);
        BOOST_TEST((target == expected), n << " bytes, " << behind << " behind");
      }
  });
}

BOOST_AUTO_TEST_CASE(rows_of_few_elements) {
  for (const Index n : {1, 2, 3, 4, 5, 17})
    for (const Index step : {1, 2, -1, 0, 3})
      for (const Index row_step : {20, 60, -60, 1}) {
        constexpr Index kRows = 7, kMiddle = 1000;
        std::vector<std::int64_t> x(2 * kMiddle), y(static_cast<std::size_t>(kRows * (n + 2)), -1), expected = y;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::int64_t>(i);
        kernels::copy_rows(x.data() + kMiddle, kRows, row_step, n, step, y.data(), n + 2);
        for (Index r = 0; r < kRows; ++r)
          for (Index i = 0; i < n; ++i) expected[static_cast<std::size_t>(r * (n + 2) + i)] = kMiddle + r * row_step + i * step;
        BOOST_TEST((y == expected), "rows of " << n << " elements " << step << " apart, " << row_step << " from row to row");
      }
}

// y[i, j] for all parts of all rows.
void check_concat(const std::vector<Index>& sizes, Dtype dtype) {
  constexpr Index kRows = 300;
  std::vector<Tensor> parts;
  double next = 0;
  for (const Index n : sizes) {
    parts.push_back(reshape(Tensor::arange(next, next + static_cast<double>(kRows * n)), {kRows, n}));
    next += static_cast<double>(kRows * n);
    parts.back() = dtype == boolean ? parts.back() > next / 3 : parts.back().to(dtype);
  }
  const Tensor y = concat(parts, 1);
  Index wrong = 0, column = 0;
  for (const Tensor& part : parts)
    for (Index j = 0; j < part.size(1); ++j, ++column)
      for (Index i = 0; i < kRows; ++i) wrong += y.element(i * y.size(1) + column) != part.element(i * part.size(1) + j);
  BOOST_TEST(wrong == 0, wrong << " wrong elements of " << sizes.size() << " parts of " << to_string(dtype));
}

BOOST_AUTO_TEST_CASE(tensors_of_few_columns_are_joined) {
  for (const Dtype dtype : {float32, float64, int64, boolean})
    for (const std::vector<Index>& sizes :
         {std::vector<Index>{1, 1}, {1, 2}, {3, 1, 0, 2}, {1, 1, 1, 1, 1, 1, 1, 1, 9}, {1, 20}, {1001, 1}, {2000, 3000}})
      check_concat(sizes, dtype);
}

}  // namespace
