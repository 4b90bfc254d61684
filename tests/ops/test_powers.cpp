// Powers with the exponents -1, 1, 2, 3 and 4, which are the inverse and products.
#include <autodiff/autodiff.h>
#include <autodiff/tensor/random.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "tests/support/derivatives.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr int kExponents[] = {-1, 1, 2, 3, 4};

Tensor bases(Dtype dtype) {
  return Tensor::from({0.0, -0.0, 1.0, -1.0, 0.3, -2.7, 1e-30, -1e20, 1e160, 5e-324, kInfinity, -kInfinity, kNaN, 3.0}, float64).to(dtype);
}

// The numbers, and whether zeros are negative.
bool are_same(const Tensor& x, const Tensor& y) {
  for (Index i = 0; i < x.size(); ++i) {
    const double a = x.element(i), b = y.element(i);
    if (std::isnan(a) != std::isnan(b) || (a == a && (a != b || std::signbit(a) != std::signbit(b)))) return false;
  }
  return x.shape() == y.shape();
}

}  // namespace

// A tensor of exponents takes the formula for any exponent.
BOOST_AUTO_TEST_CASE(a_number_as_exponent_gives_what_a_tensor_gives) {
  for (const Dtype dtype : {float32, float64})
    for (const int k : kExponents) {
      const Tensor x = bases(dtype), exponents = Tensor::full(x.shape(), k, dtype), seed = Tensor::full(x.shape(), 0.7, dtype);
      BOOST_TEST(are_same(pow(x, k), pow(x, exponents)), "exponent " << k);
      const auto slope = [&](const auto& exponent) {
        Tape tape;
        const Tensor a = tape.variable(x);
        return tape.gradient(pow(a, exponent), wrt(a), {.seed = seed});
      };
      BOOST_TEST(are_same(slope(k), slope(exponents)), "slopes for the exponent " << k);
    }
}

BOOST_AUTO_TEST_CASE(values_are_those_of_the_c_library) {
  const Tensor x = Generator(5).uniform({1000}, 0.1, 10, float64), x32 = x.to(float32);
  for (const int k : kExponents) {
    const Tensor y = pow(x, k), single = pow(x32, k);
    for (Index i = 0; i < x.size(); ++i) {
      const double expected = std::pow(x.element(i), k), of_single = std::pow(x32.element(i), k);
      BOOST_TEST(std::abs(y.element(i) - expected) <= 2.42 * std::scalbn(1.0, std::ilogb(expected) - 52));
      BOOST_TEST(std::abs(single.element(i) - of_single) <= 1.8 * std::scalbn(1.0, std::ilogb(of_single) - 23));
    }
  }
}

BOOST_AUTO_TEST_CASE(every_order_of_derivative) {
  for (const int k : kExponents) {
    const Tensor x = Tensor::from({-1.3, k > 0 ? 0.0 : 0.5, 0.4, 2.0}, float64);
    const auto f = [k](const Tensor& x) { return sum(pow(x, k)); };
    Tape tape;
    const Tensor a = tape.variable(x);
    Tensor y = f(a);
    double factor = 1;
    for (int order = 1; order <= 5; ++order) {  // also beyond k, where all are 0
      factor *= k - order + 1;
      y = tape.differentiable_gradient(order == 1 ? y : sum(y), a);
      for (Index i = 0; i < x.size(); ++i) {
        const double expected = k > 0 && order > k ? 0 : factor * std::pow(x.element(i), k - order);
        BOOST_TEST(y.element(i) == expected, boost::test_tools::tolerance(1e-14));
      }
    }
  }
}

// Where the exponent is a variable too, the slope depends on it.
BOOST_AUTO_TEST_CASE(mixed_derivatives_with_a_variable_exponent) {
  for (const double k : kExponents) {
    Tape tape;
    const double x = 1.7;
    const Tensor a = tape.variable(Tensor::from({x}, float64)), b = tape.variable(Tensor::from({k}, float64));
    const Tensor slope = tape.differentiable_gradient(sum(pow(a, b)), a);
    const double mixed = std::pow(x, k - 1) * (1 + k * std::log(x));
    BOOST_TEST(tape.gradient(sum(slope), b).item() == mixed, boost::test_tools::tolerance(1e-13));
  }
}

// Numbers and columns are copied in blocks.
BOOST_AUTO_TEST_CASE(one_exponent_or_base_for_long_rows) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor x = Generator(2).uniform({3, 1300}, 0.5, 2).to(dtype), column = Generator(3).uniform({3, 1}, -3, 3).to(dtype);
    const Tensor repeated = expand(column, x.shape()).clone(), number = Tensor::full(x.shape(), -2.5, dtype);
    BOOST_TEST(are_same(pow(x, column), pow(x, repeated)));
    BOOST_TEST(are_same(pow(square(column), x), pow(square(repeated), x)));
    BOOST_TEST(are_same(pow(x, -2.5), pow(x, number)));
    BOOST_TEST(are_same(pow(2.5, x), pow(-number, x)));
  }
}

BOOST_AUTO_TEST_CASE(programs_have_the_same_powers) {
  const auto of_number = elementwise([](auto a) { return pow(a, -2.5); });
  const auto of_base = elementwise([](auto a) { return pow(2.5, a); });
  const auto of_both = elementwise([](auto a, auto b) { return pow(a, b); });
  for (const Dtype dtype : {float32, float64}) {
    const Tensor x = Generator(2).uniform({1300}, 0.5, 2).to(dtype), exponent = Tensor::full({}, 1.7, dtype), seed = x + 1;
    BOOST_TEST(are_same(of_number(x), pow(x, -2.5)));
    BOOST_TEST(are_same(of_base(x), pow(2.5, x)));
    BOOST_TEST(are_same(of_both(x, exponent), pow(x, exponent)));
    const auto gradients = [&](const auto& f) {
      Tape tape;
      const Tensor a = tape.variable(x), b = tape.variable(exponent);
      const auto [a_bar, b_bar] = tape.gradient(f(a, b), wrt(a, b), {.seed = seed});
      return std::pair(a_bar, b_bar);
    };
    const auto [a_bar, b_bar] = gradients(of_both);
    const auto [a_expected, b_expected] = gradients([](const Tensor& a, const Tensor& b) { return pow(a, b); });
    const double tolerance = dtype == float32 ? 1e-5 : 1e-13;
    check_numbers(numbers(a_bar), numbers(a_expected), tolerance);
    check_numbers(numbers(b_bar), numbers(b_expected), tolerance);
  }
}

BOOST_AUTO_TEST_CASE(operands_that_broadcast_or_are_views) {
  const Tensor x = reshape(Tensor::arange(0, 12).to(float64), {3, 4}) - 5;
  check_numbers(numbers(pow(transpose(x), 3)), numbers(transpose(x) * transpose(x) * transpose(x)), 0);
  const Tensor exponent = Tensor::full({1, 1}, 2, float64), column = slice(x, 1, 0, 1);
  check_numbers(numbers(pow(column, exponent)), numbers(square(column)), 0);
  const Tensor wide = Tensor::full({1, 1, 1}, 2, float64);
  BOOST_TEST((pow(x, wide).shape() == Shape{1, 3, 4}));
  check_numbers(numbers(pow(x, wide)), numbers(square(x)), 0);
}
