#pragma once
// Whether two handles refer to the same value, for operations that treat repeated operands as one.
#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// The same elements and the same number. (A constant shares the elements of the value it was made from, but is a different value.)
inline bool same_value(const Tensor& a, const Tensor& b) { return a.elements() == b.elements() && a.number() == b.number(); }

}  // namespace wengert::detail
