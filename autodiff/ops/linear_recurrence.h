#pragma once
// First-order linear recurrences along a dimension. A running product is one, and so are the derivatives of every order.
#include "autodiff/ops.h"

namespace wengert::detail {

struct LinearRecurrence {
  int dim = 0;
  bool backwards = false;  ///< from the last element to the first
  bool lagging = false;    ///< a coefficient belongs to the element before it: the first one needs none, the last one is not used
  double initial = 0;      ///< before the first element
};

/// y_i = a_i y_{i-1} + b_i, or y_i = a_{i-1} y_{i-1} + b_i where it is lagging: of the shape of a. An undefined b is 0. Differentiable to
/// every order, without a division: elements of a may be 0.
Tensor linear_recurrence(const Tensor& a, const Tensor& b, const LinearRecurrence& recurrence, Location site);

}  // namespace wengert::detail
