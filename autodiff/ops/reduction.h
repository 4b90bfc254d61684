#pragma once
// Dimensions of reductions.
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// The dimensions that a reduction of x runs over, as shapes and strides of the result.
struct Reduced {
  Shape kept;     ///< with size 1 in the reduced dimensions
  Shape dropped;  ///< without them
  Shape strides;  ///< of the result broadcast to x's shape: 0 in the reduced dimensions
  Index count;    ///< number of elements of x for each element of the result
};
/// A ShapeError of `operation` for a dimension that is out of range or named twice.
Reduced reduce_over(const char* operation, const Tensor& x, const Dims& dims);
/// A ValueError of the operation if x is undefined.
Dims all_dims(const char* operation, const Tensor& x);

/// The lines that the reduction of a dense x runs along, if its dimensions lie together; nothing otherwise, or if x is not dense or empty.
std::optional<kernels::Lines> lines_of(const Tensor& x, const Shape& kept);

/// Calls f(position in the dense result, element) for every element of x.
template <class T, class F> void for_each_reduced(const Tensor& x, const Reduced& r, F&& f) {
  const T* data = static_cast<const T*>(x.elements()->data);
  kernels::Rows<2>(x.shape(), {&x.strides(), &r.strides}).for_each([&](const auto& offset, Index n, const auto& step) {
    for (Index i = 0; i < n; ++i) f(offset[1] + i * step[1], data[offset[0] + i * step[0]]);
  });
}

}  // namespace wengert::detail
