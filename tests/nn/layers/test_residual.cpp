#include "nn/layers/residual.h"

#include <boost/test/unit_test.hpp>

#include "autodiff/autodiff.h"
#include "nn/layers/basic.h"
#include "nn/module/state.h"
#include "tests/support/derivatives.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::check_numbers, testing::contains, testing::message_of, testing::numbers;

BOOST_AUTO_TEST_CASE(the_input_is_added) {
  const Tensor x = Tensor::from({{1, -2, 3}});
  const nn::Linear linear(3, 3);
  const nn::Residual block(linear);
  check_numbers(numbers(block(x)), numbers(x + linear(x)));
  BOOST_TEST(nn::state(block)[0].name == "inner.weight");
  const nn::Residual of_lambda([](const Tensor& v) { return 2 * v; });
  check_numbers(numbers(of_lambda(x)), {3, -6, 9});
}

BOOST_AUTO_TEST_CASE(blocks_nest_in_a_sequential) {
  nn::Sequential model(nn::Residual(nn::Sequential(nn::Linear(3, 8), nn::Tanh(), nn::Linear(8, 3))), nn::Linear(3, 1));
  BOOST_TEST((model(Tensor::zeros({5, 3})).shape() == Shape{5, 1}));
  BOOST_TEST(nn::state(model)[0].name == "0.inner.0.weight");
  BOOST_TEST(model.parameters().size() == 6u);
}

BOOST_AUTO_TEST_CASE(a_residual_visits_all_that_it_reads) {
  const Tensor x = Tensor::from({{1, -2, 3}});
  testing::check_layer(nn::Residual(nn::Linear(3, 3)), x);
  testing::check_layer(nn::Sequential(nn::Residual(nn::Sequential(nn::Linear(3, 3), nn::Dropout())), nn::Linear(3, 1)), x);
}

BOOST_AUTO_TEST_CASE(the_inner_layer_must_keep_the_shape) {
  const nn::Residual block(nn::Linear(3, 1));
  const std::string told = message_of<ShapeError>([&] { block(Tensor::zeros({2, 3})); });
  BOOST_TEST(begins_at(told, "test_residual.cpp", "Residual: "));
  BOOST_TEST(contains(told, "result (2, 1) float32"));
}
