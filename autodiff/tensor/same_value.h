#pragma once
// Whether two handles are one value: for operations that do a thing once for an operand that is there several times.
#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// The same elements and the same place on the tape. (A constant shares the elements of what it was made of, and is another value.)
inline bool same_value(const Tensor& a, const Tensor& b) { return a.elements() == b.elements() && a.number() == b.number(); }

}  // namespace wengert::detail
