#include "nn/layers/residual.h"

#include <fmt/format.h>

namespace wengert::nn::detail {

Tensor residual_sum(const Tensor& x, const Tensor& y, Location site) {
  if (!(x.shape() == y.shape()))
    throw ShapeError(
        fmt::format("Residual at {}: the inner layer must keep the shape, but made {} of {}", to_string(site), describe(y), describe(x)));
  return Operand(x, site) + y;
}

}  // namespace wengert::nn::detail
