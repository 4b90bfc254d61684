#pragma once
// Loops over strided operands with a dense row-major result.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/copy_bytes.h"
#include "autodiff/kernels/target.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// N strided operands walked over one shape in row-major order: dimensions that all operands can walk as one are merged, the last
/// one is the inner loop.
template <int N> class Rows {
 public:
  /// `strides[n]` has the rank of `shape`; 0 repeats an operand along that dimension.
  Rows(const Shape& shape, const std::array<const Shape*, N>& strides) {
    for (const Index size : shape) empty_ |= size == 0;
    if (empty_) return;  // beside a 0 the other sizes may be of any product
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape[d] == 1) continue;
      const int last = sizes_.rank() - 1;
      bool merges = last >= 0;
      for (int n = 0; merges && n < N; ++n) merges = strides_[n][last] == (*strides[n])[d] * shape[d];
      if (merges) {
        sizes_[last] *= shape[d];
      } else {
        sizes_.push_back(shape[d]);
      }
      for (int n = 0; n < N; ++n) {
        if (merges) {
          strides_[n][last] = (*strides[n])[d];
        } else {
          strides_[n].push_back((*strides[n])[d]);
        }
      }
    }
  }

  /// f(offsets of the operands, elements in the row, strides in the row) for every row, one after the other.
  template <class F> void for_each(F&& f) const {
    if (empty_) return;
    const int inner = sizes_.rank() - 1;
    Index rows = 1;
    for (int d = 0; d < inner; ++d) rows *= sizes_[d];
    walk(inner, 0, rows, [&](Index, const Strides& offset) { f(offset, size(inner), strides(inner)); });
  }
  /// For every plane, which is as many rows as lie at equal distances, or parts of planes, in blocks over the pool: f(offsets of the
  /// operands, rows, strides from row to row, elements in a row, strides in a row, position in the dense result, whose rows are `pitch`
  /// elements apart, pitch). An element takes `ns` nanoseconds (blocks.h).
  template <class F> void for_each_plane(double ns, F&& f) const {
    if (empty_) return;
    constexpr Index kRows = 16, kColumns = 64;  // blocks begin at multiples: of the tiles of what is transposed, and of the cache's lines
    const int inner = sizes_.rank() - 1;
    const Index height = size(inner - 1), pitch = size(inner);
    const Strides row_step = strides(inner - 1), step = strides(inner);
    Index planes = 1;
    for (int d = 0; d < inner - 1; ++d) planes *= sizes_[d];
    const Index rows = planes * height;
    const auto part = [&](Index first_row, Index last_row, Index first, Index last) __attribute__((noinline)) {
      walk(inner - 1, first_row / height, (last_row - 1) / height + 1, [&](Index plane, const Strides& offset) {
        const Index begin = std::max(first_row - plane * height, Index{0}), end = std::min(last_row - plane * height, height);
        f(moved(moved(offset, begin, row_step), first, step), end - begin, row_step, last - first, step,
          (plane * height + begin) * pitch + first, pitch);
      });
    };
    if (pitch > rows) {
      for_blocks_of(pitch, static_cast<double>(rows) * ns, kColumns, [&](Index first, Index last) { part(0, rows, first, last); });
    } else {
      for_blocks_of(rows, static_cast<double>(pitch) * ns, kRows, [&](Index first, Index last) { part(first, last, 0, pitch); });
    }
  }
  /// The same for every row: f(offsets of the operands, elements, strides, position in the dense result).
  template <class F> void for_each_row(double ns, F&& f) const {
    for_each_plane(ns,
                   [&](const Strides& offset, Index rows, const Strides& row_step, Index n, const Strides& step, Index at, Index pitch) {
                     for (Index r = 0; r < rows; ++r) f(moved(offset, r, row_step), n, step, at + r * pitch);
                   });
  }

 private:
  using Strides = std::array<Index, N>;

  /// Of dimension d; a missing one has one element.
  Index size(int d) const { return d < 0 ? 1 : sizes_[d]; }
  Strides strides(int d) const {
    Strides s{};
    for (int n = 0; d >= 0 && n < N; ++n) s[n] = strides_[n][d];
    return s;
  }
  static Strides moved(Strides offset, Index steps, const Strides& step) {
    for (int n = 0; n < N; ++n) offset[n] += steps * step[n];
    return offset;
  }
  /// f(i, offsets of the operands) for the ith position in the first `outer` dimensions, i in [first, last).
  template <class F> void walk(int outer, Index first, Index last, F&& f) const {
    Strides offset{};
    if (outer <= 0) return f(Index{0}, offset);
    Shape position = sizes_;
    Index rest = first;
    for (int d = outer - 1; d >= 0; rest /= sizes_[d--]) {
      position[d] = rest % sizes_[d];
      offset = moved(offset, position[d], strides(d));
    }
    for (Index i = first; i < last; ++i) {
      f(i, offset);
      int d = outer - 1;
      for (; d >= 0 && ++position[d] == sizes_[d]; --d) {
        position[d] = 0;
        for (int n = 0; n < N; ++n) offset[n] -= strides_[n][d] * (sizes_[d] - 1);
      }
      for (int n = 0; d >= 0 && n < N; ++n) offset[n] += strides_[n][d];
    }
  }

  Shape sizes_;
  std::array<Shape, N> strides_;
  bool empty_ = false;
};

/// f(offsets of the operands, elements in the row, strides in the row) for every row, in row-major order but for the largest dimension that
/// `may_cut(d)` allows, of which threads take parts: so what differs in other dimensions alone is done by one of them, in order. An element
/// takes `ns` nanoseconds; where operand number `dense` has neighbours along that dimension, parts have several of them.
template <int N, class MayCut, class F> void for_each_row_in_parts(const Shape& shape, const std::array<const Shape*, N>& strides,
                                                                   int dense, double ns, const MayCut& may_cut, const F& f) {
  if (shape.size() == 0) return;
  int cut = -1;
  for (int d = 0; d < shape.rank(); ++d)
    if (may_cut(d) && (cut < 0 || shape[d] > shape[cut])) cut = d;
  const Index parts = cut < 0 ? 1 : shape[cut], unit = cut >= 0 && (*strides[dense])[cut] == 1 ? kElementsTogether : 1;
  for_blocks_of(parts, ns * static_cast<double>(shape.size()) / static_cast<double>(parts), unit, [&](Index first, Index last) {
    Shape part = shape;
    std::array<Index, N> start{};
    if (cut >= 0) {
      part[cut] = last - first;
      for (int n = 0; n < N; ++n) start[n] = first * (*strides[n])[cut];
    }
    Rows<N>(part, strides).for_each([&](std::array<Index, N> offset, Index n, const std::array<Index, N>& step) {
      for (int k = 0; k < N; ++k) offset[k] += start[k];
      f(offset, n, step);
    });
  });
}

/// Whether the elements of a row lie further apart than the rows.
inline bool is_transposed(Index row_step, Index step) { return 0 < row_step && row_step < step; }

/// Copies `rows` rows of n elements, where those of one column lie together, to rows that are `pitch` elements apart: by tiles, of which
/// each line of the cache is read once and written once.
template <class From, class To>
void copy_transposed(const From* from, Index rows, Index row_step, Index n, Index step, To* to, Index pitch) {
  run_on_best_target([=]() __attribute__((always_inline)) {
    constexpr Index kTile = 16, kArea = kTile * kTile, kLine = 64 / sizeof(From);
    To tile[kArea], other[kArea];
    // Element 16 a + b of a tile goes to 2 (16 a + b) modulo 255: four times this is 16 b + a. Loops of this form are SIMD.
    const auto shuffle = [](const To* x, To* y) __attribute__((always_inline)) {
      for (Index i = 0; i < kArea / 2; ++i) {
        y[2 * i] = x[i];
        y[2 * i + 1] = x[i + kArea / 2];
      }
    };
    for (Index r = 0; r < rows; r += kTile)
      for (Index i = 0; i < n; i += kTile) {
        const Index height = rows - r < kTile ? rows - r : kTile, width = n - i < kTile ? n - i : kTile;
        const From* const corner = from + r * row_step + i * step;
        To* const out = to + r * pitch + i;
        if (height < kTile || width < kTile) {
          for (Index k = 0; k < width; ++k)
            for (Index j = 0; j < height; ++j) out[j * pitch + k] = static_cast<To>(corner[j * row_step + k * step]);
          continue;
        }
        if (row_step == 1) {
          for (Index k = 0; k < kTile; ++k) {
            for (Index j = 0; j < kTile; j += kLine) __builtin_prefetch(corner + j + (k + kTile) * step, 0, 1);  // of the next tile
            for (Index j = 0; j < kTile; ++j) tile[k * kTile + j] = static_cast<To>(corner[j + k * step]);
          }
        } else {
          for (Index k = 0; k < kTile; ++k)
            for (Index j = 0; j < kTile; ++j) tile[k * kTile + j] = static_cast<To>(corner[j * row_step + k * step]);
        }
        shuffle(tile, other);
        shuffle(other, tile);
        shuffle(tile, other);
        shuffle(other, tile);
        for (Index j = 0; j < kTile; ++j)
          for (Index k = 0; k < kTile; ++k) out[j * pitch + k] = tile[j * kTile + k];
      }
  });
}

/// Sets n elements to the value.
template <class T> void fill(T* to, Index n, T value) {
  constexpr Index kFew = 64;
  run_on_best_target(
      [=]() __attribute__((always_inline)) {
        for (Index i = 0; i < n; ++i) to[i] = value;
      },
      n >= kFew);
}

/// Copies n elements that lie `step` apart to elements behind each other.
template <class From, class To> void copy_row(const From* from, Index step, Index n, To* to) {
  if (step == 1) {
    if constexpr (std::is_same_v<From, To>) {
      copy_bytes(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from), static_cast<std::size_t>(n) * sizeof(To));
    } else {
      for (Index i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
    }
  } else if (step == 0) {
    fill(to, n, static_cast<To>(*from));
  } else if (step == -1) {
    constexpr Index kFew = 32;
    run_on_best_target(
        [=]() __attribute__((always_inline)) {
          for (Index i = 0; i < n; ++i) to[i] = static_cast<To>(from[-i]);
        },
        n >= kFew);
  } else {
    for (Index i = 0; i < n; ++i) to[i] = static_cast<To>(from[i * step]);
  }
}

/// The same to elements that lie `to_step` apart.
template <class From, class To> void copy_row(const From* from, Index step, Index n, To* to, Index to_step) {
  if (to_step == 1) return copy_row(from, step, n, to);
  for (Index i = 0; i < n; ++i) to[i * to_step] = static_cast<To>(from[i * step]);
}

/// Copies `rows` rows of kLength elements, which lie `step` apart, to dense rows that begin `pitch` elements apart.
template <Index kLength, class From, class To>
void copy_rows_of(const From* from, Index rows, Index row_step, Index step, To* to, Index pitch) {
  for (Index r = 0; r < rows; ++r)
    for (Index i = 0; i < kLength; ++i) to[r * pitch + i] = static_cast<To>(from[r * row_step + i * step]);
}

/// The same for rows of any length n.
template <class From, class To> void copy_rows(const From* from, Index rows, Index row_step, Index n, Index step, To* to, Index pitch) {
  if (rows > 1 && is_transposed(row_step, step)) return copy_transposed(from, rows, row_step, n, step, to, pitch);
  switch (n) {
    case 1:
      return copy_rows_of<1>(from, rows, row_step, step, to, pitch);
    case 2:
      return copy_rows_of<2>(from, rows, row_step, step, to, pitch);
    case 3:
      return copy_rows_of<3>(from, rows, row_step, step, to, pitch);
    default:
      for (Index r = 0; r < rows; ++r) copy_row(from + r * row_step, step, n, to + r * pitch);
  }
}

/// Copies strided elements to row-major ones, converting them.
template <class From, class To> void copy_strided(const From* from, const Shape& shape, const Shape& strides, To* to) {
  Rows<1>(shape, {&strides})
      .for_each_plane(cost::kCopy<To>, [=](const auto& offset, Index rows, const auto& row_step, Index n, const auto& step, Index at,
                                           Index pitch) { copy_rows(from + offset[0], rows, row_step[0], n, step[0], to + at, pitch); });
}

}  // namespace wengert::kernels
