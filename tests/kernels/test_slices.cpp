// Slices of an array against loops over elements.
#include <autodiff/kernels/slices.h>
#include <autodiff/runtime.h>

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <random>
#include <vector>

using namespace wengert;

namespace {

std::mt19937 random_bits(1);

std::vector<std::int64_t> positions(Index count, Index n) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(count));
  for (auto& k : index) k = static_cast<std::int64_t>(random_bits() % static_cast<std::uint64_t>(n));
  return index;
}

struct Sizes {
  kernels::Slices slices;
  Index count;
};
// Few positions of many, and many of few; slices of one element, and longer ones than are added at once.
const Sizes all_sizes[] = {{{1, 5, 1}, 40},    {{1, 1000, 1}, 7}, {{3, 4, 1}, 9}, {{2, 700, 3}, 5},
                           {{1, 50, 64}, 200}, {{2, 6, 200}, 11}, {{4, 3, 7}, 0}};

template <class T> void check_gather(const Sizes& s) {
  const auto& [outer, n, inner] = s.slices;
  std::vector<T> x(static_cast<std::size_t>(outer * n * inner)), y(static_cast<std::size_t>(outer * s.count * inner)), expected;
  for (T& v : x) v = static_cast<T>(random_bits());
  const std::vector<std::int64_t> index = positions(s.count, n);
  for (Index o = 0; o < outer; ++o)
    for (const std::int64_t k : index)
      for (Index i = 0; i < inner; ++i) expected.push_back(x[static_cast<std::size_t>((o * n + k) * inner + i)]);
  kernels::gather_slices(s.slices, index, x.data(), sizeof(T), y.data());
  BOOST_TEST(y == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_CASE(gathered_slices_of_every_size_of_elements) {
  for (const Sizes& s : all_sizes) {
    check_gather<std::uint8_t>(s);
    check_gather<std::uint32_t>(s);
    check_gather<std::uint64_t>(s);
  }
}

BOOST_AUTO_TEST_CASE(added_slices_are_sums_in_double_whatever_the_threads) {
  std::uniform_real_distribution<float> number(-1, 1);
  for (const Sizes& s : all_sizes) {
    const auto& [outer, n, inner] = s.slices;
    std::vector<float> y(static_cast<std::size_t>(outer * n * inner)), terms(static_cast<std::size_t>(outer * s.count * inner));
    for (float& v : y) v = number(random_bits);
    for (float& v : terms) v = number(random_bits);
    const std::vector<std::int64_t> index = positions(s.count, n);
    std::vector<double> sums(y.begin(), y.end());
    for (Index o = 0; o < outer; ++o)
      for (Index k = 0; k < s.count; ++k)
        for (Index i = 0; i < inner; ++i)
          sums[static_cast<std::size_t>((o * n + index[static_cast<std::size_t>(k)]) * inner + i)] +=
              static_cast<double>(terms[static_cast<std::size_t>((o * s.count + k) * inner + i)]);
    const std::vector<float> expected(sums.begin(), sums.end());
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::vector<float> found = y;
      kernels::add_slices(s.slices, index, terms.data(), found.data());
      BOOST_TEST(found == expected, boost::test_tools::per_element());
    }
  }
  set_num_threads(2);
}

BOOST_AUTO_TEST_CASE(a_sum_of_very_many_terms_for_one_position_keeps_its_digits) {
  const std::vector<std::int64_t> index(100000, 2);
  const std::vector<float> terms(index.size(), 0.1F);
  std::vector<float> y(4);
  kernels::add_slices({1, 4, 1}, index, terms.data(), y.data());
  BOOST_TEST(y == (std::vector<float>{0, 0, static_cast<float>(100000 * static_cast<double>(0.1F)), 0}), boost::test_tools::per_element());
}
