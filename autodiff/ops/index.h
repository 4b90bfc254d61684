#pragma once
// Positions along one dimension: of what takes elements, adds to them or replaces them.
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// How positions along one dimension are given: one list for all rows, or one position for each element.
enum class Positions { list, each };

/// The index as a dense tensor. A DtypeError unless it is int64; a ShapeError unless every element is in [0, n), n the dimension's size.
Tensor checked_index(const char* name, const Tensor& index, const Tensor& x, int dim, Location site);
/// A ShapeError unless the index has the rank of x and is no larger than x, except along `dim`.
void check_each(const char* name, const Tensor& x, int dim, const Tensor& index);

/// The positions in x of the elements of a dense result.
class PositionsInX {
 public:
  /// x by its strides; the shape is the result's.
  PositionsInX(const Shape& x_strides, int dim, const Tensor& index, Positions positions, const Shape& shape)
      : dim_(dim), at_(index.data<std::int64_t>()), along_(x_strides[dim]), shape_(shape), x_(x_strides), index_(row_major_strides(shape)) {
    x_[dim] = 0;  // the index gives the position along dim
    if (positions == Positions::each) return;
    for (Index& s : index_) s = 0;
    index_[dim] = 1;
  }

  /// f(offset in x, position in the result) for every element, on any threads.
  template <class F> void for_each(F&& f) const {
    kernels::Rows<2>(shape_, {&x_, &index_})
        .for_each_row(kernels::cost::kScattered, [&](const auto& offset, Index n, const auto& step, Index at) {
          for (Index i = 0; i < n; ++i) f(offset[0] + i * step[0] + at_[offset[1] + i * step[1]] * along_, at + i);
        });
  }
  /// The same where several elements may have the same position in x: one thread calls f for all of these, in their order. So threads share
  /// the largest dimension but the one that the index is for.
  template <class F> void for_each_in_order(F&& f) const {
    const Shape result = row_major_strides(shape_);
    kernels::for_each_row_in_parts<3>(
        shape_, {&x_, &index_, &result}, 2, kernels::cost::kScattered, [&](int d) { return d != dim_; },
        [&](const auto& offset, Index n, const auto& step) {
          for (Index i = 0; i < n; ++i) f(offset[0] + i * step[0] + at_[offset[1] + i * step[1]] * along_, offset[2] + i * step[2]);
        });
  }

 private:
  int dim_;
  const std::int64_t* at_;
  Index along_;
  Shape shape_, x_, index_;  // the result's shape, the strides in x and in the index
};

}  // namespace wengert::detail
