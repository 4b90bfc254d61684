#include "autodiff/tape/cotangent.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/runtime.h"
#include "optim/optim.h"

using namespace wengert;
using detail::Cotangent;
using detail::Gradient;

namespace {

constexpr Index kIn = 220, kOut = 190;  // not a multiple of a vector or a block

std::vector<float> floats(const Tensor& t) { return t.contiguous().to_vector<float>(); }

// A layer and a batch for it.
struct Fixture {
  explicit Fixture(Index batch = 3) {
    Generator random(5);
    w.set(random.normal({kOut, kIn}, 0, 0.1));
    b.set(random.normal({kOut}, 0, 0.1));
    x = random.normal({batch, kIn});
  }
  Parameter w{Tensor::zeros({kOut, kIn}), "w"}, b{Tensor::zeros({kOut}), "b"};
  Tensor x;

  Tensor loss() const { return mean(square(linear_relu(x, w, b))); }
  Gradients gradients() const {
    Tape tape;
    return tape.gradient(loss(), ParameterList{w, b});
  }
};

// The same gradients, every product multiplied.
Gradients multiplied(const Gradients& g) {
  Gradients all;
  for (std::size_t i = 0; i < g.size(); ++i) all.add(g[i], g.parameter(i));
  return all;
}

// The weights after three steps, one of them clipped, with gradients that are deferred products or have been multiplied as a whole.
template <class Optimizer, class Options> std::vector<float> train(Index batch, const Options& options, bool multiply) {
  Fixture f(batch);
  Optimizer optimizer(ParameterList{f.w, f.b}, options);
  for (int step = 0; step < 3; ++step) {
    Gradients g = f.gradients();
    BOOST_TEST(g.gradient(0).is_product());
    if (multiply) g = multiplied(g);
    if (step == 1) g.clip_norm(g.norm() / 3);
    optimizer.step(g);
  }
  return floats(f.w.value());
}

template <class Optimizer, class Options> void check_bits(const Options& options) {
  for (const Index batch : {1, 2, 17, 32, 33, 64}) {
    const std::vector<float> expected = train<Optimizer>(batch, options, true);
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      BOOST_TEST((train<Optimizer>(batch, options, false) == expected), "batch " << batch << ", " << threads << " threads");
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_optimizer_gives_the_same_bits_as_with_a_gradient_that_was_multiplied) {
  check_bits<optim::SGD>(optim::SGDOptions{.lr = 0.1});
  check_bits<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
  check_bits<optim::Adam>(optim::AdamOptions{.lr = 0.01});
  check_bits<optim::RAdam>(optim::RAdamOptions{.lr = 0.01});
}

BOOST_AUTO_TEST_CASE(only_large_products_of_few_terms_wait) {
  BOOST_TEST(Fixture(264).gradients().gradient(0).is_product());
  BOOST_TEST(!Fixture(265).gradients().gradient(0).is_product());
  BOOST_TEST(Fixture(32).gradients().gradient(0).is_short_product());
  BOOST_TEST(!Fixture(33).gradients().gradient(0).is_short_product());
  BOOST_TEST(!Fixture().gradients().gradient(1).is_product());  // the bias
  BOOST_TEST(Cotangent::can_be_deferred(Tensor::zeros({1, 256}), Tensor::zeros({1, 128})));
  BOOST_TEST(!Cotangent::can_be_deferred(Tensor::zeros({1, 256}), Tensor::zeros({1, 127})));
  BOOST_TEST(!Cotangent::can_be_deferred(Tensor::zeros({0, 256}), Tensor::zeros({0, 256})));
  BOOST_TEST(!Cotangent::can_be_deferred(Tensor::zeros({1, 256}, float64), Tensor::zeros({1, 256}, float64)));
  BOOST_TEST(!Cotangent::can_be_deferred(transpose(Tensor::zeros({256, 2})), Tensor::zeros({2, 256})));
}

BOOST_FIXTURE_TEST_CASE(it_is_the_gradient_of_the_weights, Fixture) {
  const Gradients g = gradients();
  Tape tape;
  const Tensor expected = tape.gradient(loss(), w);  // one source: a tensor
  BOOST_TEST(g.gradient(0).shape() == (Shape{kOut, kIn}));
  BOOST_TEST((floats(g[w]) == floats(expected)));
}

BOOST_FIXTURE_TEST_CASE(the_weights_of_matmul_as_well, Fixture) {
  const Parameter right(transpose(w.value()).contiguous());
  const auto gradient = [&](const auto& source) {
    Tape tape;
    return tape.gradient(sum(square(matmul(x, right))), source);
  };
  const Gradients g = gradient(ParameterList{right});
  BOOST_TEST(g.gradient(0).is_product());
  BOOST_TEST((floats(g[0]) == floats(gradient(right))));
}

BOOST_FIXTURE_TEST_CASE(another_term_is_added, Fixture) {
  const auto gradient = [&](const auto& source) {
    Tape tape;
    const Tensor twice = sum(linear_relu(x, w, b)) + sum(square(linear(2 * x, w)));
    const Scalar element = w.value()(1, 2), squared = element * element;
    return tape.gradient(twice + sum(stack({squared}, float32)), source);
  };
  const Gradients g = gradient(ParameterList{w});
  BOOST_TEST(!g.gradient(0).is_product());
  BOOST_TEST((floats(g[0]) == floats(gradient(w))));
}

// Every rule that has products adds a second term in place.
BOOST_AUTO_TEST_CASE(weights_that_are_used_again_and_again) {
  const Parameter w(Generator(7).normal({200, 200}, 0, 0.1));
  const Tensor rows = Generator(8).normal({5, 200}), bias = Generator(9).normal({200});
  const auto check = [&](const auto& layer) {
    const auto gradient = [&](const auto& source, int use) {  // of one use of the weights, or of all where `use` is -1
      Tape tape;
      Tensor h = rows;
      for (int step = 0; step < 3; ++step) h = layer(h, use == -1 || use == step ? Tensor(w) : w.value());
      return tape.gradient(sum(h * h), source);
    };
    const Gradients found = gradient(ParameterList{w}, -1);
    BOOST_TEST(!found.gradient(0).is_product());
    BOOST_TEST((floats(found[0]) == floats(gradient(w, -1))));
    const Tensor expected = gradient(w, 0) + gradient(w, 1) + gradient(w, 2);
    BOOST_TEST(sum(square(found[0] - expected)).item() < 1e-10 * sum(square(expected)).item());
    BOOST_TEST(sum(square(expected)).item() > 0);
  };
  check([](const Tensor& h, const Tensor& v) { return matmul(h, v); });
  check([](const Tensor& h, const Tensor& v) { return transpose(matmul(v, transpose(h))); });
  check([](const Tensor& h, const Tensor& v) { return linear(h, v); });
  check([](const Tensor& h, const Tensor& v) { return linear_relu(h, v); });
  check([&](const Tensor& h, const Tensor& v) { return linear_relu(h, v, bias); });
  check([&](const Tensor& h, const Tensor& v) { return rnn_cell(h, h, {v, v, bias, bias}); });
  check([&](const Tensor& h, const Tensor& v) { return rnn_cell(rows, h, {w.value(), v, {}, {}}); });
}

BOOST_FIXTURE_TEST_CASE(memory_of_the_user_may_change_behind_the_gradient, Fixture) {
  std::vector<float> memory(3 * kIn, 1);
  x = Tensor::borrow<float>(memory, {3, kIn});
  const Gradients g = gradients();
  BOOST_TEST(!g.gradient(0).is_product());
  const Tensor part = narrow(x, 0, 0, 2);
  BOOST_TEST(!Cotangent::can_be_deferred(Tensor::zeros({2, kOut}), part));
}

BOOST_FIXTURE_TEST_CASE(changes_of_its_factors_do_not_reach_it, Fixture) {
  const std::vector<float> expected = floats(gradients()[0]);
  const Gradients g = gradients();
  x.mutable_data<float>()[0] = 100;
  BOOST_TEST((floats(g[0]) == expected));
}

BOOST_AUTO_TEST_CASE(a_cotangent_is_nothing_or_a_tensor_or_a_product) {
  const Cotangent nothing;
  BOOST_TEST(!nothing.defined());
  BOOST_TEST(!nothing.is_product());
  BOOST_TEST(!nothing.value().defined());
  const Tensor t = Tensor::from({1, 2}, float64);
  Cotangent tensor(t);
  BOOST_TEST(!tensor.is_product());
  BOOST_TEST(tensor.value().elements() == t.elements());
  BOOST_TEST((tensor.shape() == Shape{2}));
  BOOST_TEST((tensor.dtype() == float64));
  const Tensor a = Generator(1).normal({3, 200}), b = Generator(2).normal({3, 180});
  Cotangent product = Cotangent::product(a, b);
  BOOST_TEST(product.is_product());
  BOOST_TEST((product.shape() == Shape{200, 180}));
  BOOST_TEST((product.dtype() == float32));
  const std::vector<float> expected = floats(matmul(transpose(a), b));
  BOOST_TEST((floats(product.value()) == expected));
  BOOST_TEST(product.is_product());  // reading changes nothing
  std::vector<float> blocks(expected.size());
  Gradient(product).for_each_block<float>(
      [&](Index first, Index count, const float* elements) { std::copy_n(elements, count, blocks.begin() + first); });
  BOOST_TEST((blocks == expected));
  BOOST_TEST((floats(product.tensor()) == expected));
  BOOST_TEST(!product.is_product());
  blocks.assign(expected.size(), 0);
  Gradient(product).for_each_block<float>(
      [&](Index first, Index count, const float* elements) { std::copy_n(elements, count, blocks.begin() + first); });
  BOOST_TEST((blocks == expected));
}

// A part of a norm may lie within a row, or hold the end of one, rows and the beginning of another.
BOOST_AUTO_TEST_CASE(elements_of_a_product_from_anywhere) {
  for (const Index columns : {7, 190, 40000}) {
    const Tensor a = Generator(1).normal({2, columns > 1000 ? 3 : 6000}), b = Generator(2).normal({2, columns});
    Gradient product(Cotangent::product(a, b));
    for (const double factor : {1.0, 0.3}) {
      if (factor != 1) product.scale(factor);
      BOOST_TEST(product.is_scaled() == (factor != 1));
      const std::vector<float> all = floats(product.value());
      const Index size = static_cast<Index>(all.size());
      for (const Index first : {Index{0}, Index{1}, columns - 1, columns, columns + 1, 2 * columns + 3, size - 5}) {
        for (const Index count : {Index{1}, Index{5}, columns, columns + 5, 2 * columns, size}) {
          std::vector<float> part(static_cast<std::size_t>(std::min(count, size - first)) + 1, -7);
          product.copy_elements(first, std::min(count, size - first), part.data());
          BOOST_TEST(part.back() == -7);
          part.pop_back();
          BOOST_TEST(std::equal(part.begin(), part.end(), all.begin() + first));
        }
      }
    }
  }
}

// Each member of Gradients, with deferred products and with the same values as tensors.
BOOST_FIXTURE_TEST_CASE(every_member_of_gradients_gives_the_same, Fixture) {
  const Gradients products = gradients(), tensors = multiplied(gradients());
  BOOST_TEST(products.gradient(0).is_product());
  BOOST_TEST(!tensors.gradient(0).is_product());
  const auto all = [](const Gradients& g) {
    std::vector<std::vector<float>> values;
    for (const Tensor& t : g) values.push_back(floats(t));
    return values;
  };
  const auto expected = all(tensors);
  BOOST_TEST((expected.size() == 2u));
  BOOST_TEST(products.size() == 2u);
  BOOST_TEST(!products.empty());
  BOOST_TEST((all(products) == expected));  // begin, end
  BOOST_TEST((floats(products[0]) == expected[0]));
  BOOST_TEST((floats(products[w]) == expected[0]));
  BOOST_TEST((floats(products.of(w.ref().get())) == expected[0]));
  BOOST_TEST(products.parameter(0) == w.ref().get());
  for (const double p : {1.0, 1.5, 2.0, 3.0, std::numeric_limits<double>::infinity()}) {
    BOOST_TEST(products.norm(p) == tensors.norm(p));
    BOOST_TEST(products.norm(p) > 0);
    Gradients clipped = gradients(), clipped_tensors = tensors;
    const double max = products.norm(p) / 2;
    BOOST_TEST(clipped.clip_norm(max, p) == tensors.norm(p));
    clipped_tensors.clip_norm(max, p);
    BOOST_TEST((all(clipped) == all(clipped_tensors)));
    BOOST_TEST(clipped.norm(p) == max * 2 * max / (2 * max + 1e-6), boost::test_tools::tolerance(1e-6));
    Gradients unclipped = gradients();
    BOOST_TEST(unclipped.clip_norm(4 * max, p) == tensors.norm(p));
    BOOST_TEST((all(unclipped) == expected));
  }
  const auto same_after = [&](const auto& change) {
    Gradients g = gradients(), expected_g = tensors;
    change(g);
    change(expected_g);
    BOOST_TEST((all(g) == all(expected_g)));
    BOOST_TEST((all(g) != expected));
  };
  same_after([](Gradients& g) { g *= 2; });
  same_after([](Gradients& g) { (g *= 1.1) *= 0.7; });
  same_after([&](Gradients& g) { (g *= 1.1).clip_value(products.norm(HUGE_VAL) / 3); });
  same_after([&](Gradients& g) { (g *= 1.1) += products; });
  same_after([&](Gradients& g) { g.clip_value(products.norm(HUGE_VAL) / 3); });
  same_after([&](Gradients& g) { g += products; });
  same_after([&](Gradients& g) { g += tensors; });
  const auto same = [&](const Gradients& g) { BOOST_TEST((all(g) == expected)); };
  Gradients copy = products, moved_from = gradients();
  same(copy);
  const Gradients moved = std::move(moved_from);
  same(moved);
  copy *= 3;
  same(products);
  copy = products;
  same(copy);
  copy = gradients();
  same(copy);
  Gradients sum;
  sum += products;
  same(sum);
  sum += Gradients();
  same(sum);
  Gradients added;
  for (std::size_t i = 0; i < 2; ++i) added.add(products.gradient(i), products.parameter(i));
  same(added);
}

BOOST_FIXTURE_TEST_CASE(a_parameter_may_be_listed_twice, Fixture) {
  const std::vector<float> expected = floats(gradients()[0]);
  Tape tape;
  const Gradients g = tape.gradient(loss(), ParameterList{w, b, w});
  BOOST_TEST((floats(g[0]) == expected));
  BOOST_TEST((floats(g[2]) == expected));
}

BOOST_FIXTURE_TEST_CASE(a_tape_can_be_asked_again, Fixture) {
  Tape tape;
  const Tensor y = loss();
  const ParameterList list{w, b};
  const std::vector<float> first = floats(tape.gradient(y, list, {.retain = true})[0]);
  BOOST_TEST((floats(tape.gradient(y, list, {.retain = true})[0]) == first));
  BOOST_TEST((floats(tape.gradient(y, w)) == first));
}

BOOST_FIXTURE_TEST_CASE(several_threads_may_read, Fixture) {
  const Gradients g = gradients();
  const std::vector<float> expected = floats(gradients()[0]);
  std::vector<float> seen[4];
  std::vector<std::thread> threads;
  for (auto& mine : seen) threads.emplace_back([&] { mine = floats(g[0]); });
  for (std::thread& t : threads) t.join();
  for (const auto& mine : seen) BOOST_TEST((mine == expected));
}
