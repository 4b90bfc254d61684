#pragma once
// Internal.
// What elementwise operations tell to code that computes a recorded forward pass again without tensors (autodiff/freeze/).
#include <array>

#include "autodiff/tape/operation_options.h"

namespace wengert::detail {

/// y[i] = f(x[0][i]) or f(x[0][i], x[1][i]) for n float32 elements, which lie densely; `numbers` are those that are part of f.
using ElementwiseCall = void (*)(const std::array<double, 2>& numbers, Index n, const float* const* x, float* y);

/// An operation on each element of one operand, or of two that are broadcast.
class ElementwiseOperation : public OperationWithOptions {
 public:
  virtual ElementwiseCall call() const = 0;
  /// The numbers that are part of the function, such as the slope of leaky_relu; 0 where there are none.
  virtual std::array<double, 2> numbers() const = 0;
  void options(OperationOptions& to) const override { to.set("first", numbers()[0]), to.set("second", numbers()[1]); }

 protected:
  ~ElementwiseOperation() = default;
};

/// Those that are parts of other operations.
const ElementwiseOperation& addition();
const ElementwiseOperation& subtraction();
const ElementwiseOperation& multiplication();
const ElementwiseOperation& hyperbolic_tangent();

}  // namespace wengert::detail
