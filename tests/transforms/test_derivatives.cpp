#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element, boost::test_tools::tolerance;
using testing::contains, testing::message_of;

namespace {

using List = std::vector<double>;
List values(const Tensor& t) { return t.to_vector<double>(); }
Tensor doubles(std::initializer_list<double> values) { return Tensor::from(values, float64); }

const Tensor x = doubles({1, 2, 3});

Tensor sum_of_cubes(const Tensor& v) { return sum(v * v * v); }
Tensor element(const Tensor& v, Index i) { return select(v, 0, i); }

/// d^n/dx^n x^5 by n gradients inside one another.
Tensor nested(const Tensor& v, int n) {
  if (n == 0) return sum(pow(v, 5));
  return sum(gradient([n](const Tensor& u) { return nested(u, n - 1); }, v));
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients) {
  BOOST_TEST(values(gradient(sum_of_cubes, x)) == (List{3, 12, 27}), per_element());
  const auto [value, slope] = value_and_gradient(sum_of_cubes, x);
  BOOST_TEST(value.item() == 36);
  BOOST_TEST((value.number() == 0u && slope.number() == 0u));
  BOOST_TEST(values(gradient([](const Tensor&) { return Tensor::full({}, 1); }, x)) == (List{0, 0, 0}), per_element());
  BOOST_CHECK_THROW(gradient([](const Tensor& v) { return v; }, x), ShapeError);
}

BOOST_AUTO_TEST_CASE(a_jacobian_is_the_same_by_rows_and_by_columns) {
  const Tensor a = doubles({1, -2, 0.5, 3});
  const auto wide = [](const Tensor& v) { return stack({element(v, 0) * element(v, 3), sum(v * v)}); };
  const auto tall = [](const Tensor& v) { return concat({v * v, sin(v), sum(v) * v}); };
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    const Tensor rows = jacobian(wide, a), columns = jacobian(tall, a);
    BOOST_TEST((rows.shape() == Shape{2, 4}));
    BOOST_TEST(values(rows) == (List{3, 0, 0, 1, 2, -4, 1, 6}), per_element());
    BOOST_TEST((columns.shape() == Shape{12, 4}));
    for (Index i = 0; i < 12; ++i)
      for (Index j = 0; j < 4; ++j) {
        const double v = a.element(j), diagonal = i % 4 == j ? 1 : 0;
        const double expected = i < 4 ? 2 * v * diagonal : i < 8 ? std::cos(v) * diagonal : a.element(i % 4) + 2.5 * diagonal;
        BOOST_TEST(columns.at({i, j}) == expected, tolerance(1e-14));
      }
  }
}

BOOST_AUTO_TEST_CASE(jacobians_take_the_cheaper_side) {
  Index sweeps = 0;
  const auto counted = custom_operation(
      "counted", [](const Tensor& v) { return 2 * v; },
      [&](const Tensor& y_bar, const Tensor&, const Tensor&) {
        ++sweeps;
        return 2 * y_bar;
      },
      [&](const Tensor& x_dot, const Tensor&, const Tensor&) {
        sweeps += 100;
        return 2 * x_dot;
      });
  jacobian([&](const Tensor& v) { return slice(counted(v), 0, 0, 2); }, x);
  BOOST_TEST(sweeps == 2);
  sweeps = 0;
  jacobian([&](const Tensor& v) { return concat({counted(v), v}); }, x);
  BOOST_TEST(sweeps == 300);
}

BOOST_AUTO_TEST_CASE(shapes_of_jacobians_and_hessians) {
  const Tensor m = Tensor::from({{1, 2, 3}, {4, 5, 6}}, float64);
  const auto product = [](const Tensor& v) { return matmul(v, transpose(v)); };
  BOOST_TEST((jacobian(product, m).shape() == Shape{2, 2, 2, 3}));
  BOOST_TEST(jacobian(product, m).at({0, 1, 0, 2}) == 6);
  const Tensor h = hessian([](const Tensor& v) { return sum(v * v * v); }, m);
  BOOST_TEST((h.shape() == Shape{2, 3, 2, 3}));
  BOOST_TEST(h.at({1, 2, 1, 2}) == 36);
  BOOST_TEST(h.at({1, 2, 1, 1}) == 0);
  BOOST_TEST((jacobian([](const Tensor& v) { return v * v; }, Tensor::zeros({0})).shape() == Shape{0, 0}));
  BOOST_TEST((jacobian([](const Tensor& v) { return sum(v); }, x).shape() == Shape{3}));
  BOOST_TEST(values(jacobian([](const Tensor&) { return doubles({1, 2}); }, x)) == List(6, 0), per_element());
}

BOOST_AUTO_TEST_CASE(a_hessian_is_what_was_derived_by_hand) {
  // x0 x1 + x1^2 x2
  const auto f = [](const Tensor& v) { return element(v, 0) * element(v, 1) + square(element(v, 1)) * element(v, 2); };
  const List by_hand{0, 1, 0, 1, 6, 4, 0, 4, 0};
  BOOST_TEST(values(hessian(f, x)) == by_hand, per_element());
  BOOST_TEST(values(jacobian([&](const Tensor& v) { return gradient(f, v); }, x)) == by_hand, per_element());
  BOOST_TEST(values(hvp(f, x, doubles({1, 0, -1}))) == (List{0, -3, 0}), per_element());
  {
    Tape tape;
    BOOST_TEST(values(hessian(f, x)) == by_hand, per_element());
    BOOST_TEST(values(hvp(f, x, doubles({1, 0, -1}))) == (List{0, -3, 0}), per_element());
  }
  BOOST_TEST(contains(message_of<ShapeError>([] { hessian([](const Tensor& v) { return v; }, x); }), "hessian: the function's value (3,)"));
}

BOOST_AUTO_TEST_CASE(products_with_jacobians_and_hessians) {
  const Tensor v = doubles({1, 0, -1});
  const auto cubes = [](const Tensor& u) { return u * u * u; };
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    BOOST_TEST(values(jvp(cubes, x, v)) == (List{3, 0, -27}), per_element());
    BOOST_TEST(values(vjp(cubes, x, v)) == (List{3, 0, -27}), per_element());
    BOOST_TEST(values(hvp(sum_of_cubes, x, v)) == (List{6, 0, -18}), per_element());
    BOOST_CHECK_THROW(jvp(cubes, x, doubles({1})), ShapeError);
    BOOST_CHECK_THROW(jvp(cubes, x, v.to(float32)), DtypeError);
    BOOST_CHECK_THROW(vjp(cubes, x, doubles({1})), ShapeError);
  }
}

BOOST_AUTO_TEST_CASE(scalars_inside_to_second_order) {
  const auto f = [](const Tensor& v) { return stack({v(0) * v(0) * v(1)}); };
  BOOST_TEST(values(hessian(f, doubles({3, 2}))) == (List{4, 6, 6, 0}), per_element());
}

BOOST_AUTO_TEST_CASE(they_nest_to_any_order) {
  double coefficient = 1;
  for (int n = 0; n <= 5; ++n) {
    BOOST_TEST(nested(doubles({2}), n).item() == coefficient * std::pow(2.0, 5 - n), tolerance(1e-13));
    coefficient *= 5 - n;
  }
}

BOOST_AUTO_TEST_CASE(results_under_a_tape_can_be_differentiated) {
  Tape tape;
  const Tensor v = tape.variable(x), c = tape.variable(doubles({2, 2, 2}));
  // sum (d/dv c v^3)^2 = sum 9 c^2 v^4
  const Tensor slopes = gradient([&](const Tensor& u) { return sum(c * u * u * u); }, v);
  const auto [v_bar, c_bar] = tape.gradient(sum(slopes * slopes), v, c);
  BOOST_TEST(values(v_bar) == (List{144, 1152, 3888}), per_element());
  BOOST_TEST(values(c_bar) == (List{36, 576, 2916}), per_element());
}

BOOST_AUTO_TEST_CASE(every_one_of_them_can_be_differentiated_again) {
  const Tensor v = doubles({0.5, -1, 2});
  const auto f = [](const Tensor& u) { return sin(u) * sum(u * u); };
  const auto total = [&](const Tensor& u) { return sum(f(u) * f(u)); };
  const auto check = [](auto g) {  // what is recorded is computed in another way, and may differ in the last bit
    const GradientCheck result = check_gradient(g, {doubles({0.3, -0.7, 1.1})});
    for (const GradientCheck::Row& row : result.rows())
      BOOST_TEST((row.passed || row.what == std::string("recorded / not recorded")), result.to_string());
  };
  check([&](const Tensor& u) { return gradient(total, u); });
  check([&](const Tensor& u) { return vjp(f, u, v); });
  check([&](const Tensor& u) { return jvp(f, u, v); });
  check([&](const Tensor& u) { return jvp(f, v, u); });
  check([&](const Tensor& u) { return hvp(total, u, v); });
  check([&](const Tensor& u) { return jacobian(f, u); });
  check([&](const Tensor& u) { return jacobian([](const Tensor& w) { return concat({w * w, exp(w)}); }, u); });
}

BOOST_AUTO_TEST_CASE(a_captured_operand_is_not_the_variable) {  // edge 125
  Tape tape;
  const Tensor v = tape.variable(doubles({2}));
  // v d/du (v u) at u = v, which is v^2 and not 2 v^2
  const Tensor y = v * gradient([&](const Tensor& u) { return sum(v * u); }, v);
  BOOST_TEST(y.item() == 4);
  BOOST_TEST(tape.gradient(y, v).item() == 4);
}

BOOST_AUTO_TEST_CASE(a_pause_makes_them_constants) {
  Tape tape;
  const Tensor v = tape.variable(x);
  const std::size_t calls = tape.calls();
  const NoRecord pause;
  BOOST_TEST(gradient(sum_of_cubes, v).number() == 0u);
  BOOST_TEST(tape.calls() == calls);
}

BOOST_AUTO_TEST_CASE(stopped_gradients) {
  Tape tape;
  const Tensor v = tape.variable(doubles({2}));
  const Scalar s = tape.variable(3);
  const Tensor g = tape.gradient(v * stop_gradient(v), wrt(v), {.retain = true});
  BOOST_TEST(g.item() == 2);
  BOOST_TEST(tape.gradient(s * stop_gradient(s), s) == 3);
}

BOOST_AUTO_TEST_CASE(a_sweep_inside_a_sweep_is_refused) {
  const auto greedy = custom_operation(
      "greedy", [](const Tensor& v) { return v * v; },
      [](const Tensor& y_bar, const Tensor&, const Tensor& v) { return gradient(sum_of_cubes, v) * y_bar; });
  Tape tape;
  const Tensor v = tape.variable(x);
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.differentiable_gradient(sum(greedy(v)), v); }), "in the middle of a sweep"));
  BOOST_TEST(values(tape.gradient(sum(greedy(v)), v)) == (List{3, 12, 27}), per_element());
}
