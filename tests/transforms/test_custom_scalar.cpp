#include "autodiff/transforms/custom_scalar.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autodiff/ops.h"

using namespace wengert;
namespace tt = boost::test_tools;

namespace {

const auto kCube = scalar_function([](double x) { return x * x * x; }, [](double x) { return 3 * x * x; });
const auto kPower = scalar_function([](double a, double b) { return std::pow(a, b); },
                                    [](double a, double b) {
                                      return std::array{b * std::pow(a, b - 1), std::pow(a, b) * std::log(a)};
                                    });

}  // namespace

BOOST_AUTO_TEST_CASE(a_function_by_value_and_slope_is_one_statement) {
  Tape tape;
  Scalar x = tape.variable(2);
  const std::size_t before = tape.statements();
  Scalar y = kCube(x);
  BOOST_TEST(tape.statements() == before + 1);
  BOOST_TEST(y.value() == 8);
  y += x;
  BOOST_TEST(tape.gradient(y, x) == 13);
}

BOOST_AUTO_TEST_CASE(operands_may_be_expressions_and_numbers) {
  Tape tape;
  Scalar x = tape.variable(2);
  Scalar y = kPower(x * 0.5 + 1, 3) + kCube(1) + kCube(2 * x);
  BOOST_TEST(y.value() == 8 + 1 + 64);
  BOOST_TEST(tape.gradient(y, x) == 3 * 4 * 0.5 + 3 * 16 * 2);
}

BOOST_AUTO_TEST_CASE(operands_that_repeat_add_up) {
  Tape tape;
  Scalar x = tape.variable(2);
  Scalar y = kPower(x, x);
  BOOST_TEST(tape.gradient(y, x) == 4 * (1 + std::log(2.0)), tt::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(outside_every_tape_a_function_gives_constants) {
  Scalar y = kCube(Scalar(2));
  BOOST_TEST(y.value() == 8);
  BOOST_TEST(y.number() == 0u);
}

BOOST_AUTO_TEST_CASE(a_copy_taken_by_a_function_closes_the_open_statement) {
  Tape tape;
  Scalar x = tape.variable(2), s = x;
  s += x;
  Scalar y = kCube(s);
  s += x;
  BOOST_TEST(tape.gradient(y, wrt(x), {.retain = true}) == 3 * 16 * 2);
  BOOST_TEST(tape.gradient(s, x) == 3);
}

BOOST_AUTO_TEST_CASE(more_operands_than_a_statement_holds) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::vector<double>(300, 1.0));
  std::vector<double> partials(300), g(300);
  for (std::size_t i = 0; i < 300; ++i) partials[i] = static_cast<double>(i) + 1;
  const Scalar y = with_partials(7, x, partials);
  BOOST_TEST(y.value() == 7);
  BOOST_TEST(tape.statements() == 300u + 3u);
  tape.gradient(y, x, g);
  BOOST_TEST(g == partials, tt::per_element());
}

BOOST_AUTO_TEST_CASE(a_block_with_its_own_reverse_rule) {
  // The norm: y = |x|, x_bar = x / y.
  const auto norm = [](std::span<const double> x) {
    double s = 0;
    for (double e : x) s += e * e;
    return std::sqrt(s);
  };
  const auto rule = [](std::span<const double> x, double y, std::span<double> x_bar) {
    for (std::size_t i = 0; i < x.size(); ++i) x_bar[i] = x[i] / y;
  };
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::vector<double>{3, 4});
  Scalar y = scalar_block(x, norm, rule);
  std::vector<double> g(2);
  tape.gradient(y, x, g);
  BOOST_TEST(y.value() == 5);
  BOOST_TEST(g[0] == 0.6);
  BOOST_TEST(g[1] == 0.8);
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_users_leaves_the_tape_whole) {
  Tape tape;
  Scalar x = tape.variable(2), s = x * 3;
  const auto failing = scalar_function([](double) -> double { throw std::runtime_error("user's"); }, [](double) { return 1.0; });
  BOOST_CHECK_THROW(failing(x), std::runtime_error);
  BOOST_CHECK_THROW(preaccumulate([](std::span<const Scalar>) -> Scalar { throw std::runtime_error("user's"); }, std::span(&x, 1)),
                    std::runtime_error);
  s += x;
  BOOST_TEST(tape.gradient(s, x) == 4);
}

BOOST_AUTO_TEST_CASE(on_a_tape_of_higher_order_it_is_an_error) {
  Tape tape({.higher_order = true});
  Scalar x = tape.variable(2);
  BOOST_CHECK_THROW(kCube(x), TapeError);
}

BOOST_AUTO_TEST_CASE(wrong_numbers_of_partials_are_errors) {
  const Scalar x = 1;
  const double partials[2] = {};
  BOOST_CHECK_THROW(with_partials(0, std::span(&x, 1), partials), ShapeError);
}

namespace {

Scalar long_block(std::span<const Scalar> x) {
  Scalar a = x[0], b = x[1];
  for (int i = 0; i < 1000; ++i) {
    Scalar next = sin(a) * 0.9 + b * 0.1;
    b = a * 0.5 + b * 0.2;
    a = next;
  }
  return a + b;
}

}  // namespace

BOOST_AUTO_TEST_CASE(preaccumulation_turns_a_block_into_one_statement) {
  double plain[2], short_cut[2];
  {
    Tape tape;
    const std::vector<Scalar> x = tape.variables(std::vector<double>{0.3, 0.8});
    Scalar y = long_block(x);
    y *= y;
    tape.gradient(y, x, plain);
  }
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::vector<double>{0.3, 0.8});
  Scalar y = preaccumulate(long_block, x);
  BOOST_TEST(tape.statements() == 3u);
  BOOST_TEST(tape.arguments() == 2u);
  y *= y;
  tape.gradient(y, x, short_cut);
  BOOST_TEST(short_cut[0] == plain[0], tt::tolerance(1e-13));
  BOOST_TEST(short_cut[1] == plain[1], tt::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(a_block_may_have_several_outputs) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::vector<double>{2, 3});
  const auto [product, sum, constant] = preaccumulate(
      [](std::span<const Scalar> v) {
        return std::array<Scalar, 3>{v[0] * v[1] * v[1], v[0] + v[1], 5};
      },
      x);
  const auto [d0, d1] = tape.gradient(product, wrt(x[0], x[1]), {.retain = true});
  BOOST_TEST(d0 == 9);
  BOOST_TEST(d1 == 12);
  BOOST_TEST(constant.value() == 5);
  BOOST_TEST(tape.gradient(sum, x[0]) == 1);
}

BOOST_AUTO_TEST_CASE(a_block_may_use_tensors) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(std::vector<double>{2, 3});
  const Scalar y = preaccumulate(
      [](std::span<const Scalar> v) {
        const Tensor t = stack(v);
        return Scalar(sum(t * t));
      },
      x);
  BOOST_TEST(tape.nodes() == 0u);
  BOOST_TEST(tape.gradient(y, x[1]) == 6);
}

BOOST_AUTO_TEST_CASE(a_block_that_depends_on_something_else_is_an_error) {
  Tape tape;
  Scalar x = tape.variable(2), other = tape.variable(3);
  BOOST_CHECK_THROW(preaccumulate([&](std::span<const Scalar> v) { return Scalar(v[0] * other); }, std::span(&x, 1)), TapeError);
  const Tensor t = tape.variable(Tensor::ones({2}, float64));
  BOOST_CHECK_THROW(preaccumulate([&](std::span<const Scalar> v) { return Scalar(sum(t * v[0])); }, std::span(&x, 1)), TapeError);
  Scalar y = preaccumulate([&](std::span<const Scalar> v) { return Scalar(v[0] * other.constant()); }, std::span(&x, 1));
  BOOST_TEST(tape.gradient(y, x) == 3);
}

BOOST_AUTO_TEST_CASE(outside_every_tape_a_block_just_runs) {
  const Scalar x = 2;
  BOOST_TEST(preaccumulate([](std::span<const Scalar> v) { return Scalar(v[0] * 3); }, std::span(&x, 1)).value() == 6);
}
