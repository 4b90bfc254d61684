// Convolutions as sums over neighbours of pixels, with channels innermost: an image is copied into a buffer (row, column, channel) with a
// halo of zeros, so that a row of the result is a tile's product (tile.h) of pixels, which are neighbours in that buffer, with a panel of
// weights. Results are turned back while they are in the cache.
//
//   y[h, w, o] = sum_r sum_{s, i} x[h + r, w + s, i] W[r, (s, i), o]            segments r, steps (s, i)
//   x_bar = y_bar with a halo of kernel - 1 - padding, convolved with the flipped W whose channels are exchanged
//   W_bar[r, (s, i), o] = sum_h sum_w x[h + r, w + s, i] y_bar[h, w, o]         segments h, steps w
//
// With a stride, pixels of x that follow each other in a tile lie a stride apart. What reads every second row and column of x, say, falls
// in four phases: x[2 h + a, 2 w + b] is read by the weights W[2 r + a, 2 s + b] alone, so each phase of x_bar is a convolution without a
// stride, of y_bar with those weights. With a dilation, segments are columns of the kernel, and a tile is added to for each of its rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/direct_convolution.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "autodiff/kernels/direct_convolution.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/partial_sums.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/tile-inl.h"
#include "autodiff/kernels/transpose-inl.h"

#ifndef WENGERT_DIRECT_CONVOLUTION_ONCE
#define WENGERT_DIRECT_CONVOLUTION_ONCE
namespace wengert::kernels {

inline constexpr Index kVectorChannels = 16;    // channels of results and their gradients are padded to whole vectors of any target
inline constexpr Index kWinogradProducts = 16;  // for 2 x 2 results, where the sums have 36
inline constexpr Index kWinogradTiles = 32;     // at a time: their transforms stay in the second-level cache
// From one product's operands to the next one's; not a power of two, or all 16 would share a set of the first cache.
constexpr Index winograd_plane(Index channels) { return kWinogradTiles * channels + 16; }
constexpr Index padded_channels(Index channels) { return (channels + kVectorChannels - 1) / kVectorChannels * kVectorChannels; }

// How the results of a convolution lie along a dimension.
struct BufferAxis {
  Index kernel, results;
  Index first = 0;     // in the buffer, where the window of the first result begins
  Index stride = 1;    // in the buffer, from result to result
  Index dilation = 1;  // in the buffer, from weight to weight
};

// The convolution of a buffer (row, column, channel) with its halo: result (height, width, padded_channels(out)).
struct BufferConvolution {
  Index in, out;  // channels
  BufferAxis vertical, horizontal;
  Index buffer_width;              // with the halo
  Range rows;                      // of the buffer that are no halo
  Index result_row, result_pixel;  // distances in the result, in elements

  Index steps() const { return horizontal.kernel * in; }
  Index packed_weights() const { return padded_channels(out) * vertical.kernel * steps(); }
  bool is_dilated() const { return vertical.dilation > 1 || horizontal.dilation > 1; }
  // Whether it is done by Winograd's minimal filtering.
  bool is_winograd() const {
    const auto fits = [](const BufferAxis& axis) {
      const bool overlaps_little = axis.results % 2 == 0 || axis.results > 4;
      return axis.kernel == 3 && overlaps_little && axis.first == 0 && axis.stride == 1 && axis.dilation == 1;
    };
    const bool is_dense = result_pixel == padded_channels(out) && result_row == horizontal.results * result_pixel;
    return is_dense && fits(vertical) && fits(horizontal) && in >= 32 && out >= 32 && in % kVectorChannels == 0;
  }
  // Of what prepare_weights writes and of what convolve_buffer needs for itself, in floats.
  Index prepared_weights() const { return is_winograd() ? kWinogradProducts * in * padded_channels(out) : packed_weights(); }
  Index scratch() const { return is_winograd() ? kWinogradProducts * (winograd_plane(in) + winograd_plane(padded_channels(out))) : 0; }
};

// Weights by strides: that from input channel i to output channel o at (r, s) is data[o * out + i * in + r * row + s * column]. Those of
// more than `channels` inputs are 0.
struct WeightView {
  const float* data;
  Index out, in, row, column, channels;

  WeightView from(Index first) const { return {data + first, out, in, row, column, channels}; }
};

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

// The width of the panel of weights that begins at a channel.
HWY_INLINE Index panel_at(Index channel, Index channels) { return channels - channel > kLanes ? kPanel : kLanes; }

// packed[panel][r][(s, i)][column of the panel]. (The weights of an input lie together, so they are read together.)
void pack_weights(const BufferConvolution& b, const WeightView& w, float* packed) {
  const Index rows = b.vertical.kernel, columns = b.horizontal.kernel;
  for (Index o = 0; o < b.out; o += kPanel) {
    const Index width = panel_at(o, b.out), outputs = HWY_MIN(width, b.out - o);
    for (Index i = 0; i < b.in; ++i) {
      const float* const from = w.data + o * w.out + i * w.in;
      const Index known = i < w.channels ? outputs : 0;
      float* to = packed + i * width;
      for (Index r = 0; r < rows; ++r)
        for (Index s = 0; s < columns; ++s, to += b.in * width) {
          for (Index j = 0; j < known; ++j) to[j] = from[j * w.out + r * w.row + s * w.column];
          for (Index j = known; j < width; ++j) to[j] = 0;
        }
    }
    packed += rows * b.steps() * width;
  }
}

// The other way round, for gradients: those of w's strides in `to`.
void unpack_weights(const BufferConvolution& b, const float* packed, const WeightView& w, float* to) {
  const Index rows = b.vertical.kernel, columns = b.horizontal.kernel;
  for (Index o = 0; o < b.out; o += kPanel) {
    const Index width = panel_at(o, b.out), outputs = HWY_MIN(width, b.out - o);
    for (Index i = 0; i < b.in; ++i) {
      const float* from = packed + i * width;
      float* const weights = to + o * w.out + i * w.in;
      for (Index r = 0; r < rows; ++r)
        for (Index s = 0; s < columns; ++s, from += b.in * width)
          for (Index j = 0; j < outputs; ++j) weights[j * w.out + r * w.row + s * w.column] = from[j];
    }
    packed += rows * b.steps() * width;
  }
}

// `bias` has padded_channels(out) elements, or is null.
void convolve_directly(const BufferConvolution& b, const float* x, const float* packed, const float* bias, bool relu, float* y) {
  constexpr Index cached_weights = 16384;  // 64 KB of weights stay near while the rows of an image pass
  const BufferAxis &down = b.vertical, &across = b.horizontal;
  const Index buffer_row = b.buffer_width * b.in;
  for (Index o = 0; o < b.out; o += kPanel) {
    const Index width = panel_at(o, b.out), kernel_row = b.steps() * width;
    const float* const weights = packed + o * down.kernel * b.steps();
    const Index at_once = b.is_dilated() ? 1 : HWY_MAX(Index(1), HWY_MIN(down.kernel, cached_weights / HWY_MAX(kernel_row, Index(1))));
    for (Index r = 0; r == 0 || r < down.kernel; r += at_once)  // once where there are no weights
      for (Index h = 0; h < down.results; ++h) {
        Tile<float> t;
        t.a_row = across.stride * b.in;
        t.a_step = 1;
        t.b_step = width;
        const Index top = down.first + h * down.stride;
        Index row = top + r * down.dilation;
        if (b.is_dilated()) {
          t.a_segment = across.dilation * b.in;
          t.b = weights + r * kernel_row;
          t.b_segment = b.in * width;
          t.segments = r < down.kernel && row >= b.rows.first && row < b.rows.last ? across.kernel : 0;
          t.steps = b.in;
        } else {
          const Index first = HWY_MAX(r, b.rows.first - top), last = HWY_MIN(HWY_MIN(r + at_once, down.kernel), b.rows.last - top);
          row = top + first;
          t.a_segment = buffer_row;
          t.b = weights + first * kernel_row;
          t.b_segment = kernel_row;
          t.segments = last - first;  // none or fewer where all is halo
          t.steps = b.steps();
        }
        t.a = x + row * buffer_row + across.first * b.in;
        t.c = y + h * b.result_row + o;
        t.c_row = b.result_pixel;
        t.bias = bias ? bias + o : nullptr;
        t.accumulate = r > 0;
        t.relu = relu && r + at_once >= down.kernel;
        multiply_rows(t, across.results, width);
      }
  }
}

// ---- Winograd's F(2 x 2, 3 x 3) ----------------------------------------------------------------------------------------------------
//
//   y = A^T ((G g G^T) . (B^T d B)) A    for 4 x 4 pixels d, 3 x 3 weights g, 2 x 2 results y; the product in the middle is by elements:
//   summed over channels it is 16 matrix products, with 4 multiplications a result in place of 9 (Lavin and Gray 2016, arXiv:1509.09308)
//
//         ( 1  0 -1  0)        (1   0   0 )          (1  1  1  0)
//   B^T = ( 0  1  1  0)    G = (1/2 1/2 1/2)   A^T = (0  1 -1 -1)
//         ( 0 -1  1  0)        (1/2-1/2 1/2)
//         ( 0  1  0 -1)        (0   0   1 )

// G g
HWY_INLINE void transform_column(Vector g0, Vector g1, Vector g2, Vector* to) {
  const Vector half = hn::Set(Floats(), 0.5f), ends = hn::Add(g0, g2);
  to[0] = g0;
  to[1] = hn::Mul(half, hn::Add(ends, g1));
  to[2] = hn::Mul(half, hn::Sub(ends, g1));
  to[3] = g2;
}

// transformed[e][panel][i][column of the panel]
void transform_weights(const BufferConvolution& b, const WeightView& w, float* transformed) {
  const Floats d;
  const Index plane = b.in * padded_channels(b.out), inputs = HWY_MIN(b.in, w.channels);
  for (Index o = 0; o < b.out; o += kPanel) {
    const Index width = panel_at(o, b.out), outputs = HWY_MIN(width, b.out - o);
    float* const panel = transformed + o * b.in;
    alignas(64) float g[9][kPanel] = {};
    for (Index i = 0; i < inputs; ++i) {
      for (Index j = 0; j < outputs; ++j) {
        const float* const from = w.data + (o + j) * w.out + i * w.in;
        for (int k = 0; k < 9; ++k) g[k][j] = from[k / 3 * w.row + k % 3 * w.column];
      }
      for (Index j = 0; j < width; j += kLanes) {
        Vector columns[3][4];
        HWY_UNROLL(3)
        for (int s = 0; s < 3; ++s)
          transform_column(hn::Load(d, g[s] + j), hn::Load(d, g[3 + s] + j), hn::Load(d, g[6 + s] + j), columns[s]);
        HWY_UNROLL(4)
        for (int r = 0; r < 4; ++r) {
          Vector e[4];
          transform_column(columns[0][r], columns[1][r], columns[2][r], e);
          HWY_UNROLL(4)
          for (int s = 0; s < 4; ++s) hn::StoreU(e[s], d, panel + (4 * r + s) * plane + i * width + j);
        }
      }
    }
    for (Index e = 0; e < kWinogradProducts; ++e)  // channels of padding
      for (Index k = inputs * width; k < b.in * width; ++k) panel[e * plane + k] = 0;
  }
}

// (p, q, r, s) -> B^T (p, q, r, s)
#define WENGERT_WINOGRAD_INPUT(p, q, r, s) hn::Sub(p, r), hn::Add(q, r), hn::Sub(r, q), hn::Sub(q, s)

// Tiles along a dimension of the results. Where their number is odd, the last tile overlaps the one before it by a row or column.
struct WinogradAxis {
  Index results;

  Index tiles() const { return (results + 1) / 2; }
  Index first(Index tile) const { return HWY_MIN(2 * tile, results - 2); }
  bool overlaps(Index tile) const { return 2 * tile > results - 2; }
};
// All tiles, counted row by row.
struct WinogradTiles {
  explicit WinogradTiles(const BufferConvolution& b) : down{b.vertical.results}, across{b.horizontal.results} {}
  Index count() const { return down.tiles() * across.tiles(); }
  Index row(Index tile) const { return down.first(tile / across.tiles()); }
  Index column(Index tile) const { return across.first(tile % across.tiles()); }
  bool overlaps_above(Index tile) const { return down.overlaps(tile / across.tiles()); }
  bool overlaps_before(Index tile) const { return across.overlaps(tile % across.tiles()); }

  WinogradAxis down, across;
};

// to[e][tile][i] of `count` tiles from `first`.
void transform_pixels(const BufferConvolution& b, const float* x, Index first, Index count, float* to) {
  const Floats d;
  const Index row = b.buffer_width * b.in, plane = winograd_plane(b.in);
  const WinogradTiles tiles(b);
  for (Index t = 0; t < count; ++t) {
    const float* const from = x + tiles.row(first + t) * row + tiles.column(first + t) * b.in;
    for (Index i = 0; i < b.in; i += kLanes) {
      Vector columns[4][4];
      HWY_UNROLL(4)
      for (int s = 0; s < 4; ++s) {
        const float* const p = from + s * b.in + i;
        const Vector p0 = hn::LoadU(d, p), p1 = hn::LoadU(d, p + row), p2 = hn::LoadU(d, p + 2 * row), p3 = hn::LoadU(d, p + 3 * row);
        const Vector e[4] = {WENGERT_WINOGRAD_INPUT(p0, p1, p2, p3)};
        HWY_UNROLL(4)
        for (int r = 0; r < 4; ++r) columns[r][s] = e[r];
      }
      HWY_UNROLL(4)
      for (int r = 0; r < 4; ++r) {
        const Vector e[4] = {WENGERT_WINOGRAD_INPUT(columns[r][0], columns[r][1], columns[r][2], columns[r][3])};
        HWY_UNROLL(4)
        for (int s = 0; s < 4; ++s) hn::StoreU(e[s], d, to + (4 * r + s) * plane + t * b.in + i);
      }
    }
  }
}
#undef WENGERT_WINOGRAD_INPUT

// y from the products from[e][tile][o].
void transform_products(const BufferConvolution& b, const float* from, Index first, Index count, const float* bias, bool relu, float* y) {
  const Floats d;
  const Index pixel = padded_channels(b.out), plane = winograd_plane(pixel);
  const WinogradTiles tiles(b);
  for (Index t = 0; t < count; ++t) {
    float* const to = y + (tiles.row(first + t) * b.horizontal.results + tiles.column(first + t)) * pixel;
    for (Index o = 0; o < pixel; o += kLanes) {
      const Vector start = bias ? hn::LoadU(d, bias + o) : hn::Zero(d);
      Vector columns[2][4];
      HWY_UNROLL(4)
      for (int s = 0; s < 4; ++s) {
        const float* const p = from + s * plane + t * pixel + o;
        const Vector p0 = hn::LoadU(d, p), p1 = hn::LoadU(d, p + 4 * plane), p2 = hn::LoadU(d, p + 8 * plane),
                     p3 = hn::LoadU(d, p + 12 * plane);
        columns[0][s] = hn::Add(p0, hn::Add(p1, p2));
        columns[1][s] = hn::Sub(hn::Sub(p1, p2), p3);
      }
      HWY_UNROLL(2)
      for (int r = 0; r < 2; ++r) {
        const Vector* const c = columns[r];
        const Vector results[2] = {hn::Add(start, hn::Add(c[0], hn::Add(c[1], c[2]))), hn::Add(start, hn::Sub(hn::Sub(c[1], c[2]), c[3]))};
        HWY_UNROLL(2)
        for (int s = 0; s < 2; ++s)
          hn::StoreU(relu ? hn::IfThenZeroElse(hn::Le(results[s], hn::Zero(d)), results[s]) : results[s], d,
                     to + (r * b.horizontal.results + s) * pixel + o);
      }
    }
  }
}

void convolve_by_winograd(const BufferConvolution& b, const float* x, const float* transformed, const float* bias, bool relu, float* y,
                          float* scratch) {
  const Index pixel = padded_channels(b.out), all = WinogradTiles(b).count();
  float* const products = scratch + kWinogradProducts * winograd_plane(b.in);
  for (Index first = 0; first < all; first += kWinogradTiles) {
    const Index count = HWY_MIN(kWinogradTiles, all - first);
    transform_pixels(b, x, first, count, scratch);
    for (Index e = 0; e < kWinogradProducts; ++e)
      for (Index o = 0; o < b.out; o += kPanel) {
        Tile<float> t;
        t.a = scratch + e * winograd_plane(b.in);
        t.a_row = b.in;
        t.a_step = 1;
        t.b = transformed + e * b.in * pixel + o * b.in;
        t.b_step = panel_at(o, b.out);
        t.steps = b.in;
        t.c = products + e * winograd_plane(pixel) + o;
        t.c_row = pixel;
        multiply_rows(t, count, t.b_step);
      }
    transform_products(b, products, first, count, bias, relu, y);
  }
}

// to[e][tile][o] = A y_bar A^T of `count` tiles from `first`. What two tiles share counts in the first of them.
void transform_gradient(const BufferConvolution& b, const float* y_bar, Index y_row, Index first, Index count, float* to) {
  const Floats d;
  const Index pixel = padded_channels(b.out), plane = winograd_plane(pixel);
  const WinogradTiles tiles(b);
  for (Index t = 0; t < count; ++t) {
    const float* const from = y_bar + tiles.row(first + t) * y_row + tiles.column(first + t) * pixel;
    const bool counted_above = tiles.overlaps_above(first + t), counted_before = tiles.overlaps_before(first + t);
    for (Index o = 0; o < pixel; o += kLanes) {
      const float* const p = from + o;
      Vector columns[4][2];
      HWY_UNROLL(2)
      for (int s = 0; s < 2; ++s) {
        const bool counted = s == 0 && counted_before;
        const Vector p0 = counted || counted_above ? hn::Zero(d) : hn::LoadU(d, p + s * pixel);
        const Vector p1 = counted ? hn::Zero(d) : hn::LoadU(d, p + y_row + s * pixel);
        columns[0][s] = p0;
        columns[1][s] = hn::Add(p0, p1);
        columns[2][s] = hn::Sub(p0, p1);
        columns[3][s] = hn::Neg(p1);
      }
      HWY_UNROLL(4)
      for (int r = 0; r < 4; ++r) {
        const Vector c0 = columns[r][0], c1 = columns[r][1];
        float* const q = to + 4 * r * plane + t * pixel + o;
        hn::StoreU(c0, d, q);
        hn::StoreU(hn::Add(c0, c1), d, q + plane);
        hn::StoreU(hn::Sub(c0, c1), d, q + 2 * plane);
        hn::StoreU(hn::Neg(c1), d, q + 3 * plane);
      }
    }
  }
}

// transformed (as transform_weights) += the gradient with respect to the transformed weights. y_bar as of add_weight_gradient.
void add_transformed_gradient(const BufferConvolution& b, const float* x, const float* y_bar, Index y_row, float* transformed,
                              float* scratch) {
  const Index pixel = padded_channels(b.out), all = WinogradTiles(b).count();
  float* const right = scratch + kWinogradProducts * winograd_plane(b.in);
  for (Index first = 0; first < all; first += kWinogradTiles) {
    const Index count = HWY_MIN(kWinogradTiles, all - first);
    transform_pixels(b, x, first, count, scratch);
    transform_gradient(b, y_bar, y_row, first, count, right);
    for (Index e = 0; e < kWinogradProducts; ++e)
      for (Index o = 0; o < b.out; o += kPanel) {
        Tile<float> t;
        t.a = scratch + e * winograd_plane(b.in);
        t.a_row = 1;
        t.a_step = b.in;
        t.b = right + e * winograd_plane(pixel) + o;
        t.b_step = pixel;
        t.steps = count;
        t.c = transformed + e * b.in * pixel + o * b.in;
        t.c_row = panel_at(o, b.out);
        t.accumulate = true;
        multiply_rows(t, b.in, t.c_row);
      }
  }
}

// G^T e
HWY_INLINE void transform_column_back(Vector e0, Vector e1, Vector e2, Vector e3, Vector* to) {
  const Vector half = hn::Set(Floats(), 0.5f), middle = hn::Mul(half, hn::Add(e1, e2));
  to[0] = hn::Add(e0, middle);
  to[1] = hn::Mul(half, hn::Sub(e1, e2));
  to[2] = hn::Add(middle, e3);
}

// The gradient with respect to the weights, from that with respect to the transformed ones.
void transform_weights_back(const BufferConvolution& b, const float* transformed, const WeightView& w, float* to) {
  const Floats d;
  const Index plane = b.in * padded_channels(b.out);
  for (Index o = 0; o < b.out; o += kPanel) {
    const Index width = panel_at(o, b.out), outputs = HWY_MIN(width, b.out - o);
    alignas(64) float g[9][kPanel];
    for (Index i = 0; i < b.in; ++i) {
      for (Index j = 0; j < width; j += kLanes) {
        const float* const from = transformed + o * b.in + i * width + j;
        Vector columns[4][3];
        HWY_UNROLL(4)
        for (int s = 0; s < 4; ++s)
          transform_column_back(hn::LoadU(d, from + s * plane), hn::LoadU(d, from + (4 + s) * plane), hn::LoadU(d, from + (8 + s) * plane),
                                hn::LoadU(d, from + (12 + s) * plane), columns[s]);
        HWY_UNROLL(3)
        for (int r = 0; r < 3; ++r) {
          Vector row[3];
          transform_column_back(columns[0][r], columns[1][r], columns[2][r], columns[3][r], row);
          HWY_UNROLL(3)
          for (int s = 0; s < 3; ++s) hn::Store(row[s], d, g[3 * r + s] + j);
        }
      }
      for (Index j = 0; j < outputs; ++j)
        for (int k = 0; k < 9; ++k) to[(o + j) * w.out + i * w.in + k / 3 * w.row + k % 3 * w.column] = g[k][j];
    }
  }
}

void prepare_weights(const BufferConvolution& b, const WeightView& w, float* prepared) {
  b.is_winograd() ? transform_weights(b, w, prepared) : pack_weights(b, w, prepared);
}

// y (row, column, channel) from x with its halo. `scratch` has b.scratch() elements.
void convolve_buffer(const BufferConvolution& b, const float* x, const float* prepared, const float* bias, bool relu, float* y,
                     float* scratch) {
  if (b.is_winograd()) return convolve_by_winograd(b, x, prepared, bias, relu, y, scratch);
  convolve_directly(b, x, prepared, bias, relu, y);
}

// packed (as pack_weights) += the gradient with respect to the weights. y_bar points at the first pixel inside its halo; its rows are y_row
// apart.
void add_direct_gradient(const BufferConvolution& b, const float* x, const float* y_bar, Index y_row, float* packed) {
  constexpr Index cached_gradient = 4096;  // 16 KB
  const Index buffer_row = b.buffer_width * b.in, pixel = padded_channels(b.out);
  const Index group = HWY_MAX(Index(1), cached_gradient / (b.horizontal.results * pixel));
  const BufferAxis &down = b.vertical, &across = b.horizontal;
  // Weights whose pixels are neighbours.
  const Index columns = across.dilation == 1 ? across.kernel : 1, neighbours = columns * b.in;
  for (Index h = 0; h < down.results; h += group) {
    float* c = packed;
    for (Index o = 0; o < b.out; o += kPanel) {
      const Index width = panel_at(o, b.out);
      // Where a row of the kernel has few weights, two of them are a tile of two groups.
      const bool pairs = width == kLanes && columns == across.kernel && neighbours <= kTileRows;
      for (Index r = 0, rows = 1; r < down.kernel; r += rows) {
        rows = pairs && r + 2 <= down.kernel ? 2 : 1;
        for (Index s = 0; s < across.kernel; s += columns, c += rows * neighbours * width) {
          Tile<float> t;
          t.a = x + (h * down.stride + r * down.dilation) * buffer_row + s * across.dilation * b.in;
          t.a_row = 1;
          t.a_segment = down.stride * buffer_row;
          t.a_step = across.stride * b.in;
          t.b = y_bar + h * y_row + o;
          t.b_segment = y_row;
          t.b_step = pixel;
          t.segments = HWY_MIN(group, down.results - h);
          t.steps = across.results;
          t.c = c;
          t.c_row = width;
          t.accumulate = true;
          t.a_group = down.dilation * buffer_row;
          if (rows == 2) {
            kTallTiles<float>[neighbours - 1](t);
          } else {
            multiply_rows(t, neighbours, width);
          }
        }
      }
    }
  }
}

// prepared (as prepare_weights) += the gradient with respect to the weights. `scratch` has b.scratch() elements.
void add_weight_gradient(const BufferConvolution& b, const float* x, const float* y_bar, Index y_row, float* prepared, float* scratch) {
  if (b.is_winograd()) return add_transformed_gradient(b, x, y_bar, y_row, prepared, scratch);
  add_direct_gradient(b, x, y_bar, y_row, prepared);
}

// The weights' gradient from what add_weight_gradient has summed.
void finish_weight_gradient(const BufferConvolution& b, const float* prepared, const WeightView& w, float* to) {
  b.is_winograd() ? transform_weights_back(b, prepared, w, to) : unpack_weights(b, prepared, w, to);
}

// y = relu of the maxima of 2 x 2 windows of x (2 height, 2 width, channels), and where they stood.
void pool_with_relu(const float* x, Index height, Index width, Index channels, float* y, std::uint8_t* at) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<std::uint8_t, Floats> bytes;
  const Index row = 2 * width * channels;
  for (Index h = 0; h < height; ++h)
    for (Index w = 0; w < width; ++w)
      for (Index c = 0; c < channels; c += kLanes, y += kLanes, at += kLanes) {
        const float* const from = x + 2 * h * row + 2 * w * channels + c;
        Vector most = hn::LoadU(d, from);
        auto where = hn::Zero(di);
        for (int k = 1; k < 4; ++k) {
          const Vector v = hn::LoadU(d, from + (k / 2) * row + (k % 2) * channels);
          const auto wins = hn::And(hn::Not(hn::Le(v, most)), hn::Eq(most, most));  // larger, or the first NaN
          most = hn::IfThenElse(wins, v, most);
          where = hn::IfThenElse(hn::RebindMask(di, wins), hn::Set(di, k), where);
        }
        const auto off = hn::Le(most, hn::Zero(d));
        hn::StoreU(hn::IfThenZeroElse(off, most), d, y);
        hn::StoreU(hn::DemoteTo(bytes, hn::IfThenElse(hn::RebindMask(di, off), hn::Set(di, 4), where)), bytes, at);
      }
}

// The transposed map: y_bar (height, width, channels) goes to where its maximum stood in x_bar, whose rows are x_row apart.
void unpool(const float* y_bar, const std::uint8_t* at, Index height, Index width, Index channels, float* x_bar, Index x_row) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<std::uint8_t, Floats> bytes;
  for (Index h = 0; h < height; ++h)
    for (Index w = 0; w < width; ++w)
      for (Index c = 0; c < channels; c += kLanes, y_bar += kLanes, at += kLanes) {
        float* const to = x_bar + 2 * h * x_row + 2 * w * channels + c;
        const Vector v = hn::LoadU(d, y_bar);
        const auto where = hn::PromoteTo(di, hn::LoadU(bytes, at));
        for (int k = 0; k < 4; ++k)
          hn::StoreU(hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(where, hn::Set(di, k))), v), d, to + (k / 2) * x_row + (k % 2) * channels);
      }
}

// x_bar = y_bar where relu let something through, 0 elsewhere.
void mask_by_relu(const float* y, const float* y_bar, Index n, float* x_bar) {
  const Floats d;
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::IfThenZeroElse(hn::Le(hn::LoadU(d, y + i), hn::Zero(d)), hn::LoadU(d, y_bar + i)), d, x_bar + i);
  for (; i < n; ++i) x_bar[i] = y[i] <= 0 ? 0 : y_bar[i];
}

// sums[c] += the sum over all pixels of x (height, width, channels), whose rows are `row` apart.
void add_channel_sums(const float* x, Index height, Index width, Index channels, Index row, float* sums) {
  const Floats d;
  for (Index c = 0; c < channels; c += kLanes) {
    Vector sum = hn::Zero(d);
    for (Index h = 0; h < height; ++h)
      for (Index w = 0; w < width; ++w) sum = hn::Add(sum, hn::LoadU(d, x + h * row + w * channels + c));
    hn::StoreU(hn::Add(sum, hn::LoadU(d, sums + c)), d, sums + c);
  }
}

// (channel, row, column) -> (row, column, channel), rows of the result being to_row apart.
void put_channels_last(const float* x, Index channels, Index height, Index width, float* to, Index pixel, Index to_row) {
  for (Index h = 0; h < height; ++h) transpose(x + h * width, height * width, channels, width, to + h * to_row, pixel);
}

// (pixel, channel) -> (channel, pixel)
void put_channels_first(const float* x, Index pixels, Index pixel, Index channels, float* to) {
  transpose(x, pixel, pixels, channels, to, pixels);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

constexpr Index kMostPhases = 4;  // of the gradient of x; with larger strides, each has little to do

// The gradient of x along a dimension, in phases. Result q of a phase is the sum of y_bar[lowest + q - t dilation] times its weight t.
struct GradientAxis {
  struct Phase {
    Index weights;  // how many; they are a stride apart
    Index first;    // element of x, and the others a stride apart
    Index results, lowest;
  };

  explicit GradientAxis(const WindowAxis& axis) : axis(axis) {
    for (Index a = 0; a < std::min(axis.stride, axis.kernel); ++a) {  // later ones have no weights
      const Phase p = phase(a);
      if (p.weights == 0 || p.results == 0) continue;
      before = std::max(before, reach(p) - p.lowest);
      after = std::max(after, p.lowest + p.results - axis.out);
    }
  }
  Phase phase(Index a) const {
    const Index first = ((a - axis.padding) % axis.stride + axis.stride) % axis.stride;
    return {std::max<Index>(divided_up(axis.kernel - a, axis.stride), 0), first,
            std::max<Index>(divided_up(axis.in - first, axis.stride), 0), (first + axis.padding - a) / axis.stride};
  }
  BufferAxis of_phase(Index a) const {
    const Phase p = phase(a);
    return {p.weights, p.results, p.weights > 0 ? before + p.lowest - reach(p) : 0, 1, axis.dilation};
  }
  Index size() const { return before + axis.out + after; }
  Index reach(const Phase& p) const { return (p.weights - 1) * axis.dilation; }

  WindowAxis axis;
  Index before = 0, after = 0;  // the halo of y_bar
};

// One phase of the gradient of x.
struct GradientPhase {
  BufferConvolution convolution;
  Index first;         // of its results in x_bar
  Index first_weight;  // of its packed weights
  WeightView weights;
};

// Weights as they are.
WeightView weights_forward(const Convolution& c, const float* weight) {
  const Index column = 1, row = c.width.kernel, in = c.height.kernel * row, out = c.in_channels * in;
  return {weight, out, in, row, column, c.in_channels};
}

// The buffers' shapes of a convolution and of its gradients.
struct Buffers {
  explicit Buffers(const Convolution& c)
      : x_width(c.width.in + 2 * c.width.padding),
        x_size((c.height.in + 2 * c.height.padding) * x_width * c.in_channels),
        y_pixel(padded_channels(c.out_channels)),
        y_rows(c.height),
        y_columns(c.width),
        y_width(y_columns.size()),
        y_size(y_rows.size() * y_width * y_pixel),
        forward{c.in_channels,
                c.out_channels,
                {c.height.kernel, c.height.out, 0, c.height.stride, c.height.dilation},
                {c.width.kernel, c.width.out, 0, c.width.stride, c.width.dilation},
                x_width,
                {c.height.padding, c.height.padding + c.height.in},
                c.width.out * y_pixel,
                y_pixel} {}

  Index x_width, x_size;           // of x with its halo, in pixels and in elements
  Index y_pixel;                   // padded channels
  GradientAxis y_rows, y_columns;  // of y_bar with the halo for the gradient of x
  Index y_width, y_size;
  BufferConvolution forward;

  float* inside_x(float* buffer, const Convolution& c) const {
    return buffer + (c.height.padding * x_width + c.width.padding) * c.in_channels;
  }
  float* inside_y(float* buffer) const { return buffer + (y_rows.before * y_width + y_columns.before) * y_pixel; }
};

// The gradient of x: its phases, whose weights are flipped, and go from outputs to inputs.
class BackwardPhases {
 public:
  BackwardPhases(const Convolution& c, const Buffers& b, const float* weight) {
    const WeightView w = weights_forward(c, weight);
    const Index x_pixel = padded_channels(c.in_channels), down = c.height.stride, across = c.width.stride;
    for (Index i = 0; i < down; ++i)
      for (Index j = 0; j < across; ++j) {
        const GradientAxis::Phase rows = b.y_rows.phase(i), columns = b.y_columns.phase(j);
        const Index last_row = i + (rows.weights - 1) * down, last_column = j + (columns.weights - 1) * across;
        GradientPhase& p = phases_[count_++];
        p.convolution = {b.y_pixel,
                         c.in_channels,
                         b.y_rows.of_phase(i),
                         b.y_columns.of_phase(j),
                         b.y_width,
                         {b.y_rows.before, b.y_rows.before + c.height.out},
                         down * c.width.in * x_pixel,
                         across * x_pixel};
        p.first = (rows.first * c.width.in + columns.first) * x_pixel;
        p.first_weight = weights;
        p.weights = {w.data + last_row * w.row + last_column * w.column, w.in, w.out, -down * w.row, -across * w.column, c.out_channels};
        weights += p.convolution.prepared_weights();
        scratch = std::max(scratch, p.convolution.scratch());
      }
  }
  std::span<const GradientPhase> all() const { return {phases_.data(), count_}; }

  Index weights = 0, scratch = 0;  // elements of all phases, and of the largest

 private:
  std::array<GradientPhase, static_cast<std::size_t>(kMostPhases)> phases_{};
  std::size_t count_ = 0;
};

// Parts of the groups of a batch, each of which has buffers of its own: where nothing is summed over it, some for each thread, so that none
// waits long for the last.
Index parts_for_threads(Index items) {
  constexpr Index kForEach = 4;
  const Index threads = usable_threads();
  if (threads == 1 || items == 0) return std::min(items, Index(1));
  return divided_up(items, divided_up(items, kForEach * threads));
}
Range part_of(Index count, Index parts, Index part) { return {part * count / parts, (part + 1) * count / parts}; }

// One group of each image. Groups of images follow each other as images do.
Convolution group_of(const Convolution& c) {
  Convolution g = c;
  g.in_channels /= c.groups;
  g.out_channels /= c.groups;
  g.groups = 1;
  g.height = simplified(c.height);
  g.width = simplified(c.width);
  return g;
}

bool takes(const WindowAxis& axis) { return (axis.stride == 1 || axis.dilation == 1) && axis.padding <= (axis.kernel - 1) * axis.dilation; }

}  // namespace

bool is_direct(const Convolution& c) {
  return c.batch > 0 && c.in_channels > 0 && takes(c.height) && takes(c.width) &&
         (c.height.kernel * c.width.kernel > 1 || c.height.stride > 1 || c.width.stride > 1) && c.out_channels / c.groups >= 8 &&
         c.width.out >= 4;
}
bool has_direct_data_gradient(const Convolution& c) {
  return is_direct(c) && c.in_channels / c.groups >= 8 && std::max(c.height.stride, c.width.stride) <= kMostPhases &&
         c.height.stride * c.width.stride <= kMostPhases;
}

Index pooled_positions(const Convolution& c) {
  return c.groups * (c.height.out / 2) * (c.width.out / 2) * padded_channels(c.out_channels / c.groups);
}
Index pooled_position(const Convolution& c, Index channel, Index row, Index column) {
  const Index channels = c.out_channels / c.groups, group = channel / channels;
  return ((group * (c.height.out / 2) + row) * (c.width.out / 2) + column) * padded_channels(channels) + channel % channels;
}

void direct_convolution(const Convolution& c, const ConvolutionTail& tail, const float* x, const float* weight, const float* bias, float* y,
                        std::uint8_t* at) {
  const Convolution g = group_of(c);
  const Buffers b(g);
  const Index weights = b.forward.prepared_weights();
  Scratch<float> packed(c.groups * weights), padded_bias(c.groups * b.y_pixel);
  std::fill_n(padded_bias.data(), c.groups * b.y_pixel, 0.0f);
  const auto prepare = WENGERT_BEST_TARGET(prepare_weights);
  for (Index k = 0; k < c.groups; ++k) {
    prepare(b.forward, weights_forward(g, weight + k * g.weight_size()), packed.data() + k * weights);
    if (bias) std::copy_n(bias + k * g.out_channels, g.out_channels, padded_bias.data() + k * b.y_pixel);
  }
  const Index height = tail.pool ? c.height.out / 2 : c.height.out, width = tail.pool ? c.width.out / 2 : c.width.out;
  const Index sums = c.height.out * c.width.out * b.y_pixel, pixels = height * width;
  const auto put_last = WENGERT_BEST_TARGET(put_channels_last);
  const auto put_first = WENGERT_BEST_TARGET(put_channels_first);
  const auto convolve = WENGERT_BEST_TARGET(convolve_buffer);
  const auto pool = WENGERT_BEST_TARGET(pool_with_relu);
  const Index items = c.batch * c.groups, parts = parts_for_threads(items);
  parallel_blocks(parts, [&](Index part) {
    Scratch<float> buffer(b.x_size), results(sums + (tail.pool ? pixels * b.y_pixel : 0));
    Scratch<float> scratch(b.forward.scratch());
    std::fill_n(buffer.data(), b.x_size, 0.0f);
    const Range mine = part_of(items, parts, part);
    for (Index item = mine.first; item < mine.last; ++item) {
      const Index group = item % c.groups;
      put_last(x + item * g.image_size(), g.in_channels, c.height.in, c.width.in, b.inside_x(buffer.data(), g), g.in_channels,
               b.x_width * g.in_channels);
      convolve(b.forward, buffer.data(), packed.data() + group * weights, padded_bias.data() + group * b.y_pixel, tail.relu && !tail.pool,
               results.data(), scratch.data());
      float* last = results.data();
      if (tail.pool) {
        last += sums;
        pool(results.data(), height, width, b.y_pixel, last, at + item * pooled_positions(g));
      }
      put_first(last, pixels, b.y_pixel, g.out_channels, y + item * g.out_channels * pixels);
    }
  });
}

void direct_gradients(const Convolution& c, const ConvolutionTail& tail, const float* x, const float* weight, const float* y,
                      const std::uint8_t* at, const float* y_bar, const ConvolutionGradients& gradients) {
  const Convolution g = group_of(c);
  const Buffers b(g);
  const Index height = tail.pool ? c.height.out / 2 : c.height.out, width = tail.pool ? c.width.out / 2 : c.width.out;
  const Index pixels = height * width, y_row = b.y_width * b.y_pixel;
  const Index weights = gradients.weight ? b.forward.prepared_weights() : 0, group_sums = weights + b.y_pixel;
  // Sums are of whole images.
  const bool has_sums = gradients.weight || gradients.bias;
  const Index sums = has_sums ? c.groups * group_sums : 0;
  const Index parts = has_sums ? parts_of_batch(c.batch, sums, c.height.out * c.width.out) : parts_for_threads(c.batch * c.groups);
  const auto prepare = WENGERT_BEST_TARGET(prepare_weights);
  std::optional<BackwardPhases> backward;
  if (gradients.x) backward.emplace(g, b, weight);
  const Index x_pixel = padded_channels(g.in_channels), backward_weights = backward ? backward->weights : 0;
  Scratch<float> packed(c.groups * backward_weights), x_bias(gradients.x_bias ? c.groups * x_pixel : 0),
      all_sums(std::max<Index>(parts, 1) * sums);
  std::fill_n(x_bias.data(), gradients.x_bias ? c.groups * x_pixel : 0, 0.0f);
  for (Index k = 0; backward && k < c.groups; ++k) {
    for (const GradientPhase& p : backward->all())
      prepare(p.convolution, p.weights.from(k * g.weight_size()), packed.data() + k * backward_weights + p.first_weight);
    if (gradients.x_bias) std::copy_n(gradients.x_bias + k * g.in_channels, g.in_channels, x_bias.data() + k * x_pixel);
  }
  std::fill_n(all_sums.data(), parts == 0 ? sums : 0, 0.0f);
  const auto put_last = WENGERT_BEST_TARGET(put_channels_last);
  const auto put_first = WENGERT_BEST_TARGET(put_channels_first);
  const auto convolve = WENGERT_BEST_TARGET(convolve_buffer);
  const auto spread = WENGERT_BEST_TARGET(unpool);
  const auto mask = WENGERT_BEST_TARGET(mask_by_relu);
  const auto add_weights = WENGERT_BEST_TARGET(add_weight_gradient);
  const auto add_bias = WENGERT_BEST_TARGET(add_channel_sums);
  parallel_blocks(parts, [&](Index part) {
    Scratch<float> x_buffer(gradients.weight ? b.x_size : 0), y_buffer(b.y_size), turned(g.out_channels * pixels + pixels * b.y_pixel);
    Scratch<float> x_bar(gradients.x ? c.height.in * c.width.in * x_pixel : 0),
        scratch(std::max(backward ? backward->scratch : 0, gradients.weight ? b.forward.scratch() : 0));
    if (gradients.weight) std::fill_n(x_buffer.data(), b.x_size, 0.0f);
    std::fill_n(y_buffer.data(), b.y_size, 0.0f);
    std::fill_n(turned.data(), g.out_channels * pixels + pixels * b.y_pixel, 0.0f);
    float* const my_sums = all_sums.data() + part * sums;
    std::fill_n(my_sums, sums, 0.0f);
    float* const inside = b.inside_y(y_buffer.data());
    const Range images = part_of(c.batch, parts, part);
    const Range mine = has_sums ? Range{images.first * c.groups, images.last * c.groups} : part_of(c.batch * c.groups, parts, part);
    for (Index item = mine.first; item < mine.last; ++item) {
      const Index group = item % c.groups;
      float* const sums_of_group = my_sums + group * group_sums;
      const float* from = y_bar + item * g.out_channels * pixels;
      if (tail.pool) {
        put_last(from, g.out_channels, height, width, turned.data(), b.y_pixel, width * b.y_pixel);
        spread(turned.data(), at + item * pooled_positions(g), height, width, b.y_pixel, inside, y_row);
      } else {
        if (tail.relu) {
          mask(y + item * g.out_channels * pixels, from, g.out_channels * pixels, turned.data());
          from = turned.data();
        }
        put_last(from, g.out_channels, height, width, inside, b.y_pixel, y_row);
      }
      if (gradients.bias) add_bias(inside, c.height.out, c.width.out, b.y_pixel, y_row, sums_of_group + weights);
      if (gradients.weight) {
        put_last(x + item * g.image_size(), g.in_channels, c.height.in, c.width.in, b.inside_x(x_buffer.data(), g), g.in_channels,
                 b.x_width * g.in_channels);
        add_weights(b.forward, x_buffer.data(), inside, y_row, sums_of_group, scratch.data());
      }
      if (gradients.x) {
        for (const GradientPhase& p : backward->all())
          convolve(p.convolution, y_buffer.data(), packed.data() + group * backward_weights + p.first_weight,
                   gradients.x_bias ? x_bias.data() + group * x_pixel : nullptr, false, x_bar.data() + p.first, scratch.data());
        put_first(x_bar.data(), c.height.in * c.width.in, x_pixel, g.in_channels, gradients.x + item * g.image_size());
      }
    }
  });
  if (!has_sums) return;
  const auto finish = WENGERT_BEST_TARGET(finish_weight_gradient);
  add_parts(all_sums.data() + sums, parts - 1, sums, sums, all_sums.data());
  for (Index k = 0; k < c.groups; ++k) {
    const float* const of_group = all_sums.data() + k * group_sums;
    if (gradients.weight) finish(b.forward, of_group, weights_forward(g, nullptr), gradients.weight + k * g.weight_size());
    if (gradients.bias) std::copy_n(of_group + weights, g.out_channels, gradients.bias + k * g.out_channels);
  }
}

}  // namespace wengert::kernels
#endif
