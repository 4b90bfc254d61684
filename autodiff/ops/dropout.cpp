// Dropout, composed of a selection and a product: y = where(mask, x / (1 - p), 0).
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
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

}  // namespace wengert
