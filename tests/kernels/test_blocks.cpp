// How loops are cut into blocks: everything once, at the promised places, and nowhere where there is little to do.
#include "autodiff/kernels/blocks.h"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "autodiff/kernels/extremes.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/runtime.h"
#include "tests/support/threads.h"

using namespace wengert;
using testing::Threads;

namespace {

using Block = std::pair<Index, Index>;

std::vector<Block> cut(Index count, double ns, Index unit) {
  std::mutex mutex;
  std::vector<Block> blocks;
  kernels::for_blocks_of(count, ns, unit, [&](Index first, Index last) {
    const std::lock_guard lock(mutex);
    blocks.emplace_back(first, last);
  });
  std::sort(blocks.begin(), blocks.end());
  return blocks;
}

}  // namespace

BOOST_AUTO_TEST_CASE(blocks_cover_everything_once) {
  for (const Index count : {1, 2, 7, 1000, 16384, 100'001, 3'000'000})
    for (const double ns : {0.01, 0.15, 1.0, 900.0, 1e6})
      for (const Index unit : {1, 16, 1024}) {
        const std::vector<Block> blocks = cut(count, ns, unit);
        BOOST_TEST_CONTEXT(count << " pieces of " << ns << " ns, unit " << unit) {
          Index end = 0;
          for (const auto& [first, last] : blocks) {
            BOOST_TEST(first == end);
            BOOST_TEST(first % unit == 0);
            BOOST_TEST(first < last);
            BOOST_TEST((last == count || static_cast<double>(last - first) * ns >= kernels::kBlockTime));
            end = last;
          }
          BOOST_TEST(end == count);
          const double work = static_cast<double>(count) * ns;
          if (work < 2 * kernels::kBlockTime) BOOST_TEST(blocks.size() == 1u);
          if (work >= 2 * kernels::kBlockTime && count > 2 * unit) BOOST_TEST(blocks.size() > 1u);
        }
      }
  BOOST_TEST(cut(0, 1e9, 1).empty());
}

BOOST_AUTO_TEST_CASE(the_cut_does_not_depend_on_the_number_of_threads) {
  const Threads one(1);
  const std::vector<Block> blocks = cut(123'457, 1.5, 8);
  for (const int count : {2, 3, 8}) {
    const Threads scope(count);
    BOOST_TEST((cut(123'457, 1.5, 8) == blocks));
  }
}

BOOST_AUTO_TEST_CASE(an_error_in_a_block_reaches_the_caller) {
  for (const int count : {1, 3}) {
    const Threads scope(count);
    BOOST_CHECK_THROW(kernels::for_blocks_of(1000, 1e4,
                                             [](Index first, Index) {
                                               if (first > 500) throw std::runtime_error("of a block");
                                             }),
                      std::runtime_error);
  }
}

// Long rows, many rows, many small planes, and what is transposed, repeated or empty.
BOOST_AUTO_TEST_CASE(planes_are_cut_into_parts_that_cover_them) {
  const std::array<Shape, 8> shapes{Shape{3, 50'001}, Shape{50'001, 3}, Shape{700, 9, 31}, Shape{31, 9, 700},
                                    Shape{311, 507},  Shape{},          Shape{7, 0, 5},    Shape{2, 3, 5, 7}};
  for (const int count : {1, 3}) {
    const Threads scope(count);
    for (const Shape& shape : shapes)
      for (const int kind : {0, 1, 2}) {
        Shape strides = row_major_strides(shape);
        if (kind == 1) {  // the last dimension outermost
          Index stride = 1;
          for (int d = 0; d < shape.rank(); ++d) strides[d] = stride, stride *= shape[d];
        }
        if (kind == 2 && shape.rank() > 1) strides[shape.rank() - 2] = 0;
        std::vector<Index> found(static_cast<std::size_t>(shape.size()), -1);
        kernels::Rows<1>(shape, {&strides})
            .for_each_plane(1.0,
                            [&](const auto& offset, Index rows, const auto& row_step, Index n, const auto& step, Index at, Index pitch) {
                              for (Index r = 0; r < rows; ++r)
                                for (Index i = 0; i < n; ++i)
                                  found[static_cast<std::size_t>(at + r * pitch + i)] = offset[0] + r * row_step[0] + i * step[0];
                            });
        Index wrong = 0;
        for (Index flat = 0; flat < shape.size(); ++flat) {
          Index rest = flat, offset = 0;
          for (int d = shape.rank(); d-- > 0; rest /= shape[d]) offset += rest % shape[d] * strides[d];
          wrong += found[static_cast<std::size_t>(flat)] != offset;
        }
        BOOST_CHECK_MESSAGE(wrong == 0, wrong << " wrong elements in " << to_string(shape) << " of kind " << kind);
      }
  }
}

BOOST_AUTO_TEST_CASE(the_sum_of_an_empty_line_is_0) {
  for (const kernels::Lines& lines : {kernels::Lines{5, 0, 1}, kernels::Lines{1, 0, 5}}) {
    std::array<double, 5> sums;
    sums.fill(-1);
    kernels::sum_all_lines(
        lines, 1, [](Index, Index) { return 1.0; }, [to = sums.data()](Index line, double sum) { to[line] = sum; });
    BOOST_TEST((sums == std::array<double, 5>{}));
  }
}

// Every line is reduced as it is alone, and long ones in parts of a size that the line gives.
BOOST_AUTO_TEST_CASE(lines_are_reduced_alike_wherever_they_lie) {
  for (const kernels::Lines l :
       {kernels::Lines{40, 5000, 1}, {3, 70'001, 1}, {1, 200'000, 1}, {2, 5000, 37}, {1, 2100, 130}, {900, 2, 70}}) {
    std::vector<float> x(static_cast<std::size_t>(l.count() * l.n));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7919) % 1009) / 64 - 5;
    const auto element = [&](Index o, Index k, Index i) { return x[static_cast<std::size_t>((o * l.n + k) * l.inner + i)]; };
    std::vector<double> sums(static_cast<std::size_t>(l.count())), expected(sums.size());
    std::vector<float> largest(sums.size()), top(sums.size(), -1e9F);
    for (Index o = 0; o < l.outer; ++o)
      for (Index i = 0; i < l.inner; ++i)
        for (Index k = 0; k < l.n; ++k) {
          const auto line = static_cast<std::size_t>(o * l.inner + i);
          expected[line] += static_cast<double>(element(o, k, i));  // exact: multiples of 1/64
          top[line] = std::max(top[line], element(o, k, i));
        }
    for (const int count : {1, 3}) {
      const Threads scope(count);
      const float* in = x.data();
      double* to = sums.data();
      kernels::sum_all_lines(
          l, 0.15, [in](Index at, Index) { return static_cast<double>(in[at]); }, [to](Index line, double sum) { to[line] = sum; });
      kernels::extremes_of_all_lines(kernels::Extreme::largest, l, in, largest.data());
      BOOST_TEST((sums == expected));
      BOOST_TEST((largest == top));
    }
  }
}
