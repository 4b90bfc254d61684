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

// d^n/dx^n x^5 by n gradients inside one another.
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
  const auto f = [](const Tensor& v) { return stack({v(0) * v(0) * v(1)}, float64); };
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
  const auto check = [](auto g) {  // the recorded result is computed in another way, and may differ in the last bit
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
  const std::size_t nodes = tape.nodes();
  const NoRecord pause;
  BOOST_TEST(gradient(sum_of_cubes, v).number() == 0u);
  BOOST_TEST(tape.nodes() == nodes);
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

// ---- with respect to parameters ---------------------------------------------------------------------------------------------------

namespace {

// y = tanh(W x + b), squared and summed, with a parameter that is not read and one that is frozen.
struct Model {
  Parameter W{Tensor::from({{0.5, -1}, {0.25, 0.75}, {-0.5, 1}}, float64)}, b{doubles({0.1, -0.2, 0.3})}, unread{doubles({1, 2})},
      frozen{doubles({2})};
  Model() { frozen.freeze(); }
  ParameterList all() const { return {W, b, unread, frozen}; }
  Tensor operator()(const Tensor& v) const { return tanh(linear(v, W, b)) * frozen; }
};
const Tensor inputs = Tensor::from({{1, 2}, {-0.5, 0.25}, {0.75, -1}}, float64);

// The parameters W and b as one vector, for the functions of tensors.
Tensor flat(const Model& m) { return concat({reshape(m.W.value(), {6}), m.b.value()}); }
Tensor loss_of(const Tensor& flat, const Tensor& v) {
  const Tensor y = tanh(linear(v, reshape(flat(Range(0, 6)), {3, 2}), flat(Range(6, End)))) * 2;
  return sum(y * y);
}

void check_close(const Tensor& a, const Tensor& b) {
  BOOST_REQUIRE_MESSAGE(a.shape() == b.shape(), to_string(a.shape()) + " is not " + to_string(b.shape()));
  BOOST_TEST(max(abs(a - b)).item() < 1e-13);
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_with_respect_to_parameters) {
  const Model m;
  const auto loss = [&] { return sum(square(m(inputs))); };
  const Tensor expected = gradient([](const Tensor& p) { return loss_of(p, inputs); }, flat(m));
  const auto [value, g] = value_and_gradient(loss, m.all());
  BOOST_TEST(value.item() == loss().item());
  BOOST_TEST((value.number() == 0u && g[0].number() == 0u));
  check_close(concat({reshape(g[0], {6}), g[1]}), expected);
  BOOST_TEST(values(g[2]) == (List{0, 0}), per_element());
  BOOST_TEST(values(g[m.frozen]) == (List{0}), per_element());
  check_close(gradient(loss, m.all())[m.b], g[1]);
  check_close(gradient(loss, {m.W})[0], g[0]);
}

BOOST_AUTO_TEST_CASE(products_with_hessians_of_parameters) {
  const Model m;
  const auto loss = [&] { return sum(square(m(inputs))); };
  const std::vector<Tensor> v{Tensor::from({{1, 0}, {-1, 2}, {0.5, 0}}, float64), doubles({0, 1, -2}), doubles({3, 4}), doubles({1})};
  const Tensor expected = hvp([](const Tensor& p) { return loss_of(p, inputs); }, flat(m), concat({reshape(v[0], {6}), v[1]}));
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    const Gradients product = hvp(loss, m.all(), v);
    check_close(concat({reshape(product[m.W], {6}), product[m.b]}).constant(), expected);
    BOOST_TEST(values(product[2]) == (List{0, 0}), per_element());
    BOOST_TEST((product[0].number() != 0) == under_a_tape);
    const Gradients again = hvp(loss, {m.W, m.b}, gradient([&] { return sum(m.W * v[0]) + sum(m.b * v[1]); }, {m.W, m.b}));
    check_close(again[0].constant(), product[0].constant());
  }
  BOOST_TEST(values(hvp([&] { return sum(m.b); }, {m.b}, std::vector<Tensor>{doubles({1, 2, 3})})[0]) == (List{0, 0, 0}), per_element());
}

BOOST_AUTO_TEST_CASE(jacobians_and_hessians_of_parameters) {
  const Model m;
  const Tensor rows = jacobian([](const Tensor& p) { return gradient([](const Tensor& q) { return loss_of(q, inputs); }, p); }, flat(m));
  const auto blocks = hessian([&] { return sum(square(m(inputs))); }, m.all());
  BOOST_TEST(blocks.size() == 4u);
  BOOST_TEST((blocks[0][1].shape() == Shape{3, 2, 3}));
  BOOST_TEST((blocks[2][0].shape() == Shape{2, 3, 2}));
  BOOST_TEST(values(blocks[2][0]) == List(12, 0), per_element());
  check_close(reshape(blocks[0][0], {6, 6}), rows(Range(0, 6), Range(0, 6)));
  check_close(reshape(blocks[0][1], {6, 3}), rows(Range(0, 6), Range(6, End)));
  check_close(reshape(blocks[1][0], {3, 6}), rows(Range(6, End), Range(0, 6)));
  check_close(blocks[1][1], rows(Range(6, End), Range(6, End)));

  const auto outputs = [](const Tensor& p) { return tanh(linear(inputs, reshape(p(Range(0, 6)), {3, 2}), p(Range(6, End)))) * 2; };
  const Tensor expected = jacobian(outputs, flat(m));
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    const auto j = jacobian([&] { return m(inputs); }, m.all());
    BOOST_TEST((j[0].shape() == Shape{3, 3, 3, 2}));
    check_close(concat({reshape(j[0], {3, 3, 6}), j[1]}, -1).constant(), expected);
    BOOST_TEST(values(j[2]) == List(18, 0), per_element());
  }
  BOOST_TEST((jacobian([] { return Tensor::zeros({0}); }, {m.b})[0].shape() == Shape{0, 3}));
}

BOOST_AUTO_TEST_CASE(gradients_of_each_example) {
  const Model m;
  const Tensor targets = Tensor::from({{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, float64);
  const auto loss = [&](const Tensor& v, const Tensor& y) { return sum(square(m(v) - y)); };
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    const auto each = per_example_gradients(loss, m.all(), inputs, targets);
    BOOST_TEST(each.size() == 4u);
    BOOST_TEST((each[0].shape() == Shape{3, 3, 2}));
    BOOST_TEST((each[0].number() != 0) == under_a_tape);
    for (Index i = 0; i < 3; ++i)
      check_close(each[0][i].constant(),
                  gradient([&] { return loss(inputs(Range(i, i + 1)), targets(Range(i, i + 1))); }, {m.W})[0].constant());
    check_close(sum(each[1], 0).constant(), gradient([&] { return loss(inputs, targets); }, {m.b})[0].constant());
    BOOST_TEST(values(each[2]) == List(6, 0), per_element());
  }
  const auto none = per_example_gradients([&](const Tensor& v) { return sum(m(v)); }, m.all(), Tensor::zeros({0, 2}, float64));
  BOOST_TEST((none[0].shape() == Shape{0, 3, 2}));
}

BOOST_AUTO_TEST_CASE(derivatives_with_respect_to_parameters_can_be_differentiated_again) {
  // |gradient|^2 of a loss, and its gradient, against the same by functions of a tensor.
  const Model m;
  const auto loss = [&] { return sum(square(m(inputs))); };
  const Gradients outer = gradient(
      [&] {
        const Gradients g = gradient(loss, {m.W, m.b});
        return sum(square(g[0])) + sum(square(g[1]));
      },
      {m.W, m.b});
  const Tensor expected =
      gradient([](const Tensor& p) { return sum(square(gradient([](const Tensor& q) { return loss_of(q, inputs); }, p))); }, flat(m));
  check_close(concat({reshape(outer[0], {6}), outer[1]}), expected);
}

BOOST_AUTO_TEST_CASE(errors_name_the_function_that_was_called) {
  const auto same = [](const Tensor& v) { return v * v; };
  const Parameter p(x);
  const auto vector_of = [&] { return p * p; };
  const auto refused = [](const char* name, const auto& f) {
    const std::string shape = message_of<ShapeError>(f);
    BOOST_TEST(shape.rfind(std::string(name) + ": ", 0) == 0u, shape);
  };
  for (const bool under_a_tape : {false, true}) {
    std::optional<Tape> tape;
    if (under_a_tape) tape.emplace();
    refused("gradient", [&] { gradient(same, x); });
    refused("value_and_gradient", [&] { value_and_gradient(same, x); });
    refused("vjp", [&] { vjp(same, x, doubles({1})); });
    refused("vjp", [&] { vjp(same, x, Tensor()); });
    refused("jvp", [&] { jvp(same, x, doubles({1})); });
    refused("hvp", [&] { hvp(same, x, x); });
    refused("hvp", [&] { hvp(sum_of_cubes, x, doubles({1})); });
    refused("hessian", [&] { hessian(same, x); });
    refused("gradient", [&] { gradient(vector_of, {p}); });
    refused("value_and_gradient", [&] { value_and_gradient(vector_of, {p}); });
    refused("hvp", [&] { hvp(vector_of, {p}, std::vector<Tensor>{x}); });
    refused("hvp", [&] { hvp([&] { return sum(p); }, {p}, std::vector<Tensor>{doubles({1})}); });
    refused("hvp", [&] { hvp([&] { return sum(p); }, {p}, std::vector<Tensor>{}); });
    refused("hessian", [&] { hessian(vector_of, {p}); });
    refused("per_example_gradients",
            [&] { per_example_gradients([](const Tensor& v, const Tensor& w) { return v + w; }, {p}, x, doubles({1})); });
    BOOST_TEST(contains(message_of<DtypeError>([&] { hvp(sum_of_cubes, x, Tensor::ones({3})); }), "hvp: the tangent"));
    BOOST_TEST(contains(message_of<DtypeError>([&] { vjp(same, x, Tensor::ones({3})); }), "vjp: the cotangent"));
  }
}
