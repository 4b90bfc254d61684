#include "nn/layers/basic.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "autodiff/tape/tape.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::check_layer, testing::contains, testing::message_of;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

}  // namespace

BOOST_AUTO_TEST_CASE(linear_is_x_times_w_transposed_plus_b) {
  nn::Linear layer(2, 3);
  BOOST_TEST((layer.weight.shape() == Shape{3, 2}));
  BOOST_TEST((layer.bias.shape() == Shape{3}));
  layer.weight = Tensor::from({{1, 2}, {3, 4}, {5, 6}});
  layer.bias = Tensor::from({10, 20, 30});
  BOOST_TEST(values(layer(Tensor::from({{1, 0}, {0, 1}}))) == (std::vector<double>{11, 23, 35, 12, 24, 36}));
  BOOST_TEST(values(layer(Tensor::from({1, 1}))) == (std::vector<double>{13, 27, 41}));
  BOOST_TEST((layer(Tensor::zeros({4, 5, 2})).shape() == Shape{4, 5, 3}));
}

BOOST_AUTO_TEST_CASE(linear_without_bias) {
  nn::Linear layer(2, 1, {.bias = false});
  layer.weight = Tensor::from({{1, 2}});
  BOOST_TEST(values(layer(Tensor::from({3, 4}))) == (std::vector<double>{11}));
  BOOST_TEST(layer.parameters().size() == 1u);
  nn::Linear copy = layer;
  copy = nn::Linear(2, 1, {.bias = false});
  BOOST_TEST(copy.parameters().size() == 1u);
}

// y = x W^T + b and E = sum(g y): dE/dW = g^T x, dE/db = the sum of g over the rows, dE/dx = g W.
BOOST_AUTO_TEST_CASE(linear_has_the_gradients_of_the_formula) {
  nn::Linear layer(2, 3);
  layer.to(float64);
  const Tensor g = Tensor::from({{1, 2, 3}, {-1, 0.5, 2}}, float64), values_of_x = Tensor::from({{1, 2}, {3, 4}}, float64);
  Tape tape;
  const Tensor x = tape.variable(values_of_x);
  const auto [w_bar, b_bar, x_bar] = tape.gradient(sum(layer(x) * g), layer.weight, layer.bias, x);
  BOOST_TEST(values(w_bar) == values(matmul(transpose(g), values_of_x)));
  BOOST_TEST(values(b_bar) == (std::vector<double>{0, 2.5, 5}));
  BOOST_TEST(values(x_bar) == values(matmul(g, layer.weight.value())));
}

BOOST_AUTO_TEST_CASE(linear_starts_uniform_between_plus_and_minus_the_inverse_root_of_in) {
  Generator generator(3);
  const nn::Linear layer(100, 1000, {}, generator);
  for (const Parameter* p : {&layer.weight, &layer.bias}) {
    const auto v = values(p->value());
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    BOOST_TEST(*low >= -0.1);
    BOOST_TEST(*high < 0.1);
    BOOST_TEST(*low < -0.099);
    BOOST_TEST(*high > 0.099);
  }
  Generator again(3);
  BOOST_TEST(values(nn::Linear(100, 1000, {}, again).bias.value()) == values(layer.bias.value()));
  BOOST_TEST(again.counter() == generator.counter());
}

BOOST_AUTO_TEST_CASE(linear_names_itself_and_the_input_in_errors) {
  const nn::Linear layer(3, 4);
  BOOST_CHECK_THROW(layer(Tensor::zeros({})), ShapeError);
  try {
    layer(Tensor::zeros({5, 2}));
    BOOST_ERROR("no error");
  } catch (const ShapeError& e) {
    const std::string message = e.what();
    BOOST_TEST(begins_at(message, "test_layers.cpp", "Linear(3, 4): "));
    BOOST_TEST(message.find("the last size of the input must be 3: input (5, 2) float32") != std::string::npos, message);
  }
}

BOOST_AUTO_TEST_CASE(linear_of_no_inputs_or_outputs) {
  BOOST_TEST((nn::Linear(0, 2)(Tensor::zeros({3, 0})).shape() == Shape{3, 2}));
  BOOST_TEST((nn::Linear(2, 0)(Tensor::zeros({3, 2})).shape() == Shape{3, 0}));
}

BOOST_AUTO_TEST_CASE(activations_are_their_functions) {
  const Tensor x = Tensor::from({{-2, -0.5, 0}, {0.5, 1, 2}}, float64);
  BOOST_TEST(values(nn::Identity()(x)) == values(x));
  BOOST_TEST(values(nn::ReLU()(x)) == values(relu(x)));
  BOOST_TEST(values(nn::Sigmoid()(x)) == values(sigmoid(x)));
  BOOST_TEST(values(nn::Tanh()(x)) == values(tanh(x)));
  BOOST_TEST(values(nn::Softplus()(x)) == values(softplus(x)));
  BOOST_TEST(values(nn::Softplus({.beta = 2})(x)) == values(softplus(x, 2)));
  BOOST_TEST(values(nn::Softplus({.beta = -1})(x)) == values(softplus(x, -1)));
  BOOST_TEST(values(nn::Softmax()(x)) == values(softmax(x, -1)));
  BOOST_TEST(values(nn::Softmax(0)(x)) == values(softmax(x, 0)));
  BOOST_TEST(values(nn::LogSoftmax(0)(x)) == values(log_softmax(x, 0)));
  BOOST_TEST(values(nn::ReLU6()(4 * x)) == values(relu6(4 * x)));
  BOOST_TEST(values(nn::SELU()(x)) == values(selu(x)));
  BOOST_TEST(values(nn::SiLU()(x)) == values(silu(x)));
  BOOST_TEST(values(nn::Mish()(x)) == values(mish(x)));
  BOOST_TEST(values(nn::LogSigmoid()(x)) == values(log_sigmoid(x)));
  BOOST_TEST(values(nn::Hardsigmoid()(x)) == values(hardsigmoid(x)));
  BOOST_TEST(values(nn::Hardswish()(x)) == values(hardswish(x)));
  BOOST_TEST(values(nn::Softsign()(x)) == values(softsign(x)));
  BOOST_TEST(values(nn::GELU()(x)) == values(gelu(x)));
  BOOST_TEST(values(nn::GELU({.tanh = true})(x)) == values(gelu_tanh(x)));
  BOOST_TEST(values(nn::LeakyReLU()(x)) == values(leaky_relu(x, 0.01)));
  BOOST_TEST(values(nn::LeakyReLU(0.2)(x)) == values(leaky_relu(x, 0.2)));
  BOOST_TEST(values(nn::ELU(0.5)(x)) == values(elu(x, 0.5)));
  BOOST_TEST(values(nn::Softshrink()(x)) == values(softshrink(x)));
  BOOST_TEST(values(nn::Hardtanh()(x)) == values(hardtanh(x, -1, 1)));
  BOOST_TEST(values(nn::Hardtanh({.low = 0, .high = 0.7})(x)) == values(hardtanh(x, 0, 0.7)));
}

BOOST_AUTO_TEST_CASE(prelu_learns_its_slopes) {
  const nn::PReLU one, three({.channels = 3, .start = 0.5});
  BOOST_TEST(values(one(Tensor::from({-4, 2}))) == (std::vector<double>{-1, 2}));
  BOOST_TEST(values(three(Tensor::from({{-2, -4, 6}}))) == (std::vector<double>{-1, -2, 6}));
  Tape tape;
  const Tensor slopes = tape.gradient(sum(three(Tensor::from({{-2, -4, 6}}))), three.weight);
  BOOST_TEST(values(slopes) == (std::vector<double>{-2, -4, 0}));
}

BOOST_AUTO_TEST_CASE(embedding_looks_rows_up) {
  const nn::Embedding layer(5, 3), padded(5, 3, {.padding_idx = 2});
  const Tensor index = Tensor::from({{2, 0}, {2, 4}}, int64);
  BOOST_TEST((layer(index).shape() == Shape{2, 2, 3}));
  BOOST_TEST(values(select(layer(index), 0, 0)) == values(concat({narrow(layer.weight, 0, 2, 1), narrow(layer.weight, 0, 0, 1)})));
  BOOST_TEST(values(select(padded.weight, 0, 2)) == (std::vector<double>{0, 0, 0}));
  Tape tape;
  const Tensor gradient = tape.gradient(sum(padded(index)), padded.weight);
  BOOST_TEST(values(select(gradient, 0, 2)) == (std::vector<double>{0, 0, 0}));
  BOOST_TEST(values(select(gradient, 0, 4)) == (std::vector<double>{1, 1, 1}));
  BOOST_TEST(layer.label() == "Embedding(5, 3)");
  BOOST_CHECK_THROW(layer(Tensor::from({5}, int64)), ShapeError);
}

BOOST_AUTO_TEST_CASE(dropout_is_for_training_and_draws_from_its_own_stream) {
  const Tensor x = Tensor::ones({40, 50});
  Generator generator(3), same(3);
  nn::Dropout layer(0.5, generator);
  const nn::Dropout twin(0.5, same);
  const auto first = values(layer(x));
  BOOST_TEST(first == values(twin(x)));
  BOOST_TEST(first != values(layer(x)));
  layer.eval();
  BOOST_TEST(values(layer(x)) == values(x));
  BOOST_TEST(layer.label() == "Dropout(0.5)");
}

BOOST_AUTO_TEST_CASE(step_has_no_slope) {
  const nn::Step layer;
  BOOST_TEST(values(layer(Tensor::from({-2, -0.0, 0, 3}))) == (std::vector<double>{0, 1, 1, 1}));
  BOOST_TEST(std::isnan(layer(Tensor::full({}, std::nan(""))).item()));
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({-2, 0, 3}));
  BOOST_TEST(values(tape.gradient(sum(layer(x)), x)) == (std::vector<double>{0, 0, 0}));
}

// The perceptron by hand: both sides have the same step.
BOOST_AUTO_TEST_CASE(scalars_have_the_step_as_well) {
  Tape tape;
  const Scalar w = tape.variable(0.5);
  const Scalar below = step(w - 1), above = step(w);
  BOOST_TEST(below.value() == 0);
  BOOST_TEST(above.value() == 1);
  const Scalar both = below + above;
  BOOST_TEST(tape.gradient(both, w) == 0);
}

BOOST_AUTO_TEST_CASE(layers_visit_all_that_they_read) {
  const Tensor x = Tensor::from({{1, -2}, {0.5, 3}});
  check_layer(nn::Linear(2, 3), x);
  check_layer(nn::Linear(2, 3, {.bias = false}), x);
  check_layer(nn::Embedding(5, 3), Tensor::from({0, 4}, int64));
  check_layer(nn::Embedding(5, 3, {.padding_idx = 1}), Tensor::from({0, 4}, int64));
  check_layer(nn::Dropout(0.25), x);
  check_layer(nn::Flatten(), x);
  check_layer(nn::PReLU(), x);
  check_layer(nn::Identity(), x);
  check_layer(nn::Step(), x);
  check_layer(nn::ReLU(), x);
  check_layer(nn::ReLU6(), x);
  check_layer(nn::SELU(), x);
  check_layer(nn::SiLU(), x);
  check_layer(nn::Mish(), x);
  check_layer(nn::Sigmoid(), x);
  check_layer(nn::LogSigmoid(), x);
  check_layer(nn::Hardsigmoid(), x);
  check_layer(nn::Hardswish(), x);
  check_layer(nn::Tanh(), x);
  check_layer(nn::Softsign(), x);
  check_layer(nn::GELU(), x);
  check_layer(nn::LeakyReLU(), x);
  check_layer(nn::ELU(), x);
  check_layer(nn::Softplus(), x);
  check_layer(nn::Softshrink(), x);
  check_layer(nn::Hardtanh(), x);
  check_layer(nn::Softmax(), x);
  check_layer(nn::LogSoftmax(), x);
}

BOOST_AUTO_TEST_CASE(options_are_checked_where_the_layer_is_made) {
  const auto shape = [](auto&& make, const std::string& problem) {
    BOOST_TEST(begins_at(message_of<ShapeError>(make), "test_layers.cpp", ""));
    BOOST_TEST(contains(message_of<ShapeError>(make), problem));
  };
  const auto value = [](auto&& make, const std::string& problem) {
    BOOST_TEST(begins_at(message_of<ValueError>(make), "test_layers.cpp", ""));
    BOOST_TEST(contains(message_of<ValueError>(make), problem));
  };
  shape([] { nn::Linear(-1, 2); }, "Linear(-1, 2)");
  shape([] { nn::Linear(2, -1); }, ": out must be at least 0, but it is -1");
  shape([] { nn::Embedding(0, 3); }, ": rows must be at least 1, but it is 0");
  shape([] { nn::Embedding(2, -3); }, ": features must be at least 0, but it is -3");
  shape([] { nn::Embedding(2, 3, {.padding_idx = 2}); }, ": padding_idx must be in [0, 2), but it is 2");
  shape([] { nn::PReLU({.channels = 0}); }, ": PReLU: ");
  value([] { nn::Dropout(50); }, "p must be in [0, 1], but it is 50");
  value([] { nn::Dropout(-0.1); }, "Dropout(-0.1)");
  value([] { nn::Dropout(std::nan("")); }, "p must be in [0, 1]");
  value([] { nn::Softplus({.beta = 0}); }, "beta must be finite and not 0, but it is 0");
  value([] { nn::Softshrink(-1); }, "lambda must ");
  value([] { nn::Hardtanh({.low = 1, .high = 1}); }, "low must be less than high, but they are 1 and 1");
}

BOOST_AUTO_TEST_CASE(linear_takes_no_other_dtype_than_that_of_its_weight) {
  const nn::Linear layer(3, 4);
  const std::string message = message_of<DtypeError>([&] { static_cast<void>(layer(Tensor::zeros({5, 3}, float64))); });
  BOOST_TEST(begins_at(message, "test_layers.cpp", "Linear(3, 4): "));
  BOOST_TEST(contains(message, "weight of Linear(3, 4) (4, 3) float32"));
  BOOST_TEST(contains(message, "; hint: input.to(float32), or model.to(float64)"));
}

BOOST_AUTO_TEST_CASE(linear_says_if_a_flatten_is_missing) {
  const nn::Linear layer(784, 10);
  BOOST_TEST(contains(message_of<ShapeError>([&] {
                        static_cast<void>(layer(Tensor::zeros({64, 28, 28})));
                      }),
                      "; hint: flatten(input, 1), or a Flatten layer before this one"));
  BOOST_TEST(message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros({64, 28, 29}))); }).find("hint") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(flatten_merges_dimensions) {
  const Tensor x = Tensor::zeros({2, 3, 4, 5});
  BOOST_TEST((nn::Flatten()(x).shape() == Shape{2, 60}));
  BOOST_TEST((nn::Flatten(0, 1)(x).shape() == Shape{6, 4, 5}));
}
