// A training step in its steady state allocates nothing from the heap.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>

#include <boost/test/unit_test.hpp>

#include "tests/support/heap_calls.h"

using namespace wengert;
using wengert::testing::heap_calls;

BOOST_AUTO_TEST_CASE(the_hook_counts, *boost::unit_test::enable_if<!testing::kSanitizer>()) {
  testing::counting = true;
  delete new int(1);
  testing::counting = false;
  BOOST_TEST(testing::of_ours > 0);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_an_mlp) {
  set_num_threads(2);
  Generator random(1);
  Parameter w1(random.normal({64, 32}, 0, 0.1)), b1(Tensor::zeros({32})), w2(random.normal({32, 10}, 0, 0.1)), b2(Tensor::zeros({10}));
  const ParameterList list{w1, b1, w2, b2};
  Parameter* const all[] = {&w1, &b1, &w2, &b2};
  const Tensor x = random.normal({16, 64}), labels = random.integers({16}, 0, 10);
  double loss_value = 0;
  const auto step = [&] {
    Tape tape;
    const Tensor loss = cross_entropy(matmul(relu(matmul(x, w1) + b1), w2) + b2, labels);
    loss_value = loss.item();
    Gradients g = tape.gradient(loss, list);
    g.clip_norm(1);
    for (std::size_t i = 0; i < list.size(); ++i) all[i]->set(all[i]->value() - 0.1 * g[i]);
  };
  step();
  const double first = loss_value;
  BOOST_TEST(heap_calls(step, 50) == 0);
  BOOST_TEST(loss_value < first);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_a_convolutional_network) {
  set_num_threads(2);
  Generator random(1);
  Parameter w1(random.normal({8, 1, 5, 5}, 0, 0.2)), b1(Tensor::zeros({8})), w2(random.normal({8, 8, 3, 3}, 0, 0.1)),
      b2(Tensor::zeros({8}));
  Parameter w3(random.normal({10, 32}, 0, 0.1));
  const ParameterList list{w1, b1, w2, b2, w3};
  Parameter* const all[] = {&w1, &b1, &w2, &b2, &w3};
  const Tensor x = random.normal({16, 1, 16, 16}), labels = random.integers({16}, 0, 10);
  double loss_value = 0;
  const auto step = [&] {
    Tape tape;
    const Tensor first = max_pool2d(relu(conv2d(x, w1, b1)), 2);
    const Tensor second = avg_pool2d(relu(conv2d(first, w2, b2, {.padding = 1})), 3);
    const Tensor loss = cross_entropy(linear(flatten(second, 1), w3), labels);
    loss_value = loss.item();
    const Gradients g = tape.gradient(loss, list);
    for (std::size_t i = 0; i < list.size(); ++i) all[i]->set(all[i]->value() - 0.1 * g[i]);
  };
  step();
  const double first = loss_value;
  BOOST_TEST(heap_calls(step, 30) == 0);
  BOOST_TEST(loss_value < first);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_recurrent_networks) {
  Generator random(1);
  const auto parameter = [&](const Shape& shape) { return Parameter(random.uniform(shape, -0.3, 0.3)); };
  const Parameter w4(parameter({32, 4})), u4(parameter({32, 8})), b4(parameter({32})), w3(parameter({24, 8})), u3(parameter({24, 8})),
      b3(parameter({24}));
  const ParameterList list{w4, u4, b4, w3, u3, b3};
  const Tensor x = random.normal({6, 5, 4}), lengths = Tensor::from({6, 3, 5, 6, 1}, int64), labels = random.integers({5}, 0, 8);
  const auto step = [&] {
    Tape tape;
    const RecurrentWeights four[] = {{w4, u4, b4, b4}}, three[] = {{w3, u3, b3, b3}};
    const Tensor below = lstm(x, {}, four, {.lengths = lengths}).output + lstm(x, {}, four).output, above = gru(below, {}, three).h;
    const Tensor loss = cross_entropy(layer_norm(dropout(select(above, 0, 0), 0.25, random), {8}), labels);
    static_cast<void>(tape.gradient(loss, list));
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
}

BOOST_AUTO_TEST_CASE(a_step_whose_loops_are_shared_by_threads) {
  set_num_threads(3);
  Generator random(1);
  const Parameter w(random.normal({400, 300})), gain(random.normal({300}));
  const ParameterList list{w, gain};
  const Tensor index = random.integers({500}, 0, 400), each = random.integers({500, 300}, 0, 300);
  const auto step = [&] {
    Tape tape;
    const Tensor x = index_select(w, 0, index), y = layer_norm(gelu(x), {300}, {.weight = gain}), z = dropout(softmax(y), 0.1, random);
    const Tensor moved = concat({transpose(cumsum(z, 0)), transpose(sort(y, 1).values)}, 0) * 2;
    const Tensor loss = sum(gather(x, 1, each) * max(y, {1}, {.keepdim = true})) + mean(moved) + logsumexp(y);
    static_cast<void>(tape.gradient(loss, list));
  };
  BOOST_TEST(heap_calls(step, 10) == 0);
}

BOOST_AUTO_TEST_CASE(a_step_of_scalars_and_of_scalars_with_tensors) {
  const Parameter p(Tensor::from({0.5, -0.25}, float64));
  double slope = 0;
  const auto step = [&] {
    Tape tape;
    Scalar w = tape.variable(slope), e = 0;
    for (int i = 0; i < 1000; ++i) e += square(0.5 - sigmoid(w * (0.01 * i)));
    const Tensor v = p;
    e += v(0) * v(1);
    slope -= 1e-3 * tape.gradient(e * sum(v * v).item(), w);
  };
  BOOST_TEST(heap_calls(step, 50) == 0);
}

BOOST_AUTO_TEST_CASE(a_program_on_lanes_of_several_paths) {
  const auto f = [](auto p, auto d) { return d[0] < p[0] ? exp(p[1] * d[0]) : d[0] < 0.75 ? p[1] * d[0] : sin(d[0] * p[0]); };
  const Program program = record(f, {.parameters = 2, .data = 1}, {0.5, 2.0, 0.25});
  std::vector<double> x(1000), y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.001 * static_cast<double>(i);
  const std::vector<double> p{0.5, 2};
  std::vector<double> slope(2);
  const Columns columns{x};
  double sum = 0;
  const auto step = [&] {
    program.values(p, columns, y);
    sum = program.sum_and_gradient(p, columns, slope);
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
  BOOST_TEST(program.paths() == 3);
  BOOST_TEST(sum != 0);
}

BOOST_AUTO_TEST_CASE(a_gradient_of_a_gradient) {
  const Parameter w(Tensor::from({{0.5, -0.25}, {0.125, 1}}, float64));
  const auto step = [&] {
    Tape tape;
    const Tensor v = w, g = tape.differentiable_gradient(sum(tanh(matmul(v, v))), v);
    static_cast<void>(tape.gradient(sum(g * g), v));
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
}
