#include <autodiff/autodiff.h>
#include <autodiff/transforms/complex_step.h>
#include <autodiff/transforms/testing.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <stdexcept>

#include "tests/support/faulty.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

const GradientCheck::Row* failed_row(const GradientCheck& check, const std::string& what) {
  for (const GradientCheck::Row& row : check.rows())
    if (!row.passed && row.what == what) return &row;
  return nullptr;
}

const Tensor x = Tensor::from({{0.5, -1.25, 2}, {1.5, 0.25, -0.75}}, float64);

}  // namespace

BOOST_AUTO_TEST_CASE(functions_of_one_and_of_several_tensors_pass) {
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return sin(x) * exp(x); }, {x});
  WENGERT_CHECK_GRADIENT([](const Tensor& a, const Tensor& b) { return matmul(a, transpose(b)) / 3; }, {x, 2 * x});
  WENGERT_CHECK_GRADIENT([](const Tensor& a, const Tensor& b, const Tensor& c) { return a * b + c; }, {x, x + 1, x + 2});
  WENGERT_CHECK_GRADIENT([](std::span<const Tensor> all) { return tanh(all[0]) * all[1]; }, {x, x});
}

BOOST_AUTO_TEST_CASE(float32_is_compared_with_differences_in_float64) {
  const Tensor single = x.to(float32);
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return exp(x) * x; }, {single});
  const Tensor captured = Tensor::from({1, 2, 3});  // makes float64 impossible
  WENGERT_CHECK_GRADIENT([&](const Tensor& x) { return x * x * captured; }, {single});
}

BOOST_AUTO_TEST_CASE(functions_of_scalars_pass) {
  WENGERT_CHECK_GRADIENT([](const Scalar& x) { return exp(x) * x; }, {0.5});
  WENGERT_CHECK_GRADIENT([](const Scalar& x, const Scalar& y) { return sin(x) * y + x / y; }, {0.5, 2});
  WENGERT_CHECK_GRADIENT(
      [](std::span<const Scalar> x) {
        Scalar s = 0;
        for (const Scalar& e : x) s += square(e) * e;
        return s;
      },
      {0.5, 2, -1});
}

BOOST_AUTO_TEST_CASE(functions_of_tensors_may_return_a_scalar) {
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return x(0, 1) * exp(x(1, 2)); }, {x});  // an expression
  WENGERT_CHECK_GRADIENT([](const Tensor& x, const Tensor& y) { return Scalar((x * y)(1, 2) / 2); }, {x[0], x});
  WENGERT_CHECK_GRADIENT([](const Tensor& x) -> Scalar { return square(x(0, 1)); }, {x.to(float32)});
}

BOOST_AUTO_TEST_CASE(the_complex_step_and_the_hand_formula_may_be_given) {
  const auto f = [](const auto& x, const auto& y) { return exp(x) * sin(y) + x * y; };
  const double a = 0.5, b = 2;
  const Tensor by_hand = Tensor::from({std::exp(a) * std::sin(b) + b, std::exp(a) * std::cos(b) + a}, float64);
  WENGERT_CHECK_GRADIENT([&](const Scalar& x, const Scalar& y) -> Scalar { return f(x, y); }, {a, b},
                         {.by_hand = {by_hand}, .instead_of_differences = {complex_step(f, {a, b})}, .tolerance = 1e-14});
  const GradientCheck wrong =
      check_gradient([&](const Scalar& x, const Scalar& y) -> Scalar { return f(x, y); }, {a, b}, {.by_hand = {by_hand * 1.001}});
  BOOST_TEST(!wrong.passed());
  BOOST_TEST(failed_row(wrong, "tape / by hand"));
  BOOST_TEST(!failed_row(wrong, "tape / differences"));
}

BOOST_AUTO_TEST_CASE(parameters_are_checked_through_the_function_that_reads_them) {
  Parameter w(x, "w"), b(Tensor::from({0.5, -1, 2}, float64), "b"), fixed(x + 1, "fixed");
  fixed.freeze();
  const auto f = [&] { return sum(sin(w * fixed + b) * w); };
  const ParameterList parameters{w, b, fixed};
  WENGERT_CHECK_GRADIENT(f, parameters);
  WENGERT_CHECK_GRADIENT([&] { return checkpoint([&](const Tensor& t) { return sum(tanh(w * t)); })(x); }, ParameterList{w});
  const Tensor slope = cos(w.value() * fixed.value() + b.value()), by_hand = sum(slope * w.value(), 0);
  const Tensor of_w = slope * fixed.value() * w.value() + sin(w.value() * fixed.value() + b.value());
  WENGERT_CHECK_GRADIENT(f, parameters, {.by_hand = {of_w, by_hand}});
  BOOST_TEST(w.value().to_vector<double>() == x.to_vector<double>());
  BOOST_TEST(w.value().elements() == x.elements());  // its own again, not a copy

  const GradientCheck wrong = check_gradient([&] { return sum(faulty(Tensor(w), Fault::reverse)); }, parameters);
  BOOST_TEST(!wrong.passed());
  const GradientCheck::Row* row = failed_row(wrong, "tape / differences");
  BOOST_REQUIRE(row);
  BOOST_TEST(row->input == 0);
  BOOST_TEST(contains(row->where, "parameter w"), row->where);
}

BOOST_AUTO_TEST_CASE(parameters_keep_their_values_if_the_function_throws) {
  const Parameter w(x, "w");
  int calls = 0;
  const auto f = [&]() -> Tensor {
    if (++calls == 5) throw std::runtime_error("planted");
    return sum(w * w);
  };
  BOOST_CHECK_THROW(static_cast<void>(check_gradient(f, ParameterList{w})), std::runtime_error);
  BOOST_TEST(w.value().elements() == x.elements());
  Parameter frozen(x);
  frozen.freeze();
  BOOST_TEST(contains(message_of<ShapeError>([&] { static_cast<void>(check_gradient(f, ParameterList{frozen})); }),
                      "check_gradient: there are no parameters, or all are frozen"));
}

BOOST_AUTO_TEST_CASE(a_wrong_reverse_rule_is_told_by_its_worst_element) {
  const GradientCheck check = check_gradient([](const Tensor& x) { return faulty(x, Fault::reverse); }, {x});
  BOOST_TEST(!check.passed());
  const GradientCheck::Row* row = failed_row(check, "tape / differences");
  BOOST_REQUIRE(row);
  BOOST_TEST(row->input == 0);
  BOOST_TEST(row->element == "(0, 2)");  // where the largest cotangent error is, see below
  BOOST_TEST(failed_row(check, "<w, J v> / <J^T w, v>"));
  BOOST_TEST(!failed_row(check, "forward / differences"));
  BOOST_TEST(contains(check.to_string(), "FAILED"));
  BOOST_TEST(contains(check.to_string(), "test_gradcheck.cpp"));
}

BOOST_AUTO_TEST_CASE(every_other_fault_is_found) {
  const auto check = [](Fault fault) { return check_gradient([fault](const Tensor& x) { return faulty(x, fault); }, {x}); };
  BOOST_TEST(check(Fault::none).passed(), check(Fault::none).to_string());
  BOOST_TEST(failed_row(check(Fault::forward), "forward / differences"));
  BOOST_TEST(failed_row(check(Fault::second_order), "second order / differences"));
  BOOST_TEST(!failed_row(check(Fault::second_order), "tape / differences"));
  BOOST_TEST(failed_row(check(Fault::not_repeatable), "gradient, twice"));
  BOOST_TEST(failed_row(check(Fault::not_zero_for_zero), "cotangent 0"));
  BOOST_TEST(failed_row(check(Fault::not_a_number), "tape / differences"));
}

BOOST_AUTO_TEST_CASE(recording_changes_no_value_but_rounding_in_the_gradients_that_a_function_takes) {
  const auto changed_by = [](double e) { return [e](const Tensor& x) { return exp(x) * (x.number() ? 1 + e : 1); }; };
  BOOST_TEST(check_gradient(changed_by(0), {x}).passed());
  BOOST_TEST(failed_row(check_gradient(changed_by(1e-15), {x}), "recorded / not recorded"));
  const Tensor w = Tensor::from({{0.5, -0.1, 0.2}, {0.3, 0.6, -0.4}, {-0.2, 0.1, 0.7}}, float64);
  const Tensor start = Tensor::from({{0.1, -0.2, 0.3}, {0.4, 0.5, -0.6}}, float64);
  const auto energy = [&](const Tensor& v) { return sum((matmul(v, w.to(v.dtype())) + 0.1 * v) * v); };
  WENGERT_CHECK_GRADIENT([&](const Tensor& x) { return gradient(energy, x); }, {start});
  WENGERT_CHECK_GRADIENT([&](const Tensor& x) { return gradient(energy, x); }, {start.to(float32)});
  const auto changed = [&](const Tensor& x) { return gradient(energy, x) * (x.number() ? 1 + 1e-9 : 1); };
  BOOST_TEST(failed_row(check_gradient(changed, {start}), "recorded / not recorded"));
}

BOOST_AUTO_TEST_CASE(an_operation_without_forward_mode_is_checked_without_it) {
  const auto cube = [](double factor) {
    return custom_operation(
        "cube", [](const Tensor& x) { return x * x * x; },
        [factor](const Tensor& y_bar, const Tensor&, const Tensor& x) { return factor * x * x * y_bar; });
  };
  const auto check = [&](double factor, int order) {
    return check_gradient([&](const Tensor& x) { return cube(factor)(x); }, {x}, {.order = order});
  };
  for (const int order : {1, 2}) {
    const GradientCheck right = check(3, order);
    BOOST_TEST(right.passed(), right.to_string());
    BOOST_TEST(contains(right.to_string(), "forward mode"));
    BOOST_TEST(contains(right.to_string(), "there is none"));
    BOOST_TEST((right.to_string().find("second order / differences") != std::string::npos) == (order == 2));
    BOOST_TEST(failed_row(check(2, order), "tape / differences"));
  }
}

BOOST_AUTO_TEST_CASE(misuse_is_explained) {
  const auto f = [](const Tensor& x) { return x; };
  BOOST_TEST(contains(message_of<ShapeError>([&] { check_gradient(f, {x, x}); }), "takes 1 inputs, but 2 were given"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { check_gradient(f, {Tensor::from({1}, int64)}); }), "capture it"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { check_gradient(f, {x}, {.by_hand = {x}}); }), ".cotangent"));
  BOOST_CHECK_THROW(check_gradient(f, {x}, {.by_hand = {sum(x)}, .cotangent = x}), ShapeError);
}

BOOST_AUTO_TEST_CASE(it_may_be_called_under_a_tape_and_leaves_it_alone) {
  Tape tape;
  const Tensor v = tape.variable(x);
  WENGERT_CHECK_GRADIENT([&](const Tensor& x) { return x * v; }, {x});
  BOOST_TEST(tape.nodes() == 0u);
}
