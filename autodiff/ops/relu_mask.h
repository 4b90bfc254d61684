#pragma once
// The rule of relu, for operations that have one inside.
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// m where y = relu(...) passes it on, else 0.
inline Tensor through_relu(const Tensor& y, const Tensor& m) {
  const fn::Relu f;
  if (recording()) return f.pullback(m, y, y);
  Tensor r = Tensor::uninitialized(m.shape(), m.dtype());
  dispatch_floating(m.dtype(), [&](auto zero) {
    using T = decltype(zero);
    elementwise_into<T, T>(
        r, [f](T m, T y) { return f.pullback(m, y, y); }, m, y);
  });
  return r;
}

}  // namespace wengert::detail
