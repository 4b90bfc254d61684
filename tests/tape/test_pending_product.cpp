#include "autodiff/tape/pending_product.h"

#include <boost/test/unit_test.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/runtime.h"
#include "optim/optim.h"

using namespace wengert;

namespace {

constexpr Index kIn = 220, kOut = 190;  // no multiple of a vector or a block

std::vector<float> floats(const Tensor& t) { return t.contiguous().to_vector<float>(); }

/// A layer and a batch for it.
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

/// The weights after three steps; `look` at the gradients before each, so that they are multiplied as a whole.
template <class Optimizer, class Options> std::vector<float> train(Index batch, const Options& options, bool look) {
  Fixture f(batch);
  Optimizer optimizer(ParameterList{f.w, f.b}, options);
  for (int step = 0; step < 3; ++step) {
    const Gradients g = f.gradients();
    BOOST_TEST(g.pending(0).defined());
    if (look) static_cast<void>(g[0]);
    BOOST_TEST(g.pending(0).defined() == !look);
    optimizer.step(g);
  }
  return floats(f.w.value());
}

template <class Optimizer, class Options> void check_bits(const Options& options) {
  for (const Index batch : {1, 2, 17, 32, 33, 64}) {
    const std::vector<float> looked_at = train<Optimizer>(batch, options, true);
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      BOOST_TEST((train<Optimizer>(batch, options, false) == looked_at), "batch " << batch << ", " << threads << " threads");
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_optimizer_gives_the_same_bits_as_with_a_gradient_that_was_looked_at) {
  check_bits<optim::SGD>(optim::SGDOptions{.lr = 0.1});
  check_bits<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
  check_bits<optim::Adam>(optim::AdamOptions{.lr = 0.01});
  check_bits<optim::RAdam>(optim::RAdamOptions{.lr = 0.01});
}

BOOST_AUTO_TEST_CASE(only_large_products_of_few_terms_wait) {
  BOOST_TEST(Fixture(264).gradients().pending(0).defined());
  BOOST_TEST(!Fixture(265).gradients().pending(0).defined());
  BOOST_TEST(Fixture(32).gradients().pending(0).is_short());
  BOOST_TEST(!Fixture(33).gradients().pending(0).is_short());
  BOOST_TEST(!Fixture().gradients().pending(1).defined());  // the bias
  using detail::PendingProduct;
  BOOST_TEST(PendingProduct::fits(Tensor::zeros({1, 256}), Tensor::zeros({1, 128})));
  BOOST_TEST(!PendingProduct::fits(Tensor::zeros({1, 256}), Tensor::zeros({1, 127})));
  BOOST_TEST(!PendingProduct::fits(Tensor::zeros({0, 256}), Tensor::zeros({0, 256})));
  BOOST_TEST(!PendingProduct::fits(Tensor::zeros({1, 256}, float64), Tensor::zeros({1, 256}, float64)));
  BOOST_TEST(!PendingProduct::fits(transpose(Tensor::zeros({256, 2})), Tensor::zeros({2, 256})));
}

BOOST_FIXTURE_TEST_CASE(it_is_the_gradient_of_the_weights, Fixture) {
  const Gradients g = gradients();
  Tape tape;
  const Tensor expected = tape.gradient(loss(), w);  // one source: a tensor
  BOOST_TEST(g.pending(0).shape() == (Shape{kOut, kIn}));
  BOOST_TEST((floats(g[w]) == floats(expected)));
}

BOOST_FIXTURE_TEST_CASE(the_weights_of_matmul_as_well, Fixture) {
  const Parameter right(transpose(w.value()).contiguous());
  const auto gradient = [&](const auto& source) {
    Tape tape;
    return tape.gradient(sum(square(matmul(x, right))), source);
  };
  const Gradients g = gradient(ParameterList{right});
  BOOST_TEST(g.pending(0).defined());
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
  BOOST_TEST(!g.pending(0).defined());
  BOOST_TEST((floats(g[0]) == floats(gradient(w))));
}

BOOST_FIXTURE_TEST_CASE(memory_of_the_user_may_change_behind_the_gradient, Fixture) {
  std::vector<float> memory(3 * kIn, 1);
  x = Tensor::borrow<float>(memory, {3, kIn});
  const Gradients g = gradients();
  BOOST_TEST(!g.pending(0).defined());
  const Tensor part = narrow(x, 0, 0, 2);
  BOOST_TEST(!detail::PendingProduct::fits(Tensor::zeros({2, kOut}), part));
}

BOOST_FIXTURE_TEST_CASE(changes_of_its_factors_do_not_reach_it, Fixture) {
  const std::vector<float> expected = floats(gradients()[0]);
  const Gradients g = gradients();
  x.mutable_data<float>()[0] = 100;
  BOOST_TEST((floats(g[0]) == expected));
}

BOOST_FIXTURE_TEST_CASE(gradients_are_a_value_all_the_same, Fixture) {
  const Gradients expected = gradients();
  const double norm = expected.norm();
  Gradients g = gradients();
  const Gradients copy = g;
  Gradients moved = std::move(g);
  BOOST_TEST((floats(moved[0]) == floats(expected[0])));
  BOOST_TEST((floats(copy[0]) == floats(expected[0])));
  g = gradients();
  BOOST_TEST(g.norm() == norm);
  g = gradients();
  BOOST_TEST(g.clip_norm(norm / 2) == norm);
  BOOST_TEST(g.norm() == norm / 2, boost::test_tools::tolerance(1e-5));
  g = gradients();
  g *= 2;
  g += gradients();
  BOOST_TEST(g.norm() == 3 * norm, boost::test_tools::tolerance(1e-5));
}

BOOST_FIXTURE_TEST_CASE(a_tape_can_be_asked_again, Fixture) {
  Tape tape;
  const Tensor y = loss();
  const ParameterList list{w, b};
  const std::vector<float> first = floats(tape.gradient(y, list, {.retain = true})[0]);
  BOOST_TEST((floats(tape.gradient(y, list, {.retain = true})[0]) == first));
  BOOST_TEST((floats(tape.gradient(y, w)) == first));
}

BOOST_FIXTURE_TEST_CASE(several_threads_may_look, Fixture) {
  const Gradients g = gradients();
  const std::vector<float> expected = floats(gradients()[0]);
  std::vector<float> seen[4];
  std::vector<std::thread> threads;
  for (auto& mine : seen) threads.emplace_back([&] { mine = floats(g[0]); });
  for (std::thread& t : threads) t.join();
  for (const auto& mine : seen) BOOST_TEST((mine == expected));
}
