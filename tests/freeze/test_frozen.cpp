// Frozen functions, compared with the functions themselves.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <memory>
#include <vector>

#include "tests/freeze/models.h"
#include "tests/support/every_isa.h"
#include "tests/support/heap_calls.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

std::vector<float> elements(const Tensor& x) { return x.contiguous().to_vector<float>(); }

std::vector<float> run(Frozen& frozen, const Tensor& x) {
  std::vector<float> y(static_cast<std::size_t>(frozen.output().size()));
  frozen(elements(x), y);
  return y;
}

// The largest difference, in units of the largest element.
double difference(const std::vector<float>& y, const std::vector<float>& wanted) {
  BOOST_TEST_REQUIRE(y.size() == wanted.size());
  double most = 0, largest = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(y[i]) - static_cast<double>(wanted[i])));
    largest = std::max(largest, std::abs(static_cast<double>(wanted[i])));
  }
  return most / largest;
}

// Ten inputs; the bound is that of docs/inference.md.
constexpr double kBound = 1e-6;
template <class Model> void check_close(const Model& model, const Shape& input) {
  Frozen frozen = nn::freeze(model, input);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Tensor x = random_numbers(input, seed), y = model(x);
    BOOST_TEST(frozen.output() == y.shape());
    BOOST_TEST(difference(run(frozen, x), elements(y)) <= kBound);
  }
}

template <class Model> Model evaluating(Model model) {
  model.eval();
  return model;
}

// To the bit, for functions without layers.
template <class F> void check_same(const F& f, const Shape& input) {
  Frozen frozen = freeze(f, input);
  const Tensor x = random_numbers(input, 3), y = f(x);
  BOOST_TEST(frozen.output() == y.shape());
  BOOST_TEST(run(frozen, x) == elements(y), boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_CASE(networks_are_close_for_one_row_on_every_instruction_set) {
  on_every_isa([] {
    check_close(mlp(), {1, 8});
    check_close(evaluating(Cnn(1)), {1, 1, 12, 12});
    check_close(Block(1), {1, 4, 8});
    Generator g(5);
    check_close(nn::Residual(nn::Sequential{nn::Linear(8, 8, {}, g), nn::ReLU(), nn::Linear(8, 8, {}, g)}), {1, 8});
    check_close(nn::Linear(64, 64, {}, g), {1, 64});
    check_close(nn::Linear(300, 70, {.bias = false}, g), {1, 300});
  });
}

// With more rows the library takes the sums in order, too.
BOOST_AUTO_TEST_CASE(a_frozen_network_has_the_bits_of_the_network_in_a_batch) {
  on_every_isa([] {
    const auto model = mlp();
    Frozen one = nn::freeze(model, {1, 8}), all = nn::freeze(model, {24, 8});
    const Tensor x = random_numbers({24, 8}, 2), y = model(x);
    std::vector<float> rows;
    for (Index row = 0; row < 24; ++row) rows.push_back(one(elements(narrow(x, 0, row, 1)))[0]);
    BOOST_TEST(rows == elements(y), boost::test_tools::per_element());
    BOOST_TEST(run(all, x) == elements(y), boost::test_tools::per_element());
  });
}

BOOST_AUTO_TEST_CASE(cells_keep_their_states_until_they_are_reset) {
  on_every_isa([] {
    Generator g(7);
    const auto check = [&](const auto& cell, auto state, const auto& output) {
      Frozen frozen = nn::freeze(cell, {1, 3});
      std::vector<float> first;
      for (int t = 0; t < 50; ++t) {
        const Tensor x = random_numbers({1, 3}, static_cast<std::uint64_t>(t));
        state = cell(x, state);
        const std::vector<float> y = run(frozen, x);
        if (t == 0) first = y;
        BOOST_TEST(difference(y, elements(output(state))) <= 2 * kBound);
      }
      frozen.reset();
      BOOST_TEST(run(frozen, random_numbers({1, 3}, 0)) == first, boost::test_tools::per_element());
    };
    check(nn::RNNCell(3, 20, {}, g), Tensor(), [](const Tensor& h) { return h; });
    check(nn::GRUCell(3, 20, {}, g), Tensor(), [](const Tensor& h) { return h; });
    check(nn::LSTMCell(3, 20, {}, g), LstmState(), [](const LstmState& s) { return s.h; });
  });
}

BOOST_AUTO_TEST_CASE(a_model_with_a_state) {
  const Amplifier model(3);
  Frozen frozen = nn::freeze<LstmState>(model, {1, 1});
  LstmState state;
  for (int t = 0; t < 100; ++t) {
    const Tensor x = random_numbers({1, 1}, static_cast<std::uint64_t>(t)), y = model(x, state);
    BOOST_TEST(std::abs(static_cast<double>(frozen(elements(x))[0] - elements(y)[0])) <= 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(states_may_be_exchanged_and_returned) {
  // A delay of two samples: its states move on, and the result is what a state was before.
  using Delay = std::array<Tensor, 2>;
  const auto start = [](const Tensor& x, Delay& d) {
    for (Tensor& t : d)
      if (!t.defined()) t = Tensor::zeros(x.shape());
  };
  Frozen frozen = freeze<Delay>(
      [&](const Tensor& x, Delay& d) {
        start(x, d);
        const Tensor y = d[1];
        d[1] = d[0];
        d[0] = x;
        return y;
      },
      {1});
  std::vector<float> heard;
  for (float v = 1; v <= 5; ++v) heard.push_back(frozen(std::array{v})[0]);
  BOOST_TEST(heard == (std::vector<float>{0, 0, 1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(sequences_of_recurrent_layers) {
  Generator g(2);
  const auto check = [](auto&& model) {
    model.eval();
    const auto f = [&](const Tensor& x) { return model(x).output; };
    for (const Index n : {1, 3}) {
      Frozen frozen = freeze(f, {6, n, 3});
      const Tensor x = random_numbers({6, n, 3}, 4);
      BOOST_TEST(difference(run(frozen, x), elements(f(x))) <= kBound);
    }
  };
  const nn::RecurrentLayerOptions options{.layers = 2, .bidirectional = true};
  check(nn::LSTM(3, 10, options, g));
  check(nn::GRU(3, 10, options, g));
  check(nn::GRU(3, 10, {.bias = false}, g));
  check(nn::RNN(3, 10, options, g));
  check(nn::RNN(3, 10, nn::Nonlinearity::relu, {.layers = 2, .bias = false}, g));
}

BOOST_AUTO_TEST_CASE(elementwise_operations_and_movements_have_the_same_bits) {
  on_every_isa([] {
    const Tensor row = random_numbers({5}, 1), column = random_numbers({4, 1}, 2), full = random_numbers({4, 5}, 6);
    check_same([](const Tensor& x) { return sigmoid(x) + tanh(x) * exp(x) - silu(x) / (2 + gelu(x)); }, {4, 50});
    check_same([](const Tensor& x) { return elu(x, 0.5) + leaky_relu(x, 0.2) + softplus(x, 2) + clamp(x, -0.3, 0.4) + hardtanh(x); }, {7});
    check_same([](const Tensor& x) { return sin(1e7 * x) + cos(x) + erf(x) + log(x + 1.5) + atan(x) + pow(x + 2, x); }, {33});
    check_same([&](const Tensor& x) { return (x + row) * column - full / (x * x + 1); }, {4, 5});
    check_same([](const Tensor& x) { return x * sigmoid(select(x, 0, 1)) + narrow(x, 1, 0, 1); }, {4, 5});
    check_same([](const Tensor& x) { return concat({transpose(x, 0, 1), Tensor::full({5, 2}, 1.5), reshape(x, {5, 4})}, 1); }, {4, 5});
    check_same([](const Tensor& x) { return flip(pad(slice(x, 1, 0, 5, 2), {1, 0}, {0, 2}, 3), {1}); }, {4, 5});
    check_same([](const Tensor& x) { return index_select(permute(x, {2, 0, 1}), 0, Tensor::from({4, 0, 4}, int64)); }, {2, 3, 5});
    check_same([](const Tensor& x) { return max_pool1d(avg_pool1d(x, 3, {.padding = 1}), 2); }, {1, 3, 12});
    check_same([](const Tensor& x) { return max_pool2d(x, 3, {.stride = 2, .padding = 1, .dilation = 1}); }, {2, 3, 9, 8});
    check_same([](const Tensor& x) { return log_softmax(x, 1) + softmax(x, 0); }, {6, 9});
    check_same([](const Tensor& x) { return reshape(x, {5, 4}); }, {4, 5});
    check_same([](const Tensor& x) { return sum(x, {0, 2}) + mean(x, {0, 2}); }, {3, 4, 5});
  });
}

BOOST_AUTO_TEST_CASE(convolutions_have_the_same_bits) {
  on_every_isa([] {
    Generator g(9);
    const nn::Conv2d plain(3, 8, 3, {.stride = 2, .padding = 1, .groups = 1}, g), grouped(4, 8, {3, 1}, {.groups = 2}, g);
    const nn::Conv1d line(2, 4, 5, {.padding = 2}, g);
    const nn::Conv2d direct(16, 16, 3, {.padding = 1}, g);
    check_same([&](const Tensor& x) { return plain(x); }, {1, 3, 11, 9});
    check_same([&](const Tensor& x) { return grouped(x); }, {2, 4, 6, 6});
    check_same([&](const Tensor& x) { return line(x); }, {1, 2, 20});
    check_same([&](const Tensor& x) { return direct.with_relu(x, 2); }, {1, 16, 8, 8});
    check_same([&](const Tensor& x) { return direct.with_relu(x); }, {1, 16, 8, 8});
    // One step where nothing else reads the convolution's result, as in the network.
    const nn::Sequential image{nn::Conv2d(1, 16, 5, {}, g), nn::ReLU(), nn::MaxPool2d(2)};
    check_same([&](const Tensor& x) { return image(x); }, {1, 1, 12, 12});
    check_same(
        [&](const Tensor& x) {
          const Tensor z = direct(x), y = relu(z);
          return max_pool2d(y, 2) + avg_pool2d(z, 2) + avg_pool2d(y, 2);
        },
        {1, 16, 8, 8});
  });
}

BOOST_AUTO_TEST_CASE(x_and_y_may_be_the_same_memory_and_y_is_not_written_beyond) {
  Generator g(4);
  const nn::Linear model(5, 5, {}, g);
  Frozen frozen = nn::freeze(model, {1, 5});
  const Tensor x = random_numbers({1, 5}, 1);
  const std::vector<float> wanted = run(frozen, x);
  std::vector<float> both = elements(x);
  both.push_back(9);
  frozen(std::span<const float>(both).first(5), std::span(both).first(5));
  BOOST_TEST(std::equal(wanted.begin(), wanted.end(), both.begin()));
  BOOST_TEST(both[5] == 9);
}

BOOST_AUTO_TEST_CASE(copies_are_independent_and_outlive_the_original) {
  const Amplifier model(3);
  auto frozen = std::make_unique<Frozen>(nn::freeze<LstmState>(model, {1, 1}));
  const std::array x{0.5f};
  static_cast<void>((*frozen)(x));
  Frozen copy = *frozen;
  const float second = (*frozen)(x)[0];
  static_cast<void>((*frozen)(x));
  frozen.reset();
  BOOST_TEST(copy(x)[0] == second);
}

BOOST_AUTO_TEST_CASE(training_the_model_does_not_change_what_was_frozen) {
  auto model = mlp();
  Frozen frozen = nn::freeze(model, {1, 8});
  const Tensor x = random_numbers({1, 8}, 1);
  const std::vector<float> before = run(frozen, x), then = elements(model(x));
  optim::SGD sgd(model.parameters(), {.lr = 0.1});
  {
    Tape tape;
    sgd.step(tape.gradient(sum(square(model(x))), model.parameters()));
  }
  BOOST_TEST(elements(model(x)) != then);
  BOOST_TEST(run(frozen, x) == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(freezing_disturbs_no_tape) {
  Tape tape;
  const Tensor x = tape.variable(random_numbers({1, 8}, 1));
  const auto model = mlp();
  const Tensor y = sum(model(x));
  const std::size_t nodes = tape.nodes();
  static_cast<void>(nn::freeze(model, {1, 8}));
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST(tape.gradient(y, x).shape() == x.shape());
}

BOOST_AUTO_TEST_CASE(calls_allocate_nothing, *boost::unit_test::enable_if<!kSanitizer>()) {
  const auto check = [](Frozen frozen) {
    const std::vector<float> x(static_cast<std::size_t>(frozen.input().size()), 0.5f);
    std::vector<float> y(static_cast<std::size_t>(frozen.output().size()));
    BOOST_TEST(heap_calls([&] { frozen(x, y); }, 100) == 0);
  };
  Generator g(1);
  check(nn::freeze(mlp(), {1, 8}));
  check(nn::freeze(evaluating(Cnn(1)), {1, 1, 12, 12}));
  check(nn::freeze<LstmState>(Amplifier(1), {1, 1}));
  check(nn::freeze(nn::GRUCell(3, 20, {}, g), {1, 3}));
  check(nn::freeze(Block(1), {1, 4, 8}));
}

BOOST_AUTO_TEST_CASE(wrong_sizes_are_refused) {
  Frozen frozen = nn::freeze(mlp(), {1, 8});
  std::vector<float> y(1), wrong(7);
  const std::string input = message_of<ShapeError>([&] { frozen(wrong, y); });
  BOOST_TEST(contains(input, "freeze: the input has 7 elements, but the function was frozen for (1, 8), which has 8"));
  const std::string output = message_of<ShapeError>([&] { frozen(std::vector<float>(8), wrong); });
  BOOST_TEST(contains(output, "freeze: the output has 7 elements, but the function was frozen for (1, 1), which has 1"));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_frozen_is_named) {
  const auto refusal = [](const auto& f) { return message_of<ValueError>([&] { static_cast<void>(freeze(f, {3, 3})); }); };
  BOOST_TEST(contains(refusal([](const Tensor& x) { return cumsum(x, 0); }), "test_frozen.cpp"));
  BOOST_TEST(contains(refusal([](const Tensor& x) { return cumsum(x, 0); }), "cumsum has no frozen form"));
  BOOST_TEST(contains(refusal([](const Tensor& x) { return x * x(0, 0); }), "computes with Scalars"));
  BOOST_TEST(contains(refusal([](const Tensor& x) { return linear(x, x); }), "operand 2 of linear depends on the function's input"));
  // Masks, branches and random numbers show on another input.
  BOOST_TEST(contains(refusal([](const Tensor& x) { return x * (x > 0).to(float32); }), "on another input the function computes"));
  BOOST_TEST(contains(refusal([](const Tensor& x) { return sum(x.constant()).item() > 0 ? x : -x; }), "on another input"));
  Generator g(1);
  BOOST_TEST(contains(refusal([&](const Tensor& x) { return x + g.normal({3, 3}); }), "on another input"));
  BOOST_TEST(
      contains(message_of<DtypeError>([] { static_cast<void>(freeze([](const Tensor& x) { return x.to(float64); }, {2})); }), "float32"));
  BOOST_TEST(contains(message_of<ShapeError>([] { static_cast<void>(nn::freeze(mlp(), {0, 8})); }), "has no elements"));
  const auto forgets = [](const Tensor& x, Tensor&) { return x; };
  BOOST_TEST(contains(message_of<ValueError>([&] { static_cast<void>(freeze<Tensor>(forgets, {2})); }), "still undefined"));
}

BOOST_AUTO_TEST_CASE(layers_in_training_mode_are_refused) {
  Generator g(1);
  nn::Sequential model{nn::Linear(4, 4, {}, g), nn::Dropout(0.5, g)};
  const std::string text = message_of<ValueError>([&] { static_cast<void>(nn::freeze(model, {1, 4})); });
  BOOST_TEST(contains(text, "Dropout(0.5) is in training mode; hint: model.eval()"));
  model.eval();
  BOOST_TEST(nn::freeze(model, {1, 4}).output() == (Shape{1, 4}));
  BOOST_TEST(!model.training());
}
