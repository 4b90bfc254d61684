// What direct_convolution.h and grouped_convolution.h take is left to them. Of all else, each image is unrolled in tiles to a matrix of
// columns, and the rest are products of matrices. For one group of an image, with K = in_channels / groups * kernel height * kernel width
// rows and a column for each output position,
//
//   columns[(c, r, s), (i, j)] = x[c, i sh - ph + r dh, j sw - pw + s dw]
//
//   y = weight columns,   weight_bar = y_bar columns^T,   columns_bar = weight^T y_bar, of which every element is added to the element of x
//   where it came from
//
// Where an image of y is small, the columns of several images stand side by side, so that the products fill the tiles of their kernel.
//
// An image is first padded, and split into phases along the width if the stride is larger than 1. So a row of columns consists of runs of
// neighbours, all of the same length.
#include "autodiff/kernels/convolution.h"

#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/direct_convolution.h"
#include "autodiff/kernels/grouped_convolution.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/partial_sums.h"
#include "autodiff/kernels/phases.h"
#include "autodiff/kernels/product.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"

#define WENGERT_LOOP __attribute__((always_inline)) inline

namespace wengert::kernels {
namespace {

// Output positions that are unrolled at once: whole rows, or a part of one row where a row is too long. They are neighbours in y.
struct Tile {
  Range rows, columns;
  Index first_position, positions;
};

// One group of one image as matrices.
struct Unrolled {
  explicit Unrolled(const Convolution& c)
      : batch(c.batch),
        height(c.height),
        width(c.width),
        channels(c.in_channels / c.groups),
        outputs(c.out_channels / c.groups),
        rows(channels * c.height.kernel * c.width.kernel),
        positions(Shape{c.height.out, c.width.out}.size()),  // may wrap if the batch is empty
        phases(c.width),
        row(phases.count * phases.size),
        image_rows((c.height.out - 1) * c.height.stride + (c.height.kernel - 1) * c.height.dilation + 1) {
    for (Index s = 0; s < width.kernel; ++s) first_of_tap.push_back(phases.phase(s) * phases.size + phases.shift(s));
  }

  Index batch;
  WindowAxis height, width;
  Index channels, outputs;           // of a group
  Index rows;                        // of the matrix of columns
  Index positions;                   // of an image of y
  PhaseAxis phases;                  // of the width
  Index row;                         // elements of a row of the padded image
  Index image_rows;                  // its rows
  pool::Vector<Index> first_of_tap;  // where in a row the elements of each position of the kernel begin

  Index padded_size() const { return channels * image_rows * row; }

  // Whether the matrix of columns is x as it lies there.
  bool is_image() const { return is_identity(height) && is_identity(width); }

  // What fits the second-level cache with room for the operands.
  template <class T> Index positions_of_tile() const {
    constexpr Index elements = (Index(1) << 19) / static_cast<Index>(sizeof(T));
    const Index fit = std::clamp<Index>(elements / std::max<Index>(rows, 1), 16, std::max<Index>(positions, 16));
    return width.out <= fit ? fit / width.out * width.out : fit;
  }

  // How many images are unrolled at once: more than one if they are small. At least eight blocks of images are left for the threads.
  template <class T> Index images_together() const {
    constexpr Index kSmall = 64, kEnough = 128, kBlocks = 8;
    if (batch <= kBlocks || positions >= kSmall) return 1;
    const Index fit = std::min(kEnough, (Index(1) << 19) / static_cast<Index>(sizeof(T)) / std::max<Index>(rows, 1));
    return std::clamp<Index>(fit / positions, 1, (batch + kBlocks - 1) / kBlocks);
  }
  Tile whole() const { return {{0, height.out}, {0, width.out}, 0, positions}; }

  // f(tile) for all tiles.
  template <class T, class F> void for_each_tile(F&& f) const {
    const Index most = positions_of_tile<T>();
    const Index tile_rows = std::max<Index>(1, most / width.out), tile_columns = std::min(most, width.out);
    for (Index i = 0; i < height.out; i += tile_rows)
      for (Index j = 0; j < width.out; j += tile_columns) {
        const Range r{i, std::min(i + tile_rows, height.out)}, s{j, std::min(j + tile_columns, width.out)};
        f(Tile{r, s, i * width.out + j, r.size() * s.size()});
      }
  }

  // f(elements of the matrix, elements of the padded image, how many) for every run of a tile along the width; a row of the matrix ends
  // with `gap` elements of other images.
  template <class Columns, class Image, class F>
  WENGERT_LOOP void for_each_run(const Tile& tile, Columns* columns, Index gap, Image* image, const F& f) const {
    const auto walk = [&](auto n) __attribute__((always_inline)) {
      for (Index c = 0; c < channels; ++c)
        for (Index r = 0; r < height.kernel; ++r)
          for (Index s = 0; s < width.kernel; ++s, columns += gap) {
            // (No pointer steps from row to row: behind a single one, the stride may lead anywhere.)
            Image* const tap =
                image + (c * image_rows + r * height.dilation) * row + first_of_tap[static_cast<std::size_t>(s)] + tile.columns.first;
            for (Index i = tile.rows.first; i < tile.rows.last; ++i, columns += n) f(columns, tap + i * height.stride * row, n);
          }
    };
    // Short runs of a length that the compiler knows take a few instructions.
    switch (const Index n = tile.columns.size()) {
      case 4:
        return walk(std::integral_constant<Index, 4>());
      case 8:
        return walk(std::integral_constant<Index, 8>());
      case 16:
        return walk(std::integral_constant<Index, 16>());
      default:
        return walk(n);
    }
  }

  template <class T> void unroll(const Tile& tile, const T* padded, T* columns, Index gap = 0) const {
    run_elements<T>([&]() __attribute__((always_inline)) {
      for_each_run(
          tile, columns, gap, padded, [](T* __restrict to, const T* from, auto n) __attribute__((always_inline)) {
            for (Index i = 0; i < n; ++i) to[i] = from[i];
          });
    });
  }
  // The transposed map: adds every element of the matrix to the element of the padded image where it came from.
  template <class T> void add_rolled(const Tile& tile, const T* columns, T* padded, Index gap = 0) const {
    run_elements<T>([&]() __attribute__((always_inline)) {
      for_each_run(
          tile, columns, gap, padded, [](const T* from, T* __restrict to, auto n) __attribute__((always_inline)) {
            for (Index i = 0; i < n; ++i) to[i] += from[i];
          });
    });
  }

  // f(row of the padded image, row of the image) for all rows, and g(row of the padded image) for those of padding.
  template <class Padded, class Image, class F, class G>
  WENGERT_LOOP void for_each_row(Padded* padded, Image* image, const F& f, const G& g) const {
    for (Index c = 0; c < channels; ++c, image += height.in * width.in)
      for (Index i = 0; i < image_rows; ++i, padded += row) {
        const Index input = i - height.padding;
        if (input >= 0 && input < height.in) {
          f(padded, image + input * width.in);
        } else {
          g(padded);
        }
      }
  }
  // The padded image.
  template <class T> void pad(const T* image, T* padded) const {
    run_elements<T>([&]() __attribute__((always_inline)) {
      for_each_row(
          padded, image, [&](T * to, const T* from) __attribute__((always_inline)) { split_row(phases, from, to, phases.size); },
          [&](T * to) __attribute__((always_inline)) {
            for (Index i = 0; i < row; ++i) to[i] = 0;
          });
    });
  }
  // The transposed map: adds what is not padding to the image.
  template <class T> void add_unpadded(T* padded, T* image) const {
    run_elements<T>([&]() __attribute__((always_inline)) {
      for_each_row(
          padded, image, [&](T * from, T * to) __attribute__((always_inline)) { add_row(phases, from, phases.size, to); },
          [](T*) __attribute__((always_inline)){});
    });
  }

 private:
  static bool is_identity(const WindowAxis& axis) {
    return axis.kernel == 1 && axis.stride == 1 && axis.padding == 0 && axis.in == axis.out;
  }
};

// Rows of matrices without columns have this distance all the same.
Index distance(Index columns) { return std::max<Index>(columns, 1); }

// planes[k][...] = values[k], or 0 without values.
template <class T> void fill_planes(Index planes, Index size, const T* values, T* to) {
  for (Index k = 0; k < planes; ++k, to += size) std::fill_n(to, size, values ? values[k] : T(0));
}

// The sum in double.
template <class T> double sum_of(const T* x, Index n) {
  double sum = 0;
  run_elements<T>([&]() __attribute__((always_inline)) {
    sum = sum_of_run(
        0, n, [x](Index i) __attribute__((always_inline)) { return static_cast<double>(x[i]); });
  });
  return sum;
}

// Images as matrices side by side: their columns, with a row of all images for each row of the matrix, and their planes of y alike.
template <class T> class Together {
 public:
  Together(const Convolution& c, const Unrolled& u)
      : most(u.images_together<T>()),
        c_(c),
        u_(u),
        columns_(most > 1 ? u.rows * most * u.positions : 0),
        planes_(most > 1 ? u.outputs * most * u.positions : 0),
        padded_(most > 1 ? u.padded_size() : 0) {}

  // y of these images of a group, and with x its columns: y = weight columns + bias.
  void forward(Range images, Index group, const T* x, const T* weight, const T* bias, T* y) const {
    const Index count = unroll(images, group, x);
    product<T>(u_.outputs, count, u_.rows, {weight + group * u_.outputs * u_.rows, distance(u_.rows), 1}, {columns_.data(), count, 1},
               planes_.data(), count);
    for_each_plane(images, group, [&](Index at, Index of_y, Index output) {
      const T b = bias ? bias[output] : T(0);
      for (Index i = 0; i < u_.positions; ++i) y[of_y + i] = planes_.data()[at + i] + b;
    });
  }
  // columns_bar = weight^T y_bar, added to x, which is set.
  void data_gradient(Range images, Index group, const T* y, const T* weight, T* x) const {
    const Index count = gather(images, group, y);
    product<T>(u_.rows, count, u_.outputs, {weight + group * u_.outputs * u_.rows, 1, distance(u_.rows)}, {planes_.data(), count, 1},
               columns_.data(), count);
    for (Index n = images.first; n < images.last; ++n) {
      std::fill_n(padded_.data(), u_.padded_size(), T(0));
      u_.add_rolled(u_.whole(), columns_.data() + (n - images.first) * u_.positions, padded_.data(), count - u_.positions);
      u_.add_unpadded(padded_.data(), x + image(n, group));
    }
  }
  // weight += y columns^T, or = if nothing is in it yet.
  void add_weight_gradient(Range images, Index group, const T* x, const T* y, bool is_first, T* weight) const {
    const Index count = unroll(images, group, x);
    gather(images, group, y);
    product<T>(u_.outputs, u_.rows, count, {planes_.data(), count, 1}, {columns_.data(), 1, count}, weight + group * u_.outputs * u_.rows,
               distance(u_.rows), {.accumulate = !is_first});
  }

  const Index most;  // images; 1 if they are not to be taken together

 private:
  Index image(Index n, Index group) const { return n * c_.image_size() + group * u_.channels * c_.height.in * c_.width.in; }
  // f(position in planes_, position in y, output channel) for each plane of y.
  template <class F> void for_each_plane(Range images, Index group, const F& f) const {
    for (Index o = 0, at = 0; o < u_.outputs; ++o)
      for (Index n = images.first; n < images.last; ++n, at += u_.positions) {
        const Index output = group * u_.outputs + o;
        f(at, (n * c_.out_channels + output) * u_.positions, output);
      }
  }
  Index unroll(Range images, Index group, const T* x) const {
    const Index count = images.size() * u_.positions;
    for (Index n = images.first; n < images.last; ++n) {
      u_.pad(x + image(n, group), padded_.data());
      u_.unroll(u_.whole(), padded_.data(), columns_.data() + (n - images.first) * u_.positions, count - u_.positions);
    }
    return count;
  }
  Index gather(Range images, Index group, const T* y) const {
    for_each_plane(images, group, [&](Index at, Index of_y, Index) { std::copy_n(y + of_y, u_.positions, planes_.data() + at); });
    return images.size() * u_.positions;
  }

  const Convolution& c_;
  const Unrolled& u_;
  Scratch<T> columns_, planes_, padded_;
};

// f(images, blocks of them as matrices) for blocks of images over the thread pool.
template <class T, class F> void for_images_together(const Convolution& c, const Unrolled& u, const F& f) {
  const Index each = u.images_together<T>();
  parallel_blocks((c.batch + each - 1) / each, [&](Index block) {
    const Together<T> matrices(c, u);
    f(Range{block * each, std::min((block + 1) * each, c.batch)}, matrices);
  });
}

// weight += y columns^T for one image, or = if nothing is in it yet. `columns` is scratch for a tile, null if the image needs none, and
// `padded` for the padded image.
template <class T>
void add_weight_gradient(const Convolution& c, const Unrolled& u, const T* x, const T* y, T* columns, T* padded, bool is_first, T* weight) {
  const auto add_product = [&](const T* y_of_group, Index count, const T* matrix, bool accumulate, T* of_group) {
    product<T>(u.outputs, u.rows, count, {y_of_group, distance(u.positions), 1}, {matrix, 1, distance(count)}, of_group, distance(u.rows),
               {.accumulate = accumulate});
  };
  for (Index g = 0; g < c.groups; ++g) {
    const T *image = x + g * u.channels * c.height.in * c.width.in, *of_y = y + g * u.outputs * u.positions;
    T* const of_group = weight + g * u.outputs * u.rows;
    if (!columns) {
      add_product(of_y, u.positions, image, !is_first, of_group);
      continue;
    }
    u.pad(image, padded);
    u.for_each_tile<T>([&](const Tile& tile) {
      u.unroll(tile, padded, columns);
      add_product(of_y + tile.first_position, tile.positions, columns, !is_first || tile.first_position > 0, of_group);
    });
  }
}

}  // namespace

Index parts_of_batch(Index batch, Index sums, Index positions) {
  constexpr Index kMost = 32, kElements = Index(5) << 18;    // few sums: enough parts for many threads
  constexpr Index kFew = 8, kMostElements = Index(1) << 23;  // many sums: some parts, as long as there is memory for them
  constexpr Index kTerms = 256;                              // with fewer terms for each sum, adding up the parts takes too long
  if (batch == 0) return 0;
  const Index size = std::max<Index>(sums, 1), worth_it = std::max(batch * positions / kTerms, kFew);
  const Index most = std::max(std::min({kElements / size, kMost, worth_it}), std::clamp<Index>(kMostElements / size, 1, kFew));
  return divided_up(batch, divided_up(batch, most));  // parts of equal size
}

template <class T> void convolution_forward(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  if (has_small_groups(c)) return grouped_forward(c, x, weight, bias, y);
  if constexpr (std::is_same_v<T, float>)
    if (is_direct(c)) return direct_convolution(c, {}, x, weight, bias, y, nullptr);
  const Unrolled u(c);
  if (u.images_together<T>() > 1)
    return for_images_together<T>(c, u, [&](Range images, const Together<T>& matrices) {
      for (Index g = 0; g < c.groups; ++g) matrices.forward(images, g, x, weight, bias, y);
    });
  const auto product_with_columns = [&](const T* of_weight, Index count, const T* columns, T* of_y) {
    product<T>(u.outputs, count, u.rows, {of_weight, distance(u.rows), 1}, {columns, count, 1}, of_y, u.positions,
               {.accumulate = bias != nullptr});
  };
  parallel_blocks(c.batch, [&](Index n) {
    Scratch<T> scratch(u.is_image() ? 0 : u.rows * u.positions_of_tile<T>()), padded(u.is_image() ? 0 : u.padded_size());
    T* const to = y + n * c.output_size();
    if (bias) fill_planes(c.out_channels, u.positions, bias, to);
    for (Index g = 0; g < c.groups; ++g) {
      const T *image = x + n * c.image_size() + g * u.channels * c.height.in * c.width.in, *of_weight = weight + g * u.outputs * u.rows;
      T* const of_y = to + g * u.outputs * u.positions;
      if (u.is_image()) {
        product_with_columns(of_weight, u.positions, image, of_y);
        continue;
      }
      u.pad(image, padded.data());
      u.for_each_tile<T>([&](const Tile& tile) {
        u.unroll(tile, padded.data(), scratch.data());
        product_with_columns(of_weight, tile.positions, scratch.data(), of_y + tile.first_position);
      });
    }
  });
}

template <class T> void convolution_data_gradient(const Convolution& c, const T* y, const T* weight, const T* bias, T* x) {
  if (has_small_groups(c)) return grouped_data_gradient(c, y, weight, bias, x);
  if constexpr (std::is_same_v<T, float>)
    if (has_direct_data_gradient(c)) return direct_gradients(c, {}, nullptr, weight, nullptr, nullptr, y, {.x = x, .x_bias = bias});
  const Unrolled u(c);
  const Index plane = c.height.in * c.width.in;
  if (u.images_together<T>() > 1)
    return for_images_together<T>(c, u, [&](Range images, const Together<T>& matrices) {
      for (Index n = images.first; n < images.last; ++n) fill_planes(c.in_channels, plane, bias, x + n * c.image_size());
      for (Index g = 0; g < c.groups; ++g) matrices.data_gradient(images, g, y, weight, x);
    });
  const auto product_with_y = [&](const T* of_weight, Index count, const T* of_y, bool accumulate, T* columns) {
    product<T>(u.rows, count, u.outputs, {of_weight, 1, distance(u.rows)}, {of_y, distance(u.positions), 1}, columns, count,
               {.accumulate = accumulate});
  };
  parallel_blocks(c.batch, [&](Index n) {
    Scratch<T> scratch(u.is_image() ? 0 : u.rows * u.positions_of_tile<T>()), padded(u.is_image() ? 0 : u.padded_size());
    T* const to = x + n * c.image_size();
    fill_planes(c.in_channels, plane, bias, to);
    for (Index g = 0; g < c.groups; ++g) {
      const T *of_y = y + n * c.output_size() + g * u.outputs * u.positions, *of_weight = weight + g * u.outputs * u.rows;
      T* const image = to + g * u.channels * plane;
      if (u.is_image()) {
        product_with_y(of_weight, u.positions, of_y, true, image);
        continue;
      }
      std::fill_n(padded.data(), u.padded_size(), T(0));
      u.for_each_tile<T>([&](const Tile& tile) {
        product_with_y(of_weight, tile.positions, of_y + tile.first_position, false, scratch.data());
        u.add_rolled(tile, scratch.data(), padded.data());
      });
      u.add_unpadded(padded.data(), image);
    }
  });
}

template <class T> void convolution_weight_gradient(const Convolution& c, const T* x, const T* y, T* weight, T* bias) {
  if (has_small_groups(c)) return grouped_weight_gradient(c, x, y, weight, bias);
  if constexpr (std::is_same_v<T, float>)
    if (is_direct(c)) return direct_gradients(c, {}, x, nullptr, nullptr, nullptr, y, {.weight = weight, .bias = bias});
  const Unrolled u(c);
  const Index weights = c.weight_size(), sums = weights + (bias ? c.out_channels : 0), parts = parts_of_batch(c.batch, sums, u.positions);
  if (parts == 0) std::fill_n(weight, weights, T(0));
  if (bias) std::fill_n(bias, c.out_channels, T(0));
  // The first part is summed where the result goes, the others beside it.
  Scratch<T> others(std::max<Index>(parts - 1, 0) * sums);
  parallel_blocks(parts, [&](Index part) {
    T* const mine = others.data() + (part - 1) * sums;
    T *const of_weight = part == 0 ? weight : mine, *const of_bias = part == 0 || !bias ? bias : mine + weights;
    if (part > 0) std::fill_n(mine + weights, sums - weights, T(0));
    const Range images{part * c.batch / parts, (part + 1) * c.batch / parts};
    const Together<T> matrices(c, u);
    for (Index n = images.first; matrices.most > 1 && n < images.last; n += matrices.most)
      for (Index g = 0; g < c.groups; ++g)
        matrices.add_weight_gradient({n, std::min(n + matrices.most, images.last)}, g, x, y, n == images.first, of_weight);
    const bool is_unrolled = !u.is_image() && matrices.most == 1;
    Scratch<T> columns(is_unrolled ? u.rows * u.positions_of_tile<T>() : 0), padded(is_unrolled ? u.padded_size() : 0);
    for (Index n = images.first; n < images.last; ++n) {
      const T* const of_y = y + n * c.output_size();
      if (matrices.most == 1)
        add_weight_gradient(c, u, x + n * c.image_size(), of_y, u.is_image() ? nullptr : columns.data(), padded.data(), n == images.first,
                            of_weight);
      for (Index o = 0; of_bias && o < c.out_channels; ++o) of_bias[o] += static_cast<T>(sum_of(of_y + o * u.positions, u.positions));
    }
  });
  add_parts(others.data(), parts - 1, sums, weights, weight);
  if (bias) add_parts(others.data() + weights, parts - 1, sums, c.out_channels, bias);
}

template void convolution_forward(const Convolution&, const float*, const float*, const float*, float*);
template void convolution_forward(const Convolution&, const double*, const double*, const double*, double*);
template void convolution_data_gradient(const Convolution&, const float*, const float*, const float*, float*);
template void convolution_data_gradient(const Convolution&, const double*, const double*, const double*, double*);
template void convolution_weight_gradient(const Convolution&, const float*, const float*, float*, float*);
template void convolution_weight_gradient(const Convolution&, const double*, const double*, double*, double*);

}  // namespace wengert::kernels

#undef WENGERT_LOOP
