#include <boost/test/unit_test.hpp>
#include <limits>

#include "autodiff/ops.h"
#include "golden/compare.h"
#include "golden/operations.h"
#include "golden/run.h"

using namespace wengert;
using namespace wengert::golden;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

Verdict compare_values(const Tensor& actual, const Tensor& expected, double relative = 1e-10, double absolute = 1e-12,
                       bool scaled = false) {
  return compare("out", actual, expected, allowed_errors(expected, relative, absolute, scaled));
}

Tensor doubles(std::initializer_list<double> values) { return Tensor::from(values, float64); }

bool agree(double actual, double expected) { return compare_values(doubles({actual}), doubles({expected})).passed; }

// d/dx of `op` at x, with the cotangent 1 and the gradient that the caller calls right.
Case unary_case(const std::string& op, double x, double y, double gradient) {
  Case c;
  c.group = "g1_unary";
  c.id = "case_000";
  c.op = op;
  c.attributes = Attributes(nlohmann::json::object());
  c.inputs = {{.name = "in0", .differentiable = true, .gradient = "grad_in0"}};
  c.outputs = {{.name = "out", .differentiable = true, .cotangent = "gout"}};
  c.given = {{"in0", doubles({x})}, {"gout", doubles({1})}};
  c.expected = {{"out", doubles({y})}, {"grad_in0", doubles({gradient})}};
  c.relative_tolerance = 1e-10;
  c.absolute_tolerance = 1e-12;
  return c;
}

}  // namespace

BOOST_AUTO_TEST_CASE(special_values_agree_with_themselves_alone) {
  BOOST_TEST(agree(kNan, kNan));
  BOOST_TEST(!agree(kNan, 0));
  BOOST_TEST(!agree(0, kNan));
  BOOST_TEST(!agree(kNan, kInfinity));
  BOOST_TEST(agree(kInfinity, kInfinity));
  BOOST_TEST(agree(-kInfinity, -kInfinity));
  BOOST_TEST(!agree(kInfinity, -kInfinity));
  BOOST_TEST(!agree(kInfinity, 1e308));
  BOOST_TEST(!agree(1e308, kInfinity));
  BOOST_TEST(agree(-0.0, 0.0));
}

BOOST_AUTO_TEST_CASE(the_tolerance_ends_where_the_rule_says) {
  const Tensor expected = doubles({1024});
  BOOST_TEST(compare_values(doubles({1024 + 0.25}), expected, 0x1p-12, 0).passed);
  BOOST_TEST(compare_values(doubles({1024 - 0.25}), expected, 0x1p-12, 0).passed);
  BOOST_TEST(!compare_values(doubles({1024 + 0.25 + 1e-9}), expected, 0x1p-12, 0).passed);
  BOOST_TEST(compare_values(doubles({0.5}), doubles({0}), 0, 0.5).passed);
  BOOST_TEST(!compare_values(doubles({0.5 + 1e-9}), doubles({0}), 0, 0.5).passed);
  BOOST_TEST(!compare_values(doubles({1e-300}), doubles({0}), 1e-10, 0).passed);
}

BOOST_AUTO_TEST_CASE(the_scale_is_the_largest_finite_element_and_at_least_1) {
  const Tensor expected = doubles({0, 100, kInfinity});
  const Tensor actual = doubles({0.9e-10, 100, kInfinity});
  BOOST_TEST(compare_values(actual, expected, 1e-10, 1e-12, true).passed);
  BOOST_TEST(!compare_values(actual, expected, 1e-10, 1e-12, false).passed);
  BOOST_TEST(compare_values(doubles({0.9e-12, 0.01}), doubles({0, 0.01}), 0, 1e-12, true).passed);
}

BOOST_AUTO_TEST_CASE(shapes_and_dtypes_must_be_equal) {
  BOOST_TEST(!compare_values(Tensor::zeros({2, 1}, float64), Tensor::zeros({2}, float64)).passed);
  BOOST_TEST(!compare_values(Tensor::zeros({}, float64), Tensor::zeros({1}, float64)).passed);
  BOOST_TEST(!compare_values(Tensor::zeros({0, 2}, float64), Tensor::zeros({2, 0}, float64)).passed);
  BOOST_TEST(compare_values(Tensor::zeros({0, 2}, float64), Tensor::zeros({0, 2}, float64)).passed);
  BOOST_TEST(!compare_values(Tensor::zeros({2}, float32), Tensor::zeros({2}, float64)).passed);
  BOOST_TEST(!compare_values(Tensor::zeros({2}, float64), Tensor::zeros({2}, int64)).passed);
}

BOOST_AUTO_TEST_CASE(integers_and_booleans_must_be_equal) {
  const std::int64_t large = (std::int64_t{1} << 60) + 1;  // no double
  const auto one = [](std::int64_t value) { return Tensor::from(std::vector{value}); };
  BOOST_TEST(compare_values(one(large), one(large)).passed);
  BOOST_TEST(!compare_values(one(large - 1), one(large)).passed);
  BOOST_TEST(!compare_values(Tensor::from({1, 0}, boolean), Tensor::from({1, 1}, boolean)).passed);
}

BOOST_AUTO_TEST_CASE(a_failure_names_the_worst_element) {
  const Verdict verdict = compare_values(Tensor::from({{1, 2}, {3.5, 5}}, float64), Tensor::from({{1, 2}, {3, 4}}, float64));
  BOOST_TEST(!verdict.passed);
  BOOST_TEST(verdict.message.starts_with("out[1, 1]: got 5, expected 4 "));
}

BOOST_AUTO_TEST_CASE(a_right_case_passes_in_every_way_and_a_wrong_one_in_none) {
  for (const Way way : {Way::float64, Way::float32, Way::noncontiguous}) {
    BOOST_TEST(run(unary_case("square", 3, 9, 6), way).passed);
    if (way == Way::float32) continue;  // holds float32 against the library's own float64
    BOOST_TEST(!run(unary_case("square", 3, 9.000001, 6), way).passed);
    BOOST_TEST(!run(unary_case("square", 3, 9, 6.000001), way).passed);
  }
}

BOOST_AUTO_TEST_CASE(what_the_library_lacks_is_told_from_what_it_does_wrong) {
  BOOST_CHECK_THROW(run(unary_case("no such function", 1, 1, 1), Way::float64), Missing);
  Case c = unary_case("square", 3, 9, 6);
  c.expected.emplace("another", doubles({1}));
  BOOST_TEST(!run(c, Way::float64).passed);
}

BOOST_AUTO_TEST_CASE(strided_views_hold_the_same_values_elsewhere) {
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{4, 1, 3}, Shape{3, 0}}) {
    const Tensor x = reshape(Tensor::arange(0, static_cast<double>(shape.size()), 1, float64), shape);
    const Tensor view = strided_view(x);
    BOOST_TEST((view.shape() == shape));
    BOOST_TEST((view.to_vector<double>() == x.to_vector<double>()));
    if (shape.size() > 1) BOOST_TEST(!view.is_row_major());
  }
}
