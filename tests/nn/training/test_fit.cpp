#include "nn/training/fit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/runtime.h"
#include "autodiff/tape/tape.h"
#include "nn/layers/basic.h"
#include "nn/layers/sequential.h"
#include "nn/losses.h"
#include "nn/module/state.h"
#include "nn/training/learning_rate_finder.h"
#include "nn/training/metrics.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "optim/weight_average.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::FitOptions;
using nn::FitResult;
using nn::Metric;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;
using Ended = FitResult::Ended;

namespace {

// y = 2 x0 - x1 + 1 with some noise.
nn::Batch line(Index n, std::uint64_t seed) {
  Generator g(seed);
  const Tensor x = g.normal({n, 2});
  const Tensor y = matmul(x, Tensor::from({{2}, {-1}})) + 1 + g.normal({n, 1}, 0, 0.1);
  return {x, y};
}

struct Net : nn::Module {
  explicit Net(std::uint64_t seed) : Net(Generator(seed)) {}
  Tensor operator()(const Tensor& x) const { return out(dropout(tanh(hidden(x)))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("dropout", dropout);
    v("out", out);
  }
  nn::Linear hidden;
  nn::Dropout dropout;
  nn::Linear out;

 private:
  explicit Net(Generator g) : hidden(2, 8, {}, g), dropout(0.1, g), out(8, 1, {}, g) {}
};

std::vector<double> values_of(const nn::Module& model) {
  std::vector<double> all;
  for (const NamedTensor& t : nn::state(model)) {
    const std::vector<double> values = t.value.to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// A training with everything that has a state.
struct Setup {
  explicit Setup(std::uint64_t seed) : net(seed), adam(net.parameters(), {.lr = 0.01}), average(net.parameters()), order(seed + 1) {}

  FitResult run(const std::string& path, FitOptions o = {}) {
    o.epochs = 4;
    o.validation = held_out;
    o.metrics = {Metric::r_squared(), Metric::mean("mae", nn::l1)};
    o.accumulate = 2;
    o.best.restore = true;
    o.progress = false;
    o.plateau = &plateau;
    o.checkpoint.path = path;
    o.checkpoint.parts = [this](nn::Checkpoint& c) { c("average", average); };
    const auto then = o.after_step;
    o.after_step = [this, then](const nn::StepReport& r) {
      average.update();
      if (then) then(r);
    };
    const nn::DataLoader loader(data, {.batch_size = 8, .shuffle = true, .generator = &order});
    return nn::fit(net, adam, nn::mse, loader, o);
  }

  nn::Batch data = line(60, 5), held_out = line(20, 6);
  Net net;
  optim::Adam adam;
  optim::EMA average;
  optim::PlateauSchedule plateau{0.01, {.patience = 0}};
  Generator order;
};

struct Stopped {};

// One thread unless a test says otherwise: a process that forks must have no other.
struct OneThread {
  OneThread() { set_num_threads(1); }
};
BOOST_GLOBAL_FIXTURE(OneThread);

}  // namespace

BOOST_AUTO_TEST_CASE(does_what_a_loop_by_hand_does) {
  const nn::Batch data = line(50, 1), held_out = line(10, 2);
  Net by_hand(3), fitted(3);
  optim::Adam adam(by_hand.parameters(), {.lr = 0.02}), adam_of_fit(fitted.parameters(), {.lr = 0.02});
  Generator order(4), order_of_fit(4);
  const nn::DataLoader loader(data, {.batch_size = 8, .shuffle = true, .generator = &order});
  double train_loss = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    train_loss = 0;
    for (const auto& [x, y] : loader) {
      Tape tape;
      const Tensor loss = nn::mse(by_hand(x), y);
      adam.step(tape.gradient(loss, by_hand.parameters()));
      train_loss += static_cast<double>(x.size(0)) * loss.item() / 50;
    }
  }
  by_hand.eval();

  const nn::DataLoader loader_of_fit(data, {.batch_size = 8, .shuffle = true, .generator = &order_of_fit});
  const FitResult result = nn::fit(fitted, adam_of_fit, nn::mse, loader_of_fit, {.epochs = 3, .validation = held_out, .progress = false});
  BOOST_TEST(values_of(fitted) == values_of(by_hand), boost::test_tools::per_element());
  BOOST_TEST(result.epochs == 3);
  BOOST_TEST(result.steps == 21);
  BOOST_TEST((result.ended == Ended::epochs));
  BOOST_TEST(result.history.values("train loss").back() == train_loss, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(result.history.values("validation loss").back() == nn::mse(by_hand(held_out.x), held_out.y).item(),
             boost::test_tools::tolerance(1e-6));
  BOOST_TEST(!fitted.training());
}

BOOST_AUTO_TEST_CASE(accumulated_gradients_are_those_of_the_whole_batch) {
  const nn::Batch data = line(50, 1);
  nn::Sequential whole(nn::Linear(2, 1)), parts(nn::Linear(2, 1));
  whole.to(float64);
  parts.to(float64);
  nn::load_state(parts, nn::state(whole));
  optim::SGD descent(whole.parameters(), {.lr = 0.1}), descent_of_parts(parts.parameters(), {.lr = 0.1});
  const nn::Batch exact{data.x.to(float64), data.y.to(float64)};
  // 50 = 16 + 16 + 16 + 2: the last step has a full batch and a small one
  nn::fit(whole, descent, nn::mse, nn::DataLoader(exact, {.batch_size = 32}), {.epochs = 2, .progress = false});
  const FitResult result = nn::fit(parts, descent_of_parts, nn::mse, nn::DataLoader(exact, {.batch_size = 16}),
                                   {.epochs = 2, .accumulate = 2, .progress = false});
  BOOST_TEST(result.steps == 4);
  const std::vector<double> a = values_of(whole), b = values_of(parts);
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST(a[i] == b[i], boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(rates_follow_schedules_by_epoch_and_by_step) {
  const nn::Batch data = line(20, 1);
  const nn::DataLoader loader(data, {.batch_size = 10});
  Net net(1);
  optim::SGD descent(net.parameters(), {.lr = 1});
  std::vector<double> rates;
  FitOptions options{.epochs = 2, .progress = false, .after_step = [&](const nn::StepReport& r) { rates.push_back(r.learning_rate); }};
  options.rate_of_epoch = optim::StepSchedule{.lr = 0.1, .gamma = 0.5};
  nn::fit(net, descent, nn::mse, loader, options);
  BOOST_TEST(rates == (std::vector<double>{0.1, 0.1, 0.05, 0.05}), boost::test_tools::per_element());
  rates.clear();
  options.rate_of_epoch = {};
  options.rate_of_step = [](Index step) { return 0.01 * static_cast<double>(step + 1); };
  nn::fit(net, descent, nn::mse, loader, options);
  BOOST_TEST(rates == (std::vector<double>{0.01, 0.02, 0.03, 0.04}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(early_stopping_restores_the_best_weights) {
  const nn::Batch data = line(20, 1);
  nn::Sequential net(nn::Linear(2, 1));
  optim::SGD descent(net.parameters(), {.lr = 0.1});
  std::vector<std::vector<double>> values;
  // The second epoch is the best one by a value that we make up: rates that grow spoil everything from then on.
  const auto rate = [](Index epoch) { return epoch < 2 ? 0.1 : 1e3; };
  const FitResult result = nn::fit(net, descent, nn::mse, nn::DataLoader(data, {.batch_size = 10}),
                                   {.epochs = 50,
                                    .validation = data,
                                    .validation_name = "test",
                                    .rate_of_epoch = rate,
                                    .best = {.value = "test loss", .patience = 2},
                                    .progress = false,
                                    .after_epoch = [&](const nn::EpochReport&) { values.push_back(values_of(net)); }});
  BOOST_TEST((result.ended == Ended::patience));
  BOOST_TEST(result.best_epoch == 2);
  BOOST_TEST(result.epochs == 4);
  BOOST_TEST(result.best_value == result.history.values("test loss")[1]);
  BOOST_TEST(values_of(net) == values[1], boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(larger_may_be_better_and_a_function_may_stop) {
  const nn::Batch data = line(20, 1);
  Net net(1);
  optim::SGD descent(net.parameters(), {.lr = 0.1});
  const FitResult result = nn::fit(net, descent, nn::mse, nn::DataLoader(data, {.batch_size = 10}),
                                   {.epochs = 50,
                                    .metrics = {Metric::r_squared()},
                                    .best = {.value = "train R^2", .larger_is_better = true},
                                    .progress = false,
                                    .stop = [](const nn::EpochReport& r) { return r.epoch == 3; }});
  BOOST_TEST((result.ended == Ended::stop));
  BOOST_TEST(result.epochs == 3);
  const std::vector<double>& r2 = result.history.values("train R^2");
  BOOST_TEST(result.best_value == *std::max_element(r2.begin(), r2.end()));
}

BOOST_AUTO_TEST_CASE(a_training_that_is_stopped_anywhere_and_resumed_has_the_same_bits) {
  const TemporaryFolder folder;
  Setup whole(1);
  std::vector<double> losses;
  const FitResult result = whole.run(
      folder.path("whole"), {.log = folder.path("whole.csv"), .after_step = [&](const nn::StepReport& r) { losses.push_back(r.loss); }});
  BOOST_TEST(losses.size() == 16u);

  for (const Index at : {2, 3, 4, 7, 13}) {
    const std::string path = folder.path("stopped");
    Setup first(1);
    const auto stop = [&](const nn::StepReport& r) {
      if (r.step == at) throw Stopped();
    };
    FitOptions options{.checkpoint = {.every_steps = 1}, .log = folder.path("stopped.csv"), .after_step = stop};
    BOOST_CHECK_THROW(first.run(path, options), Stopped);  // after `at` steps, of which at - 1 are saved
    set_num_threads(at % 2 ? 2 : 1);
    Setup second(99);  // other weights, another order: all of it comes from the file
    std::vector<double> rest;
    options.after_step = [&](const nn::StepReport& r) { rest.push_back(r.loss); };
    options.checkpoint.resume = true;
    const FitResult resumed = second.run(path, options);
    BOOST_TEST(values_of(second.net) == values_of(whole.net), boost::test_tools::per_element());
    BOOST_TEST(rest == (std::vector<double>(losses.end() - std::ssize(rest), losses.end())), boost::test_tools::per_element());
    BOOST_TEST((folder.read("stopped") == folder.read("whole")));
    BOOST_TEST(folder.read("stopped.csv") == folder.read("whole.csv"));
    BOOST_TEST(resumed.best_epoch == result.best_epoch);

    Setup again(98);  // nothing is left to do
    BOOST_TEST(again.run(path, options).steps == 16);
    BOOST_TEST(values_of(again.net) == values_of(whole.net), boost::test_tools::per_element());
    std::filesystem::remove(path);
  }
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_other_data_or_metrics_is_refused) {
  const TemporaryFolder folder;
  const nn::Batch data = line(20, 1), more = line(30, 1);
  Net net(1);
  optim::Adam adam(net.parameters());
  const FitOptions options{.checkpoint = {.path = folder.path("run"), .resume = true}, .progress = false};
  nn::fit(net, adam, nn::mse, nn::DataLoader(data, {.batch_size = 10}), options);
  const std::vector<double> before = values_of(net);
  const auto refused = [&](const nn::Batch& other, const FitOptions& o) {
    return message_of<DataError>([&] { nn::fit(net, adam, nn::mse, nn::DataLoader(other, {.batch_size = 10}), o); });
  };
  BOOST_TEST(contains(refused(more, options), "an epoch had 2 batches, and has 3 now"));
  FitOptions measured = options;
  measured.metrics = {Metric::r_squared()};
  BOOST_TEST(contains(refused(data, measured), "metrics"));
  BOOST_TEST(values_of(net) == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_signal_finishes_the_batch_and_saves) {
  const TemporaryFolder folder;
  Setup whole(1);
  whole.run(folder.path("whole"));
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string path = folder.path("run");
    const pid_t child = ::fork();
    if (child == 0) {
      if (!std::freopen(folder.path("errors").c_str(), "w", stderr)) ::_exit(9);
      Setup setup(1);
      setup.run(path, {.after_step = [&](const nn::StepReport& r) {
                  if (r.step == 6) ::kill(::getpid(), signal);
                }});
      ::_exit(8);  // not reached
    }
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(WIFSIGNALED(status));
    BOOST_TEST(WTERMSIG(status) == signal);
    const std::string said = folder.read("errors");
    BOOST_TEST(
        contains(said, signal == SIGINT ? "SIGINT: stopped after step 6, in epoch 2 of 4; saved in " : "SIGTERM: stopped after step 6"));
    Setup resumed(2);
    Index steps = 0;
    resumed.run(path, {.checkpoint = {.resume = true}, .after_step = [&](const nn::StepReport&) { ++steps; }});
    BOOST_TEST(steps == 10);
    BOOST_TEST((folder.read("run") == folder.read("whole")));
    std::filesystem::remove(path);
  }
}

BOOST_AUTO_TEST_CASE(a_second_signal_does_not_wait) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    Setup setup(1);
    setup.run(folder.path("run"), {.after_step = [&](const nn::StepReport&) {
                ::kill(::getpid(), SIGINT);
                ::kill(::getpid(), SIGTERM);
                ::_exit(8);  // not reached
              }});
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(WIFSIGNALED(status));
  BOOST_TEST(WTERMSIG(status) == SIGTERM);
  BOOST_TEST(!folder.has("run"));
}

BOOST_AUTO_TEST_CASE(where_the_program_has_a_handler_fit_returns) {
  const TemporaryFolder folder;
  static volatile sig_atomic_t handled = 0;
  struct sigaction own {
  }, before{};
  own.sa_handler = [](int) { handled = 1; };
  ::sigaction(SIGTERM, &own, &before);
  Setup setup(1);
  const FitResult result = setup.run(folder.path("run"), {.after_step = [&](const nn::StepReport& r) {
                                       if (r.step == 3) ::kill(::getpid(), SIGTERM);
                                     }});
  BOOST_TEST((result.ended == Ended::signal));
  BOOST_TEST(result.steps == 3);
  BOOST_TEST(handled == 1);
  ::sigaction(SIGTERM, &before, nullptr);
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_ends_the_training) {
  nn::Batch data = line(20, 1);
  Net net(1);
  optim::Adam adam(net.parameters());
  const std::vector<double> before = values_of(net);
  const auto loss = [](const Tensor& y_hat, const Tensor& y) { return nn::mse(y_hat, y) * std::numeric_limits<double>::infinity(); };
  const std::string message = message_of<Error>([&] { nn::fit(net, adam, loss, nn::DataLoader(data), {.progress = false}); });
  BOOST_TEST(contains(message, "epoch 1, step 1: the loss is inf"));
  BOOST_TEST(contains(message, "hint: try a smaller learning rate"));
  BOOST_TEST(values_of(net) == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(bad_options_are_refused) {
  const nn::Batch data = line(20, 1);
  Net net(1);
  optim::Adam adam(net.parameters());
  const nn::DataLoader loader(data);
  const auto refused = [&](const FitOptions& o) { return message_of<ValueError>([&] { nn::fit(net, adam, nn::mse, loader, o); }); };
  const auto rate = [](Index) { return 0.1; };
  BOOST_TEST(contains(refused({.epochs = 0}), "epochs must be at least 1, but it is 0"));
  BOOST_TEST(contains(refused({.accumulate = 0}), "accumulate"));
  BOOST_TEST(contains(refused({.rate_of_epoch = rate, .rate_of_step = rate}), "leave one out"));
  BOOST_TEST(contains(refused({.best = {.min_change = -1}}), "min_change"));
  BOOST_TEST(contains(refused({.best = {.patience = -1}}), "patience"));
  BOOST_TEST(contains(refused({.checkpoint = {.resume = true}}), "checkpoint.path"));
  BOOST_TEST(contains(refused({.checkpoint = {.path = "x", .every_steps = -1}}), "every_steps"));
  BOOST_TEST(
      contains(refused({.best = {.value = "accuracy"}}), "best.value is \"accuracy\", but the values of an epoch are \"train loss\""));
  BOOST_TEST(contains(message_of<ValueError>([&] { nn::fit(net, adam, nn::mse, nn::Batches(), {}); }), "no batches"));
  const nn::EpochReport report{1, 1, 0.1, {}};
  BOOST_TEST(contains(message_of<Error>([&] { (void)report["accuracy"]; }), "no value of an epoch is called \"accuracy\""));
}

BOOST_AUTO_TEST_CASE(evaluation_measures_everything_over_all_batches) {
  const nn::Batch data = line(23, 1);
  Net net(1);
  const std::vector<Metric> metrics{Metric::r_squared(), Metric::mean("largest", [](const Tensor& y_hat, const Tensor&) {
                                      return static_cast<double>(max(y_hat).item());
                                    })};
  const nn::Evaluation parts = nn::evaluate(net, nn::mse, nn::DataLoader(data, {.batch_size = 5}), metrics);
  BOOST_TEST(net.training());
  net.eval();
  BOOST_TEST(parts.loss == nn::mse(net(data.x), data.y).item(), boost::test_tools::tolerance(1e-6));
  BOOST_TEST(parts.metrics[0] == nn::r_squared(net(data.x), data.y), boost::test_tools::tolerance(1e-6));
  double largest = 0;  // of each batch, weighted by its rows
  for (Index first = 0; first < 23; first += 5) {
    const Index rows = std::min<Index>(5, 23 - first);
    largest += static_cast<double>(rows) / 23 * max(net(slice(data.x, 0, first, first + rows))).item();
  }
  BOOST_TEST(parts.metrics[1] == largest, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(finding_a_learning_rate_changes_nothing) {
  const TemporaryFolder folder;
  const nn::Batch data = line(64, 1);
  Net net(1);
  optim::SGD descent(net.parameters(), {.lr = 0.5, .momentum = 0.9});
  Generator order(3);
  const nn::DataLoader loader(data, {.batch_size = 16, .shuffle = true, .generator = &order});
  const std::vector<double> before = values_of(net);
  const std::uint64_t drawn = net.dropout.generator.counter();
  const nn::LearningRateTrial trial = nn::find_learning_rate(net, descent, nn::mse, loader, {.min_rate = 1e-4, .max_rate = 100});
  BOOST_TEST(values_of(net) == before, boost::test_tools::per_element());
  BOOST_TEST(net.dropout.generator.counter() == drawn);
  BOOST_TEST(order.counter() == 0u);
  BOOST_TEST(descent.learning_rate() == 0.5);
  BOOST_TEST(descent.state().size() == optim::SGD(net.parameters(), {.lr = 0.5, .momentum = 0.9}).state().size());
  BOOST_TEST(trial.rates.front() == 1e-4);
  BOOST_TEST(trial.rates.size() < 100u);  // it diverges before the largest rate
  BOOST_TEST(trial.losses.size() == trial.rates.size());
  BOOST_TEST((trial.suggestion > 1e-3 && trial.suggestion < 10), trial.suggestion);
  trial.plot(folder.path("rates.png"));
  BOOST_TEST(contains(folder.read("rates.csv"), "rate,log10 of the rate,loss,smoothed\n0.0001,-4,"));
  BOOST_TEST(contains(folder.read("rates.gp"), "Loss; it falls fastest at a rate of"));
  BOOST_CHECK_THROW(nn::find_learning_rate(net, descent, nn::mse, loader, {.min_rate = 1, .max_rate = 1}), ValueError);
  BOOST_CHECK_THROW(nn::find_learning_rate(net, descent, nn::mse, loader, {.steps = 1}), ValueError);
  BOOST_CHECK_THROW(nn::find_learning_rate(net, descent, nn::mse, loader, {.smoothing = 1}), ValueError);
  BOOST_CHECK_THROW(nn::find_learning_rate(net, descent, nn::mse, loader, {.divergence = 1}), ValueError);
}
