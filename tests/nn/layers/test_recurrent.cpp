#include "nn/layers/recurrent.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/autodiff.h"
#include "nn/layers/basic.h"
#include "nn/losses.h"
#include "nn/module/state.h"
#include "optim/optim.h"
#include "tests/support/derivatives.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::check_numbers, testing::contains, testing::message_of, testing::numbers, testing::names_of,
    testing::random_numbers, testing::check_layer;

BOOST_AUTO_TEST_CASE(names_and_shapes_are_those_of_pytorch) {
  const nn::LSTM layer(3, 5, {.layers = 2, .bidirectional = true});
  const std::vector<std::string> expected{"weight_ih_l0",         "weight_hh_l0",         "bias_ih_l0",         "bias_hh_l0",
                                          "weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse",
                                          "weight_ih_l1",         "weight_hh_l1",         "bias_ih_l1",         "bias_hh_l1",
                                          "weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse"};
  BOOST_TEST(names_of(layer) == expected, boost::test_tools::per_element());
  const auto state = nn::state(layer);
  BOOST_TEST((state[0].value.shape() == Shape{20, 3}));
  BOOST_TEST((state[8].value.shape() == Shape{20, 10}));
  BOOST_TEST((state[9].value.shape() == Shape{20, 5}));
  BOOST_TEST((names_of(nn::GRU(2, 2, {.bias = false})) == std::vector<std::string>{"weight_ih_l0", "weight_hh_l0"}));
  BOOST_TEST((names_of(nn::LSTMCell(2, 2)) == std::vector<std::string>{"weight_ih", "weight_hh", "bias_ih", "bias_hh"}));
  BOOST_TEST((nn::GRUCell(2, 4).weights.weight_ih.shape() == Shape{12, 2}));
  BOOST_TEST(nn::LSTMCell(2, 3).label() == "LSTMCell(2, 3)");
  BOOST_TEST(layer.label() == "LSTM(3, 5)");
}

BOOST_AUTO_TEST_CASE(weights_start_uniform_between_plus_and_minus_the_inverse_root_of_hidden) {
  Generator generator(2), again(2);
  const nn::LSTM layer(50, 100, {}, generator);
  for (const auto& entry : nn::state(layer)) {
    const auto v = numbers(entry.value);
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    BOOST_TEST((*low >= -0.1 && *high < 0.1 && *low < -0.095 && *high > 0.095));
  }
  BOOST_TEST(numbers(nn::LSTM(50, 100, {}, again).weights[0].bias_hh.value()) == numbers(layer.weights[0].bias_hh.value()));
}

// float32: a layer adds up the products of a step in another order than a cell.
BOOST_AUTO_TEST_CASE(a_cell_step_by_step_is_the_layer) {
  constexpr double tolerance = 1e-6;
  const Tensor x = random_numbers({4, 2, 3}, 1);
  const nn::LSTM layer(3, 5);
  nn::LSTMCell cell(3, 5);
  cell.weights = layer.weights[0];
  nn::LstmState state;
  for (Index t = 0; t < 4; ++t) state = cell(select(x, 0, t), state);
  const nn::LstmSequence whole = layer(x);
  check_numbers(numbers(select(whole.output, 0, 3)), numbers(state.h), tolerance);
  check_numbers(numbers(select(whole.state.c, 0, 0)), numbers(state.c), tolerance);

  const nn::GRU gru_layer(3, 5);
  nn::GRUCell gru_step(3, 5);
  gru_step.weights = gru_layer.weights[0];
  check_numbers(numbers(gru_layer(narrow(x, 0, 0, 1)).h), numbers(gru_step(select(x, 0, 0))), tolerance);

  const nn::RNN rnn_layer(3, 5, nn::Nonlinearity::relu);
  nn::RNNCell rnn_step(3, 5, nn::Nonlinearity::relu);
  rnn_step.weights = rnn_layer.weights[0];
  check_numbers(numbers(rnn_layer(narrow(x, 0, 0, 1)).h), numbers(rnn_step(select(x, 0, 0))), tolerance);
}

// Symbols in one-hot rows are looked up instead of multiplied with; one row that is none makes everything a product.
BOOST_AUTO_TEST_CASE(one_hot_symbols_give_what_products_give) {
  constexpr Index steps = 5, n = 3, symbols = 7;
  for (const bool bidirectional : {false, true}) {
    const nn::LSTM layer(symbols, 6, {.bidirectional = bidirectional});
    Tensor one_hot = Tensor::zeros({steps, n, symbols}, float32);
    for (Index row = 0; row < steps * n; ++row) one_hot.mutable_data<float>()[row * symbols + (row * row + 1) % symbols] = 1;
    const Tensor other = concat({one_hot, Tensor::full({steps, 1, symbols}, 0.5, float32)}, 1);

    const auto results = [&](const Tensor& x) {
      Tape tape;
      const Tensor output = narrow(layer(x).output, 1, 0, n);
      std::vector<testing::Numbers> gradients;
      for (const Tensor& g : tape.gradient(sum(square(output)), layer.parameters())) gradients.push_back(numbers(g));
      return std::pair(numbers(output), gradients);
    };
    const auto [looked_up, gradients] = results(one_hot);
    const auto [multiplied, expected] = results(other);
    BOOST_TEST(looked_up == multiplied, boost::test_tools::per_element());
    for (std::size_t i = 0; i < expected.size(); ++i) check_numbers(gradients[i], expected[i], 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_reach_every_symbol) {
  nn::LSTM layer(3, 2);
  Tensor weight = Tensor::zeros({8, 3}, float32);
  weight.mutable_data<float>()[0] = std::numeric_limits<float>::infinity();  // of symbol 0 alone
  layer.weights[0].weight_ih.set(weight);
  const Tensor x = Tensor::from({0, 1, 0}, float32);
  BOOST_TEST(std::isnan(numbers(layer(reshape(x, {1, 1, 3})).output)[0]));
}

BOOST_AUTO_TEST_CASE(options_reach_the_operation) {
  const Tensor x = random_numbers({2, 4, 3}, 1), lengths = Tensor::from({4, 2}, int64);
  const nn::GRU layer(3, 5, {.layers = 2, .batch_first = true, .bidirectional = true});
  const nn::Sequence s = layer(x, {}, lengths);
  BOOST_TEST((s.output.shape() == Shape{2, 4, 10}));
  BOOST_TEST((s.h.shape() == Shape{4, 2, 5}));
  check_numbers(numbers(narrow(select(s.output, 0, 1), 0, 2, 2)), testing::Numbers(20, 0));
}

BOOST_AUTO_TEST_CASE(dropout_between_layers_is_for_training) {
  const Tensor x = random_numbers({3, 2, 2}, 1);
  nn::LSTM layer(2, 16, {.layers = 2, .dropout = 0.5});
  const auto first = numbers(layer(x).output), second = numbers(layer(x).output);
  BOOST_TEST((first != second));
  layer.eval();
  BOOST_TEST((numbers(layer(x).output) == numbers(layer(x).output)));
}

BOOST_AUTO_TEST_CASE(assignment_keeps_the_identity_of_parameters) {
  nn::GRU layer(2, 3), other(2, 3);
  const auto* const before = layer.parameters()[0].get();
  layer = other;
  BOOST_TEST(layer.parameters()[0].get() == before);
  check_numbers(numbers(layer.weights[0].weight_ih.value()), numbers(other.weights[0].weight_ih.value()));
}

// The sum of the first and the last number of a sequence: the state must carry one of them to the end.
BOOST_AUTO_TEST_CASE(an_lstm_learns_to_remember) {
  struct Model : nn::Module {
    Generator start{3};
    nn::LSTM lstm{1, 12, {}, start};
    nn::Linear head{12, 1, {}, start};
    Tensor operator()(const Tensor& x) const { return head(select(lstm(x).output, 0, -1)); }
    void visit(nn::Visitor& v) override {
      v("lstm", lstm);
      v("head", head);
    }
  } model;
  const Tensor x = random_numbers({6, 32, 1}, 5), target = select(x, 0, 0) + select(x, 0, 5);
  optim::Adam adam(model.parameters(), {.lr = 0.02});
  double loss = 0;
  for (int step = 0; step < 150; ++step) {
    Tape tape;
    const Tensor error = nn::mse(model(x), target);
    loss = error.item();
    adam.step(tape.gradient(error, model.parameters()));
  }
  BOOST_TEST(loss < 0.01);
}

BOOST_AUTO_TEST_CASE(layers_visit_all_that_they_read) {
  const Tensor x = random_numbers({4, 2, 3}, 1), row = random_numbers({2, 3}, 2), lengths = Tensor::from({4, 2}, int64);
  check_layer(nn::RNN(3, 5, nn::Nonlinearity::relu, {.bias = false}), x);
  check_layer(nn::GRU(3, 5, {.layers = 2, .bidirectional = true}), x, Tensor(), lengths);
  check_layer(nn::LSTM(3, 5, {.layers = 2, .dropout = 0.5}), x);
  check_layer(nn::RNNCell(3, 5, {.bias = false}), row);
  check_layer(nn::GRUCell(3, 5), row);
  check_layer(nn::LSTMCell(3, 5), row);
}

BOOST_AUTO_TEST_CASE(sizes_that_make_no_layer_are_refused) {
  const std::string message = message_of<ShapeError>([] { nn::LSTM(0, 3); });
  BOOST_TEST(begins_at(message, "test_recurrent.cpp", "LSTM(0, 3): "));
  BOOST_TEST(contains(message, ": in must be at least 1, but it is 0"));
  BOOST_CHECK_THROW(nn::GRUCell(3, 0), ShapeError);
  BOOST_CHECK_THROW(nn::RNN(3, 3, {.layers = 0}), ShapeError);
  const nn::LSTM layer(3, 4);
  const std::string features = message_of<ShapeError>([&] { layer(Tensor::zeros({5, 2, 2})); });
  BOOST_TEST(contains(features, "test_recurrent.cpp:176: LSTM(3, 4): the input must be (t, n, 3): input (5, 2, 2) float32"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { layer(Tensor::zeros({5, 3, 2})); }), "; hint: transpose(input, 1, 2)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { layer(Tensor::zeros({5, 3})); }), "; hint: unsqueeze(input, 1)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::GRUCell(3, 4)(Tensor::zeros({3})); }),
                      "the input must be (n, 3): input (3,) float32 made at test_recurrent.cpp"));
  BOOST_CHECK_THROW(nn::LSTMCell(2, 2)(Tensor::zeros({})), ShapeError);
  const std::string dtypes = message_of<DtypeError>([&] { layer(Tensor::zeros({5, 2, 3}, float64)); });
  BOOST_TEST(begins_at(dtypes, "test_recurrent.cpp", "LSTM(3, 4): "));
  BOOST_TEST(contains(dtypes, "weight_ih_l0 of LSTM(3, 4)"));
}

BOOST_AUTO_TEST_CASE(nothing_behind_the_end_of_a_sequence_is_seen) {
  Tensor x = random_numbers({3, 2, 2}, 1);
  const Tensor lengths = Tensor::from({3, 2}, int64);
  const nn::LSTM layer(2, 4);
  const auto gradient_of = [&](const Tensor& input) {
    Tape tape;
    return numbers(tape.gradient(sum(square(layer(input, {}, lengths).output)), layer.parameters())[0]);
  };
  const auto expected = gradient_of(x);
  x.mutable_data<float>()[(2 * 2 + 1) * 2] = NAN;  // step 2 of the sequence that has two
  check_numbers(gradient_of(x), expected);
}

BOOST_AUTO_TEST_CASE(a_dropout_that_is_no_probability_is_refused) {
  for (const double p : {2.0, -0.5}) BOOST_CHECK_THROW(nn::LSTM(2, 4, {.dropout = p}), ValueError);
}
