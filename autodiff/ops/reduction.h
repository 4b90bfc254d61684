#pragma once
// Dimensions of reductions.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/operation_options.h"

namespace wengert::detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The type that elements of T are summed and multiplied in.
template <class T> using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

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

/// The lines along one dimension of a dense tensor.
inline kernels::Lines lines_along(const Shape& shape, int dim) {
  return {shape.size(0, dim), shape[dim], shape.size(dim + 1, shape.rank())};
}

/// An operation that reduces an operand over `dims_`; `kept_` is the shape of the result with these dimensions, of size 1.
class Reduction : public OperationWithOptions {
 public:
  Reduction(const Dims& dims, const Shape& kept) : dims_(dims), kept_(kept) {}
  void options(OperationOptions& to) const override { to.set("dims", dims_); }

 protected:
  ~Reduction() = default;
  Dims dims_;
  Shape kept_;
};

/// Whether a sum of squares of elements of T, in double, has all the digits that the Euclidean norm needs. Squares of float32 are in range;
/// their root is to be a normal number. Those of float64 lose digits below 2^-1022: in a sum above 2^-900 these are too small to matter.
template <class T> bool is_exact_sum_of_squares(double sum) {
  if constexpr (std::is_same_v<T, float>) return (sum >= 0x1p-252 && sum <= 0x1p254) || sum == 0;
  return sum >= 0x1p-900 && sum <= 0x1p1020;
}

/// to[line] = the root of the sum of square(position, line), in double, for all lines. Returns whether all these sums are exact.
template <class T, class Square> bool roots_of_sums(const kernels::Lines& lines, const Square& square, T* to) {
  std::atomic<bool> exact = true;
  kernels::sum_all_lines(
      lines, kernels::cost::kCopy<T>, square, [ to, all = &exact ](Index line, double sum) __attribute__((always_inline)) {
        if (!is_exact_sum_of_squares<T>(sum)) all->store(false, std::memory_order_relaxed);
        to[line] = static_cast<T>(std::sqrt(sum));
      });
  return exact;
}

/// f(row of x, position in the dense result, elements, their distance in x, in the result) for every row of x. Threads share the largest
/// dimension that is kept, so each element of the result is reduced by one of them, in the order of x's positions.
template <class T, class F> void for_each_reduced_row(const Tensor& x, const Reduced& r, F&& f) {
  if (x.size() == 0) return;
  const T* data = static_cast<const T*>(x.elements()->data);
  kernels::for_each_row_in_parts<2>(
      x.shape(), {&x.strides(), &r.strides}, 0, kernels::cost::kScattered, [&](int d) { return r.strides[d] != 0; },
      [&](const auto& offset, Index n, const auto& step) { f(data + offset[0], offset[1], n, step[0], step[1]); });
}
/// f(position in the dense result, element) for every element of x, in the same order.
template <class T, class F> void for_each_reduced(const Tensor& x, const Reduced& r, F&& f) {
  for_each_reduced_row<T>(x, r, [&](const T* row, Index at, Index n, Index x_step, Index y_step) {
    for (Index i = 0; i < n; ++i) f(at + i * y_step, row[i * x_step]);
  });
}

}  // namespace wengert::detail
