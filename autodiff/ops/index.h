#pragma once
// Positions along one dimension: of what takes elements, adds to them or replaces them.
#include <algorithm>
#include <atomic>
#include <span>

#include "autodiff/kernels/slices.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// How positions along one dimension are given: one list for all rows, or one position for each element.
enum class Positions { list, each };

/// The index of an operation, without its history. A DtypeError unless it is int64.
Tensor index_of(const char* name, const Tensor& index);
/// The same, dense. A ShapeError unless every element is in [0, n), n the dimension's size.
Tensor checked_list(const char* name, const Tensor& index, const Tensor& x, int dim, Location site);

/// Finds elements of an index that are not positions along a dimension, on any threads, where a loop over them goes by: a second pass over
/// a large index takes as long as what it is for.
class IndexCheck {
 public:
  /// The arguments live as long as the check.
  IndexCheck(const char* name, const Tensor& index, const Tensor& x, int dim) : name_(name), index_(index), x_(x), dim_(dim) {}

  /// Whether all of these elements are; those after a false must not be used.
  bool fit(const std::int64_t* positions, Index count, Index step) {
    std::uint64_t outside = 0;
    if (step == 1) {
      kernels::run_on_best_target([&, n = x_.shape()[dim_] ]()
                                      __attribute__((always_inline)) { outside = bits_outside(positions, count, 1, n); });
    } else {
      outside = bits_outside(positions, count, step, x_.shape()[dim_]);
    }
    if (outside >> 63 == 0) return true;
    failed_.store(true, std::memory_order_relaxed);
    return false;
  }
  /// A ShapeError that names the first one that does not, if there is any.
  void end() const;

 private:
  // The highest bit is set unless 0 <= p < n for each p: it is that of p or that of n - 1 - p where it is not.
  __attribute__((always_inline)) static std::uint64_t bits_outside(const std::int64_t* positions, Index count, Index step, Index n) {
    std::uint64_t bits = 0;
    for (Index i = 0; i < count; ++i) {
      const auto p = static_cast<std::uint64_t>(positions[i * step]);
      bits |= p | (static_cast<std::uint64_t>(n) - 1 - p);
    }
    return bits;
  }

  const char* name_;
  const Tensor &index_, &x_;
  int dim_;
  std::atomic<bool> failed_ = false;
};

/// A ShapeError unless the index has the rank of x and is no larger than x, except along `dim`.
void check_each(const char* name, const Tensor& x, int dim, const Tensor& index);

/// The slices along `dim` of a dense tensor, and a list of positions as the kernels want it.
inline kernels::Slices slices_of(const Shape& shape, int dim) {
  return {shape.size(0, dim), shape[dim], shape.size(dim + 1, shape.rank())};
}
inline std::span<const std::int64_t> list_of(const Tensor& index) {
  return {index.data<std::int64_t>(), static_cast<std::size_t>(index.size())};
}

/// Elements of a strided x at positions along one dimension, each with an element of a second tensor, whose shape is `shape`.
class PositionsInX {
 public:
  /// The second tensor is dense, unless its strides are given.
  PositionsInX(const Shape& x_strides, int dim, const Tensor& index, Positions positions, const Shape& shape)
      : PositionsInX(x_strides, dim, index, positions, shape, row_major_strides(shape)) {}
  PositionsInX(const Shape& x_strides, int dim, const Tensor& index, Positions positions, const Shape& shape, const Shape& other_strides)
      : dim_(dim),
        at_(static_cast<const std::int64_t*>(index.elements()->data)),
        along_(x_strides[dim]),
        shape_(shape),
        x_(x_strides),
        index_(index.strides()),
        other_(other_strides) {
    x_[dim] = 0;  // the index gives the position along dim
    if (positions == Positions::each) return;
    index_ = shape;
    for (Index& s : index_) s = 0;
    index_[dim] = 1;
  }

  /// f(offset in x, offset in the other tensor) for every element, on any threads. Rows that do not pass the check, if any, are left out.
  template <class F> void for_each(IndexCheck* check, F&& f) const {
    kernels::Rows<3>(shape_, {&x_, &index_, &other_})
        .for_each_row(kernels::cost::kScattered, [&, at = at_, along = along_](const auto& offset, Index n, const auto& step, Index) {
          const std::int64_t* const positions = at + offset[1];
          if (check && !check->fit(positions, n, step[1])) return;
          const Index x = offset[0], other = offset[2];
          if (step[0] == 0 && step[1] == 1 && step[2] == 1 && along == 1) {  // along dense lines: nothing to multiply
            for (Index i = 0; i < n; ++i) f(x + positions[i], other + i);
          } else {
            for (Index i = 0; i < n; ++i) f(x + i * step[0] + positions[i * step[1]] * along, other + i * step[2]);
          }
        });
  }

  /// Some lines along `dim` that lie at equal distances; or, so that the compiler knows it, a single one that is dense everywhere.
  template <bool kDenseLine> struct Strip {
    const std::int64_t* positions;
    Index lines, count;                   // count: elements of each
    Index index_step, index_line;         // strides in the index: along the lines, and from one to the next
    Index x, x_step, x_line;              // offset in x of position 0 of the first line, strides
    Index other, other_step, other_line;  // the same in the other tensor

    Index width() const { return kDenseLine ? 1 : lines; }
    /// Offset in x of position i of line c.
    Index in_x(Index i, Index c) const { return kDenseLine ? x + i : x + i * x_step + c * x_line; }
    /// Of element k of line c: its position along `dim`, its offsets in x and in the other tensor.
    Index position(Index k, Index c) const { return kDenseLine ? positions[k] : positions[k * index_step + c * index_line]; }
    Index at(Index k, Index c) const { return in_x(position(k, c), c); }
    Index from(Index k, Index c) const { return kDenseLine ? other + k : other + k * other_step + c * other_line; }
    /// f(k, c), so that the elements of each line come in their order.
    template <class F> void for_each(F&& f) const {
      for (Index k = 0; k < count; ++k)
        for (Index c = 0; c < width(); ++c) f(k, c);
    }
  };
  static constexpr Index kMostLines = 16;
  /// f(strip) for all lines, on any threads: lines whose elements in x are neighbours come side by side. Those that do not pass the check,
  /// if any, are left out.
  template <class F> void for_each_strip(IndexCheck* check, F&& f) const {
    const Index count = shape_[dim_];
    Shape across = shape_;
    across[dim_] = 1;
    const bool dense = along_ == 1 && index_[dim_] == 1 && other_[dim_] == 1;
    kernels::Rows<3>(across, {&x_, &index_, &other_})
        .for_each_row(kernels::cost::kScattered * static_cast<double>(count), [&](const auto& offset, Index n, const auto& step, Index) {
          const Index most = step[0] == 1 ? kMostLines : 1;
          for (Index c = 0; c < n; c += most) {
            const Strip<false> l{at_ + offset[1] + c * step[1],
                                 std::min(most, n - c),
                                 count,
                                 index_[dim_],
                                 step[1],
                                 offset[0] + c * step[0],
                                 along_,
                                 step[0],
                                 offset[2] + c * step[2],
                                 other_[dim_],
                                 step[2]};
            bool fits = true;
            for (Index line = 0; check && fits && line < l.lines; ++line)
              fits = check->fit(l.positions + line * l.index_line, count, l.index_step);
            if (!fits) continue;
            if (dense && l.lines == 1) {
              f(Strip<true>{l.positions, 1, count, 1, 0, l.x, 1, 0, l.other, 1, 0});
            } else {
              f(l);
            }
          }
        });
  }

 private:
  int dim_;
  const std::int64_t* at_;
  Index along_;
  Shape shape_, x_, index_, other_;  // the shape of the index and of the other tensor; strides
};

}  // namespace wengert::detail
