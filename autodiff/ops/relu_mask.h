#pragma once
// The derivative rule of relu, for operations that include one.
#include "autodiff/ops/broadcast.h"

namespace wengert::detail {

/// m where y = relu(...) is positive, 0 elsewhere.
inline Tensor relu_mask(const Tensor& y, const Tensor& m) {
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
