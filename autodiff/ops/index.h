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

/// Calls f(offset in x, flat position in the dense result) for every element of the result, which has the given shape.
template <class F>
void for_each_position(const Shape& x_strides, int dim, const Tensor& index, Positions positions, const Shape& shape, F&& f) {
  const std::int64_t* at = index.data<std::int64_t>();
  const Index along = x_strides[dim];
  Shape from = x_strides, index_strides = row_major_strides(shape);
  from[dim] = 0;  // the index gives the position along dim
  if (positions == Positions::list) {
    for (Index& s : index_strides) s = 0;
    index_strides[dim] = 1;
  }
  Index flat = 0;
  kernels::Rows<2>(shape, {&from, &index_strides}).for_each([&](const auto& offset, Index n, const auto& step) {
    for (Index i = 0; i < n; ++i) f(offset[0] + i * step[0] + at[offset[1] + i * step[1]] * along, flat++);
  });
}

}  // namespace wengert::detail
