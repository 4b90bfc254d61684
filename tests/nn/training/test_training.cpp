// Whole trainings: the same bits in every run and for any number of threads; inference by several threads; frozen parameters.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <boost/test/unit_test.hpp>
#include <thread>
#include <vector>

#include "autodiff/runtime.h"
#include "autodiff/tensor/storage.h"

using namespace wengert;
using boost::test_tools::per_element;

namespace {

constexpr int kSteps = 8;

nn::Sequential digits_network(Generator& g) {
  return nn::Sequential(nn::Conv2d(1, 16, 5, {}, g), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(16, 32, 5, {}, g), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Flatten(), nn::Linear(512, 128, {}, g), nn::ReLU(), nn::Linear(128, 10, {}, g));
}

// The losses of a few steps on the workshop's network for digits.
std::vector<double> train_on_images(int threads) {
  set_num_threads(threads);
  Generator g(1);
  nn::Sequential net = digits_network(g);
  optim::Adam adam(net.parameters(), {.lr = 1e-3});
  const nn::DataLoader loader(g.uniform({33, 1, 28, 28}), g.integers({33}, 0, 10), {.batch_size = 16, .shuffle = true, .generator = &g});
  std::vector<double> losses;
  while (losses.size() < kSteps)
    for (const auto& [x, y] : loader) {
      Tape tape;
      const Tensor loss = nn::cross_entropy(net(x), y);
      adam.step(tape.gradient(loss, net.parameters()));
      losses.push_back(loss.item());
    }
  set_num_threads(1);
  return losses;
}

// The same on two layers of LSTM with dropout, as for the sonnets.
std::vector<double> train_on_text(int threads) {
  set_num_threads(threads);
  Generator g(1);
  constexpr Index kSymbols = 11, kNodes = 48, kWindow = 20, kBatch = 24;
  nn::LSTM lstm(kSymbols, kNodes, {.layers = 2, .dropout = 0.1}, g);
  nn::Dropout dropout(0.1, g);
  nn::Linear head(kNodes, kSymbols, {}, g);
  ParameterList parameters = lstm.parameters();
  parameters.add(head.parameters());
  optim::RMSprop rmsprop(parameters, {.lr = 5e-3});
  std::vector<double> losses;
  for (int step = 0; step < kSteps; ++step) {
    const Tensor x = g.integers({kWindow, kBatch}, 0, kSymbols), y = g.integers({kBatch}, 0, kSymbols);
    Tape tape;
    const Tensor loss = nn::cross_entropy(head(dropout(select(lstm(one_hot(x, kSymbols).to(float32)).output, 0, -1))), y);
    rmsprop.step(tape.gradient(loss, parameters));
    losses.push_back(loss.item());
  }
  set_num_threads(1);
  return losses;
}

}  // namespace

BOOST_AUTO_TEST_CASE(trainings_have_the_same_bits_in_every_run_and_for_any_number_of_threads) {
  for (const auto train : {train_on_images, train_on_text}) {
    const std::vector<double> once = train(1);
    BOOST_TEST(once.front() != once.back());
    BOOST_TEST(train(1) == once, per_element());
    BOOST_TEST(train(2) == once, per_element());
    BOOST_TEST(train(5) == once, per_element());
  }
}

BOOST_AUTO_TEST_CASE(several_threads_use_a_const_model_at_once) {
  Generator g(1);
  const nn::Sequential net = digits_network(g);
  const nn::LSTM lstm(6, 8, {.layers = 2}, g);
  const Tensor images = g.uniform({5, 1, 28, 28}), sequence = g.normal({7, 3, 6});
  const std::vector<float> logits = net(images).to_vector<float>(), states = lstm(sequence).output.to_vector<float>();
  constexpr int kThreads = 4;
  std::vector<int> wrong(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      for (int run = 0; run < 5; ++run)
        wrong[static_cast<std::size_t>(i)] +=
            net(images).to_vector<float>() != logits || lstm(sequence).output.to_vector<float>() != states;
    });
  for (std::thread& t : threads) t.join();
  BOOST_TEST(wrong == std::vector<int>(kThreads), per_element());
}

BOOST_AUTO_TEST_CASE(frozen_parameters_save_nothing) {
  Generator g(1);
  nn::Sequential net = digits_network(g);
  const Tensor images = g.uniform({16, 1, 28, 28});
  // What a forward pass leaves behind under a tape, beside its result.
  const auto kept = [&] {
    Tape tape;
    const std::int64_t before = pool::statistics().in_use;
    const Tensor logits = net(images);
    return pool::statistics().in_use - before;
  };
  net.freeze();
  static_cast<void>(kept());
  const std::int64_t frozen = kept();
  net.freeze(false);
  const std::int64_t trained = kept();
  BOOST_TEST(frozen <= 4096);
  BOOST_TEST(trained > 16 * 16 * 12 * 12);
}
