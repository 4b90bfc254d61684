#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/tensor/random.h"

using namespace wengert;

namespace {

// The same from matmul, transpose and +.
Tensor composed(const Tensor& x, const Tensor& weight, const Tensor& bias) { return matmul(x, transpose(weight)) + bias; }

struct Operands {
  explicit Operands(const Shape& shape, Dtype dtype = float64) {
    Generator generator(7);
    x = generator.uniform(shape, -1, 1, dtype);
    weight = generator.uniform({5, shape.back()}, -1, 1, dtype);
    bias = generator.uniform({5}, -1, 1, dtype);
  }
  Tensor x, weight, bias;
};

void check_close(const Tensor& a, const Tensor& b) {
  BOOST_TEST((a.shape() == b.shape()));
  const auto p = a.to_vector<double>(), q = b.to_vector<double>();
  for (std::size_t i = 0; i < p.size(); ++i) BOOST_TEST(p[i] == q[i], boost::test_tools::tolerance(1e-12));
}

const std::vector<Shape> kInputs{{4, 3}, {1, 3}, {3}, {2, 4, 3}, {0, 3}};

}  // namespace

BOOST_AUTO_TEST_CASE(values_are_those_of_matmul_and_plus) {
  for (const Shape& shape : kInputs) {
    const Operands o(shape);
    check_close(linear(o.x, o.weight, o.bias), composed(o.x, o.weight, o.bias));
    check_close(linear(o.x, o.weight), matmul(o.x, transpose(o.weight)));
  }
}

BOOST_AUTO_TEST_CASE(operands_may_be_views) {
  const Operands o({4, 3});
  const Tensor x = transpose(transpose(o.x).contiguous()), weight = transpose(transpose(o.weight).contiguous());
  BOOST_TEST(!x.is_row_major());
  check_close(linear(x, weight, o.bias), linear(o.x, o.weight, o.bias));
}

BOOST_AUTO_TEST_CASE(without_inputs_it_is_the_bias) {
  const Tensor bias = Tensor::from({1, 2});
  check_close(linear(Tensor::zeros({3, 0}), Tensor::zeros({2, 0}), bias), expand(bias, {3, 2}));
  check_close(linear(Tensor::zeros({3, 0}), Tensor::zeros({2, 0})), Tensor::zeros({3, 2}));
  BOOST_TEST((linear(Tensor::zeros({3, 4}), Tensor::zeros({0, 4})).shape() == Shape{3, 0}));
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_matmul_and_plus) {
  for (const Shape& shape : kInputs) {
    const Operands o(shape);
    const auto gradients = [&](auto&& f) {
      Tape tape;
      const Tensor x = tape.variable(o.x), w = tape.variable(o.weight), b = tape.variable(o.bias);
      const Tensor y = f(x, w, b);
      return tape.gradient(sum(y * sin(y)), x, w, b);
    };
    const auto [x, w, b] = gradients([](const auto&... t) { return linear(t...); });
    const auto [x_expected, w_expected, b_expected] = gradients(composed);
    check_close(x, x_expected);
    check_close(w, w_expected);
    check_close(b, b_expected);
  }
}

BOOST_AUTO_TEST_CASE(a_repeated_weight_gathers_all_its_gradients) {
  const Operands o({4, 5});
  const auto gradient = [&](auto&& f) {
    Tape tape;
    const Tensor x = tape.variable(o.x), w = tape.variable(o.weight);
    return tape.gradient(sum(square(f(tanh(f(tanh(f(x, w)), w)), w))), x, w);
  };
  const auto [x, w] = gradient([](const Tensor& x, const Tensor& w) { return linear(x, w); });
  const auto [x_expected, w_expected] = gradient([](const Tensor& x, const Tensor& w) { return matmul(x, transpose(w)); });
  check_close(x, x_expected);
  check_close(w, w_expected);
}

BOOST_AUTO_TEST_CASE(gradients_of_gradients_are_those_of_matmul_and_plus) {
  for (const Shape& shape : kInputs) {
    const Operands o(shape);
    const auto second = [&](auto&& f) {
      Tape tape;
      const Tensor x = tape.variable(o.x), w = tape.variable(o.weight), b = tape.variable(o.bias);
      const auto [dx, dw, db] = tape.differentiable_gradient(sum(sin(f(x, w, b))), x, w, b);
      return tape.gradient(sum(square(dx)) + sum(square(dw)) + sum(square(db)), x, w, b);
    };
    const auto [x, w, b] = second([](const auto&... t) { return linear(t...); });
    const auto [x_expected, w_expected, b_expected] = second(composed);
    check_close(x, x_expected);
    check_close(w, w_expected);
    check_close(b, b_expected);
  }
}

BOOST_AUTO_TEST_CASE(forward_mode_is_that_of_matmul_and_plus) {
  const Operands o({2, 4, 3}), dot({2, 4, 3});
  const auto change = [&](auto&& f) {
    Tape tape;
    const Tensor x = tape.variable(o.x), w = tape.variable(o.weight), b = tape.variable(o.bias);
    return tape.jvp(sin(f(x, w, b)), wrt(x, w, b), {dot.x * 2, dot.weight, dot.bias * 3});
  };
  check_close(change([](const auto&... t) { return linear(t...); }), change(composed));
}

BOOST_AUTO_TEST_CASE(linear_relu_is_relu_of_linear_to_second_order) {
  for (const Shape& shape : kInputs) {
    const Operands o(shape), dot(shape);
    check_close(linear_relu(o.x, o.weight, o.bias), relu(linear(o.x, o.weight, o.bias)));
    check_close(linear_relu(o.x, o.weight), relu(linear(o.x, o.weight)));
    const auto derivatives = [&](auto&& f) {
      std::vector<Tensor> all;
      Tape tape;
      const Tensor x = tape.variable(o.x), w = tape.variable(o.weight), b = tape.variable(o.bias);
      const Tensor y = f(x, w, b);
      all.push_back(tape.jvp(y, wrt(x, w, b), {dot.x, 2 * dot.weight, 3 * dot.bias}));
      const auto [dx, dw, db] = tape.differentiable_gradient(sum(sin(y)), x, w, b);
      const auto [ddx, ddw, ddb] = tape.gradient(sum(square(dx)) + sum(square(dw)) + sum(square(db)), x, w, b);
      for (const Tensor& t : {dx, dw, db, ddx, ddw, ddb}) all.push_back(t);
      return all;
    };
    const auto ours = derivatives([](const auto& x, const auto& w, const auto& b) { return linear_relu(x, w, b); });
    const auto expected = derivatives([](const auto& x, const auto& w, const auto& b) { return relu(linear(x, w, b)); });
    for (std::size_t i = 0; i < ours.size(); ++i) check_close(ours[i], expected[i]);
  }
}

BOOST_AUTO_TEST_CASE(linear_relu_of_floats_at_the_sizes_of_layers) {
  Generator generator(3);
  for (const Index batch : {1, 7, 64}) {
    const Tensor x = generator.uniform({batch, 100}, -1, 1), w = generator.uniform({70, 100}, -1, 1), b = generator.uniform({70}, -1, 1);
    const auto gradients = [&](auto&& f) {
      Tape tape;
      const Tensor p = tape.variable(x), q = tape.variable(w), r = tape.variable(b);
      const auto [dx, dw, db] = tape.gradient(sum(square(f(p, q, r))), p, q, r);
      return std::vector<Tensor>{dx, dw, db};
    };
    const auto ours = gradients([](const auto&... t) { return linear_relu(t...); });
    const auto expected = gradients([](const auto& x, const auto& w, const auto& b) { return relu(matmul(x, transpose(w)) + b); });
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const auto p = ours[i].to_vector<float>(), q = expected[i].to_vector<float>();
      for (std::size_t j = 0; j < p.size(); ++j) BOOST_TEST(std::abs(p[j] - q[j]) <= 1e-4 * (1 + std::abs(q[j])));
    }
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_an_error_that_names_it) {
  const Tensor x = Tensor::zeros({4, 3}), weight = Tensor::zeros({5, 3}), bias = Tensor::zeros({5});
  const auto says = [](const char* text) {
    return [text](const Error& e) { return std::string(e.what()).find(text) != std::string::npos; };
  };
  BOOST_CHECK_EXCEPTION(linear(x, Tensor::zeros({5, 2}), bias), ShapeError,
                        says("linear: the operands must be (..., in), (out, in) and (out): input (4, 3)"));
  BOOST_CHECK_EXCEPTION(linear(x, weight, Tensor::zeros({3})), ShapeError, says("bias (3,)"));
  BOOST_CHECK_EXCEPTION(linear(x, bias), ShapeError, says("(..., in), (out, in): input ("));
  BOOST_CHECK_EXCEPTION(linear(Tensor::zeros({}), weight), ShapeError, says("input ()"));
  BOOST_CHECK_EXCEPTION(linear_relu(x, bias), ShapeError, says("linear_relu: the operands must be (..., in), (out, in): input (4, 3)"));
  BOOST_CHECK_EXCEPTION(linear(x.to(float64), weight), DtypeError, says("linear"));
  BOOST_CHECK_EXCEPTION(linear(x, weight, bias.to(float64)), DtypeError, says("linear"));
}
