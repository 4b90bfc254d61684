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

#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/tile-inl.h"
#include "autodiff/kernels/transpose-inl.h"

#ifndef WENGERT_GEMM_ONCE
#define WENGERT_GEMM_ONCE
namespace wengert::kernels {

struct Gemm {
  Index m, n, k;
  MatrixView<float> a, b;
  const float* packed_b;  // in place of b, or null
  float* c;
  Index c_row;
  ProductOptions<float> options;
  bool descend = false;  // C -= rate * A B
  float rate = 0;
};

// Rows and columns of C from `row` and `column`.
struct GemmBlock {
  Index row, rows, column, columns;
};

// The thresholds below are sizes in elements, found by timing matrices on both sides of each. A result's bits
// depend on kMaxDepth and kDotsBelow, that is on the matrices, and on none of the others.
//
//   kMaxDepth     steps of k at once         a panel of B (two vectors of columns) has at most 33 KB and stays in the first cache
//   kMaxRows      rows of a block            what is used of A at once has at most 400 KB and stays in the second cache
//   kDotsBelow    rows of A                  with fewer, packing a transposed B costs more than the ends of dot products
//   kLine         16 floats                  rows of B that begin with a cache line may be read in place
//   kPage         1024 floats = 4 KB         rows of B this far apart share a set of the first cache: packed from kMinRowsForPage on
//   kFewSteps     steps of k                 so few rows of B share no set even if they are not packed
//   kFewRows      rows of A                  with no more, a panel of B is used too seldom to be worth its copy
//   kBlockWork    multiplications x 2        of a block: some 10 us, so that a thread is worth waking for the second one
inline constexpr Index kMaxDepth = kMaxDescentDepth, kMaxRows = 384, kDotsBelow = 20;
inline constexpr Index kLine = 16, kPage = 1024, kMinRowsForPage = 64, kFewSteps = 64, kFewRows = 72;
inline constexpr double kBlockWork = 2e6;

// Of k at once: parts as equal as possible.
constexpr Index depth_of(Index k) {
  const Index parts = (k + kMaxDepth - 1) / kMaxDepth;
  return parts > 1 ? (k + parts - 1) / parts : k;
}

// Whether panels of B are copied before they are used. Their rows may be read where they lie if few rows of A use them, or if there
// are few that begin with a cache line; but rows that lie 4 KB apart share a set of the first cache.
inline bool packs_b(const Gemm& g) {
  if (g.packed_b) return false;
  if (g.b.column != 1) return true;
  if (g.b.row % kPage == 0) return g.m >= kMinRowsForPage;
  return g.m > kFewRows && (g.k > kFewSteps || g.b.row % kLine != 0);
}

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

// to[k][width] = from(k, column) for `columns` columns, and zeros behind them. Columns of `from` lie one behind the other.
void pack_rows(const float* from, Index row, Index steps, Index columns, Index width, float* to) {
  const Floats d;
  for (Index k = 0; k < steps; ++k, from += row, to += width) {
    Index j = 0;
    for (; j + kLanes <= columns; j += kLanes) hn::StoreU(hn::LoadU(d, from + j), d, to + j);
    for (; j < columns; ++j) to[j] = from[j];
    for (; j < width; ++j) to[j] = 0;
  }
}

void put_transposed(const float* from, Index from_row, Index rows, Index columns, float* to, Index to_row) {
  transpose(from, from_row, rows, columns, to, to_row);
}

void pack(const MatrixView<float>& b, Index steps, Index columns, Index width, float* to) {
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
constexpr Index whole_columns(Index n) { return (n + kLanes - 1) / kLanes * kLanes; }

Index packed_size(Index k, Index n) { return k * whole_columns(n); }

// packed[part of k][panel][k][column of the panel]
void pack_matrix(Index k, Index n, const MatrixView<float>& b, float* packed) {
  const Index depth = depth_of(k);
  for (Index first = 0; first < k; first += depth)
    for (Index j = 0; j < n; j += kPanel) {
      const Index steps = HWY_MIN(k - first, depth), columns = HWY_MIN(n - j, Index(kPanel)), width = columns <= kLanes ? kLanes : kPanel;
      pack({b.data + first * b.row + j * b.column, b.row, b.column}, steps, columns, width, packed);
      packed += steps * width;
    }
}

// Rows of tiles whose columns are not whole vectors, through a copy of C. B is packed to whole vectors.
void multiply_last_columns(Tile t, Index rows, Index columns) {
  HWY_ALIGN float c[kTileRows * kPanel] = {}, bias[kPanel] = {};
  float* const to = t.c;
  const float* const a = t.a;
  const Index to_row = t.c_row;
  if (t.bias) {
    for (Index j = 0; j < columns; ++j) bias[j] = t.bias[j];
    t.bias = bias;
  }
  t.c = c;
  t.c_row = kPanel;
  for (Index row = 0; row < rows; row += kTileRows) {
    const Index count = HWY_MIN(rows - row, Index(kTileRows));
    if (t.accumulate || t.descend)
      for (Index r = 0; r < count; ++r)
        for (Index j = 0; j < columns; ++j) c[r * kPanel + j] = to[(row + r) * to_row + j];
    t.a = a + row * t.a_row;
    (columns <= kLanes ? kTiles<1> : kTiles<2>)[count - 1](t);
    for (Index r = 0; r < count; ++r)
      for (Index j = 0; j < columns; ++j) to[(row + r) * to_row + j] = c[r * kPanel + j];
  }
}

bool copies_a(const Gemm& g, const GemmBlock& block) {
  return g.a.column != 1 && block.rows >= 2 * kTileRows && block.columns >= 4 * kPanel;
}

// What multiply_block needs for copies, in floats: a panel of B and the rows of A.
Index scratch_size(const Gemm& g, const GemmBlock& block) {
  const bool copies = copies_a(g, block);
  if (!copies && !packs_b(g) && (g.packed_b || block.columns % kPanel == 0)) return 0;
  return depth_of(g.k) * (kPanel + (copies ? block.rows : 0));
}

void multiply_block(const Gemm& g, const GemmBlock& block, float* scratch) {
  const bool packs = packs_b(g), copies = copies_a(g, block);
  const bool wide = !packs && !g.packed_b && block.rows <= kWideRows;
  const Index depth = depth_of(g.k);
  float* const copy_of_a = scratch + depth * kPanel;
  const float* const a = g.a.data + block.row * g.a.row;
  Tile t;
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
    const MatrixView<float> a_here{a + k * g.a.column, g.a.row, g.a.column};
    if (copies) pack(a_here.transposed(), t.steps, block.rows, block.rows, copy_of_a);
    const Index end = block.column + block.columns;
    for (Index j = block.column; j < end;) {
      t.a = copies ? copy_of_a : a_here.data;
      t.c = g.c + block.row * g.c_row + j;
      t.bias = g.options.bias ? g.options.bias + j : nullptr;
      const MatrixView<float> b{g.packed_b ? nullptr : g.b.data + k * g.b.row + j * g.b.column, g.b.row, g.b.column};
      if (wide && end - j >= kWidePanel) {
        t.b = b.data;
        t.b_step = b.row;
        multiply_rows(t, block.rows, kWideTiles, kWideRows);
        j += kWidePanel;
        continue;
      }
      const Index columns = HWY_MIN(end - j, Index(kPanel));
      const Index width = columns <= kLanes ? kLanes : kPanel;
      if (g.packed_b) {
        t.b = g.packed_b + k * whole_columns(g.n) + j * t.steps;
        t.b_step = width;
      } else if (packs || columns < kPanel) {
        pack(b, t.steps, columns, width, scratch);
        t.b = scratch;
        t.b_step = width;
      } else {
        t.b = b.data;
        t.b_step = b.row;
      }
      if (columns == kPanel) {
        multiply_rows(t, block.rows, kTiles<2>, kTileRows);
      } else {
        multiply_last_columns(t, block.rows, columns);
      }
      j += kPanel;
    }
    k += depth;
  } while (k < g.k);
}

// k = 1: rows of C are multiples of B's one row, or lose such. Neither bias nor relu.
void multiply_outer(const Gemm& g, const GemmBlock& block) {
  const Floats d;
  const float* const b = g.b.data + block.column;
  for (Index i = block.row; i < block.row + block.rows; ++i) {
    const float a = g.a.data[i * g.a.row];
    const Vector left = hn::Set(d, a);
    float* const c = g.c + i * g.c_row + block.column;
    Index j = 0;
    if (g.descend) {
      const Vector rate = hn::Set(d, g.rate);
      for (; j + kLanes <= block.columns; j += kLanes)
        hn::StoreU(hn::Sub(hn::LoadU(d, c + j), hn::Mul(rate, hn::Mul(left, hn::LoadU(d, b + j)))), d, c + j);
      for (; j < block.columns; ++j) c[j] -= g.rate * (a * b[j]);
      continue;
    }
    for (; j + kLanes <= block.columns; j += kLanes) {
      const Vector right = hn::LoadU(d, b + j);
      hn::StoreU(g.options.accumulate ? hn::MulAdd(left, right, hn::LoadU(d, c + j)) : hn::Mul(left, right), d, c + j);
    }
    for (; j < block.columns; ++j) c[j] = a * b[j] + (g.options.accumulate ? c[j] : 0);
  }
}

// Dot products of `rows` rows of A with `columns` columns of B, all of which lie one element behind the other.
template <int rows, int columns> HWY_INLINE void dot_tile(const Gemm& g, Index row, Index column) {
  const Floats d;
  const float *a = g.a.data + row * g.a.row, *b = g.b.data + column * g.b.column;
  Vector sum[rows][columns];
  HWY_UNROLL(4)
  for (int r = 0; r < rows; ++r) {
    HWY_UNROLL(8)
    for (int j = 0; j < columns; ++j) sum[r][j] = hn::Zero(d);
  }
  Index k = 0;
  for (; k + kLanes <= g.k; k += kLanes) {
    Vector left[rows];
    HWY_UNROLL(4)
    for (int r = 0; r < rows; ++r) left[r] = hn::LoadU(d, a + r * g.a.row + k);
    HWY_UNROLL(8)
    for (int j = 0; j < columns; ++j) {
      const Vector right = hn::LoadU(d, b + j * g.b.column + k);
      HWY_UNROLL(4)
      for (int r = 0; r < rows; ++r) sum[r][j] = hn::MulAdd(left[r], right, sum[r][j]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < columns; ++j) {
      float y = hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
      for (Index rest = k; rest < g.k; ++rest) y += a[r * g.a.row + rest] * b[j * g.b.column + rest];
      float* const c = g.c + (row + r) * g.c_row + column + j;
      if (g.options.accumulate) y += *c;
      if (g.options.bias) y += g.options.bias[column + j];
      *c = g.options.relu && y <= 0 ? 0 : y;
    }
  }
}

void multiply_by_dots(const Gemm& g, const GemmBlock& block) {
  constexpr int most = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 4 : 2;
  const Index end = block.column + block.columns;
  Index j = block.column;
  for (; j + 8 <= end; j += 8) {
    Index row = block.row, rows = block.rows;
    for (; rows >= most; row += most, rows -= most) {
      dot_tile<most, 4>(g, row, j);
      dot_tile<most, 4>(g, row, j + 4);
    }
    for (; rows > 0; ++row, --rows) dot_tile<1, 8>(g, row, j);
  }
  for (; j < end; ++j)
    for (Index row = 0; row < block.rows; ++row) dot_tile<1, 1>(g, block.row + row, j);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

constexpr Index count_of(Index size, Index block) { return (size + block - 1) / block; }

// How C is cut: into blocks of kBlockWork. B is packed for each block of rows and a transposed A copied for each block
// of columns, so there are blocks of columns unless A alone is copied. Bits do not depend on it.
void cut(const Gemm& g, Index& rows, Index& columns) {
  constexpr Index row_unit = 48, column_unit = 64;  // whole tiles of every target, and enough columns to be worth a copy of A
  rows = g.m;
  columns = g.n;
  const double depth = 2.0 * static_cast<double>(std::max(g.k, Index(1)));
  if (g.m <= kMaxRows && depth * static_cast<double>(g.m) * static_cast<double>(g.n) < 2 * kBlockWork) return;
  const auto even = [](Index size, Index most, Index unit) {
    const Index part = count_of(size, count_of(size, std::max(most, unit)));
    return std::min(size, count_of(part, unit) * unit);
  };
  const auto enough = [&](Index across) { return static_cast<Index>(kBlockWork / (depth * static_cast<double>(across))); };
  rows = even(g.m, kMaxRows, row_unit);
  if (g.a.column != 1 && !packs_b(g))
    rows = even(g.m, std::min(enough(g.n), kMaxRows), row_unit);
  else
    columns = even(g.n, enough(rows), column_unit);
}

// Which of the ways multiplies; it depends on the matrices alone.
enum class Way { tiles, dots, outer };
Way way_of(const Gemm& g) {
  const bool few_sums = g.m <= 4 || (g.m < kDotsBelow && g.k >= kMaxDepth);  // what a sum's end costs, compared with packing B
  if (!g.descend && few_sums && g.b.row == 1 && g.b.column != 1 && g.a.column == 1) return Way::dots;
  if (g.k == 1 && g.b.column == 1 && !g.options.bias && !g.options.relu) return Way::outer;
  return Way::tiles;
}

void multiply(const Gemm& g, const GemmBlock& block) {
  switch (way_of(g)) {
    case Way::dots:
      return WENGERT_BEST_TARGET(multiply_by_dots)(g, block);
    case Way::outer:
      return WENGERT_BEST_TARGET(multiply_outer)(g, block);
    case Way::tiles:
      break;
  }
  const Index size = WENGERT_BEST_TARGET(scratch_size)(g, block);
  if (size == 0) return WENGERT_BEST_TARGET(multiply_block)(g, block, nullptr);
  WENGERT_BEST_TARGET(multiply_block)(g, block, Scratch<float>(size).data());
}

// Whether C^T = B^T A^T is faster: A would be packed in place of a transposed B, which is larger, and fills vectors just as well.
bool is_faster_transposed(const Gemm& g) {
  constexpr Index vector = 16, least = 32768;  // elements of B
  const Index empty = count_of(g.m, vector) * vector - g.m;
  return !g.packed_b && !g.descend && g.b.column != 1 && g.a.column == 1 && !g.options.accumulate && g.m >= kDotsBelow &&
         8 * empty <= g.m && g.n >= 4 * g.m && g.n * g.k >= least;
}

// Every sum is the same as without.
void multiply_transposed(const Gemm& g) {
  constexpr Index unit = 48;
  const double work_of_row = 2.0 * static_cast<double>(g.m) * static_cast<double>(g.k);
  const Index most = std::max(unit, static_cast<Index>(kBlockWork / work_of_row) / unit * unit), rows = std::min(g.n, most);
  const PackedMatrix packed(g.k, g.m, g.a.transposed());
  parallel_blocks(count_of(g.n, rows), [&](Index block) {
    const Index first = block * rows, count = std::min(rows, g.n - first);
    const Scratch<float> c(count * g.m);
    if (g.options.bias)
      for (Index j = 0; j < count; ++j) std::fill_n(c.data() + j * g.m, g.m, g.options.bias[first + j]);
    const MatrixView<float> b{g.b.data + first * g.b.column, g.b.column, g.b.row};
    multiply({count, g.m, g.k, b, {}, packed.data(), c.data(), g.m, {.accumulate = g.options.bias != nullptr, .relu = g.options.relu}},
             {0, count, 0, g.m});
    WENGERT_BEST_TARGET(put_transposed)(c.data(), g.m, count, g.m, g.c + first, g.c_row);
  });
}

// The whole product.
void multiply(const Gemm& g) {
  if (is_faster_transposed(g)) return multiply_transposed(g);
  Index rows, columns;
  cut(g, rows, columns);
  if (rows >= g.m && columns >= g.n) return multiply(g, {0, g.m, 0, g.n});
  const Index across = count_of(g.n, columns);
  parallel_blocks(count_of(g.m, rows) * across, [&](Index i) {
    const Index row = i / across * rows, column = i % across * columns;
    multiply(g, {row, std::min(rows, g.m - row), column, std::min(columns, g.n - column)});
  });
}

}  // namespace

void gemm(Index m, Index n, Index k, const MatrixView<float>& a, const MatrixView<float>& b, float* c, Index c_row,
          const ProductOptions<float>& options) {
  if (m == 0 || n == 0) return;
  if (n == 1 && m > 1 && c_row == 1 && !options.bias) return gemm(1, m, k, b.transposed(), a.transposed(), c, m, options);
  multiply({m, n, k, a, b, nullptr, c, c_row, options});
}

void gemm_descent(Index m, Index n, Index k, const MatrixView<float>& a, const MatrixView<float>& b, float rate, float* c, Index c_row) {
  if (m == 0 || n == 0 || k == 0) return;
  multiply({m, n, k, a, b, nullptr, c, c_row, {}, true, rate});
}

PackedMatrix::PackedMatrix(Index k, Index n, const MatrixView<float>& b) : k_(k), n_(n), data_(WENGERT_BEST_TARGET(packed_size)(k, n)) {
  WENGERT_BEST_TARGET(pack_matrix)(k, n, b, data_.data());
}

void gemm(Index m, const MatrixView<float>& a, const PackedMatrix& b, float* c, Index c_row, const ProductOptions<float>& options) {
  if (m == 0 || b.columns() == 0) return;
  multiply({m, b.columns(), b.rows(), a, {}, b.data(), c, c_row, options});
}

}  // namespace wengert::kernels
#endif
