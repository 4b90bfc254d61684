// Higher orders of tanh, sigmoid, silu and gelu, whose rules in recorded sweeps are operations of their own.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "autodiff/autodiff.h"

using namespace wengert;

namespace {

using Number = long double;
struct Case {
  const char* name;
  Tensor (*f)(const Tensor&, Location);
  std::vector<Number (*)(Number)> derivatives;  // the first, the second, ...
};

Number logistic(Number x) { return 1 / (1 + std::exp(-x)); }
Number logistic_slope(Number x) { return std::exp(-std::abs(x)) / ((1 + std::exp(-std::abs(x))) * (1 + std::exp(-std::abs(x)))); }
Number logistic_second(Number x) { return -logistic_slope(x) * std::tanh(x / 2); }
Number logistic_third(Number x) { return logistic_slope(x) * (1 - 6 * logistic_slope(x)); }
Number logistic_fourth(Number x) { return logistic_second(x) * (1 - 12 * logistic_slope(x)); }
Number density(Number x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(Number(-1))); }

// tanh x = 2 logistic(2x) - 1
std::vector<Case> cases() {
  return {
      {"tanh",
       [](const Tensor& x, Location site) { return tanh(x, site); },
       {[](Number x) { return 4 * logistic_slope(2 * x); }, [](Number x) { return 8 * logistic_second(2 * x); },
        [](Number x) { return 16 * logistic_third(2 * x); }, [](Number x) { return 32 * logistic_fourth(2 * x); }}},
      {"sigmoid",
       [](const Tensor& x, Location site) { return sigmoid(x, site); },
       {logistic_slope, logistic_second, logistic_third, logistic_fourth}},
      {"silu",
       [](const Tensor& x, Location site) { return silu(x, site); },
       {[](Number x) { return logistic(x) + x * logistic_slope(x); },
        [](Number x) { return 2 * logistic_slope(x) + x * logistic_second(x); },
        [](Number x) { return 3 * logistic_second(x) + x * logistic_third(x); },
        [](Number x) { return 4 * logistic_third(x) + x * logistic_fourth(x); }}},
      {"gelu",
       [](const Tensor& x, Location site) { return gelu(x, site); },
       {[](Number x) { return std::erfc(-x / std::sqrt(Number(2))) / 2 + x * density(x); },
        [](Number x) { return (2 - x * x) * density(x); }, [](Number x) { return (x * x - 4) * x * density(x); },
        [](Number x) { return (7 * x * x - x * x * x * x - 4) * density(x); }}},
  };
}

// More than a block of a loop, with and without tails.
Tensor points(Dtype dtype) {
  return concat({Tensor::linspace(-1, 1, 130, dtype), Tensor::linspace(-9, 9, 61, dtype), Tensor::from({0.0, -0.0}).to(dtype)});
}

// Whether all agree, relative to the larger of 1 and the expected value.
void check_close(const Tensor& found, const Tensor& x, Number (*expected)(Number), double tolerance) {
  const std::vector<double> values = found.to_vector<double>(), at = x.to_vector<double>();
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto want = static_cast<double>(expected(at[i]));
    BOOST_TEST_CONTEXT("at " << at[i]) BOOST_CHECK_SMALL(values[i] - want, tolerance * std::max(1.0, std::abs(want)));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(derivatives_of_each_order_in_reverse_mode) {
  for (const Dtype dtype : {float64, float32})
    for (const Case& c : cases())
      for (std::size_t order = 1; order <= c.derivatives.size(); ++order) BOOST_TEST_CONTEXT(c.name << ", order " << order) {
          const Tensor at = points(dtype);
          Tape tape;
          const Tensor x = tape.variable(at);
          Tensor y = c.f(x, Location::here());
          for (std::size_t k = 1; k < order; ++k) y = tape.differentiable_gradient(sum(y), x);
          check_close(tape.gradient(sum(y), x), at, c.derivatives[order - 1], dtype == float64 ? 2e-14 : 1e-5);
        }
}

BOOST_AUTO_TEST_CASE(derivatives_of_each_order_in_forward_mode_over_reverse) {
  for (const Case& c : cases())
    for (std::size_t order = 2; order <= c.derivatives.size(); ++order) BOOST_TEST_CONTEXT(c.name << ", order " << order) {
        const Tensor at = points(float64);
        std::function<Tensor(const Tensor&)> f = [&](const Tensor& x) { return c.f(x, Location::here()); };
        for (std::size_t k = 1; k < order; ++k)
          f = [f](const Tensor& x) { return gradient([&](const Tensor& v) { return sum(f(v)); }, x); };
        check_close(jvp(f, at, Tensor::ones(at.shape(), float64)), at, c.derivatives[order - 1], 2e-14);
      }
}

BOOST_AUTO_TEST_CASE(tails_keep_their_digits) {
  // 1 - tanh^2 and 1 - sigmoid round to 0 long before the derivatives do.
  const Tensor at = Tensor::from(std::vector{17.5, 19.0, -18.25});
  const std::vector<Case> list = cases();
  for (const std::size_t which : {0, 1}) {
    for (std::size_t order = 2; order <= 3; ++order) {
      Tape tape;
      const Tensor x = tape.variable(at);
      Tensor y = list[which].f(2 * x, Location::here());
      for (std::size_t k = 1; k < order; ++k) y = tape.differentiable_gradient(sum(y), x);
      const std::vector<double> found = tape.gradient(sum(y), x).to_vector<double>(), points = at.to_vector<double>();
      for (std::size_t i = 0; i < points.size(); ++i)
        BOOST_TEST(found[i] == std::ldexp(static_cast<double>(list[which].derivatives[order - 1](2 * points[i])), static_cast<int>(order)),
                   boost::test_tools::tolerance(1e-13));
    }
  }
}

BOOST_AUTO_TEST_CASE(derivatives_are_zero_at_the_infinities) {
  for (const Case& c : cases())
    for (std::size_t order = 2; order <= 3; ++order) BOOST_TEST_CONTEXT(c.name << ", order " << order) {
        Tape tape;
        const Tensor x = tape.variable(Tensor::from(std::vector{HUGE_VAL, -HUGE_VAL, 1e300, -1e300}));
        Tensor y = c.f(x, Location::here());
        for (std::size_t k = 1; k < order; ++k) y = tape.differentiable_gradient(sum(y), x);
        for (const double slope : tape.gradient(sum(y), x).to_vector<double>()) BOOST_TEST(slope == 0);
      }
}

BOOST_AUTO_TEST_CASE(a_factor_that_is_tracked_alone) {
  // m f'(x) for a constant x: the record of the rule reads what the sweep of m needs, and nothing else.
  const Tensor at = points(float64);
  for (const Case& c : cases()) {
    Tape tape;
    const Tensor x = tape.variable(at), w = tape.variable(Tensor::full(at.shape(), 3.0, float64));
    const Tensor slope = tape.differentiable_gradient(sum(w * c.f(x, Location::here())), x);
    const auto [w_bar, x_bar] = tape.gradient(sum(slope), w, x);
    check_close(w_bar, at, c.derivatives[0], 2e-14);
    check_close(x_bar / 3, at, c.derivatives[1], 2e-14);
  }
}
