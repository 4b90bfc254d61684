#include "autodiff/kernels/lstm_gates.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autodiff/autodiff.h"
#include "tests/support/every_isa.h"

using namespace wengert;
using testing::on_every_isa;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> values(Index count, double scale, Generator& generator) {
  const Tensor x = generator.normal({count}, 0, scale);
  return {x.data<float>(), x.data<float>() + count};
}
std::vector<double> in_double(const std::vector<float>& x) { return {x.begin(), x.end()}; }

// Largest difference, of numbers of the order of 1; NaN only beside NaN.
double difference(const std::vector<float>& ours, const std::vector<double>& exact) {
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (std::isnan(exact[i]) && std::isnan(ours[i])) continue;
    const double off = std::abs(ours[i] - exact[i]) / std::max(1.0, std::abs(exact[i]));
    worst = off <= worst ? worst : off;  // NaN stays
  }
  return worst;
}

template <class T> struct Gates {
  Gates(Index rows, Index hidden, const std::vector<T>& sums, const std::vector<T>& c) : s(sums), h(c.size()), c_next(c.size()) {
    kernels::lstm_gates(rows, hidden, s.data(), c.data(), s.data(), h.data(), c_next.data());  // in place
  }
  std::vector<T> s, h, c_next;
};

}  // namespace

BOOST_AUTO_TEST_CASE(gates_are_those_of_double_on_every_instruction_set) {
  on_every_isa([] {
    for (const Index hidden : {1, 7, 16, 37}) {
      const Index rows = 3;
      Generator generator(static_cast<std::uint64_t>(hidden));
      const auto sums = values(rows * 4 * hidden, 4, generator), c = values(rows * hidden, 1, generator);
      const Gates<float> ours(rows, hidden, sums, c);
      const Gates<double> exact(rows, hidden, in_double(sums), in_double(c));
      BOOST_TEST(difference(ours.s, exact.s) < 2e-7);
      BOOST_TEST(difference(ours.c_next, exact.c_next) < 4e-7);
      BOOST_TEST(difference(ours.h, exact.h) < 4e-7);

      const auto h_bar = values(rows * hidden, 1, generator), c_bar = values(rows * hidden, 1, generator);
      std::vector<float> sums_bar(sums.size()), before_bar(c.size());
      std::vector<double> exact_sums_bar(sums.size()), exact_before_bar = in_double(c_bar);
      kernels::lstm_gates_vjp(rows, hidden, ours.s.data(), c.data(), ours.c_next.data(), h_bar.data(), c_bar.data(), sums_bar.data(),
                              before_bar.data());
      kernels::lstm_gates_vjp(rows, hidden, exact.s.data(), in_double(c).data(), exact.c_next.data(), in_double(h_bar).data(),
                              exact_before_bar.data(), exact_sums_bar.data(), exact_before_bar.data());
      BOOST_TEST(difference(sums_bar, exact_sums_bar) < 2e-6);
      BOOST_TEST(difference(before_bar, exact_before_bar) < 2e-6);
    }
  });
}

BOOST_AUTO_TEST_CASE(special_values_pass_through) {
  on_every_isa([] {
    const std::vector<float> inputs{0, -0.f, 100, -100, 1e30f, -1e30f, kInfinity, -kInfinity, kNaN, 88.5f, -88.5f, 0.625f, 1e-30f};
    const Index hidden = static_cast<Index>(inputs.size());
    for (Index gate = 0; gate < 4; ++gate) {
      std::vector<float> sums(static_cast<std::size_t>(4 * hidden)), c(static_cast<std::size_t>(hidden), 0.5f);
      std::copy(inputs.begin(), inputs.end(), sums.begin() + gate * hidden);
      const Gates<float> ours(1, hidden, sums, c);
      const Gates<double> exact(1, hidden, in_double(sums), in_double(c));
      BOOST_TEST(difference(ours.s, exact.s) < 2e-7);
      BOOST_TEST(difference(ours.h, exact.h) < 4e-7);
      for (const Index at : {6, 7}) {  // of infinities: exactly 0, 1 or -1
        const auto i = static_cast<std::size_t>(gate * hidden + at);
        BOOST_TEST(ours.s[i] == exact.s[i]);
      }
      BOOST_TEST(std::isnan(ours.s[static_cast<std::size_t>(gate * hidden + 8)]));
    }
  });
}
