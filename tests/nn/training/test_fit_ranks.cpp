// `fit` on several ranks, which are threads here; tests/distributed has processes and MPI.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_ranks.h"
#include "tests/support/throws.h"

using namespace wengert;
using optim::Ranks;
using testing::run_on_ranks;

namespace {

// Everything whose bits could depend on who computes a batch: random numbers, running statistics, a counter.
struct Net : nn::Module {
  explicit Net(Generator& g) : hidden(4, 12, {}, g), norm(12), dropout(0.3, g), out(12, 3, {}, g), calls(Tensor::zeros({}, int64)) {}
  Tensor operator()(const Tensor& x) {
    if (training()) calls = calls + 1;
    return out(dropout(relu(norm(hidden(x)))));
  }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("norm", norm);
    v("dropout", dropout);
    v("out", out);
    v("calls", calls);
  }
  nn::Linear hidden;
  nn::BatchNorm1d norm;
  nn::Dropout dropout;
  nn::Linear out;
  Tensor calls;
};

nn::Batch points(Index n, Generator& g) {
  const Tensor x = g.normal({n, 4});
  return {x, (sum(x, 1) > 0.5).to(int64) + (select(x, 1, 0) > 0).to(int64)};
}

struct Outcome {
  std::vector<NamedTensor> state;
  std::vector<double> values;  // of all epochs
  double steps;
};

// 53 examples in batches of 5, 4 of which make a step: the last step of an epoch has 3 batches, and the last batch 3 examples.
Outcome train(Ranks& ranks, Index epochs) {
  Generator g(5);
  // All but rank 0 begin with other weights and other generators, which must not matter.
  if (!ranks.is_first()) g = Generator(100 + static_cast<std::uint64_t>(ranks.rank()));
  Generator data_generator(6);
  const nn::Batch data = points(53, data_generator), held_out = points(21, data_generator);
  Net net(g);
  optim::Adam adam(net.parameters(), {.lr = 0.05});
  Generator order(g.next_bits());
  const nn::DataLoader loader(data, {.batch_size = 5, .shuffle = true, .generator = &order});
  const nn::FitResult result = nn::fit(
      net, adam, nn::cross_entropy, loader,
      {.epochs = epochs,
       .validation = nn::DataLoader(held_out, {.batch_size = 4}),
       .metrics = {nn::Metric::accuracy(), nn::Metric::mean("largest", [](const Tensor& p, const Tensor&) { return max(p).item(); })},
       .accumulate = 4,
       .ranks = &ranks,
       .progress = false});
  Outcome outcome{nn::state(net), {}, static_cast<double>(result.steps)};
  for (const char* name : {"train loss", "train accuracy", "train largest", "validation loss", "validation accuracy"})
    for (const double v : result.history.values(name)) outcome.values.push_back(v);
  return outcome;
}

void check_same(const Outcome& a, const Outcome& b, const std::string& what) {
  BOOST_TEST(a.steps == b.steps, what);
  BOOST_TEST_REQUIRE(a.values.size() == b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) BOOST_TEST(a.values[i] == b.values[i], what << ", value " << i);
  for (std::size_t i = 0; i < a.state.size(); ++i)
    BOOST_TEST((a.state[i].value.to_vector<double>() == b.state[i].value.to_vector<double>()), what << ", " << a.state[i].name);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_bits_do_not_depend_on_the_number_of_ranks) {
  optim::OneRank alone;
  const Outcome expected = train(alone, 3);
  BOOST_TEST(expected.steps == 9);
  for (const int n : {1, 2, 3, 4, 6}) {  // with 6 ranks some have nothing to do
    run_on_ranks(n, [&](Ranks& ranks) {
      const Outcome outcome = train(ranks, 3);
      static std::mutex mutex;
      const std::lock_guard lock(mutex);
      check_same(outcome, expected, std::to_string(ranks.rank()) + " of " + std::to_string(n));
    });
  }
}

// Each rank makes its own batches and no others, also in the background.
BOOST_AUTO_TEST_CASE(the_ranks_share_the_making_of_batches) {
  Generator g(1);
  const nn::Batch data = points(53, g);
  std::atomic<int> examples = 0, batches = 0;
  const auto example = [&](Index i) {
    ++examples;
    return nn::Batch{select(data.x, 0, i), select(data.y, 0, i)};
  };
  const auto counted = [&](nn::Batch b, Generator&) {
    ++batches;
    return b;
  };
  for (const Index background : {0, 2}) {
    const auto train_on = [&](Ranks& ranks, const nn::Batches& loader) {
      Generator same(2);
      nn::Sequential net(nn::Linear(4, 3, {}, same));
      optim::SGD sgd(net.parameters(), {.lr = 0.1});
      nn::fit(net, sgd, nn::cross_entropy, loader,
              {.epochs = 2, .validation = loader, .accumulate = 4, .ranks = &ranks, .progress = false});
      return net(data.x).to_vector<double>();
    };
    const nn::SourceLoader source(53, example, {.batch_size = 5, .shuffle = true, .workers = background});
    const auto tensors = [&] { return nn::DataLoader(data, {.batch_size = 5, .prefetch = background, .transform = counted}); };
    optim::OneRank alone;
    const std::vector<double> of_source = train_on(alone, source), of_tensors = train_on(alone, tensors());
    examples = batches = 0;
    std::mutex mutex;
    run_on_ranks(3, [&](Ranks& ranks) {
      const std::vector<double> by_source = train_on(ranks, source), by_tensors = train_on(ranks, tensors());
      const std::lock_guard lock(mutex);
      BOOST_TEST((by_source == of_source));
      BOOST_TEST((by_tensors == of_tensors));
    });
    BOOST_TEST(examples == 4 * 53);  // two epochs of training, two of validation
    BOOST_TEST(batches == 4 * 11);
  }
}

BOOST_AUTO_TEST_CASE(a_batch_that_nobody_has_announced_is_refused) {
  Generator g(1);
  const nn::Batch data = points(20, g);
  const nn::DataLoader loader(data, {.batch_size = 5, .prefetch = 1});
  auto at = loader.begin();
  at.only({1, 3});
  ++at;
  BOOST_TEST((*at).y.to_vector<double>() == slice(data.y, 0, 5, 10).to_vector<double>(), boost::test_tools::per_element());
  ++at;
  BOOST_TEST(testing::contains(testing::message_of<ShapeError>([&] { *at; }), "batch 2"));
  ++at;
  BOOST_TEST((*at).y.to_vector<double>() == slice(data.y, 0, 15, 20).to_vector<double>(), boost::test_tools::per_element());
}

// The same function of the data, but for dropout's numbers and the order of the sums.
BOOST_AUTO_TEST_CASE(it_is_the_training_of_one_process_without_ranks) {
  Generator g(1);
  const nn::Batch data = points(50, g);
  const auto trained = [&](Ranks* ranks) {
    Generator same(2);
    nn::Sequential net(nn::Linear(4, 8, {}, same), nn::Tanh(), nn::Linear(8, 3, {}, same));
    optim::SGD sgd(net.parameters(), {.lr = 0.3});
    nn::fit(net, sgd, nn::cross_entropy, nn::DataLoader(data, {.batch_size = 7}),
            {.epochs = 4, .accumulate = 3, .ranks = ranks, .progress = false});
    return net(data.x).to_vector<double>();
  };
  optim::OneRank alone;
  BOOST_TEST(trained(&alone) == trained(nullptr), boost::test_tools::tolerance(1e-4) << boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(running_statistics_are_the_mean_over_the_batches) {
  Generator g(1);
  const nn::Batch data = points(11, g);
  nn::Sequential net(nn::BatchNorm1d(4), nn::Linear(4, 3, {}, g));
  const nn::Sequential before = net;
  optim::SGD sgd(net.parameters(), {.lr = 0.1});
  optim::OneRank alone;
  nn::fit(net, sgd, nn::cross_entropy, nn::DataLoader(data, {.batch_size = 4}), {.accumulate = 3, .ranks = &alone, .progress = false});
  std::vector<double> expected(4);
  for (const auto& [first, rows] : {std::pair{0, 4}, {4, 4}, {8, 3}}) {
    nn::Sequential one = before;
    one(slice(data.x, 0, first, first + rows));
    const std::vector<double> mean = nn::state(one)[2].value.to_vector<double>();
    for (std::size_t i = 0; i < 4; ++i) expected[i] += mean[i] * rows / 11;
  }
  BOOST_TEST(nn::state(net)[2].name == "0.running_mean");
  BOOST_TEST(nn::state(net)[2].value.to_vector<double>() == expected, boost::test_tools::tolerance(1e-5)
                                                                          << boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_r_squared_of_parts_is_that_of_the_whole) {
  Generator g(1);
  const Tensor y = g.normal({40}, 7, 2, float64), y_hat = y + g.normal({40}, 0, 1, float64);
  const nn::Metric metric = nn::Metric::r_squared();
  nn::Metric::Sums whole, merged;
  metric.add(whole, y_hat, y);
  metric.merge(merged, {});
  for (const auto& [first, last] : {std::pair{0, 1}, {1, 14}, {14, 14}, {14, 40}}) {
    nn::Metric::Sums part;
    metric.add(part, slice(y_hat, 0, first, last), slice(y, 0, first, last));
    metric.merge(merged, part);
  }
  BOOST_TEST(metric.value(merged) == metric.value(whole), boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_ends_all_ranks) {
  std::mutex mutex;
  run_on_ranks(3, [&](Ranks& ranks) {
    const Tensor x = Tensor::from({1.0, 2.0, std::nan(""), 4.0, 5.0, 6.0});
    nn::Sequential net(nn::Linear(1, 1));
    optim::SGD sgd(net.parameters(), {.lr = 0.1});
    std::string message;
    try {
      nn::fit(net, sgd, nn::mse, nn::DataLoader(reshape(x, {6, 1}), reshape(x, {6, 1}), {.batch_size = 1}),
              {.accumulate = 6, .ranks = &ranks, .progress = false});
    } catch (const Error& error) {
      message = error.what();
    }
    const std::lock_guard lock(mutex);
    BOOST_TEST(testing::contains(message, "epoch 1, step 1: the loss is nan"));
  });
}

BOOST_AUTO_TEST_CASE(rank_0_alone_writes_files_and_its_answer_ends_the_training) {
  const testing::TemporaryFolder folder;
  std::mutex mutex;
  run_on_ranks(3, [&](Ranks& ranks) {
    Generator g(1);
    const nn::Batch data = points(20, g);
    nn::Sequential net(nn::Linear(4, 3, {}, g));
    optim::SGD sgd(net.parameters(), {.lr = 0.1});
    // Each rank would write files of its own.
    const std::string own = folder.path(std::to_string(ranks.rank()));
    const nn::FitResult result = nn::fit(
        net, sgd, nn::cross_entropy, nn::DataLoader(data, {.batch_size = 4}),
        {.epochs = 5, .accumulate = 5, .ranks = &ranks, .progress = false, .log = own + ".csv", .stop = [&](const nn::EpochReport& r) {
           return ranks.is_first() ? r.epoch == 2 : r.epoch == 1;
         }});
    const std::lock_guard lock(mutex);
    BOOST_TEST(result.epochs == 2);
    BOOST_TEST((result.ended == nn::FitResult::Ended::stop));
  });
  BOOST_TEST(folder.has("0.csv"));
  BOOST_TEST(folder.count() == 1U);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_without_a_file) {
  double number = 3;
  nn::Checkpoint checkpoint;
  checkpoint("number", number);
  const std::vector<NamedTensor> state = checkpoint.state();
  number = 4;
  checkpoint.load_state(state, "elsewhere");
  BOOST_TEST(number == 3);
  BOOST_TEST(testing::contains(testing::message_of<ValueError>([&] { checkpoint.save(); }), "save: this checkpoint has no file"));
  BOOST_TEST(testing::contains(testing::message_of<ValueError>([&] { checkpoint.resume(); }), "resume: this checkpoint has no file"));
  nn::Checkpoint other;
  BOOST_TEST(testing::contains(testing::message_of<DataError>([&] { other.load_state(state, "elsewhere"); }), "elsewhere: "));
}
