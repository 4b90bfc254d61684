#pragma once
// Positions along one dimension: of what takes elements, adds to them or replaces them.
#include <algorithm>
#include <span>

#include "autodiff/kernels/slices.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// How positions along one dimension are given: one list for all rows, or one position for each element.
enum class Positions { list, each };

/// The index without its history; dense if it is a list. A DtypeError unless it is int64; a ShapeError unless every element is in [0, n), n the
/// dimension's size.
Tensor checked_index(const char* name, const Tensor& index, const Tensor& x, int dim, Location site);
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

  /// f(offset in x, offset in the other tensor) for every element, on any threads.
  template <class F> void for_each(F&& f) const {
    kernels::Rows<3>(shape_, {&x_, &index_, &other_})
        .for_each_row(kernels::cost::kScattered, [&](const auto& offset, Index n, const auto& step, Index) {
          for (Index i = 0; i < n; ++i) f(offset[0] + i * step[0] + at_[offset[1] + i * step[1]] * along_, offset[2] + i * step[2]);
        });
  }

  /// Some lines along `dim`, that lie at equal distances: element k of line c is at position `positions[k * index_step + c * index_column]`.
  struct Strip {
    const std::int64_t* positions;
    Index columns, count;                   // lines, elements of each
    Index index_step, index_column;         // in the index
    Index x, x_step, x_column;              // offset in x of position 0 of the first line, strides
    Index other, other_step, other_column;  // the same in the other tensor

    Index position(Index k, Index c) const { return positions[k * index_step + c * index_column]; }
    Index at(Index k, Index c) const { return x + position(k, c) * x_step + c * x_column; }
    Index from(Index k, Index c) const { return other + k * other_step + c * other_column; }
    /// f(k, c), so that the elements of each line come in their order.
    template <class F> void for_each(F&& f) const {
      for (Index k = 0; columns == 1 && k < count; ++k) f(k, Index{0});
      if (columns == 1) return;
      for (Index k = 0; k < count; ++k)
        for (Index c = 0; c < columns; ++c) f(k, c);
    }
  };
  static constexpr Index kMostColumns = 16;
  /// f(strip) for all lines, on any threads: lines whose elements in x are neighbours come side by side.
  template <class F> void for_each_strip(F&& f) const {
    const Index count = shape_[dim_];
    Shape across = shape_;
    across[dim_] = 1;
    kernels::Rows<3>(across, {&x_, &index_, &other_})
        .for_each_row(kernels::cost::kScattered * static_cast<double>(count), [&](const auto& offset, Index n, const auto& step, Index) {
          const Index most = step[0] == 1 ? kMostColumns : 1;
          for (Index c = 0; c < n; c += most)
            f(Strip{at_ + offset[1] + c * step[1], std::min(most, n - c), count, index_[dim_], step[1], offset[0] + c * step[0], along_,
                    step[0], offset[2] + c * step[2], other_[dim_], step[2]});
        });
  }

 private:
  int dim_;
  const std::int64_t* at_;
  Index along_;
  Shape shape_, x_, index_, other_;  // the shape of the index and of the other tensor; strides
};

}  // namespace wengert::detail
