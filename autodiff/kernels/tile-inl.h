// Tiles of C in registers, for each SIMD target: included inside every target's pass over a kernel's file (simd.h), hence the guard that
// flips.
//
// Each step broadcasts an element of A for every row and multiplies it with vectors of B; A needs no packing for that, whatever its strides
// are. 8 rows by 2 vectors keep both multipliers of an AVX-512 processor busy with 10 loads for 16 products; with 16 registers it is 6
// by 2.
//
// Every element of C is the sum in the order of segments and steps, fused or not as the target has it. So it depends neither on the tile in
// which it is computed nor on how work is cut into tiles.
#if defined(WENGERT_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_TILE_INL_H
#undef WENGERT_TILE_INL_H
#else
#define WENGERT_TILE_INL_H
#endif

#include <hwy/highway.h>

#include "autodiff/kernels/tile.h"

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
template <class T> using VectorOf = hn::Vec<hn::ScalableTag<T>>;
template <class T> constexpr int kLanesOf = hn::MaxLanes(hn::ScalableTag<T>());
using Floats = hn::ScalableTag<float>;
using Vector = VectorOf<float>;
constexpr int kLanes = kLanesOf<float>;

constexpr int kTileRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 8 : 6;
template <class T> constexpr int kPanelOf = 2 * kLanesOf<T>;  // columns of a tile
constexpr int kPanel = kPanelOf<float>;
constexpr int kWideRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 4 : 3;
template <class T> constexpr int kWidePanelOf = 4 * kLanesOf<T>;  // of a tile of few rows

/// `groups` times `rows` rows; C's rows lie at equal distances, A's do in each group.
template <class T, int rows, int vectors, int groups = 1> void multiply_tile(const Tile<T>& t) {
  using Vector = VectorOf<T>;
  constexpr int kLanes = kLanesOf<T>;
  const hn::ScalableTag<T> d;
  Vector c[groups * rows][vectors];
  HWY_UNROLL(16)
  for (int r = 0; r < groups * rows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < vectors; ++v) {
      c[r][v] = t.accumulate ? hn::LoadU(d, t.c + r * t.c_row + v * kLanes) : t.bias ? hn::LoadU(d, t.bias + v * kLanes) : hn::Zero(d);
    }
  }
  const Index a_step = t.a_step, b_step = t.b_step;
  [[maybe_unused]] const Index a_group = t.a_group;
  if (t.descend) {  // what the end will read
    for (int r = 0; r < groups * rows; ++r)
      for (int v = 0; v < vectors; ++v) __builtin_prefetch(t.c + r * t.c_row + v * kLanes, 1);
  }
  Index row[rows];
  HWY_UNROLL(8)
  for (int r = 0; r < rows; ++r) row[r] = r * t.a_row;
  for (Index s = 0; s < t.segments; ++s) {
    const T *a = t.a + s * t.a_segment, *b = t.b + s * t.b_segment;
    for (Index k = t.steps; k > 0; --k, a += a_step, b += b_step) {
      Vector right[vectors];
      HWY_UNROLL(4)
      for (int v = 0; v < vectors; ++v) right[v] = hn::LoadU(d, b + v * kLanes);
      HWY_UNROLL(8)
      for (int r = 0; r < rows; ++r) {
        const Vector left = hn::Set(d, a[row[r]]);
        HWY_UNROLL(4)
        for (int v = 0; v < vectors; ++v) c[r][v] = hn::MulAdd(left, right[v], c[r][v]);
      }
      if constexpr (groups == 2) {
        const T* const other = a + a_group;
        HWY_UNROLL(8)
        for (int r = 0; r < rows; ++r) {
          const Vector left = hn::Set(d, other[row[r]]);
          HWY_UNROLL(4)
          for (int v = 0; v < vectors; ++v) c[rows + r][v] = hn::MulAdd(left, right[v], c[rows + r][v]);
        }
      }
    }
  }
  if (t.descend) {
    const Vector rate = hn::Set(d, t.rate);
    HWY_UNROLL(16)
    for (int r = 0; r < groups * rows; ++r) {
      HWY_UNROLL(4)
      for (int v = 0; v < vectors; ++v) {
        T* const to = t.c + r * t.c_row + v * kLanes;
        hn::StoreU(hn::Sub(hn::LoadU(d, to), hn::Mul(rate, c[r][v])), d, to);
      }
    }
    return;
  }
  HWY_UNROLL(16)
  for (int r = 0; r < groups * rows; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < vectors; ++v) {
      const Vector y = t.relu ? hn::IfThenZeroElse(hn::Le(c[r][v], hn::Zero(d)), c[r][v]) : c[r][v];
      hn::StoreU(y, d, t.c + r * t.c_row + v * kLanes);
    }
  }
}

template <class T> using TileFunction = void (*)(const Tile<T>&);
/// By rows - 1.
template <class T, int vectors> constexpr TileFunction<T> kTiles[8] = {multiply_tile<T, 1, vectors>,
                                                                       multiply_tile<T, 2, vectors>,
                                                                       multiply_tile<T, 3, vectors>,
                                                                       multiply_tile<T, 4, vectors>,
                                                                       multiply_tile<T, 5, vectors>,
                                                                       multiply_tile<T, 6, vectors>,
                                                                       multiply_tile<T, kTileRows == 8 ? 7 : 6, vectors>,
                                                                       multiply_tile<T, kTileRows, vectors>};
/// One vector wide and two groups of rows high: fewer sums than these would wait for each other. By rows of a group - 1.
template <class T> constexpr TileFunction<T> kTallTiles[8] = {multiply_tile<T, 1, 1, 2>,
                                                              multiply_tile<T, 2, 1, 2>,
                                                              multiply_tile<T, 3, 1, 2>,
                                                              multiply_tile<T, 4, 1, 2>,
                                                              multiply_tile<T, 5, 1, 2>,
                                                              multiply_tile<T, 6, 1, 2>,
                                                              multiply_tile<T, kTileRows == 8 ? 7 : 6, 1, 2>,
                                                              multiply_tile<T, kTileRows, 1, 2>};
template <class T> constexpr TileFunction<T> kWideTiles[4] = {multiply_tile<T, 1, 4>, multiply_tile<T, 2, 4>, multiply_tile<T, 3, 4>,
                                                              multiply_tile<T, kWideRows, 4>};

/// The tile repeated down `rows` rows, in parts as equal as possible.
template <class T> HWY_INLINE void multiply_rows(Tile<T> t, Index rows, const TileFunction<T>* functions, int most) {
  const T* const a = t.a;
  T* const c = t.c;
  const Index parts = (rows + most - 1) / most;
  for (Index part = 0, row = 0; part < parts; ++part) {
    const Index count = (rows - row + parts - part - 1) / (parts - part);
    t.a = a + row * t.a_row;
    t.c = c + row * t.c_row;
    functions[count - 1](t);
    row += count;
  }
}

/// The same for one or two vectors of columns.
template <class T> HWY_INLINE void multiply_rows(Tile<T> t, Index rows, Index columns) {
  if (columns > kLanesOf<T>) return multiply_rows(t, rows, kTiles<T, 2>, kTileRows);
  for (Index most = 2 * kTileRows; rows > kTileRows;) {
    const Index parts = (rows + most - 1) / most, half = HWY_MAX(Index(1), rows / parts / 2);
    t.a_group = half * t.a_row;
    kTallTiles<T>[half - 1](t);
    t.a += 2 * half * t.a_row;
    t.c += 2 * half * t.c_row;
    rows -= 2 * half;
  }
  if (rows > 0) kTiles<T, 1>[rows - 1](t);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
