// Elementwise operations from functions of numbers.
#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/every_isa.h"
#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element;
using testing::contains, testing::message_of;

namespace {

const Tensor x = Tensor::from({{0.5, -1.25, 2}, {1.5, 0.25, -0.75}}, float64);
const Tensor row = Tensor::from({1.5, 0.5, -0.75}, float64), column = Tensor::from({{0.25}, {-2}}, float64);

const auto swish = elementwise("swish", [](auto x, auto beta) { return x * sigmoid(beta * x); });
const auto gelu_by_tanh = elementwise([](auto x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); });
const auto huber = elementwise([](auto prediction, auto target) {
  const auto d = prediction - target, size = abs(d);
  return where(size <= 1.0, 0.5 * square(d), size - 0.5);
});
// The same with a branch.
const auto branching_huber = elementwise([](auto prediction, auto target) {
  const auto d = prediction - target, size = abs(d);
  if (size <= 1.0) return 0.5 * square(d);
  return size - 0.5;
});
// A root of z^3 + z = x by Newton's method, which takes as many steps as it needs.
const auto cubic_root = elementwise([](auto x) {
  auto z = x;
  for (;;) {
    const auto step = (z * z * z + z - x) / (3 * z * z + 1);
    z -= step;
    if (abs(step) < 1e-12) return z;
  }
});

template <class T> std::vector<T> numbers(const Tensor& t) {
  const Tensor dense = t.contiguous();
  return {dense.data<T>(), dense.data<T>() + dense.size()};
}

Tensor swish_of_tensors(const Tensor& x, const Tensor& beta) { return x * sigmoid(beta * x); }

// Tensor operations have exponentials of their own: equal to four units in the last place.
template <class T> bool nearly_equal(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](T p, T q) { return std::abs(p - q) <= 4 * std::numeric_limits<T>::epsilon() * std::abs(q); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_are_those_of_the_tensor_operations) {
  testing::on_every_isa([] {
    for (Dtype dtype : {float32, float64}) {
      const Tensor a = x.to(dtype);
      for (const Tensor& beta : {x * 0.5 + 1, row, column, Tensor::full({}, 1.5, float64), Tensor::full({1, 1}, -0.5, float64)}) {
        const Tensor b = beta.to(dtype), y = swish(a, b), expected = swish_of_tensors(a, b);
        BOOST_TEST(y.dtype() == dtype);
        BOOST_TEST((y.shape() == expected.shape()));
        if (dtype == float32) {
          BOOST_TEST(nearly_equal(numbers<float>(y), numbers<float>(expected)));
        } else {
          BOOST_TEST(nearly_equal(numbers<double>(y), numbers<double>(expected)));
        }
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(gradients_agree_with_differences_and_with_each_other) {
  BOOST_TEST(check_gradient(swish, {x, x * 0.5 + 1}).passed());
  BOOST_TEST(check_gradient(swish, {x, row}).passed());
  BOOST_TEST(check_gradient(swish, {column, row}).passed());
  BOOST_TEST(check_gradient(swish, {x, Tensor::full({}, 1.5, float64)}).passed());
  BOOST_TEST(check_gradient(swish, {Tensor::full({}, 0.5, float64), Tensor::full({1}, 1.5, float64)}).passed());
  BOOST_TEST(check_gradient(swish, {x.to(float32), row.to(float32)}).passed());
  BOOST_TEST(check_gradient(gelu_by_tanh, {x}).passed());
  BOOST_TEST(check_gradient(huber, {x, row + 0.1}).passed());
  BOOST_TEST(check_gradient(branching_huber, {x, row + 0.1}).passed());
  BOOST_TEST(check_gradient(cubic_root, {x}).passed());
}

BOOST_AUTO_TEST_CASE(third_derivatives_are_those_of_the_tensor_operations) {
  const auto third = [](auto f, const Tensor& at, const Tensor& beta) {
    Tape tape;
    const Tensor v = tape.variable(at);
    Tensor d = f(v, beta);
    for (int order = 0; order < 3; ++order) d = tape.gradient(sum(d), wrt(v), {.retain = order < 2, .differentiable = order < 2});
    return numbers<double>(d);
  };
  const std::vector<double> ours = third(swish, x, row), expected = third(swish_of_tensors, x, row);
  for (std::size_t i = 0; i < ours.size(); ++i) BOOST_TEST(std::abs(ours[i] - expected[i]) <= 1e-13);
}

BOOST_AUTO_TEST_CASE(derivatives_agree_over_many_blocks_and_both_ends_of_a_tail) {
  const Tensor at = Tensor::linspace(-30, 30, 4099, float64);
  for (const Tensor& beta : {Tensor::full({}, 1.5, float64), Tensor::linspace(0.5, 2, 4099, float64)}) {
    const auto gradients = [&](auto f) {
      Tape tape;
      const Tensor v = tape.variable(at), b = tape.variable(beta);
      auto [of_x, of_beta] = tape.gradient(sum(f(v, b)), wrt(v, b));
      std::vector<double> all = numbers<double>(of_x);
      for (double d : numbers<double>(of_beta)) all.push_back(d);
      return all;
    };
    const std::vector<double> ours = gradients(swish), expected = gradients(swish_of_tensors);
    BOOST_REQUIRE(ours.size() == expected.size());
    for (std::size_t i = 0; i < ours.size(); ++i)
      BOOST_TEST(std::abs(ours[i] - expected[i]) <= 1e-12 * std::max(1.0, std::abs(expected[i])));
  }
}

BOOST_AUTO_TEST_CASE(branches_are_taken_element_by_element) {
  const Tensor at = Tensor::linspace(-3, 3, 1001, float64), target = Tensor::full({}, 0.125, float64);
  BOOST_TEST(numbers<double>(branching_huber(at, target)) == numbers<double>(huber(at, target)), per_element());
  const std::vector<double> z = numbers<double>(cubic_root(at));
  for (Index i = 0; i < at.size(); ++i) {
    const double root = z[static_cast<std::size_t>(i)];
    BOOST_TEST(std::abs(root * root * root + root - at.data<double>()[i]) <= 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(operands_are_tensors_scalars_numbers_and_views) {
  const std::vector<double> expected = numbers<double>(swish_of_tensors(x, Tensor::full({}, 1.5, float64)));
  BOOST_TEST(nearly_equal(numbers<double>(swish(x, 1.5)), expected));
  BOOST_TEST(nearly_equal(numbers<double>(transpose(swish(transpose(x), 1.5))), expected));
  Tape tape;
  const Scalar beta = tape.variable(1.5);
  const Tensor y = swish(x, beta);
  BOOST_TEST(nearly_equal(numbers<double>(y), expected));
  const double slope = tape.gradient(sum(y), beta);
  const Tensor b = tape.variable(Tensor::full({}, 1.5, float64));
  BOOST_TEST(std::abs(slope - tape.gradient(sum(swish_of_tensors(x, b)), wrt(b)).item()) <= 1e-14);
}

BOOST_AUTO_TEST_CASE(no_elements_and_retained_records) {
  BOOST_TEST(swish(Tensor::zeros({0, 3}), 2).size() == 0);
  Tape tape;
  const Tensor nothing = tape.variable(Tensor::zeros({0})), v = tape.variable(x), b = tape.variable(row);
  BOOST_TEST(tape.gradient(sum(swish(nothing, 1.0)), wrt(nothing), {.retain = true}).size() == 0);
  const Tensor y = sum(swish(v, b));
  const Tensor first = tape.gradient(y, wrt(v), {.retain = true}), again = tape.gradient(y, wrt(v));
  BOOST_TEST(numbers<double>(first) == numbers<double>(again), per_element());
}

BOOST_AUTO_TEST_CASE(errors_name_the_operation_and_its_operands) {
  const std::string shapes = message_of<ShapeError>([] { swish(x, Tensor::zeros({2}, float64)); });
  BOOST_TEST(contains(shapes, "swish: the shapes do not broadcast"));
  BOOST_TEST(contains(shapes, "(2, 3) float64"));
  BOOST_TEST(contains(message_of<DtypeError>([] { swish(x, row.to(float32)); }), "swish: the dtypes differ"));
  BOOST_TEST(contains(message_of<DtypeError>([] { gelu_by_tanh(Tensor::zeros({2}, int64)); }), "elementwise: "));
  BOOST_TEST(contains(message_of<ValueError>([] { gelu_by_tanh(Tensor()); }), "elementwise: operand 0 is undefined"));
  const auto every_way = elementwise([](auto x) { return x + static_cast<int>(x); });
  BOOST_TEST(contains(message_of<ValueError>([&] { every_way(Tensor::linspace(0, 1000, 1001, float64)); }), "paths"));
}
