#pragma once
// Loops over strided operands with a dense row-major result.
#include <array>
#include <utility>

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

  /// f(offsets of the operands, elements in the row, strides in the row) for every row.
  template <class F> void for_each(F&& f) const {
    const int inner = sizes_.rank() - 1;
    walk(inner, [&](const Strides& offset) { f(offset, size(inner), strides(inner)); });
  }
  /// f(offsets of the operands, rows, strides from row to row, elements in a row, strides in a row) for every plane: as many rows as
  /// lie at equal distances.
  template <class F> void for_each_plane(F&& f) const {
    const int inner = sizes_.rank() - 1;
    walk(inner - 1, [&](const Strides& offset) { f(offset, size(inner - 1), strides(inner - 1), size(inner), strides(inner)); });
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
  /// f(offsets of the operands) for every position in the first `outer` dimensions.
  template <class F> void walk(int outer, F&& f) const {
    if (empty_) return;
    Strides offset{};
    if (outer <= 0) return f(offset);
    Shape position = sizes_;
    for (Index& p : position) p = 0;
    for (;;) {
      f(offset);
      int d = outer - 1;
      for (; d >= 0; --d) {
        if (++position[d] < sizes_[d]) {
          for (int n = 0; n < N; ++n) offset[n] += strides_[n][d];
          break;
        }
        position[d] = 0;
        for (int n = 0; n < N; ++n) offset[n] -= strides_[n][d] * (sizes_[d] - 1);
      }
      if (d < 0) return;
    }
  }

  Shape sizes_;
  std::array<Shape, N> strides_;
  bool empty_ = false;
};

/// Copies `rows` rows of n elements, where those of one column lie together, to dense rows: by tiles, of which each line of the cache is
/// read once and written once.
template <class From, class To> void copy_transposed(const From* from, Index rows, Index row_step, Index n, Index step, To* to) {
  constexpr Index kTile = 16;
  To tile[kTile][kTile];
  for (Index r = 0; r < rows; r += kTile)
    for (Index i = 0; i < n; i += kTile) {
      const Index height = rows - r < kTile ? rows - r : kTile, width = n - i < kTile ? n - i : kTile;
      const From* corner = from + r * row_step + i * step;
      if (height == kTile && width == kTile && row_step == 1) {
        for (Index k = 0; k < kTile; ++k)
          for (Index j = 0; j < kTile; ++j) tile[j][k] = static_cast<To>(corner[j + k * step]);
      } else {
        for (Index k = 0; k < width; ++k)
          for (Index j = 0; j < height; ++j) tile[j][k] = static_cast<To>(corner[j * row_step + k * step]);
      }
      for (Index j = 0; j < height; ++j)
        for (Index k = 0; k < width; ++k) to[(r + j) * n + i + k] = tile[j][k];
    }
}

/// Copies strided elements to row-major ones, converting them.
template <class From, class To> void copy_strided(const From* from, const Shape& shape, const Shape& strides, To* to) {
  Rows<1>(shape, {&strides}).for_each_plane([&](const auto& offset, Index rows, const auto& row_step, Index n, const auto& step) {
    const From* p = from + offset[0];
    if (rows > 1 && 0 < row_step[0] && row_step[0] < step[0]) {
      copy_transposed(p, rows, row_step[0], n, step[0], to);
    } else {
      for (Index r = 0; r < rows; ++r, p += row_step[0]) {
        To* row = to + r * n;
        if (step[0] == 1) {
          for (Index i = 0; i < n; ++i) row[i] = static_cast<To>(p[i]);
        } else {
          for (Index i = 0; i < n; ++i) row[i] = static_cast<To>(p[i * step[0]]);
        }
      }
    }
    to += rows * n;
  });
}

}  // namespace wengert::kernels
