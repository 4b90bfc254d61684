#include "nn/data/augment.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

using Values = std::vector<double>;

// n copies of a picture with two channels: 1 to 6 and 11 to 16, in two rows of three.
Tensor pictures(Index n, Dtype dtype = float32) {
  Values values;
  for (Index i = 0; i < n; ++i)
    for (const double channel : {0, 10})
      for (int pixel = 1; pixel <= 6; ++pixel) values.push_back(channel + pixel);
  return Tensor::from(values, Shape{n, 2, 2, 3}).to(dtype);
}

Values picture(const Tensor& images, Index i) {
  const Values all = images.to_vector<double>();
  return {all.begin() + 12 * i, all.begin() + 12 * (i + 1)};
}

}  // namespace

BOOST_AUTO_TEST_CASE(crops_are_moved_pictures) {
  Generator generator(1);
  const Tensor moved = nn::random_crop(pictures(500), {.padding = 1}, generator);
  BOOST_TEST((moved.shape() == Shape{500, 2, 2, 3}));
  std::set<Values> seen;
  for (Index i = 0; i < 500; ++i) seen.insert(picture(moved, i));
  BOOST_TEST(seen.size() == 9u);
  BOOST_TEST(seen.contains({1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}));
  BOOST_TEST(seen.contains({5, 6, 0, 0, 0, 0, 15, 16, 0, 0, 0, 0}));
  BOOST_TEST(seen.contains({0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 11, 12}));
}

BOOST_AUTO_TEST_CASE(padding_beyond_the_picture) {
  Generator generator(2);
  const Tensor moved = nn::random_crop(pictures(200), {.padding = 10}, generator);
  double most = 0;
  for (const double value : moved.to_vector<double>()) most = std::max(most, value);
  BOOST_TEST(most > 0);
  BOOST_TEST((picture(nn::random_crop(pictures(1), {.padding = 0}, generator), 0) == picture(pictures(1), 0)));
}

BOOST_AUTO_TEST_CASE(flips_are_mirrored_pictures) {
  Generator generator(3);
  const Tensor flipped = nn::random_flip(pictures(400), {}, generator);
  const Values mirrored{3, 2, 1, 6, 5, 4, 13, 12, 11, 16, 15, 14};
  int count = 0;
  for (Index i = 0; i < 400; ++i) {
    const bool is_mirrored = picture(flipped, i) == mirrored;
    count += is_mirrored;
    if (!is_mirrored) BOOST_TEST((picture(flipped, i) == picture(pictures(1), 0)));
  }
  BOOST_TEST(count > 150);
  BOOST_TEST(count < 250);
  BOOST_TEST((picture(nn::random_flip(pictures(1), {.probability = 1}, generator), 0) == mirrored));
  BOOST_TEST((picture(nn::random_flip(pictures(1), {.probability = 0}, generator), 0) == picture(pictures(1), 0)));
}

BOOST_AUTO_TEST_CASE(a_seed_decides) {
  const auto run = [](std::uint64_t seed) {
    Generator generator(seed);
    return nn::random_flip(nn::random_crop(pictures(50), {}, generator), {}, generator).to_vector<double>();
  };
  BOOST_TEST((run(1) == run(1)));
  BOOST_TEST((run(1) != run(2)));
}

BOOST_AUTO_TEST_CASE(any_dtype_and_rank) {
  Generator generator(4);
  for (const Dtype dtype : {float64, int64, boolean}) BOOST_TEST((nn::random_crop(pictures(2, dtype), {}, generator).dtype() == dtype));
  BOOST_TEST((nn::random_flip(Tensor::zeros({5, 4, 3}), {}, generator).shape() == Shape{5, 4, 3}));
  BOOST_TEST((nn::random_crop(Tensor::zeros({0, 1, 4, 3}), {}, generator).shape() == Shape{0, 1, 4, 3}));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::random_flip(Tensor::zeros({4, 3})); }), "is not (n, ..., height, width)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { nn::random_crop(pictures(1), {.padding = -1}); }), "padding -1"));
}
