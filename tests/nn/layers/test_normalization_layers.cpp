#include "nn/layers/normalization.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "nn/module/state.h"
#include "tests/support/derivatives.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::check_numbers, testing::contains, testing::message_of, testing::Numbers, testing::numbers,
    testing::names_of, testing::random_numbers, testing::check_layer;

BOOST_AUTO_TEST_CASE(layers_are_their_operations) {
  const Tensor x = random_numbers({3, 4, 5}, 1);
  nn::LayerNorm layer({4, 5}, {.eps = 0.1});
  layer.weight = random_numbers({4, 5}, 2);
  layer.bias = random_numbers({4, 5}, 3);
  check_numbers(numbers(layer(x)), numbers(layer_norm(x, {4, 5}, {.weight = layer.weight, .bias = layer.bias, .eps = 0.1})));
  nn::GroupNorm group(2, 4);
  group.weight = random_numbers({4}, 4);
  check_numbers(numbers(group(x)), numbers(group_norm(x, 2, {.weight = group.weight, .bias = group.bias})));
  check_numbers(numbers(nn::LayerNorm(5, {.affine = false})(x)), numbers(layer_norm(x, {5})));
  BOOST_TEST(nn::LayerNorm(5, {.affine = false}).parameters().empty());
  BOOST_TEST(nn::LayerNorm(5, {.bias = false}).parameters().size() == 1u);
  BOOST_TEST(nn::GroupNorm(2, 4, {.affine = false}).parameters().empty());
}

BOOST_AUTO_TEST_CASE(batch_norm_trains_by_the_batch_and_evaluates_by_what_it_has_seen) {
  nn::BatchNorm1d layer(2, {.momentum = 0.5});
  const Tensor x = Tensor::from({{1, 10}, {3, 30}});
  check_numbers(numbers(layer(x)), {-1, -1, 1, 1}, 1e-4);
  check_numbers(numbers(layer.running_mean), {1, 10});
  check_numbers(numbers(layer.running_var), {1.5, 100.5});
  BOOST_TEST(layer.num_batches_tracked.item() == 1);
  layer.eval();
  const Numbers mean = numbers(layer.running_mean);
  const Tensor y = layer(Tensor::from({{1, 10}}));
  check_numbers(numbers(y), {0, 0});
  check_numbers(numbers(layer.running_mean), mean);
  const nn::BatchNorm1d& fixed = layer;
  check_numbers(numbers(fixed(Tensor::from({{1, 10}}))), {0, 0});
}

BOOST_AUTO_TEST_CASE(running_statistics_are_state_and_not_trained) {
  const nn::BatchNorm2d layer(3);
  BOOST_TEST((names_of(layer) == std::vector<std::string>{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}));
  BOOST_TEST(layer.parameters().size() == 2u);
  const nn::BatchNorm2d bare(3, {.affine = false, .running_stats = false});
  BOOST_TEST(names_of(bare).empty());
}

BOOST_AUTO_TEST_CASE(without_running_statistics_evaluation_takes_the_batch) {
  nn::BatchNorm1d layer(2, {.running_stats = false});
  const Tensor x = random_numbers({4, 2, 3}, 1);
  const Numbers trained = numbers(layer(x));
  layer.eval();
  check_numbers(numbers(layer(x)), trained);
}

BOOST_AUTO_TEST_CASE(copies_of_a_batch_norm_go_their_own_ways) {
  nn::BatchNorm1d layer(2), copy = layer;
  layer(random_numbers({4, 2}, 1));
  BOOST_TEST(copy.num_batches_tracked.item() == 0);
  check_numbers(numbers(copy.running_mean), {0, 0});
  copy = layer;
  check_numbers(numbers(copy.running_mean), numbers(layer.running_mean));
}

BOOST_AUTO_TEST_CASE(a_batch_norm_in_float64) {
  nn::BatchNorm1d layer(2);
  layer.to(float64);
  const Tensor x = random_numbers({4, 2}, 1).to(float64);
  BOOST_TEST((layer(x).dtype() == float64));
  BOOST_TEST((layer.running_var.dtype() == float64));
  BOOST_TEST((layer.num_batches_tracked.dtype() == int64));
}

BOOST_AUTO_TEST_CASE(normalisation_layers_name_themselves_in_errors) {
  nn::BatchNorm2d two(3);
  nn::BatchNorm1d one(3);
  const auto told = [](auto&& f) { return message_of<ShapeError>(f); };
  BOOST_TEST(begins_at(told([&] { two(Tensor::zeros({4, 3})); }), "test_normalization_layers.cpp", "BatchNorm2d(3): "));
  BOOST_TEST(contains(told([&] { two(Tensor::zeros({4, 3})); }), "the input must be (n, 3, height, width): input (4, 3) float32"));
  BOOST_TEST(contains(told([&] { one(Tensor::zeros({4, 2})); }), "the input must be (n, 3) or (n, 3, length)"));
  BOOST_TEST(contains(told([&] { one(Tensor::zeros({4, 3, 2, 2})); }), "BatchNorm1d(3)"));
  BOOST_TEST(contains(told([&] { nn::GroupNorm(2, 3); }), "GroupNorm(2, 3)"));
  BOOST_TEST(begins_at(told([&] { nn::GroupNorm(2, 4)(Tensor::zeros({2, 6})); }), "test_normalization_layers.cpp", "GroupNorm(2, 4): "));
  BOOST_TEST(contains(told([&] { nn::LayerNorm(4)(Tensor::zeros({2, 6})); }), "layer_norm: the input (2, 6)"));
  BOOST_TEST(contains(told([&] { two(Tensor::zeros({4, 8, 8, 3})); }), "; hint: permute(input, {0, 3, 1, 2})"));
  BOOST_TEST(contains(told([&] { one(Tensor::zeros({4, 8, 3})); }), "; hint: transpose(input, 1, 2)"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { one(Tensor::zeros({4, 3}, float64)); }), "weight of BatchNorm1d(3)"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { nn::LayerNorm(4)(Tensor::zeros({2, 4}, float64)); }), ": LayerNorm((4,)): "));
  BOOST_TEST(contains(message_of<DtypeError>([&] { nn::GroupNorm(2, 4)(Tensor::zeros({2, 4}, float64)); }), ": GroupNorm(2, 4): "));
  const nn::BatchNorm1d fixed(3);
  BOOST_TEST(contains(message_of<Error>([&] { fixed(Tensor::zeros({4, 3})); }), "call eval()"));
}

BOOST_AUTO_TEST_CASE(layers_visit_all_that_they_read) {
  const Tensor rows = random_numbers({4, 6}, 1), images = random_numbers({4, 6, 3, 2}, 2);
  check_layer(nn::LayerNorm(6), rows);
  check_layer(nn::LayerNorm(6, {.bias = false}), rows);
  check_layer(nn::GroupNorm(3, 6), images);
  check_layer(nn::BatchNorm1d(6), rows);
  check_layer(nn::BatchNorm1d(6, {.affine = false, .running_stats = false}), rows);
  check_layer(nn::BatchNorm2d(6), images);
}

BOOST_AUTO_TEST_CASE(options_are_checked_where_the_layer_is_made) {
  const auto value = [](auto&& make, const std::string& problem) {
    BOOST_TEST(begins_at(message_of<ValueError>(make), "test_normalization_layers.cpp", ""));
    BOOST_TEST(contains(message_of<ValueError>(make), problem));
  };
  value([] { nn::LayerNorm(4, {.eps = -1}); }, "LayerNorm((4,))");
  value([] { nn::GroupNorm(2, 4, {.eps = -1}); }, "eps must ");
  value([] { nn::BatchNorm1d(4, {.eps = -1}); }, "eps must ");
  value([] { nn::BatchNorm1d(4, {.momentum = 1.5}); }, "momentum must be in [0, 1], but it is 1.5");
  const std::string groups = message_of<ShapeError>([] { nn::GroupNorm(2, 3); });
  BOOST_TEST(begins_at(groups, "test_normalization_layers.cpp", "GroupNorm(2, 3): "));
  BOOST_TEST(contains(groups, "groups = 2 must divide the channels, and 3 is not a multiple of it"));
  BOOST_CHECK_THROW(nn::BatchNorm2d(-1), ShapeError);
  BOOST_CHECK_THROW(nn::GroupNorm(0, 4), ShapeError);
}
