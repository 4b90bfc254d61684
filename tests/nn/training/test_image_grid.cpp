#include "nn/training/image_grid.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "nn/training/bitmap_font.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::write_image_grid;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

using Pixel = std::array<unsigned char, 3>;
constexpr Pixel black{0, 0, 0}, white{255, 255, 255}, red{255, 0, 0}, magenta{255, 0, 255};

struct Picture {
  int width, height;
  std::vector<Pixel> pixels;

  int count(Pixel wanted) const { return static_cast<int>(std::count(pixels.begin(), pixels.end(), wanted)); }
};

Picture read_png(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  BOOST_REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
  image.format = PNG_FORMAT_RGB;
  Picture picture{static_cast<int>(image.width), static_cast<int>(image.height), {}};
  picture.pixels.resize(static_cast<std::size_t>(picture.width) * picture.height);
  BOOST_REQUIRE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr));
  return picture;
}

Picture drawn(const Tensor& images, const nn::ImageGridOptions& options) {
  const TemporaryFolder folder;
  write_image_grid(images, folder.path("grid.png"), options);
  BOOST_TEST(folder.count() == 1u);
  return read_png(folder.path("grid.png"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(gray_images_magnified) {
  const Picture picture = drawn(Tensor::from({0, 0.5, 1, 2, -1, 0}, Shape{1, 2, 3}), {.magnification = 4});
  BOOST_TEST(picture.count(black) == 3 * 16);
  BOOST_TEST(picture.count(Pixel{128, 128, 128}) == 16);
  BOOST_TEST(picture.count(white) == picture.width * picture.height - 4 * 16);
}

BOOST_AUTO_TEST_CASE(colour_images_and_other_ranges) {
  const Tensor images = Tensor::from({255, 0, 0, 0, 0, 0}, Shape{1, 3, 1, 2}, int64);
  const Picture picture = drawn(images, {.magnification = 1, .high = 255});
  BOOST_TEST(picture.count(red) == 1);
  BOOST_TEST(picture.count(black) == 1);
  BOOST_TEST(drawn(Tensor::zeros({1, 1, 2, 2}), {.magnification = 1}).count(black) == 4);
}

BOOST_AUTO_TEST_CASE(not_a_number_is_seen) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  BOOST_TEST(drawn(Tensor::from({nan, 1}, Shape{1, 1, 2}), {.magnification = 2}).count(magenta) == 4);
}

BOOST_AUTO_TEST_CASE(as_many_cells_as_images) {
  const Picture one = drawn(Tensor::zeros({1, 2, 2}), {.magnification = 1}), five = drawn(Tensor::zeros({5, 2, 2}), {.magnification = 1});
  BOOST_TEST(five.count(black) == 20);
  BOOST_TEST(five.width > five.height);  // three columns, two rows
  const Picture row = drawn(Tensor::zeros({5, 2, 2}), {.columns = 5, .magnification = 1});
  BOOST_TEST(row.height == one.height);
}

BOOST_AUTO_TEST_CASE(captions_and_marks) {
  const Tensor images = Tensor::ones({2, 10, 10});
  const Picture plain = drawn(images, {.magnification = 1});
  const Picture marked = drawn(images, {.captions = {"cat\nnot dog", "eel"}, .marked = {0}, .magnification = 1});
  BOOST_TEST(plain.count(white) == plain.width * plain.height);
  BOOST_TEST(marked.height > plain.height);
  BOOST_TEST(marked.count(Pixel{40, 40, 40}) > 40);    // "eel"
  BOOST_TEST(marked.count(Pixel{200, 30, 30}) > 200);  // the frame and "cat, not dog"
}

BOOST_AUTO_TEST_CASE(every_character_has_a_picture_of_its_own) {
  std::set<std::vector<bool>> seen;
  for (int c = ' '; c <= '~'; ++c) {
    std::vector<bool> dots;
    for (int row = 0; row < nn::font::kGlyphHeight; ++row) {
      for (int column = 0; column < nn::font::kGlyphWidth; ++column) dots.push_back(nn::font::is_set(static_cast<char>(c), row, column));
    }
    BOOST_TEST(seen.insert(dots).second, "'" << static_cast<char>(c) << "' looks like another character");
  }
  BOOST_TEST(nn::font::is_set('\xc3', 0, 2) == nn::font::is_set('?', 0, 2));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_drawn_is_refused_and_leaves_no_file) {
  const TemporaryFolder folder;
  const std::string path = folder.path("grid.png");
  BOOST_TEST(contains(message_of<ShapeError>([&] { write_image_grid(Tensor::zeros({2, 2}), path); }), "write_image_grid: (2, 2)"));
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({1, 2, 2, 2}), path), ShapeError);
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({0, 2, 2}), path), ShapeError);
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({2, 2, 2}), path, {.captions = {"one"}}), ShapeError);
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({2, 2, 2}), path, {.low = 1, .high = 1}), Error);
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({1, 2, 2}), path, {.magnification = 1'000'000}), ShapeError);
  BOOST_CHECK_THROW(write_image_grid(Tensor::zeros({1, 2, 2}), folder.path("no/folder/grid.png")), DataError);
  BOOST_TEST(folder.count() == 0u);
}

BOOST_AUTO_TEST_CASE(filters_have_a_scale_each) {
  const TemporaryFolder folder;
  const std::string path = folder.path("filters.png");
  // Two outputs of two inputs, 1 x 2: each filter has its own black and white, and one without differences is gray.
  nn::write_filters(Tensor::from({-1, 1, 5, 6, 0.1, 0, 7, 7}, Shape{2, 2, 1, 2}), path, {.magnification = 2});
  const Picture gray = read_png(path);
  BOOST_TEST(gray.count(black) == 3 * 4);
  BOOST_TEST(gray.count(Pixel{128, 128, 128}) == 2 * 4);
  BOOST_TEST(gray.count(white) == gray.width * gray.height - 5 * 4);
  nn::write_filters(Tensor::from({1, 0, 0}, Shape{1, 3, 1, 1}), path, {.magnification = 2});
  BOOST_TEST(read_png(path).count(red) == 4);
  BOOST_TEST(contains(message_of<ShapeError>([&] {
                        nn::write_filters(Tensor::zeros({2, 3, 3}), path);
                      }),
                      "is not (out, in, height, width)"));
}

BOOST_AUTO_TEST_CASE(activation_maps_share_a_scale) {
  const TemporaryFolder folder;
  const std::string path = folder.path("maps.png");
  const Tensor maps = Tensor::from({0, 0, 0, 1, 0, 2}, Shape{3, 1, 2});
  nn::write_activation_maps(maps, path, {.columns = 3, .magnification = 2});
  const Picture one = read_png(path);
  BOOST_TEST(one.count(black) == 4 * 4);
  BOOST_TEST(one.count(Pixel{128, 128, 128}) == 4);
  nn::write_activation_maps(Tensor::from({0, 1, 2, 3, 4, 5}, Shape{2, 3, 1, 1}), path, {.magnification = 2});
  const Picture two = read_png(path);
  BOOST_TEST(two.width > two.height);  // a row of three for each of two images
  BOOST_CHECK_THROW(nn::write_activation_maps(Tensor::zeros({2, 2}), path), ShapeError);
  BOOST_CHECK_THROW(nn::write_activation_maps(Tensor::zeros({0, 2, 2}), path), ShapeError);
}
