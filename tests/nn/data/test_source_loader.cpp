#include "nn/data/source_loader.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/io/mapped_npy.h"
#include "autodiff/io/npy.h"
#include "autodiff/ops.h"
#include "nn/data/image_folder.h"
#include "nn/training/batches.h"
#include "nn/training/png_image.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::Batch;
using nn::SourceLoader;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

Batch example(Index i) { return {Tensor::full({2}, static_cast<double>(i)), Tensor::full({}, 10 * i, int64)}; }

std::vector<double> all_of(const SourceLoader& loader, Index epoch) {
  std::vector<double> all;
  for (auto it = loader.begin(epoch); it != loader.end(); ++it) {
    const Batch batch = *it;
    BOOST_TEST((batch.x.shape() == Shape{batch.y.size(), 2}));
    const std::vector<double> x = batch.x.to_vector<double>(), y = batch.y.to_vector<double>();
    for (std::size_t i = 0; i < y.size(); ++i) BOOST_TEST(y[i] == 10 * std::floor(x[2 * i] + 1e-9));
    all.insert(all.end(), x.begin(), x.end());
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(examples_in_order) {
  const SourceLoader loader(10, example, {.batch_size = 4});
  BOOST_TEST(loader.batches() == 3);
  const std::vector<double> all = all_of(loader, 0);
  BOOST_TEST(all.size() == 20u);
  for (std::size_t i = 0; i < all.size(); ++i) BOOST_TEST(all[i] == static_cast<double>(i / 2));
  BOOST_TEST(SourceLoader(10, example, {.batch_size = 4, .drop_last = true}).batches() == 2);
  BOOST_TEST(SourceLoader(0, example).batches() == 0);
}

BOOST_AUTO_TEST_CASE(batches_depend_on_seed_epoch_and_place_alone) {
  const auto noisy = [](Batch b, Generator& g) { return Batch{b.x + g.uniform(b.x.shape(), 0, 0.5), b.y}; };
  const SourceLoader plain(50, example, {.batch_size = 8, .shuffle = true, .seed = 3, .transform = noisy});
  const std::vector<double> first = all_of(plain, 0), second = all_of(plain, 1);
  BOOST_TEST((first != second));
  BOOST_TEST((all_of(SourceLoader(50, example, {.batch_size = 8, .shuffle = true, .seed = 4, .transform = noisy}), 0) != first));
  for (const Index workers : {1, 2, 5}) {
    // Examples take different times, so that batches are finished in another order.
    const auto slow = [](Index i) {
      std::this_thread::sleep_for(std::chrono::microseconds(i * 7919 % 500));
      return example(i);
    };
    const SourceLoader loader(50, slow,
                              {.batch_size = 8, .shuffle = true, .seed = 3, .workers = workers, .prefetch = 3, .transform = noisy});
    BOOST_TEST((all_of(loader, 0) == first));
    BOOST_TEST((all_of(loader, 1) == second));
    BOOST_TEST((loader.batch(1, 4).x.to_vector<double>() == std::vector<double>(second.begin() + 64, second.begin() + 80)));
  }
}

BOOST_AUTO_TEST_CASE(batches_that_are_passed_over_are_not_made) {
  std::atomic<int> made{0};
  const auto counted = [&](Index i) {
    ++made;
    return example(i);
  };
  const SourceLoader loader(100, counted, {.batch_size = 10, .workers = 2});
  const nn::Batches batches(loader);
  const auto epoch = batches.begin(0);
  for (int i = 0; i < 9; ++i) epoch->skip();
  Batch last;
  BOOST_TEST(epoch->next(last));
  BOOST_TEST(last.y.element(0) == 900);
  BOOST_TEST(!epoch->next(last));
  BOOST_TEST(made == 10);
}

BOOST_AUTO_TEST_CASE(errors_come_where_the_batch_is_requested) {
  const auto broken = [](Index i) {
    if (i == 13) throw DataError("example 13 is broken");
    return example(i);
  };
  for (const Index workers : {0, 2}) {
    const SourceLoader loader(20, broken, {.batch_size = 5, .workers = workers});
    auto it = loader.begin();
    BOOST_TEST((*it).y.element(4) == 40);
    ++it;
    BOOST_TEST((*it).y.element(4) == 90);
    ++it;
    BOOST_TEST(message_of<DataError>([&] { (void)*it; }) == "example 13 is broken");
    ++it;
    BOOST_TEST((*it).y.element(4) == 190);
    ++it;
    BOOST_CHECK_THROW((void)*it, ShapeError);
  }
}

BOOST_AUTO_TEST_CASE(an_epoch_may_be_left_early) {
  const SourceLoader loader(1000, example, {.batch_size = 5, .workers = 3});
  for (auto it = loader.begin(); it != loader.end(); ++it) {
    BOOST_TEST((*it).y.size() == 5);
    break;
  }
}

BOOST_AUTO_TEST_CASE(bad_options_and_examples_are_refused) {
  BOOST_CHECK_THROW(SourceLoader(-1, example), ShapeError);
  BOOST_CHECK_THROW(SourceLoader(1, example, {.batch_size = 0}), ShapeError);
  BOOST_CHECK_THROW(SourceLoader(1, example, {.workers = -1}), ShapeError);
  BOOST_CHECK_THROW(SourceLoader(1, example, {.prefetch = -1}), ShapeError);
  const SourceLoader loader(3, [](Index i) { return Batch{Tensor::zeros({i}), Tensor::zeros({1})}; });
  BOOST_TEST(contains(message_of<ShapeError>([&] { (void)loader.batch(0, 0); }), "the input of example 1 is (1,) float32"));
  BOOST_CHECK_THROW((void)loader.batch(0, 1), ShapeError);
  BOOST_CHECK_THROW((void)loader.batch(-1, 0), ShapeError);
  BOOST_CHECK_THROW((void)loader.begin(-1), ShapeError);
  const SourceLoader undefined(1, [](Index) { return Batch{}; });
  BOOST_CHECK_THROW((void)undefined.batch(0, 0), ValueError);
}

BOOST_AUTO_TEST_CASE(rows_of_a_mapped_array) {
  const TemporaryFolder folder;
  const Tensor x = reshape(Tensor::arange(0, 24, 1, float64), {4, 3, 2}), labels = Tensor::from({3, 1, 2, 0}, int64);
  write_npy(folder.path("x.npy"), x);
  write_npy(folder.path("labels.npy"), labels);
  const MappedNpy rows(folder.path("x.npy")), targets(folder.path("labels.npy"));
  BOOST_TEST(rows.size() == 4);
  BOOST_TEST((rows.shape() == Shape{4, 3, 2}));
  BOOST_TEST((rows.row(2).shape() == Shape{3, 2}));
  BOOST_TEST(rows.row(2).to_vector<double>() == select(x, 0, 2).to_vector<double>(), boost::test_tools::per_element());
  BOOST_TEST((targets.row(0).shape() == Shape{}));
  BOOST_TEST((targets.row(0).dtype() == int64));
  const SourceLoader loader(4, [&](Index i) { return Batch{rows.row(i), targets.row(i)}; }, {.batch_size = 4, .workers = 2});
  BOOST_TEST((*loader.begin()).x.to_vector<double>() == x.to_vector<double>(), boost::test_tools::per_element());
  BOOST_TEST((*loader.begin()).y.to_vector<double>() == labels.to_vector<double>(), boost::test_tools::per_element());
  BOOST_CHECK_THROW((void)rows.row(4), ShapeError);
  BOOST_CHECK_THROW((void)rows.row(-1), ShapeError);

  const std::string bytes = folder.read("x.npy");
  BOOST_CHECK_THROW(MappedNpy(folder.write("short.npy", bytes.substr(0, bytes.size() - 1))), DataError);
  std::string fortran = bytes;
  fortran.replace(fortran.find("False"), 5, "True ");
  BOOST_TEST(contains(message_of<DataError>([&] { MappedNpy(folder.write("fortran.npy", fortran)); }), "Fortran order"));
  write_npy(folder.path("number.npy"), Tensor::full({}, 1));
  BOOST_CHECK_THROW(MappedNpy(folder.path("number.npy")), DataError);
}

BOOST_AUTO_TEST_CASE(images_in_folders) {
  const TemporaryFolder folder;
  const auto png = [](std::uint8_t red, std::uint8_t blue) {
    const std::vector<std::uint8_t> pixels{red, 0, blue, 255, 255, 255};
    return nn::encode_png("test", 2, 1, pixels);
  };
  folder.write("root/b/2.png", png(255, 0));
  folder.write("root/b/1.png", png(0, 255));
  folder.write("root/a/3.png", png(51, 0));
  folder.write("root/a/notes.txt", "no image");
  folder.write("root/loose.png", png(0, 0));
  const nn::ImageFolder images(folder.path("root"));
  BOOST_TEST(images.size() == 3);
  BOOST_TEST(images.classes() == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
  BOOST_TEST(contains(images.path(1), "b/1.png"));
  const SourceLoader loader(images.size(), images, {.batch_size = 3, .workers = 2});
  const Batch batch = *loader.begin();
  BOOST_TEST((batch.x.shape() == Shape{3, 3, 1, 2}));
  BOOST_TEST(batch.y.to_vector<double>() == (std::vector<double>{0, 1, 1}), boost::test_tools::per_element());
  BOOST_TEST(batch.x.at({0, 0, 0, 0}) == 0.2, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(batch.x.at({1, 2, 0, 0}) == 1);
  BOOST_TEST(batch.x.at({2, 0, 0, 0}) == 1);
  BOOST_TEST(batch.x.at({2, 1, 0, 0}) == 0);
  BOOST_TEST((nn::ImageFolder(folder.path("root"), {.channels = 1})(2).x.shape() == Shape{1, 1, 2}));

  const std::string whole = png(1, 2);
  folder.write("root/b/1.png", whole.substr(0, whole.size() / 2));
  BOOST_TEST(contains(message_of<DataError>([&] { (void)images(1); }), "b/1.png"));
  folder.write("root/b/1.png", "no image");
  BOOST_TEST(contains(message_of<DataError>([&] { (void)images(1); }), "is not a PNG image"));
  BOOST_TEST(contains(message_of<DataError>([&] { nn::read_png(images.path(2), {.max_pixels = 1}); }), "has 2 x 1 pixels"));
  BOOST_CHECK_THROW((void)images(3), ShapeError);
  BOOST_CHECK_THROW(nn::ImageFolder(folder.path("root/a")), DataError);
  BOOST_CHECK_THROW(nn::ImageFolder(folder.path("none")), DataError);
  BOOST_CHECK_THROW(nn::ImageFolder(folder.path("root"), {.channels = 2}), ValueError);
}
