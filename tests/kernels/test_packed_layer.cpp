#include "autodiff/kernels/packed_layer.h"

#include <autodiff/tensor/random.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/every_isa.h"

using namespace wengert;
using wengert::kernels::PackedLayer;
using wengert::testing::on_every_isa;

namespace {

std::vector<float> numbers(Index count, std::uint64_t seed) { return Generator(seed).uniform({count}, -1, 1).to_vector<float>(); }

// a b + c as the instruction set computes it.
float multiply_add(float a, float b, float c) {
  const bool fuses = kernels::best_isa() == kernels::Isa::neon || kernels::isa() >= kernels::Isa::avx2;  // AArch64's baseline is NEON
  return fuses ? std::fma(a, b, c) : a * b + c;
}

struct Case {
  Index out, in, hidden;
  bool bias, relu;
};

// The number of elements that are not those of the sums in order.
std::size_t differences(const Case& c) {
  const std::vector<float> w = numbers(c.out * c.in, 1), v = numbers(c.out * c.hidden, 2), bias = numbers(c.out, 3), x = numbers(c.in, 4),
                           h = numbers(c.hidden, 5);
  const PackedLayer layer(c.out, c.in, {w.data(), c.in, 1}, c.hidden, {v.data(), c.hidden, 1}, c.bias ? bias.data() : nullptr, c.relu);
  constexpr float kUntouched = 77;
  std::vector<float> y(static_cast<std::size_t>(c.out + PackedLayer::kOverrun + 1), kUntouched);
  layer(x.data(), h.data(), y.data());
  BOOST_TEST(y.back() == kUntouched);
  std::size_t count = 0;
  for (Index j = 0; j < c.out; ++j) {
    const auto at = [](Index i) { return static_cast<std::size_t>(i); };
    float sum = c.bias ? bias[at(j)] : 0;
    for (Index k = 0; k < c.in; ++k) sum = multiply_add(x[at(k)], w[at(j * c.in + k)], sum);
    for (Index k = 0; k < c.hidden; ++k) sum = multiply_add(h[at(k)], v[at(j * c.hidden + k)], sum);
    if (c.relu && sum <= 0) sum = 0;
    count += y[at(j)] == sum ? 0 : 1;
  }
  return count;
}

}  // namespace

BOOST_AUTO_TEST_CASE(sums_run_in_order_on_every_instruction_set) {
  on_every_isa([] {
    for (const Index out : {1, 3, 4, 8, 9, 16, 17, 24, 33, 64, 65, 100, 128, 130, 200})
      for (const Index in : {0, 1, 5, 64})
        for (const Index hidden : {0, 1, 32}) {
          BOOST_TEST_CONTEXT(out << " outputs of " << in << " and " << hidden) {
            BOOST_TEST(differences({out, in, hidden, true, false}) == 0u);
            BOOST_TEST(differences({out, in, hidden, false, true}) == 0u);
          }
        }
  });
}

BOOST_AUTO_TEST_CASE(relu_lets_nan_through) {
  on_every_isa([] {
    const float nan = std::numeric_limits<float>::quiet_NaN(), w[] = {nan, -1, 1}, x = 2;
    const PackedLayer layer(3, 1, {w, 1, 1}, nullptr, true);
    float y[3 + PackedLayer::kOverrun];
    layer(&x, nullptr, y);
    BOOST_TEST(std::isnan(y[0]));
    BOOST_TEST(y[1] == 0);
    BOOST_TEST(y[2] == 2);
  });
}

BOOST_AUTO_TEST_CASE(weights_may_be_transposed_and_are_copied) {
  std::vector<float> w{1, 2, 3, 4, 5, 6};  // (in 2, out 3)
  const PackedLayer layer(3, 2, {w.data(), 1, 3}, nullptr, false), copy = layer;
  w.assign(6, 0);
  const float x[] = {1, 10};
  float y[3 + PackedLayer::kOverrun];
  copy(x, nullptr, y);
  BOOST_TEST(y[0] == 41);
  BOOST_TEST(y[1] == 52);
  BOOST_TEST(y[2] == 63);
}
