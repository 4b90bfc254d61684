// Matrix products over the tile of tile-inl.h. Three ways:
//
// - Tiles, with panels of B copied side by side where that pays or where its columns do not lie so. A is read where it lies, except that a
//   transposed A is copied where many columns use it: its lines are far from each other and would share few sets of the first cache.
// - A few rows of A and a transposed B, as in a layer's forward pass at batch 1: dot products.
// - A column times a row, as in that layer's gradient with respect to its weights: rows of multiples.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/gemm.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/tile-inl.h"
#include "autodiff/kernels/transpose-inl.h"

#ifndef WENGERT_GEMM_ONCE
#define WENGERT_GEMM_ONCE
namespace wengert::kernels {

template <class T> struct Gemm {
  Index m, n, k;
  MatrixView<T> a, b;
  const T* packed_b;  // in place of b, or null
  T* c;
  Index c_row;
  ProductOptions<T> options;
  bool descend = false;  // C -= rate * A B
  T rate = 0;
};

// Rows and columns of C from `row` and `column`.
struct GemmBlock {
  Index row, rows, column, columns;
};

// The thresholds below are sizes in elements of float32, found by timing matrices on both sides of each; where they stand for bytes,
// float64 has half as many. A result's bits depend on kMaxDepth, kDotsBelow and kLine, which choose the way by sizes and strides, and on
// none of the others.
//
//   kMaxDepth     steps of k at once         a panel of B (two vectors of columns) has at most 33 KB and stays in the first cache
//   kMaxRows      rows of a block            what is used of A at once has at most 400 KB and stays in the second cache
//   kDotsBelow    rows of A                  with fewer, packing a transposed B costs more than the ends of dot products
//   kLine         64 bytes                   rows of B that begin with a cache line may be read in place; fewer terms are no vector
//   kPage         4 KB                       rows of B this far apart share a set of the first cache: packed from kMinRowsForPage on
//   kFewSteps     steps of k                 so few rows of B share no set even if they are not packed
//   kFewRows      rows of A                  with no more, a panel of B is used too seldom to be worth its copy
//   kElementsOfCaches      16 MB             a larger B comes from memory
//   kFewRowsFromMemory     rows of A         with no more, such a B is walked kRowsFromMemory rows at a time
//   kLeastWork    multiplications x 2        of a block: some 5 us, so that a thread is worth calling for the second one
template <class T> constexpr Index kFloats = sizeof(T) / sizeof(float);
template <class T> constexpr Index kMaxRows = 384 / kFloats<T>;
template <class T> constexpr Index kLine = 16 / kFloats<T>;
template <class T> constexpr Index kPage = 1024 / kFloats<T>;
template <class T> constexpr double kLeastWork = 1e6 / static_cast<double>(kFloats<T>);
inline constexpr Index kMaxDepth = kMaxDescentDepth, kDotsBelow = 20;
template <class T> constexpr Index kElementsOfCaches = 4'194'304 / kFloats<T>;
template <class T> constexpr Index kRowsFromMemory = 16 / kFloats<T>;
inline constexpr Index kFewRowsFromMemory = 8;
inline constexpr Index kMinRowsForPage = 64, kFewSteps = 64, kFewRows = 72;

// Of k at once: parts as equal as possible.
constexpr Index depth_of(Index k) {
  const Index parts = (k + kMaxDepth - 1) / kMaxDepth;
  return parts > 1 ? (k + parts - 1) / parts : k;
}

// Whether panels of B are copied before they are used. Their rows may be read where they lie if few rows of A use them, or if there
// are few that begin with a cache line; but rows that lie 4 KB apart share a set of the first cache.
template <class T> bool packs_b(const Gemm<T>& g) {
  if (g.packed_b) return false;
  if (g.b.column != 1) return true;
  if (g.b.row % kPage<T> == 0) return g.m >= kMinRowsForPage;
  return g.m > kFewRows && (g.k > kFewSteps || g.b.row % kLine<T> != 0);
}

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

// to[k][width] = from(k, column) for `columns` columns, and zeros behind them. Columns of `from` lie one behind the other.
template <class T> void pack_rows(const T* from, Index row, Index steps, Index columns, Index width, T* to) {
  const hn::ScalableTag<T> d;
  for (Index k = 0; k < steps; ++k, from += row, to += width) {
    Index j = 0;
    for (; j + kLanesOf<T> <= columns; j += kLanesOf<T>) hn::StoreU(hn::LoadU(d, from + j), d, to + j);
    for (; j < columns; ++j) to[j] = from[j];
    for (; j < width; ++j) to[j] = 0;
  }
}

// Of a tile.
Index tile_rows() { return kTileRows; }
template <class T> Index tile_columns() { return kPanelOf<T>; }

template <class T> void put_transposed(const T* from, Index from_row, Index rows, Index columns, T* to, Index to_row) {
  transpose(from, from_row, rows, columns, to, to_row);
}

template <class T> void pack(const MatrixView<T>& b, Index steps, Index columns, Index width, T* to) {
  if (b.column == 1) return pack_rows(b.data, b.row, steps, columns, width, to);
  if (b.row == 1) {
    transpose(b.data, b.column, columns, steps, to, width);
    for (Index j = columns; j < width; ++j)
      for (Index k = 0; k < steps; ++k) to[k * width + j] = 0;
    return;
  }
  for (Index k = 0; k < steps; ++k)
    for (Index j = 0; j < width; ++j) to[k * width + j] = j < columns ? b.data[k * b.row + j * b.column] : 0;
}

// Of packed panels side by side.
template <class T> constexpr Index whole_columns(Index n) { return (n + kLanesOf<T> - 1) / kLanesOf<T> * kLanesOf<T>; }

template <class T> Index packed_size(Index k, Index n) { return k * whole_columns<T>(n); }

// packed[part of k][panel][k][column of the panel]
template <class T> void pack_matrix(Index k, Index n, const MatrixView<T>& b, T* packed) {
  const Index depth = depth_of(k);
  for (Index first = 0; first < k; first += depth)
    for (Index j = 0; j < n; j += kPanelOf<T>) {
      const Index steps = HWY_MIN(k - first, depth), columns = HWY_MIN(n - j, Index(kPanelOf<T>)),
                  width = columns <= kLanesOf<T> ? kLanesOf<T> : kPanelOf<T>;
      pack({b.data + first * b.row + j * b.column, b.row, b.column}, steps, columns, width, packed);
      packed += steps * width;
    }
}

// Rows of tiles whose columns are not whole vectors, through a copy of C. B is packed to whole vectors.
template <class T> void multiply_last_columns(Tile<T> t, Index rows, Index columns) {
  HWY_ALIGN T c[kTileRows * kPanelOf<T>] = {}, bias[kPanelOf<T>] = {};
  T* const to = t.c;
  const T* const a = t.a;
  const Index to_row = t.c_row;
  if (t.bias) {
    for (Index j = 0; j < columns; ++j) bias[j] = t.bias[j];
    t.bias = bias;
  }
  t.c = c;
  t.c_row = kPanelOf<T>;
  for (Index row = 0; row < rows; row += kTileRows) {
    const Index count = HWY_MIN(rows - row, Index(kTileRows));
    if (t.accumulate || t.descend)
      for (Index r = 0; r < count; ++r)
        for (Index j = 0; j < columns; ++j) c[r * kPanelOf<T> + j] = to[(row + r) * to_row + j];
    t.a = a + row * t.a_row;
    (columns <= kLanesOf<T> ? kTiles<T, 1> : kTiles<T, 2>)[count - 1](t);
    for (Index r = 0; r < count; ++r)
      for (Index j = 0; j < columns; ++j) to[(row + r) * to_row + j] = c[r * kPanelOf<T> + j];
  }
}

template <class T> bool copies_a(const Gemm<T>& g, const GemmBlock& block) {
  return g.a.column != 1 && block.rows >= 2 * kTileRows && block.columns >= 4 * kPanelOf<T>;
}

// Whether a few rows of A meet a B too large for the caches. B is then walked a few rows at a time: a panel of full depth touches many
// pages, each for a short run, which the processor does not prefetch.
template <class T> bool reads_rows_from_memory(const Gemm<T>& g, const GemmBlock& block) {
  return block.rows <= kFewRowsFromMemory && !g.packed_b && !packs_b(g) && !g.descend && g.k * g.n >= kElementsOfCaches<T>;
}

// What multiply_block needs for copies, in elements: a panel of B and the rows of A.
template <class T> Index scratch_size(const Gemm<T>& g, const GemmBlock& block) {
  const bool copies = copies_a(g, block);
  if (!copies && !packs_b(g) && (g.packed_b || block.columns % kPanelOf<T> == 0)) return 0;
  return depth_of(g.k) * (kPanelOf<T> + (copies ? block.rows : 0));
}

template <class T> void multiply_block(const Gemm<T>& g, const GemmBlock& block, T* scratch) {
  const bool packs = packs_b(g), copies = copies_a(g, block);
  const bool wide = !packs && !g.packed_b && block.rows <= kWideRows;
  const Index depth = reads_rows_from_memory(g, block) ? HWY_MIN(kRowsFromMemory<T>, depth_of(g.k)) : depth_of(g.k);
  T* const copy_of_a = scratch + depth * kPanelOf<T>;
  const T* const a = g.a.data + block.row * g.a.row;
  Tile<T> t;
  t.c_row = g.c_row;
  t.descend = g.descend;
  t.rate = g.rate;
  Index k = 0;
  do {
    t.steps = HWY_MIN(g.k - k, depth);
    t.accumulate = g.options.accumulate || k > 0;
    t.relu = g.options.relu && k + t.steps == g.k;
    t.a_row = copies ? 1 : g.a.row;
    t.a_step = copies ? block.rows : g.a.column;
    const MatrixView<T> a_here{a + k * g.a.column, g.a.row, g.a.column};
    if (copies) pack(a_here.transposed(), t.steps, block.rows, block.rows, copy_of_a);
    const Index end = block.column + block.columns;
    for (Index j = block.column; j < end;) {
      t.a = copies ? copy_of_a : a_here.data;
      t.c = g.c + block.row * g.c_row + j;
      t.bias = g.options.bias ? g.options.bias + j : nullptr;
      const MatrixView<T> b{g.packed_b ? nullptr : g.b.data + k * g.b.row + j * g.b.column, g.b.row, g.b.column};
      if (wide && end - j >= kWidePanelOf<T>) {
        t.b = b.data;
        t.b_step = b.row;
        multiply_rows(t, block.rows, kWideTiles<T>, kWideRows);
        j += kWidePanelOf<T>;
        continue;
      }
      const Index columns = HWY_MIN(end - j, Index(kPanelOf<T>));
      const Index width = columns <= kLanesOf<T> ? kLanesOf<T> : kPanelOf<T>;
      if (g.packed_b) {
        t.b = g.packed_b + k * whole_columns<T>(g.n) + j * t.steps;
        t.b_step = width;
      } else if (packs || columns < kPanelOf<T>) {
        pack(b, t.steps, columns, width, scratch);
        t.b = scratch;
        t.b_step = width;
      } else {
        t.b = b.data;
        t.b_step = b.row;
      }
      if (columns == kPanelOf<T>) {
        multiply_rows(t, block.rows, kTiles<T, 2>, kTileRows);
      } else {
        multiply_last_columns(t, block.rows, columns);
      }
      j += kPanelOf<T>;
    }
    k += depth;
  } while (k < g.k);
}

// k = 1: rows of C are multiples of B's one row, or lose such. Neither bias nor relu.
template <class T> void multiply_outer(const Gemm<T>& g, const GemmBlock& block) {
  const hn::ScalableTag<T> d;
  const T* const b = g.b.data + block.column;
  for (Index i = block.row; i < block.row + block.rows; ++i) {
    const T a = g.a.data[i * g.a.row];
    const VectorOf<T> left = hn::Set(d, a);
    T* const c = g.c + i * g.c_row + block.column;
    Index j = 0;
    if (g.descend) {
      const VectorOf<T> rate = hn::Set(d, g.rate);
      for (; j + kLanesOf<T> <= block.columns; j += kLanesOf<T>)
        hn::StoreU(hn::Sub(hn::LoadU(d, c + j), hn::Mul(rate, hn::Mul(left, hn::LoadU(d, b + j)))), d, c + j);
      for (; j < block.columns; ++j) c[j] -= g.rate * (a * b[j]);
      continue;
    }
    for (; j + kLanesOf<T> <= block.columns; j += kLanesOf<T>) {
      const VectorOf<T> right = hn::LoadU(d, b + j);
      hn::StoreU(g.options.accumulate ? hn::MulAdd(left, right, hn::LoadU(d, c + j)) : hn::Mul(left, right), d, c + j);
    }
    for (; j < block.columns; ++j) c[j] = a * b[j] + (g.options.accumulate ? c[j] : 0);
  }
}

// Dot products of `rows` rows of A with `columns` columns of B, all of which lie one element behind the other.
template <class T, int rows, int columns> HWY_INLINE void dot_tile(const Gemm<T>& g, Index row, Index column) {
  const hn::ScalableTag<T> d;
  const T *a = g.a.data + row * g.a.row, *b = g.b.data + column * g.b.column;
  VectorOf<T> sum[rows][columns];
  HWY_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    HWY_UNROLL(8)
    for (int j = 0; j < columns; ++j) sum[r][j] = hn::Zero(d);
  }
  Index k = 0;
  for (; k + kLanesOf<T> <= g.k; k += kLanesOf<T>) {
    VectorOf<T> left[rows];
    HWY_UNROLL(4)
    for (int r = 0; r < rows; ++r) left[r] = hn::LoadU(d, a + r * g.a.row + k);
    HWY_UNROLL(8)
    for (int j = 0; j < columns; ++j) {
      const VectorOf<T> right = hn::LoadU(d, b + j * g.b.column + k);
      HWY_UNROLL(4)
      for (int r = 0; r < rows; ++r) sum[r][j] = hn::MulAdd(left[r], right, sum[r][j]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < columns; ++j) {
      T y = hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
      for (Index rest = k; rest < g.k; ++rest) y += a[r * g.a.row + rest] * b[j * g.b.column + rest];
      T* const c = g.c + (row + r) * g.c_row + column + j;
      if (g.options.accumulate) y += *c;
      if (g.options.bias) y += g.options.bias[column + j];
      *c = g.options.relu && y <= 0 ? 0 : y;
    }
  }
}

template <class T> void multiply_by_dots(const Gemm<T>& g, const GemmBlock& block) {
  constexpr int most = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 4 : 2;
  const Index end = block.column + block.columns;
  Index j = block.column;
  for (; j + 8 <= end; j += 8) {
    Index row = block.row, rows = block.rows;
    for (; rows >= most; row += most, rows -= most) {
      dot_tile<T, most, 4>(g, row, j);
      dot_tile<T, most, 4>(g, row, j + 4);
    }
    for (; rows > 0; ++row, --rows) dot_tile<T, 1, 8>(g, row, j);
  }
  for (; j < end; ++j)
    for (Index row = 0; row < block.rows; ++row) dot_tile<T, 1, 1>(g, block.row + row, j);
}

// Some rows of a small product. B has rows of kWidth elements; so has C, at a distance of c_row.
template <class T, int kWidth, int kRows>
HWY_INLINE void small_rows(const MatrixView<T>& a, Index k, const T* b, Index b_row, T* c, Index c_row) {
  const hn::CappedTag<T, kWidth> d;
  constexpr int kLanes = hn::MaxLanes(d);
  for (int j = 0; j < kWidth; j += kLanes) {
    hn::Vec<decltype(d)> sums[kRows];
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) sums[r] = hn::Zero(d);
    for (Index i = 0; i < k; ++i) {
      const auto right = hn::LoadU(d, b + i * b_row + j);
      HWY_UNROLL(4)
      for (int r = 0; r < kRows; ++r) sums[r] = hn::MulAdd(hn::Set(d, a.data[r * a.row + i * a.column]), right, sums[r]);
    }
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) hn::StoreU(sums[r], d, c + r * c_row + j);
  }
}

template <class T, int kWidth> void small_products_of(const SmallProducts<T>& p, Index first, Index last) {
  constexpr Index kMost = kMostInSmallProducts;
  alignas(64) T copy_of_b[kMost * kWidth] = {}, copy_of_c[kMost * kWidth];
  const bool reads_b = p.b.column == 1 && p.n == kWidth, writes_c = p.n == kWidth;
  const Index b_row = reads_b ? p.b.row : kWidth;
  for (Index i = first; i < last; ++i) {
    const T *a = p.a.data + i * p.a_step, *b = p.b.data + i * p.b_step;
    if (!reads_b) {
      for (Index row = 0; row < p.k; ++row)
        for (Index j = 0; j < p.n; ++j) copy_of_b[row * kWidth + j] = b[row * p.b.row + j * p.b.column];
      b = copy_of_b;
    }
    T* const result = p.c + i * p.m * p.n;
    T* const c = writes_c ? result : copy_of_c;
    Index row = 0;
    for (; row + 4 <= p.m; row += 4)
      small_rows<T, kWidth, 4>({a + row * p.a.row, p.a.row, p.a.column}, p.k, b, b_row, c + row * kWidth, kWidth);
    for (; row < p.m; ++row) small_rows<T, kWidth, 1>({a + row * p.a.row, p.a.row, p.a.column}, p.k, b, b_row, c + row * kWidth, kWidth);
    if (writes_c) continue;
    for (row = 0; row < p.m; ++row)
      for (Index j = 0; j < p.n; ++j) result[row * p.n + j] = copy_of_c[row * kWidth + j];
  }
}
template <class T> void multiply_small(const SmallProducts<T>& p, Index first, Index last) {
  if (p.n <= 4) return small_products_of<T, 4>(p, first, last);
  if (p.n <= 8) return small_products_of<T, 8>(p, first, last);
  small_products_of<T, kMostInSmallProducts>(p, first, last);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

constexpr Index count_of(Index size, Index block) { return (size + block - 1) / block; }

// What a block of C costs beside its multiplications, in multiplications and additions that take as long.
struct CopyCosts {
  double b = 0;  // of an element of B
  double a = 0;  // of an element of A
};

// How C is cut into blocks for `threads` threads: all take equally many of equal size, as nearly as whole tiles and copies allow. B is
// packed again for each block of rows, and a transposed A copied for each block of columns, which many columns must share. Bits do not
// depend on it.
struct Cut {
  Index rows, columns;
  bool shared = false;  // whether the blocks are worth other threads; they may be many because of their rows alone

  // f(i) for each of `count` blocks.
  template <class F> void run(Index count, F&& f) const {
    if (shared) return parallel_blocks(count, f);
    for (Index i = 0; i < count; ++i) f(i);
  }
};
template <class T> Cut cut(Index m, Index n, Index k, Index least_columns, const CopyCosts& copies, int threads) {
  constexpr double kUnevenness = 0.25;  // of a block: what threads wait for the last one
  const auto part_of = [](Index size, Index parts, Index unit) { return std::min(size, count_of(count_of(size, parts), unit) * unit); };
  const Index height_of_tile = WENGERT_BEST_TARGET(tile_rows)(), width_of_tile = WENGERT_BEST_TARGET(tile_columns<T>)();
  const Index least_down = count_of(m, kMaxRows<T>);
  Cut best{part_of(m, least_down, height_of_tile), n};
  // With few rows of A or few terms, reading B or writing C takes longer than the arithmetic.
  constexpr double kMove = 12;  // moving one element takes as long as this many multiplications and additions
  const auto height = static_cast<double>(m), width = static_cast<double>(n), depth = static_cast<double>(std::max(k, Index(1)));
  const double work = std::max({2 * depth * height * width, kMove * depth * width, kMove * height * width});
  const Index most = std::min(Index(4) * threads, static_cast<Index>(work / kLeastWork<T>));
  best.shared = most > 1;
  if (threads == 1 || !best.shared) return best;
  double least_time = std::numeric_limits<double>::infinity();
  for (Index down = least_down; down <= std::max(most, least_down); ++down) {
    const Index rows = part_of(m, down, height_of_tile);
    if (down > least_down && count_of(m, rows) < down) continue;  // the same as with fewer
    for (Index across = 1; across == 1 || down * across <= most; ++across) {
      const Index columns = part_of(n, across, width_of_tile);
      if (across > 1 && columns < least_columns) break;
      const auto block_rows = static_cast<double>(rows), block_columns = static_cast<double>(columns);
      const double block = static_cast<double>(k) * (2 * block_rows * block_columns + copies.b * block_columns + copies.a * block_rows);
      const double time = block * (static_cast<double>(count_of(down * across, threads)) + kUnevenness);
      if (time < least_time) {
        least_time = time;
        best.rows = rows;
        best.columns = columns;
      }
    }
  }
  return best;
}

// A loop over fewer columns reads a transposed A where it lies, as copies_a() has it.
template <class T> Cut cut(const Gemm<T>& g) {
  constexpr double kCopyOfRows = 8, kTransposition = 24;
  const bool a_is_transposed = g.a.column != 1;
  const CopyCosts copies{packs_b(g) ? (g.b.column == 1 ? kCopyOfRows : kTransposition) : 0, a_is_transposed ? kTransposition : 0};
  return cut<T>(g.m, g.n, g.k, a_is_transposed ? Index(128) : Index(1), copies, usable_threads());
}

// Which of the ways multiplies; it depends on the matrices alone.
enum class Way { tiles, dots, outer };
template <class T> Way way_of(const Gemm<T>& g) {
  // Whether the ends of the dot products cost less than packing B. (With fewer terms than a vector holds, the end is all there is.)
  const bool few_sums = g.k >= kLine<T> && (g.m <= 4 || (g.m < kDotsBelow && g.k >= kMaxDepth));
  if (!g.descend && few_sums && g.b.row == 1 && g.b.column != 1 && g.a.column == 1) return Way::dots;
  if (g.k == 1 && g.b.column == 1 && !g.options.bias && !g.options.relu) return Way::outer;
  return Way::tiles;
}

template <class T> void multiply(const Gemm<T>& g, const GemmBlock& block) {
  switch (way_of(g)) {
    case Way::dots:
      return WENGERT_BEST_TARGET(multiply_by_dots<T>)(g, block);
    case Way::outer:
      return WENGERT_BEST_TARGET(multiply_outer<T>)(g, block);
    case Way::tiles:
      break;
  }
  const Index size = WENGERT_BEST_TARGET(scratch_size<T>)(g, block);
  if (size == 0) return WENGERT_BEST_TARGET(multiply_block<T>)(g, block, nullptr);
  WENGERT_BEST_TARGET(multiply_block<T>)(g, block, Scratch<T>(size).data());
}

// Whether C^T = B^T A^T is faster: A would be packed in place of a transposed B, which is larger, and fills vectors just as well.
template <class T> bool is_faster_transposed(const Gemm<T>& g) {
  constexpr Index vector = kLine<T>, least = 32768 / kFloats<T>;  // elements of B
  const Index empty = count_of(g.m, vector) * vector - g.m;
  return !g.packed_b && !g.descend && g.b.column != 1 && g.a.column == 1 && !g.options.accumulate && g.m >= kDotsBelow &&
         8 * empty <= g.m && g.n >= 4 * g.m && g.n * g.k >= least;
}

// Every sum is the same as without.
template <class T> void multiply_transposed(const Gemm<T>& g) {
  const Cut size = cut<T>(g.n, g.m, g.k, g.m, {}, usable_threads());
  const Index rows = size.rows;
  const PackedMatrix<T> packed(g.k, g.m, g.a.transposed());
  size.run(count_of(g.n, rows), [&](Index block) {
    const Index first = block * rows, count = std::min(rows, g.n - first);
    const Scratch<T> c(count * g.m);
    if (g.options.bias)
      for (Index j = 0; j < count; ++j) std::fill_n(c.data() + j * g.m, g.m, g.options.bias[first + j]);
    const MatrixView<T> b{g.b.data + first * g.b.column, g.b.column, g.b.row};
    multiply<T>({count, g.m, g.k, b, {}, packed.data(), c.data(), g.m, {.accumulate = g.options.bias != nullptr, .relu = g.options.relu}},
                {0, count, 0, g.m});
    WENGERT_BEST_TARGET(put_transposed<T>)(c.data(), g.m, count, g.m, g.c + first, g.c_row);
  });
}

// The whole product.
template <class T> void multiply(const Gemm<T>& g) {
  if (is_faster_transposed(g)) return multiply_transposed(g);
  const Cut size = cut(g);
  if (size.rows >= g.m && size.columns >= g.n) return multiply<T>(g, {0, g.m, 0, g.n});
  const Index across = count_of(g.n, size.columns);
  size.run(count_of(g.m, size.rows) * across, [&](Index i) {
    const Index row = i / across * size.rows, column = i % across * size.columns;
    multiply<T>(g, {row, std::min(size.rows, g.m - row), column, std::min(size.columns, g.n - column)});
  });
}

}  // namespace

template <class T>
void gemm(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T* c, Index c_row, const ProductOptions<T>& options) {
  if (m == 0 || n == 0) return;
  if (n == 1 && m > 1 && c_row == 1 && !options.bias) return gemm<T>(1, m, k, b.transposed(), a.transposed(), c, m, options);
  multiply<T>({m, n, k, a, b, nullptr, c, c_row, options});
}

template <class T> void small_products(const SmallProducts<T>& p, Index first, Index last) {
  WENGERT_BEST_TARGET(multiply_small<T>)(p, first, last);
}

template <class T> void gemm_descent(Index m, Index n, Index k, const MatrixView<T>& a, const MatrixView<T>& b, T rate, T* c, Index c_row) {
  if (m == 0 || n == 0 || k == 0) return;
  multiply<T>({m, n, k, a, b, nullptr, c, c_row, {}, true, rate});
}

template <class T> PackedMatrix<T>::PackedMatrix(Index k, Index n, const MatrixView<T>& b)
    : k_(k), n_(n), data_(WENGERT_BEST_TARGET(packed_size<T>)(k, n)) {
  WENGERT_BEST_TARGET(pack_matrix<T>)(k, n, b, data_.data());
}

template <class T>
void gemm(Index m, const MatrixView<T>& a, const PackedMatrix<T>& b, T* c, Index c_row, const ProductOptions<T>& options) {
  if (m == 0 || b.columns() == 0) return;
  multiply<T>({m, b.columns(), b.rows(), a, {}, b.data(), c, c_row, options});
}

#define WENGERT_INSTANTIATE(T)                                                                                              \
  template void gemm(Index, Index, Index, const MatrixView<T>&, const MatrixView<T>&, T*, Index, const ProductOptions<T>&); \
  template void small_products(const SmallProducts<T>&, Index, Index);                                                      \
  template void gemm_descent(Index, Index, Index, const MatrixView<T>&, const MatrixView<T>&, T, T*, Index);                \
  template class PackedMatrix<T>;                                                                                           \
  template void gemm(Index, const MatrixView<T>&, const PackedMatrix<T>&, T*, Index, const ProductOptions<T>&);
WENGERT_INSTANTIATE(float)
WENGERT_INSTANTIATE(double)
#undef WENGERT_INSTANTIATE

}  // namespace wengert::kernels
#endif
