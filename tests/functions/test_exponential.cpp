#include "autodiff/functions/exponential.h"

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "autodiff/autodiff.h"

using namespace wengert;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

// The error of a float32 in units in the last place (ULP) of the exact value.
double ulps(float got, double exact) {
  const float nearest = static_cast<float>(exact);
  if (got == nearest) return 0;
  const float magnitude = std::abs(nearest);
  return std::abs(static_cast<double>(got) - exact) / static_cast<double>(std::nextafter(magnitude, kInfinity) - magnitude);
}

// Calls f with every `step`th of all float32 numbers, except NaNs.
template <class F> void for_floats(std::uint64_t step, F&& f) {
  for (std::uint64_t bits = 0; bits < std::uint64_t(1) << 32; bits += step)
    if (const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits)); !std::isnan(x)) f(x);
}

constexpr std::uint64_t kStep = 9973;

}  // namespace

BOOST_AUTO_TEST_CASE(exp_is_within_one_ulp_of_the_exact_value_everywhere) {
  double worst = 0;
  for_floats(kStep, [&](float x) {
    const double exact = std::exp(static_cast<double>(x));
    if (static_cast<float>(exact) < kInfinity) {
      worst = std::max(worst, ulps(fn::exp(x), exact));
    } else {
      BOOST_TEST_REQUIRE(fn::exp(x) == kInfinity);
    }
  });
  BOOST_TEST(worst < 1);
}

BOOST_AUTO_TEST_CASE(tanh_is_within_one_and_a_half_ulp_of_the_exact_value_everywhere) {
  double worst = 0;
  for_floats(kStep, [&](float x) {
    worst = std::max(worst, ulps(fn::tanh(x), std::tanh(static_cast<double>(x))));
    BOOST_TEST_REQUIRE(std::signbit(fn::tanh(x)) == std::signbit(x));
  });
  BOOST_TEST(worst < 1.5);
}

BOOST_AUTO_TEST_CASE(special_values) {
  BOOST_TEST(fn::exp(0.f) == 1);
  BOOST_TEST(fn::exp(kInfinity) == kInfinity);
  BOOST_TEST(fn::exp(-kInfinity) == 0);
  BOOST_TEST(std::isnan(fn::exp(kNaN)));
  BOOST_TEST(fn::exp(-100.f) > 0);  // denormal
  BOOST_TEST(fn::tanh(kInfinity) == 1);
  BOOST_TEST(fn::tanh(-kInfinity) == -1);
  BOOST_TEST(std::isnan(fn::tanh(kNaN)));
}

// Long rows are computed with the processor's widest registers, single elements are not.
BOOST_AUTO_TEST_CASE(a_row_has_the_bits_of_its_elements) {
  std::vector<float> values{kNaN, kInfinity, -kInfinity, 0.f, -0.f};
  for_floats(1'000'003, [&](float x) { values.push_back(x); });
  const Tensor x = Tensor::from(values);
  const auto check = [&](const Tensor& y, auto&& f) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float one = f(values[i]), of_row = y.data<float>()[i];
      BOOST_TEST_REQUIRE(
          (std::bit_cast<std::uint32_t>(one) == std::bit_cast<std::uint32_t>(of_row) || (std::isnan(one) && std::isnan(of_row))));
    }
  };
  check(exp(x), [](float v) { return fn::exp(v); });
  check(tanh(x), [](float v) { return fn::tanh(v); });
  check(sigmoid(x), [](float v) { return fn::Sigmoid{}.value(v); });
}

// In blocks in which no value is near 1, the slope of the tails is not computed.
BOOST_AUTO_TEST_CASE(slopes_in_a_row_have_the_bits_of_their_formula) {
  std::vector<float> values;
  for (int i = 0; i < 300; ++i) values.push_back((i < 130 ? 0.01f : 0.05f) * static_cast<float>(i - 65));
  values[70] = kNaN;
  const auto check = [&](auto f) {
    Tape tape;
    const Tensor x = tape.variable(Tensor::from(values)), y = detail::map(f, x, Location::here());
    const Tensor slopes = tape.gradient(y, wrt(x), {.seed = Tensor::ones(x.shape())});
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float one = f.pullback(1.f, values[i], f.value(values[i])), of_row = slopes.data<float>()[i];
      BOOST_TEST_REQUIRE(
          (std::bit_cast<std::uint32_t>(one) == std::bit_cast<std::uint32_t>(of_row) || (std::isnan(one) && std::isnan(of_row))));
    }
  };
  check(fn::Tanh{});
  check(fn::Sigmoid{});
}
