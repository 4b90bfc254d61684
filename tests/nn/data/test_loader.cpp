#include "nn/data/loader.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/storage.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::DataLoader;
using nn::LoaderOptions;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

using Values = std::vector<double>;

// Example i is the row (10 i, 10 i + 1) with the label i.
nn::Batch examples(Index n) {
  std::vector<float> x;
  std::vector<std::int64_t> y;
  for (Index i = 0; i < n; ++i) {
    x.push_back(static_cast<float>(10 * i));
    x.push_back(static_cast<float>(10 * i + 1));
    y.push_back(i);
  }
  return {Tensor::from(x, Shape{n, 2}), Tensor::from(y)};
}

// The labels of an epoch in their order, after checking that each row came with its label.
std::vector<Index> epoch_of(const DataLoader& loader) {
  std::vector<Index> labels;
  for (auto [x, y] : loader) {
    BOOST_TEST(x.size(0) == y.size(0));
    for (Index i = 0; i < y.size(0); ++i) {
      const auto label = static_cast<Index>(y.element(i));
      BOOST_TEST(x.at({i, 0}) == static_cast<double>(10 * label));
      BOOST_TEST(x.at({i, 1}) == static_cast<double>(10 * label + 1));
      labels.push_back(label);
    }
  }
  return labels;
}

std::vector<Index> sorted(std::vector<Index> v) {
  std::sort(v.begin(), v.end());
  return v;
}

std::vector<Index> first(Index n) {
  std::vector<Index> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), Index{0});
  return v;
}

}  // namespace

BOOST_AUTO_TEST_CASE(batches_in_order) {
  const nn::Batch data = examples(10);
  const DataLoader loader(data.x, data.y, {.batch_size = 4});
  BOOST_TEST(loader.batches() == 3);
  BOOST_TEST(loader.examples() == 10);
  std::vector<Index> sizes;
  for (auto [x, y] : loader) {
    BOOST_TEST((x.shape() == Shape{y.size(0), 2}));
    BOOST_TEST((y.dtype() == int64));
    sizes.push_back(y.size(0));
  }
  BOOST_TEST(sizes == (std::vector<Index>{4, 4, 2}), boost::test_tools::per_element());
  BOOST_TEST(epoch_of(loader) == first(10), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_last_batch_may_be_dropped) {
  BOOST_TEST(epoch_of(DataLoader(examples(10), {.batch_size = 4, .drop_last = true})) == first(8), boost::test_tools::per_element());
  BOOST_TEST(epoch_of(DataLoader(examples(8), {.batch_size = 4, .drop_last = true})) == first(8), boost::test_tools::per_element());
  BOOST_TEST(DataLoader(examples(3), {.batch_size = 4, .drop_last = true}).batches() == 0);
  BOOST_TEST(DataLoader(examples(0)).batches() == 0);
}

BOOST_AUTO_TEST_CASE(every_epoch_has_another_order_of_all_examples) {
  Generator generator(7);
  const DataLoader loader(examples(100), {.batch_size = 7, .shuffle = true, .generator = &generator});
  const std::vector<Index> one = epoch_of(loader), two = epoch_of(loader);
  BOOST_TEST(sorted(one) == first(100), boost::test_tools::per_element());
  BOOST_TEST(sorted(two) == first(100), boost::test_tools::per_element());
  BOOST_TEST((one != two));
  BOOST_TEST((one != first(100)));
}

BOOST_AUTO_TEST_CASE(a_seed_gives_the_same_epochs) {
  const auto epochs = [](std::uint64_t seed) {
    Generator generator(seed);
    const DataLoader loader(examples(50), {.batch_size = 8, .shuffle = true, .generator = &generator});
    std::vector<Index> all = epoch_of(loader), second = epoch_of(loader);
    all.insert(all.end(), second.begin(), second.end());
    return all;
  };
  BOOST_TEST(epochs(1) == epochs(1), boost::test_tools::per_element());
  BOOST_TEST((epochs(1) != epochs(2)));
  default_generator() = Generator(3);
  const std::vector<Index> by_default = epoch_of(DataLoader(examples(50), {.shuffle = true}));
  default_generator() = Generator(3);
  BOOST_TEST(by_default == epoch_of(DataLoader(examples(50), {.shuffle = true})), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(two_loops_over_one_loader_do_not_disturb_each_other) {
  const DataLoader loader(examples(12), {.batch_size = 4, .shuffle = true});
  std::vector<Index> outer;
  for (auto [x, y] : loader) {
    for (Index i = 0; i < y.size(0); ++i) outer.push_back(static_cast<Index>(y.element(i)));
    BOOST_TEST(sorted(epoch_of(loader)) == first(12), boost::test_tools::per_element());
  }
  BOOST_TEST(sorted(outer) == first(12), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_batch_is_a_constant_copy) {
  const nn::Batch data = examples(4);
  const DataLoader loader(data, {.batch_size = 4});
  for (auto [x, y] : loader) {
    x.mutable_data<float>()[0] = -1;
    BOOST_TEST(x.number() == 0u);
  }
  BOOST_TEST(data.x.element(0) == 0);
  BOOST_TEST((*loader.begin()).x.element(0) == 0);
}

BOOST_AUTO_TEST_CASE(images_and_any_layout) {
  const Tensor images = Tensor::arange(0, 24).to(float32);
  const nn::LabelledImages data{Tensor::from(images.to_vector<float>(), Shape{2, 3, 4}), Tensor::from({7, 8}, int64)};
  const DataLoader loader(data, {.batch_size = 1});
  auto batch = loader.begin();
  ++batch;
  BOOST_TEST(((*batch).x.shape() == Shape{1, 3, 4}));
  BOOST_TEST((*batch).x.element(0) == 12);
  BOOST_TEST((*batch).y.item() == 8);
}

BOOST_AUTO_TEST_CASE(an_epoch_asks_nothing_of_the_heap) {
  Generator generator(1);
  const DataLoader loader(examples(1000), {.batch_size = 32, .shuffle = true, .generator = &generator});
  const auto run = [&] {
    double sum = 0;
    for (auto [x, y] : loader) sum += x.data<float>()[0];
    return sum;
  };
  run();
  const std::size_t before = pool::statistics().heap_allocations;
  run();
  BOOST_TEST(pool::statistics().heap_allocations == before);
}

BOOST_AUTO_TEST_CASE(batches_from_the_background_are_the_same) {
  const auto epochs = [](Index prefetch) {
    Generator generator(3);
    const auto noise = [](nn::Batch b, Generator& g) { return nn::Batch{b.x + g.uniform(b.x.shape()), b.y}; };
    const DataLoader loader(examples(50),
                            {.batch_size = 8, .shuffle = true, .prefetch = prefetch, .transform = noise, .generator = &generator});
    Values all;
    for (int epoch = 0; epoch < 3; ++epoch) {
      for (auto [x, y] : loader) {
        for (const double value : x.to_vector<double>()) all.push_back(value);
      }
    }
    return all;
  };
  const Values here = epochs(0);
  BOOST_TEST(here.size() == 300u);
  BOOST_TEST((epochs(1) == here));
  BOOST_TEST((epochs(3) == here));
  BOOST_TEST((epochs(100) == here));
  BOOST_TEST((epochs(std::numeric_limits<Index>::max()) == here));
}

BOOST_AUTO_TEST_CASE(a_background_thread_ends_with_its_loop) {
  const DataLoader loader(examples(100), {.batch_size = 4, .prefetch = 2});
  for (int round = 0; round < 20; ++round) {
    int batches = 0;
    for (auto [x, y] : loader) {
      if (++batches == round) break;
    }
  }
  auto skipping = loader.begin();
  for (int i = 0; i < 7; ++i) ++skipping;
  BOOST_TEST((*skipping).y.element(0) == 28);
  BOOST_TEST((*skipping).y.element(0) == 28);
  auto moved = std::move(skipping);
  ++moved;
  BOOST_TEST((*moved).y.element(0) == 32);
  BOOST_TEST(epoch_of(DataLoader(examples(0), {.prefetch = 1})).empty());
}

BOOST_AUTO_TEST_CASE(there_is_no_batch_behind_the_last) {
  for (const Index prefetch : {0, 2}) {
    const DataLoader loader(examples(8), {.batch_size = 4, .prefetch = prefetch});
    auto batch = loader.begin();
    ++batch;
    ++batch;
    BOOST_TEST(contains(message_of<ShapeError>([&] { *batch; }), "there is no batch 2"));
  }
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_in_the_background_is_thrown_in_the_loop) {
  const auto fails = [](nn::Batch b, Generator&) {
    if (b.y.element(0) == 8) throw std::runtime_error("the third batch");
    return b;
  };
  for (const Index prefetch : {0, 1, 10}) {
    const DataLoader loader(examples(20), {.batch_size = 4, .prefetch = prefetch, .transform = fails});
    int batches = 0;
    const auto run = [&] {
      for (auto [x, y] : loader) ++batches;
    };
    BOOST_TEST(message_of<std::runtime_error>(run) == "the third batch");
    BOOST_TEST(batches == 2);
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const nn::Batch data = examples(4);
  BOOST_TEST(contains(message_of<ShapeError>([&] { DataLoader(data.x, examples(3).y); }), "same number of rows"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { DataLoader(data, {.batch_size = 0}); }), "batch_size must be positive, but it is 0"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { DataLoader(data, {.prefetch = -1}); }), "prefetch must not be negative, but it is -1"));
  BOOST_CHECK_THROW(DataLoader(Tensor::full({}, 1), Tensor::full({}, 1)), ShapeError);
}

BOOST_AUTO_TEST_CASE(a_part_is_kept_back_for_validation) {
  const nn::Batch data = examples(10);
  Generator generator(5);
  const nn::Split split = nn::split_examples(data.x, data.y, {.validation = 0.3, .generator = &generator});
  BOOST_TEST((split.train.x.shape() == Shape{7, 2}));
  BOOST_TEST((split.validation.x.shape() == Shape{3, 2}));
  std::vector<Index> all = epoch_of(DataLoader(split.train)), rest = epoch_of(DataLoader(split.validation));
  all.insert(all.end(), rest.begin(), rest.end());
  BOOST_TEST((all != first(10)));
  BOOST_TEST(sorted(all) == first(10), boost::test_tools::per_element());
  const nn::Split in_order = nn::split_examples(data.x, data.y, {.shuffle = false});
  BOOST_TEST(epoch_of(DataLoader(in_order.train)) == first(8), boost::test_tools::per_element());
  for (const double share : {0.0, 1.0, 0.01, -1.0, 2.0, std::numeric_limits<double>::quiet_NaN()}) {
    BOOST_CHECK_THROW(nn::split_examples(data.x, data.y, {.validation = share}), ShapeError);
  }
  BOOST_TEST(!split.test.x.defined());
}

BOOST_AUTO_TEST_CASE(a_third_part_for_the_test) {
  const nn::Batch data = examples(10);
  const nn::Split split = nn::split_examples(data.x, data.y, {.validation = 0.3, .test = 0.2, .shuffle = false});
  BOOST_TEST(epoch_of(DataLoader(split.train)) == first(5), boost::test_tools::per_element());
  BOOST_TEST((epoch_of(DataLoader(split.validation)) == std::vector<Index>{5, 6, 7}));
  BOOST_TEST((epoch_of(DataLoader(split.test)) == std::vector<Index>{8, 9}));
  BOOST_TEST(nn::split_examples(data.x, data.y, {.validation = 0, .test = 0.5}).test.x.size(0) == 5);
  BOOST_CHECK_THROW(nn::split_examples(data.x, data.y, {.validation = 0.5, .test = 0.5}), ShapeError);
  BOOST_CHECK_THROW(nn::split_examples(data.x, data.y, {.validation = 0.5, .test = 0.01}), ShapeError);
}

BOOST_AUTO_TEST_CASE(rows_by_their_positions) {
  const nn::Batch data = examples(5);
  const std::vector<Index> rows = {4, 0, 4};
  const Tensor taken = nn::take_rows(data.x, rows);
  BOOST_TEST(taken.to_vector<double>() == (Values{40, 41, 0, 1, 40, 41}), boost::test_tools::per_element());
  for (const Index wrong : {Index{-1}, Index{5}}) {
    BOOST_CHECK_THROW(nn::take_rows(data.x, std::vector<Index>{wrong}), ShapeError);
  }
}

BOOST_AUTO_TEST_CASE(a_part_without_a_share_is_refused) {
  const nn::Split split = nn::split_examples(Tensor::ones({10, 2}), Tensor::ones({10}));
  BOOST_CHECK_THROW(nn::DataLoader(split.test, {.batch_size = 2}), ShapeError);
}
