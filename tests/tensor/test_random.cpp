#include "autodiff/tensor/random.h"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

using namespace wengert;

namespace {

using Words = std::array<std::uint32_t, 4>;

// Philox4x32-10 as in the paper: ten rounds of two products; the key is incremented by the golden ratio and by the square root of 3, less
// 1.
Words philox(Words x, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    const std::uint64_t p = std::uint64_t{0xD2511F53} * x[0], q = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(q >> 32) ^ x[1] ^ k0, static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(p >> 32) ^ x[3] ^ k1,
         static_cast<std::uint32_t>(p)};
  }
  return x;
}

std::array<std::uint64_t, 2> expected_block(std::uint64_t seed, std::uint64_t counter) {
  const Words w = philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
                         static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  return {std::uint64_t{w[1]} << 32 | w[0], std::uint64_t{w[3]} << 32 | w[2]};
}

double moment(const std::vector<double>& values, int power, double about = 0) {
  return std::accumulate(values.begin(), values.end(), 0.0, [&](double sum, double v) { return sum + std::pow(v - about, power); }) /
         static_cast<double>(values.size());
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = moment(a, 1), mean_b = moment(b, 1);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / static_cast<double>(a.size()) / std::sqrt(moment(a, 2, mean_a) * moment(b, 2, mean_b));
}

// The Kolmogorov-Smirnov distance between the distribution of the samples and the given one, times sqrt(n): above 1.95 with probability
// 1/1000.
template <class F> double distance(std::vector<double> values, F&& distribution) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double p = distribution(values[i]);
    largest = std::max({largest, p - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - p});
  }
  return largest * std::sqrt(n);
}

double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

constexpr Index kMany = 200'000;

}  // namespace

// The known answers of the Random123 distribution for philox4x32 with ten rounds.
BOOST_AUTO_TEST_CASE(the_reference_gives_the_known_answers) {
  const auto ones = 0xffffffffu;
  BOOST_TEST((philox({0, 0, 0, 0}, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  BOOST_TEST((philox({ones, ones, ones, ones}, ones, ones) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  BOOST_TEST((philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0) ==
              Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

BOOST_AUTO_TEST_CASE(bits_are_philox_of_seed_and_counter) {
  BOOST_TEST(Generator(0).next_bits() == 0xe169c58d6627e8d5u);
  for (const std::uint64_t seed : {0ull, 1ull, 1964ull, 0x123456789abcdef0ull, ~0ull}) {
    for (const std::uint64_t counter : {0ull, 1ull, 0xffffffffull, 0x100000000ull, ~0ull - 1}) {
      BOOST_TEST(Generator(seed, counter).next_bits() == expected_block(seed, counter)[0]);
      const auto values = Generator(seed, counter).uniform({2}, 0, 1, float64).to_vector<double>();
      BOOST_TEST(values[0] == static_cast<double>(expected_block(seed, counter)[0] >> 11) * 0x1p-53);
      BOOST_TEST(values[1] == static_cast<double>(expected_block(seed, counter)[1] >> 11) * 0x1p-53);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_state_is_a_seed_and_a_counter) {
  Generator g(7);
  g.normal({5});
  BOOST_TEST(g.counter() == 3u);  // two elements a block
  BOOST_TEST(g.seed() == 7u);
  g.next_uniform();
  BOOST_TEST(g.counter() == 4u);
  Generator copy = g, restored(g.seed(), g.counter());
  const auto values = g.uniform({11}).to_vector<float>();
  BOOST_TEST(copy.uniform({11}).to_vector<float>() == values);
  BOOST_TEST(restored.uniform({11}).to_vector<float>() == values);
  BOOST_TEST(g.uniform({11}).to_vector<float>() != values);
}

BOOST_AUTO_TEST_CASE(an_element_depends_on_its_position_alone) {
  const auto all = Generator(3).normal({1001}, 0, 1, float64).to_vector<double>();
  for (const Index n : {1, 2, 9, 500}) {
    const auto some = Generator(3).normal({n}, 0, 1, float64).to_vector<double>();
    BOOST_TEST(std::equal(some.begin(), some.end(), all.begin()));
  }
  const auto later = Generator(3, 100).normal({7, 3}, 0, 1, float64).to_vector<double>();  // from the 200th element on
  BOOST_TEST(std::equal(later.begin(), later.end(), all.begin() + 200));
}

BOOST_AUTO_TEST_CASE(single_numbers_are_first_elements) {
  const Generator g(11);
  const auto fresh = [&] { return g; };
  BOOST_TEST(fresh().next_uniform(-2, 5) == fresh().uniform({}, -2, 5, float64).item());
  BOOST_TEST(fresh().next_normal(1, 3) == fresh().normal({}, 1, 3, float64).item());
  BOOST_TEST(fresh().next_integer(-5, 50) == static_cast<Index>(fresh().integers({}, -5, 50).item()));
  BOOST_TEST(fresh().next_bernoulli(0.5) == (fresh().bernoulli({}, 0.5).item() != 0));
}

BOOST_AUTO_TEST_CASE(float32_is_float64_rounded) {
  const auto narrow = Generator(5).normal({999}).to_vector<float>();
  const auto wide = Generator(5).normal({999}, 0, 1, float64).to_vector<double>();
  for (std::size_t i = 0; i < narrow.size(); ++i) BOOST_TEST(narrow[i] == static_cast<float>(wide[i]));
}

BOOST_AUTO_TEST_CASE(uniform_is_uniform) {
  const auto values = Generator(1).uniform({kMany}, -2, 6, float64).to_vector<double>();
  BOOST_TEST(distance(values, [](double x) { return (x + 2) / 8; }) < 1.95);
  BOOST_TEST(std::abs(moment(values, 1) - 2) < 0.03);
  BOOST_TEST(std::abs(moment(values, 2, 2) - 64.0 / 12) < 0.05);
  BOOST_TEST(*std::min_element(values.begin(), values.end()) >= -2);
  BOOST_TEST(*std::max_element(values.begin(), values.end()) < 6);
}

BOOST_AUTO_TEST_CASE(uniform_never_reaches_its_upper_end) {
  const float next = std::nextafter(1.0f, 2.0f);  // rounding to nearest would give `next` for the upper half
  for (const float v : Generator(1).uniform({1000}, 1, next).to_vector<float>()) BOOST_TEST(v == 1);
  for (const double v : Generator(1).uniform({1000}, 1, 1 + 0x1p-52, float64).to_vector<double>()) BOOST_TEST(v == 1);
  BOOST_TEST(Generator(1).uniform({}, 3, 3).item() == 3);
}

BOOST_AUTO_TEST_CASE(normal_is_normal) {
  const auto values = Generator(2).normal({kMany}, 0, 1, float64).to_vector<double>();
  BOOST_TEST(distance(values, normal_distribution) < 1.95);
  // Each is within four standard errors.
  const double root = std::sqrt(static_cast<double>(kMany));
  BOOST_TEST(std::abs(moment(values, 1)) < 4 / root);
  BOOST_TEST(std::abs(moment(values, 2) - 1) < 4 * std::sqrt(2.0) / root);
  BOOST_TEST(std::abs(moment(values, 3)) < 4 * std::sqrt(15.0) / root);
  BOOST_TEST(std::abs(moment(values, 4) - 3) < 4 * std::sqrt(96.0) / root);
}

BOOST_AUTO_TEST_CASE(normal_has_its_tails) {
  Generator g(4);
  const auto values = g.normal({2'000'000}).to_vector<float>();
  for (const double limit : {3.0, 4.0, 4.5}) {
    const double expected = 2 * normal_distribution(-limit) * static_cast<double>(values.size());
    const auto beyond = static_cast<double>(std::count_if(values.begin(), values.end(), [&](float v) { return std::abs(v) > limit; }));
    BOOST_TEST(std::abs(beyond - expected) < 4 * std::sqrt(expected));
  }
}

BOOST_AUTO_TEST_CASE(normal_takes_mean_and_deviation) {
  const auto values = Generator(2).normal({kMany}, 10, 0.5, float64).to_vector<double>();
  BOOST_TEST(std::abs(moment(values, 1) - 10) < 0.005);
  BOOST_TEST(std::abs(moment(values, 2, 10) - 0.25) < 0.004);
  BOOST_TEST(Generator(2).normal({}, 3, 0).item() == 3);
}

// Neighbours, and the two elements that share a block (a cosine and a sine of one radius), are uncorrelated, also in their squares.
BOOST_AUTO_TEST_CASE(elements_are_uncorrelated) {
  const auto values = Generator(8).normal({kMany}, 0, 1, float64).to_vector<double>();
  for (const std::size_t lag : {1, 2, 3, 4}) {
    std::vector<double> a(values.begin(), values.end() - static_cast<std::ptrdiff_t>(lag)),
        b(values.begin() + static_cast<std::ptrdiff_t>(lag), values.end());
    BOOST_TEST(std::abs(correlation(a, b)) < 4 / std::sqrt(static_cast<double>(kMany)));
    for (auto* v : {&a, &b}) std::transform(v->begin(), v->end(), v->begin(), [](double x) { return x * x; });
    BOOST_TEST(std::abs(correlation(a, b)) < 4 / std::sqrt(static_cast<double>(kMany)));
  }
}

BOOST_AUTO_TEST_CASE(streams_are_uncorrelated) {
  const auto stream = [](Generator g) { return g.uniform({kMany}, 0, 1, float64).to_vector<double>(); };
  Generator parent(1);
  const Generator first = parent.fork(), second = parent.fork();
  BOOST_TEST(first.seed() != second.seed());
  const std::vector<std::vector<double>> streams{stream(Generator(1)), stream(Generator(2)), stream(Generator(1ull << 32)), stream(first),
                                                 stream(second)};
  for (std::size_t i = 0; i < streams.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      BOOST_TEST(std::abs(correlation(streams[i], streams[j])) < 4 / std::sqrt(static_cast<double>(kMany)));
  }
}

BOOST_AUTO_TEST_CASE(bernoulli_has_its_probability) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const auto values = Generator(6).bernoulli({kMany}, p, float64).to_vector<double>();
    BOOST_TEST(std::all_of(values.begin(), values.end(), [](double v) { return v == 0 || v == 1; }));
    BOOST_TEST(std::abs(moment(values, 1) - p) < 4 * std::sqrt(p * (1 - p) / static_cast<double>(kMany)));
  }
  const auto sum = [](const Tensor& t) {
    const auto values = t.to_vector<double>();
    return std::accumulate(values.begin(), values.end(), 0.0);
  };
  BOOST_TEST(sum(Generator(6).bernoulli({1000}, 0)) == 0);
  BOOST_TEST(sum(Generator(6).bernoulli({1000}, 1)) == 1000);
  const double count = sum(Generator(6).bernoulli({1000}, 0.3));
  for (const Dtype dtype : {float64, int64, boolean}) {
    const Tensor t = Generator(6).bernoulli({1000}, 0.3, dtype);
    BOOST_TEST((t.dtype() == dtype));
    BOOST_TEST(sum(t) == count);
  }
}

BOOST_AUTO_TEST_CASE(integers_are_even_over_their_range) {
  const Tensor drawn = Generator(9).integers({100'000}, -3, 7);
  BOOST_TEST((drawn.dtype() == int64));
  std::map<std::int64_t, double> counts;
  for (const std::int64_t v : drawn.to_vector<std::int64_t>()) ++counts[v];
  BOOST_TEST(counts.size() == 10u);
  BOOST_TEST(counts.begin()->first == -3);
  double chi_squared = 0;
  for (const auto& [value, count] : counts) chi_squared += (count - 10'000) * (count - 10'000) / 10'000;
  BOOST_TEST(chi_squared < 27.9);  // 9 degrees of freedom: once in 1000
  BOOST_TEST(Generator(9).integers({}, 5, 6).item() == 5);
}

BOOST_AUTO_TEST_CASE(integers_span_the_whole_type) {
  constexpr Index kMin = std::numeric_limits<Index>::min(), kMax = std::numeric_limits<Index>::max();
  const auto values = Generator(9).integers({1000}, kMin, kMax).to_vector<std::int64_t>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  BOOST_TEST(*low < kMin / 100 * 98);
  BOOST_TEST(*high > kMax / 100 * 98);
}

BOOST_AUTO_TEST_CASE(permutations_are_permutations) {
  for (const Index n : {0, 1, 2, 1000}) {
    auto order = Generator(10).permutation(n).to_vector<std::int64_t>();
    BOOST_TEST(static_cast<Index>(order.size()) == n);
    std::sort(order.begin(), order.end());
    for (Index i = 0; i < n; ++i) BOOST_TEST(order[static_cast<std::size_t>(i)] == i);
  }
}

BOOST_AUTO_TEST_CASE(every_order_is_equally_likely) {
  Generator g(10);
  std::map<std::vector<std::int64_t>, double> counts;
  for (int i = 0; i < 12'000; ++i) ++counts[g.permutation(3).to_vector<std::int64_t>()];
  BOOST_TEST(counts.size() == 6u);
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 2000) * (count - 2000) / 2000;
  BOOST_TEST(chi_squared < 20.5);  // 5 degrees of freedom: once in 1000
}

BOOST_AUTO_TEST_CASE(wrong_parameters_are_errors_and_draw_nothing) {
  Generator g(1);
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  BOOST_CHECK_THROW(g.uniform({2}, 1, 0), Error);
  BOOST_CHECK_THROW(g.uniform({2}, 0, infinity), Error);
  BOOST_CHECK_THROW(g.uniform({2}, nan, 1), Error);
  BOOST_CHECK_THROW(g.uniform({2}, 0, 1, int64), DtypeError);
  BOOST_CHECK_THROW(g.uniform({-2}), ShapeError);
  BOOST_CHECK_THROW(g.normal({2}, 0, -1), Error);
  BOOST_CHECK_THROW(g.normal({2}, nan, 1), Error);
  BOOST_CHECK_THROW(g.normal({2}, 0, 1, boolean), DtypeError);
  BOOST_CHECK_THROW(g.bernoulli({2}, 1.5), Error);
  BOOST_CHECK_THROW(g.bernoulli({2}, nan), Error);
  BOOST_CHECK_THROW(g.integers({2}, 3, 3), Error);
  BOOST_CHECK_THROW(g.permutation(-1), ShapeError);
  BOOST_TEST(g.counter() == 0u);
}

BOOST_AUTO_TEST_CASE(each_thread_has_its_default_generator) {
  BOOST_TEST(default_generator().seed() == kDefaultSeed);
  std::uint64_t other = 0;
  std::thread([&] { other = default_generator().seed(); }).join();
  BOOST_TEST(other == kDefaultSeed + 1);
  default_generator() = Generator(7);
  BOOST_TEST(default_generator().seed() == 7u);
}
