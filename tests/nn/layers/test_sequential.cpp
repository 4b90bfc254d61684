#include "nn/layers/sequential.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "nn/nn.h"
#include "optim/optim.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::check_layer, testing::message_of, testing::random_numbers;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

nn::Sequential mlp() { return nn::Sequential(nn::Linear(2, 3), nn::Tanh(), nn::Linear(3, 1)); }

Tensor twice(const Tensor& x) { return 2 * x; }

// Counts its calls: its operator() is not const.
struct Counter : nn::Stateless {
  int calls = 0;
  Tensor operator()(const Tensor& x) {
    ++calls;
    return x;
  }
};

// Adds where it was called: it wants to know the caller's line.
struct Line : nn::Stateless {
  Tensor operator()(const Tensor& x, Location site = Location::here()) const { return x + site.line; }
};

struct Block : nn::Sequential {
  Block() : nn::Sequential(nn::Linear(2, 2), nn::ReLU()) {}
};

const Tensor x = Tensor::from({{1, 2}, {-3, 4}});

}  // namespace

BOOST_AUTO_TEST_CASE(layers_follow_each_other) {
  nn::Sequential model = mlp();
  const Tensor expected = model.layer<nn::Linear>(2)(tanh(model.layer<nn::Linear>(0)(x)));
  BOOST_TEST(values(model(x)) == values(expected));
  BOOST_TEST(values(std::as_const(model)(x)) == values(expected));
  BOOST_TEST(values(nn::Sequential()(x)) == values(x));
}

BOOST_AUTO_TEST_CASE(neighbours_that_run_as_one_operation_give_what_they_give_one_by_one) {
  nn::Sequential model(nn::Linear(2, 5), nn::ReLU(), nn::Linear(5, 4, {.bias = false}), nn::ReLU(), nn::ReLU(), nn::Linear(4, 1));
  const auto records = [](auto&& run) {
    Tape tape;
    const Tensor y = run();
    const std::size_t nodes = tape.nodes();
    return std::pair(nodes, values(y));
  };
  const auto fused = records([&] { return model(x); });
  const auto one_by_one = records([&] {
    Tensor y = x;
    for (std::size_t i = 0; i < model.size(); ++i) y = model.call(i, y);
    return y;
  });
  BOOST_TEST(fused.second == one_by_one.second, boost::test_tools::tolerance(1e-6) << boost::test_tools::per_element());
  BOOST_TEST(fused.first == 4u);
  BOOST_TEST(one_by_one.first == 6u);
  BOOST_TEST(values(std::as_const(model)(x)) == fused.second);
}

BOOST_AUTO_TEST_CASE(convolutions_run_together_with_relu_and_pooling) {
  nn::Sequential model(nn::Conv2d(8, 9, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(9, 8, 3), nn::ReLU(),
                       nn::Conv2d(8, 8, 2, {.bias = false}), nn::ReLU(), nn::MaxPool2d(2, {.stride = 1}));
  const Tensor images = Generator(3).uniform({2, 8, 14, 14}, -1, 1);
  Tape tape;
  const Tensor y = model(images);
  const std::size_t nodes = tape.nodes();
  Tensor one_by_one = images;
  for (std::size_t i = 0; i < model.size(); ++i) one_by_one = model.call(i, one_by_one);
  BOOST_TEST(nodes == 4u);  // the last pooling alone has windows that overlap
  BOOST_TEST((y.shape() == one_by_one.shape()));
  const auto p = values(y), q = values(one_by_one);
  for (std::size_t i = 0; i < p.size(); ++i) BOOST_TEST(std::abs(p[i] - q[i]) < 1e-5);
}

// What is derived from a layer may compute something else.
BOOST_AUTO_TEST_CASE(a_layer_derived_from_linear_is_not_fused) {
  struct Negative : nn::Linear {
    using nn::Linear::Linear;
    Tensor operator()(const Tensor& t) const { return -nn::Linear::operator()(t); }
  };
  nn::Sequential model(Negative(2, 3), nn::ReLU());
  BOOST_TEST(values(model(x)) == values(relu(model.layer<Negative>(0)(x))));
}

BOOST_AUTO_TEST_CASE(lambdas_and_functions_are_layers) {
  const double factor = 3;
  nn::Sequential model(
      twice, [](const Tensor& t) { return t + 1; }, [factor](const Tensor& t) { return factor * t; });
  BOOST_TEST(values(model(Tensor::from({1, 2}))) == (std::vector<double>{9, 15}));
  BOOST_TEST(model.parameters().empty());
  BOOST_TEST(model[0].label() == "Function");
}

BOOST_AUTO_TEST_CASE(one_layer_and_one_sequential) {
  nn::Sequential one(nn::Linear(2, 3));
  BOOST_TEST(one.size() == 1u);
  nn::Sequential three = mlp(), copy(three);
  const nn::Sequential& constant = three;
  BOOST_TEST(copy.size() == 3u);
  BOOST_TEST(nn::Sequential(constant).size() == 3u);
  BOOST_TEST(nn::Sequential(std::move(copy)).size() == 3u);
  BOOST_TEST(nn::Sequential().add(three).size() == 1u);
  nn::Sequential lambda([](const Tensor& t) { return t; });
  BOOST_TEST(lambda.size() == 1u);
  Block block;
  const Block another = block;
  BOOST_TEST(another.size() == 2u);
  BOOST_TEST(nn::Sequential(block, nn::Tanh()).size() == 2u);
}

BOOST_AUTO_TEST_CASE(sequentials_nest) {
  nn::Sequential model(mlp(), nn::Sequential(nn::Linear(1, 2), nn::ReLU()));
  const ParameterList list = model.parameters();
  BOOST_TEST(list.size() == 6u);
  BOOST_TEST(list[0]->name == "0.0.weight");
  BOOST_TEST(list[5]->name == "1.0.bias");
  BOOST_TEST((model(x).shape() == Shape{2, 2}));
  model.eval();
  BOOST_TEST(!model.layer<nn::Sequential>(1).layer<nn::ReLU>(1).training());
}

BOOST_AUTO_TEST_CASE(copies_copy_every_layer) {
  nn::Sequential model(mlp(), nn::Linear(1, 1)), copy = model;
  const ParameterList a = model.parameters(), b = copy.parameters();
  const auto before = values(model(x));
  BOOST_TEST(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    BOOST_TEST(!(a[i] == b[i]));
    BOOST_TEST(values(a[i]->value) == values(b[i]->value));
    b[i]->value = Tensor::zeros(b[i]->value.shape());
  }
  BOOST_TEST(values(model(x)) == before);
  BOOST_TEST(values(copy(x)) == (std::vector<double>{0, 0}));
}

BOOST_AUTO_TEST_CASE(assignment_goes_layer_by_layer) {
  nn::Sequential model(mlp(), nn::Linear(1, 1));
  const nn::Sequential best(mlp(), nn::Linear(1, 1));
  const ParameterList before = model.parameters();
  optim::SGD sgd(before, {.lr = 0.1});
  model = best;
  const ParameterList after = model.parameters(), others = best.parameters();
  for (std::size_t i = 0; i < before.size(); ++i) {
    BOOST_TEST((before[i] == after[i]));
    BOOST_TEST(!(others[i] == after[i]));
    BOOST_TEST(values(after[i]->value) == values(others[i]->value));
  }
  model = nn::Sequential(mlp(), nn::Linear(1, 1));  // from a temporary
  BOOST_TEST((model.parameters()[0] == before[0]));
  const auto y = values(model(x));
  Tape tape;
  sgd.step(tape.gradient(sum(square(model(x))), sgd.parameters()));
  BOOST_TEST(values(model(x)) != y);
}

BOOST_AUTO_TEST_CASE(assignment_replaces_what_does_not_agree) {
  nn::Sequential model(nn::Linear(2, 2), nn::Tanh());
  const ParameterRef weight = model.parameters()[0];
  model = nn::Sequential(nn::Linear(2, 2), nn::ReLU());
  BOOST_TEST((model.parameters()[0] == weight));
  BOOST_TEST(model[1].label() == "ReLU");
  model = mlp();
  BOOST_TEST(model.size() == 3u);
  BOOST_TEST(!(model.parameters()[0] == weight));
}

BOOST_AUTO_TEST_CASE(assignment_from_itself_and_from_one_of_its_layers) {
  nn::Sequential model(mlp(), nn::Tanh());
  const auto y = values(model(x));
  const nn::Sequential& self = model;
  model = self;
  BOOST_TEST(values(model(x)) == y);
  model = model.layer<nn::Sequential>(0);
  BOOST_TEST(model.size() == 3u);
}

BOOST_AUTO_TEST_CASE(capturing_lambdas_are_replaced_by_assignment) {
  const auto times = [](double factor) { return nn::Sequential([factor](const Tensor& t) { return factor * t; }, nn::Identity()); };
  nn::Sequential model = times(2);
  model = times(5);
  BOOST_TEST(values(model(Tensor::from({1}))) == (std::vector<double>{5}));
}

BOOST_AUTO_TEST_CASE(a_const_model_runs_const_layers_only) {
  nn::Sequential model{Counter(), nn::Tanh()};
  model(x);
  BOOST_TEST(model.layer<Counter>(0).calls == 1);
  const nn::Sequential& constant = model;
  BOOST_TEST(message_of<Error>([&] { constant(x); }).find("cannot run Counter") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(layers_hear_where_the_model_was_called) {
  const nn::Sequential model{Line(), nn::Sequential{Line()}};
  const double here = __LINE__ + 1;
  BOOST_TEST(model(Tensor::from({0})).item() == 2 * here);
}

BOOST_AUTO_TEST_CASE(an_error_names_its_layer) {
  const nn::Sequential model(nn::Linear(4, 3), nn::ReLU(), nn::Sequential(nn::Tanh(), nn::Linear(5, 2)));
  const std::string message = message_of<ShapeError>([&] { model(Tensor::ones({2, 4})); });
  BOOST_TEST(testing::begins_at(message, "test_sequential.cpp", "Linear(5, 2)"));
  BOOST_TEST(message.ends_with("; in layer 1 of the Sequential, Linear(5, 2); in layer 2 of the Sequential, Sequential"), message);
  BOOST_TEST(message_of<ShapeError>([&] { model(Tensor::ones({2, 7})); }).ends_with("; in layer 0 of the Sequential, Linear(4, 3)"));
}

BOOST_AUTO_TEST_CASE(wrong_indices_and_types_are_errors) {
  nn::Sequential model = mlp();
  BOOST_TEST(model[1].label() == "Tanh");
  BOOST_TEST(std::as_const(model).layer<nn::Linear>(0).in() == 2);
  BOOST_CHECK_THROW(model[3], Error);
  BOOST_TEST(message_of<Error>([&] { model.layer<nn::Linear>(1); }) == "Sequential: layer 1 is Tanh, not a Linear");
}

BOOST_AUTO_TEST_CASE(in_braces_layers_draw_their_weights_in_their_order) {
  Generator a(3), b(3);
  const nn::Sequential model{nn::Linear(2, 3, {}, a), nn::Tanh(), nn::Linear(3, 2, {}, a)};
  const nn::Linear first(2, 3, {}, b), second(3, 2, {}, b);
  BOOST_TEST(values(model.layer<nn::Linear>(0).weight.value()) == values(first.weight.value()));
  BOOST_TEST(values(model.layer<nn::Linear>(2).bias.value()) == values(second.bias.value()));
}

BOOST_AUTO_TEST_CASE(the_summary_shows_shapes_and_counts) {
  const nn::Sequential model(nn::Flatten(), nn::Sequential(nn::Linear(6, 3), nn::ReLU()), nn::Linear(3, 10));
  const std::string expected =
      "     layer          output     parameters\n"
      "     input          (4, 2, 3)\n"
      "0    Flatten        (4, 6)              0\n"
      "1    Sequential     (4, 3)             21\n"
      "1.0  Linear(6, 3)   (4, 3)             21\n"
      "1.1  ReLU           (4, 3)              0\n"
      "2    Linear(3, 10)  (4, 10)            40\n"
      "     total          (4, 10)            61";
  BOOST_TEST(model.summary({4, 2, 3}) == expected);
  Tape tape;
  BOOST_TEST(model.summary({4, 2, 3}) == expected);
  BOOST_TEST(tape.nodes() == 0u);
  const std::string message = message_of<ShapeError>([&] { static_cast<void>(model.summary({4, 5})); });
  const std::string until_there =
      "     layer         output  parameters\n"
      "     input         (4, 5)\n"
      "0    Flatten       (4, 5)           0\n"
      "1    Sequential    ?               21\n"
      "1.0  Linear(6, 3)  ?               21";
  BOOST_TEST(testing::begins_at(message, "test_sequential.cpp", "Linear(6, 3): "));
  BOOST_TEST(testing::contains(message, "the last size of the input must be 6: input (4, 5) float32 made at test_sequential.cpp:"));
  BOOST_TEST(message.ends_with("\n" + until_there));
}

BOOST_AUTO_TEST_CASE(activations_have_the_names_of_their_layers) {
  nn::Sequential inner(nn::Linear(3, 4), nn::ReLU());
  nn::Sequential model(nn::Linear(2, 3));
  model.add(inner).add([](const Tensor& x) { return 2 * x; });
  const Tensor x = Tensor::ones({5, 2});
  const std::vector<NamedTensor> seen = model.activations(x), seen_const = std::as_const(model).activations(x);
  const std::vector<std::string> names{"0", "1.0", "1.1", "2"};
  BOOST_TEST_REQUIRE(seen.size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    BOOST_TEST(seen[i].name == names[i]);
    BOOST_TEST(seen_const[i].name == names[i]);
    BOOST_TEST((seen_const[i].value.to_vector<double>() == seen[i].value.to_vector<double>()));
  }
  BOOST_TEST((seen[1].value.shape() == Shape{5, 4}));
  BOOST_TEST((seen[2].value.to_vector<double>() == relu(seen[1].value).to_vector<double>()));
  BOOST_TEST((seen[3].value.to_vector<double>() == model(x).to_vector<double>()));
  BOOST_TEST(nn::Sequential().activations(x).empty());
}

BOOST_AUTO_TEST_CASE(gradients_with_respect_to_activations) {
  nn::Sequential model(nn::Linear(2, 3), nn::Tanh());
  Tape tape;
  const std::vector<NamedTensor> seen = model.activations(Tensor::ones({1, 2}));
  const Tensor slope = tape.gradient(sum(seen[1].value), seen[0].value);
  BOOST_TEST((slope.shape() == Shape{1, 3}));
  BOOST_TEST(slope.element(0) < 1);
}

BOOST_AUTO_TEST_CASE(a_sequence_passes_the_checks_of_a_layer) { check_layer(mlp(), random_numbers({4, 2}, 1)); }
