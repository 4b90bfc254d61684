#include "nn/data/augment.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::nn {
namespace {

// One row of an image: row `y` of image `image`.
template <class T> struct Row {
  const T* picture;  // the first pixel of its channel
  T* to;
  Index image, y;
};

// Calls f(row) for every row of the result, which has the shape of the images.
template <class F> Tensor map_rows(const Tensor& images, Location site, F&& f) {
  const Tensor given = images.constant().contiguous(site);
  Tensor result = Tensor::uninitialized(given.shape(), given.dtype(), site);
  if (given.size() == 0) return result;
  const Index height = given.size(-2), width = given.size(-1), planes = given.size() / (given.size(0) * height * width);
  detail::dispatch(given.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = given.data<T>();
    T* const to = result.mutable_data<T>();
    for (Index row = 0; row < given.size() / width; ++row) {
      const Index plane = row / height;
      f(Row<T>{from + plane * height * width, to + row * width, plane / planes, row % height});
    }
  });
  return result;
}

void check_images(const char* operation, const Tensor& images, Location site) {
  wengert::detail::check_defined(operation, images, "images");
  if (images.rank() < 3)
    throw ShapeError(fmt::format("{}: {} is not (n, ..., height, width)", operation, describe(images)), CallSite::of(site));
}

}  // namespace

Tensor random_crop(const Tensor& images, CropOptions options, Generator& generator, Location site) {
  check_images("random_crop", images, site);
  const Index padding = options.padding, height = images.size(-2), width = images.size(-1);
  if (padding < 0) throw ShapeError(fmt::format("random_crop: padding {} is negative", padding), CallSite::of(site));
  const Tensor moves = generator.integers({images.size(0), 2}, -padding, padding + 1);
  const Index* const move = moves.data<Index>();
  return map_rows(images, site, [&](const auto& row) {
    const Index y = row.y + move[2 * row.image], dx = move[2 * row.image + 1];  // pixel (y, x + dx) moves to (row.y, x)
    const Index first = std::clamp<Index>(-dx, 0, width), last = std::clamp<Index>(width - dx, 0, width);
    std::fill(row.to, row.to + width, 0);
    if (y < 0 || y >= height || first >= last) return;
    std::copy(row.picture + y * width + first + dx, row.picture + y * width + last + dx, row.to + first);
  });
}

Tensor random_flip(const Tensor& images, FlipOptions options, Generator& generator, Location site) {
  check_images("random_flip", images, site);
  const Index width = images.size(-1);
  const Tensor flips = generator.bernoulli({images.size(0)}, options.probability, boolean);
  const bool* const flipped = flips.data<bool>();
  return map_rows(images, site, [&](const auto& row) {
    const auto* const from = row.picture + row.y * width;
    flipped[row.image] ? std::reverse_copy(from, from + width, row.to) : std::copy(from, from + width, row.to);
  });
}

}  // namespace wengert::nn
