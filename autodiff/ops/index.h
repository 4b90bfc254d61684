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
    if (shape_.size() == 0) return;
    int cut = -1;
    for (int d = 0; d < shape_.rank(); ++d)
      if (d != dim_ && (cut < 0 || shape_[d] > shape_[cut])) cut = d;
    const Shape result = row_major_strides(shape_);
    const auto part = [&](Index first, Index last) {
      Shape shape = shape_;
      if (cut >= 0) shape[cut] = last - first;
      const auto skipped = [&](const Shape& strides) { return cut < 0 ? 0 : first * strides[cut]; };
      const Index in_x = skipped(x_), in_index = skipped(index_), in_result = skipped(result);
      kernels::Rows<3>(shape, {&x_, &index_, &result}).for_each([&](const auto& offset, Index n, const auto& step) {
        for (Index i = 0; i < n; ++i) {
          const Index along = at_[in_index + offset[1] + i * step[1]] * along_;
          f(in_x + offset[0] + i * step[0] + along, in_result + offset[2] + i * step[2]);
        }
      });
    };
    const Index parts = cut < 0 ? 1 : shape_[cut], unit = cut >= 0 && result[cut] == 1 ? kernels::kElementsTogether : 1;
    kernels::for_blocks_of(parts, kernels::cost::kScattered * static_cast<double>(shape_.size()) / static_cast<double>(parts), unit, part);
  }

 private:
  int dim_;
  const std::int64_t* at_;
  Index along_;
  Shape shape_, x_, index_;  // the result's shape, the strides in x and in the index
};

}  // namespace wengert::detail
