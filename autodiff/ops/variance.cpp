// Variance and standard deviation, in two passes: the mean, then the squared deviations from it, so that a large common offset loses no
// digits. Composed, so that derivatives of every order follow from those of the parts.
//
//   var = sum_d (x - mean)^2 / (n - correction),   stddev = |x - mean|_2 / sqrt(n - correction), with gradient 0 where it is 0
#include <algorithm>
#include <cmath>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"

namespace wengert {
namespace {

// x - mean, and n - correction.
struct Distances {
  Distances(const char* name, const Tensor& x, const Dims& dims, const VarianceOptions& options) {
    detail::check_floating(name, x);
    const Index count = detail::reduce_over(name, x, dims).count;
    from_mean = x - mean(x, dims, {.keepdim = true});
    divisor = std::max<Index>(0, count - options.correction);
  }
  Tensor from_mean;
  Index divisor;
};

}  // namespace

Tensor var(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Distances distances("var", x, dims, options);
  return sum(square(distances.from_mean), dims, {.keepdim = options.keepdim}) / distances.divisor;
}
Tensor var(const Tensor& x, Location site) { return var(x, detail::all_dims("var", x), {}, site); }

// Not the root of var, whose squares overflow or vanish where the norm's do not.
Tensor stddev(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Distances distances("stddev", x, dims, options);
  return norm(distances.from_mean, 2, dims, {.keepdim = options.keepdim}) / std::sqrt(static_cast<double>(distances.divisor));
}
Tensor stddev(const Tensor& x, Location site) { return stddev(x, detail::all_dims("stddev", x), {}, site); }

}  // namespace wengert
