#pragma once
// Internal.
// What operations tell, beside their names and shapes, to code that computes a recorded forward pass again without tensors
// (autodiff/freeze/).
#include <array>
#include <cstdint>
#include <variant>

#include "autodiff/kernels/convolution.h"
#include "autodiff/kernels/pooling.h"
#include "autodiff/tape/operation.h"

namespace wengert::detail {

/// y[i] = f(x[0][i]) or f(x[0][i], x[1][i]) for n float32 elements, which lie densely; `options` are the numbers that are part of f.
using ElementwiseCall = void (*)(const std::array<double, 2>& options, Index n, const float* const* x, float* y);

/// An operation on each element of one operand, or of two that are broadcast.
class ElementwiseOperation : public Operation {
 public:
  virtual ElementwiseCall call() const = 0;
  virtual std::array<double, 2> options() const = 0;

 protected:
  ~ElementwiseOperation() = default;
};

/// Of pooling: the windows and, for means, what they divide by. `maximum`: the divisor means nothing.
struct PoolingForm {
  kernels::Pooling sizes;
  bool maximum;
  kernels::Divisor divisor;
};
/// Of a normalization.
struct NormalizationForm {
  double eps;
};
/// Of a sum, a mean and a softmax: along which dimensions.
struct ReductionForm {
  Dims dims;
};

/// Of a recurrent layer: whether it runs from the last position to the first.
struct SequenceForm {
  bool backward;
};

using ForwardForm = std::variant<kernels::Convolution, PoolingForm, NormalizationForm, ReductionForm, SequenceForm>;

/// An operation with options.
class HasForwardForm {
 public:
  virtual ForwardForm forward_form() const = 0;

 protected:
  HasForwardForm() = default;
  HasForwardForm(const HasForwardForm&) = default;
  ~HasForwardForm() = default;
};

}  // namespace wengert::detail
