// The largest and the smallest elements of lines, to the bit, on every instruction set.
#include "autodiff/kernels/extremes.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "autodiff/runtime.h"
#include "tests/support/every_isa.h"

namespace wengert::kernels {
namespace {

// What may come next: a NaN and an infinity now and then, zeros of both signs often.
template <class T> std::vector<T> numbers(Index n, double special, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> from_0_to_1;
  std::vector<T> x;
  for (Index i = 0; i < n; ++i) {
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    const T list[] = {std::numeric_limits<T>::quiet_NaN(), kInfinity, -kInfinity, T(0), T(-0.0), T(0), T(-0.0)};
    if (from_0_to_1(random) < special) {
      x.push_back(list[random() % std::size(list)]);
    } else {
      x.push_back(static_cast<T>(from_0_to_1(random) - 0.5));
    }
  }
  return x;
}
// Zeros alone, of which few are positive, or few negative.
template <class T> std::vector<T> zeros(Index n, bool mostly_positive, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<T> x;
  for (Index i = 0; i < n; ++i) x.push_back((random() % 16 == 0) == mostly_positive ? T(-0.0) : T(0));
  return x;
}

template <class T> bool is_better(Extreme e, T v, T best) {
  if (std::isnan(v) || std::isnan(best)) return std::isnan(v);
  if (v == 0 && best == 0) return std::signbit(v) == (e == Extreme::smallest);
  return e == Extreme::largest ? v > best : v < best;
}

template <class T> void check(const Lines& l, const std::vector<T>& x) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (const Extreme e : {Extreme::largest, Extreme::smallest}) {
    std::vector<T> expected;
    for (Index line = 0; line < l.count(); ++line) {
      const T* const first = x.data() + line / l.inner * l.n * l.inner + line % l.inner;
      T best = *first;
      for (Index k = 1; k < l.n; ++k)
        if (is_better(e, first[k * l.inner], best)) best = first[k * l.inner];
      expected.push_back(best);
    }
    testing::on_every_isa([&] {
      std::vector<T> whole(expected.size()), parts(expected.size());
      extremes_of_all_lines(e, l, x.data(), whole.data());
      const Index middle = l.count() / 3;
      extremes_of_lines(e, SomeLines(l, 0, middle), x.data(), parts.data());
      extremes_of_lines(e, SomeLines(l, middle, l.count()), x.data(), parts.data());
      const auto is_expected = [&](std::size_t i, T v) {
        return std::isnan(expected[i]) ? std::isnan(v) : std::bit_cast<Bits>(v) == std::bit_cast<Bits>(expected[i]);
      };
      Index wrong = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) wrong += !is_expected(i, whole[i]) || !is_expected(i, parts[i]);
      BOOST_TEST(wrong == 0, wrong << " wrong extremes, lines of " << l.n << " in (" << l.outer << ", n, " << l.inner << ")");
    });
  }
}

template <class T> void check_lines() {
  std::uint64_t seed = 1;
  for (const Index inner : {1, 2, 3, 7, 33, 70, 150})
    for (const Index n : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 130, 257}) {
      const Lines l{3, n, inner};
      const Index size = l.count() * n;
      for (const double special : {0.0, 1.0 / 64, 0.5}) check(l, numbers<T>(size, special, ++seed));
      for (const bool mostly_positive : {false, true}) check(l, zeros<T>(size, mostly_positive, ++seed));
    }
}

BOOST_AUTO_TEST_CASE(floats) { check_lines<float>(); }
BOOST_AUTO_TEST_CASE(doubles) { check_lines<double>(); }

// A denormal number counts as 0 then, but is not a zero.
BOOST_AUTO_TEST_CASE(denormal_extremes_keep_their_sign) {
  const FlushDenormals scope;
  for (const Lines l : {Lines{1, 8, 1}, Lines{1, 8, 8}}) {
    std::vector<float> x(static_cast<std::size_t>(l.n * l.inner), -1), y(static_cast<std::size_t>(l.inner));
    for (Index i = 0; i < l.inner; ++i) x[static_cast<std::size_t>(i)] = 1e-40F;
    testing::on_every_isa([&] {
      extremes_of_all_lines(Extreme::largest, l, x.data(), y.data());
      for (const float v : y) BOOST_TEST(!std::signbit(v));
    });
    for (float& v : x) v = -v;
    testing::on_every_isa([&] {
      extremes_of_all_lines(Extreme::smallest, l, x.data(), y.data());
      for (const float v : y) BOOST_TEST(std::signbit(v));
    });
  }
}

// Lines that are reduced in parts, of which only one has the extreme.
BOOST_AUTO_TEST_CASE(long_lines) {
  for (const Index inner : {1, 5, 9}) {
    const Lines l{2, 200'000, inner};
    std::vector<float> x = numbers<float>(l.count() * l.n, 0, 7);
    x[150'000 * static_cast<std::size_t>(inner)] = 2;
    x[static_cast<std::size_t>((l.n + 3) * inner)] = -3;
    check(l, x);
    x[40'000 * static_cast<std::size_t>(inner)] = std::numeric_limits<float>::quiet_NaN();
    check(l, x);
  }
}

}  // namespace
}  // namespace wengert::kernels
