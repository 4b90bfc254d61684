// Dropout, and the leaky rectifier with a trainable slope. Composed: each is only a selection and a product.
//
//   y = where(mask, x / (1 - p), 0)
//   y = where(x > 0, x, w x)
#include <fmt/format.h>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/composition_scope.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

Tensor dropout(const Tensor& x, double p, Generator& generator, Location site) {
  const CallSite scope(site);
  detail::check_floating("dropout", x);
  detail::check_probability("dropout", p, x);
  if (p == 0) return x;
  const Tensor kept = generator.bernoulli(x.shape(), 1 - p, boolean);
  return where(kept, p < 1 ? x * (1 / (1 - p)) : x, 0);
}

Tensor prelu(const Tensor& x, const Tensor& weight, Location site) {
  const CallSite scope(site);
  detail::check_floating("prelu", x);
  detail::check_same_dtype("prelu", x, weight, "input", "weight");
  const bool one = weight.size() == 1, fits = weight.rank() == 1 && (one || (x.rank() > 1 && weight.size() == x.size(1)));
  if (!fits)
    throw ShapeError(detail::ErrorText("prelu", "the weight must have one element, or one for each channel (dimension 1) of the input")
                         .operand("input", x)
                         .operand("weight", weight));
  detail::CompositionScope whole("prelu", {&x, &weight}, [](OperationOptions&) {});
  Shape along_channels{weight.size()};
  for (int d = 2; d < x.rank(); ++d) along_channels.push_back(1);
  const Tensor positive = x > 0;  // there the product is not used, and an infinite x must not reach the gradient of the weight
  Tensor y = where(positive, x, where(positive, 0, x) * (one ? weight : reshape(weight, along_channels)));
  whole.end({&y});
  return y;
}

}  // namespace wengert
