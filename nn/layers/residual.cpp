#include "nn/layers/residual.h"

#include <fmt/format.h>

#include "autodiff/tensor/call_site.h"

namespace wengert::nn::detail {

Tensor residual_sum(const Tensor& x, const Tensor& y, Location site) {
  if (!(x.shape() == y.shape()))
    throw ShapeError(fmt::format("Residual at {}: the inner layer must keep the shape, but its result is {} for {}", to_string(site),
                                 describe(y), describe(x)));
  const CallSite scope(site);
  return x + y;
}

}  // namespace wengert::nn::detail
