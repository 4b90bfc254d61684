// Variance and standard deviation, in two passes: the mean, then the squared deviations from it, so that a large common offset loses no
// digits. Composed, so that derivatives of every order follow from those of the parts.
//
//   var = sum_d (x - mean)^2 / (n - correction),   stddev = sqrt(var), with gradient 0 where it is 0
#include <algorithm>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"

namespace wengert {
namespace {

Tensor variance(const char* name, const Tensor& x, const Dims& dims, const VarianceOptions& options) {
  detail::check_floating(name, x);
  const Index count = detail::reduce_over(name, x, dims).count;
  const Tensor distance = x - mean(x, dims, {.keepdim = true});
  return sum(square(distance), dims, {.keepdim = options.keepdim}) / std::max<Index>(0, count - options.correction);
}

}  // namespace

Tensor var(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  return variance("var", x, dims, options);
}
Tensor var(const Tensor& x, Location site) { return var(x, detail::all_dims(x), {}, site); }

Tensor stddev(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  return detail::sqrt_or_zero(variance("stddev", x, dims, options));
}
Tensor stddev(const Tensor& x, Location site) { return stddev(x, detail::all_dims(x), {}, site); }

}  // namespace wengert
