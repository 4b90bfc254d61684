// Variance and standard deviation, in two passes: the mean, then the squared deviations from it, so that a large common offset loses no
// digits. Composed where it is recorded, so that derivatives of every order follow from those of the parts.
//
//   var = sum_d (x - mean)^2 / (n - correction),   stddev = |x - mean|_2 / sqrt(n - correction), with gradient 0 where it is 0
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/records.h"

namespace wengert {
namespace {

// The reduction of x, and n - correction.
struct Spread {
  Spread(const char* name, const Tensor& x, const Dims& dims, const VarianceOptions& options) {
    detail::check_floating(name, x);
    reduced = detail::reduce_over(name, x, dims);
    divisor = std::max<Index>(0, reduced.count - options.correction);
  }
  detail::Reduced reduced;
  Index divisor;
};

Tensor from_mean(const Tensor& x, const Dims& dims) { return x - mean(x, dims, {.keepdim = true}); }

// The sum of square(from_mean(x, dims)), to the bit, without a tensor of the distances; undefined where a rule will read them, or x is not
// dense or its dimensions do not lie together.
Tensor sum_of_squared_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim) {
  const Tensor* const inputs[] = {&x};
  if (detail::any_tracked(inputs)) return {};
  const auto lines = detail::lines_of(x, r.kept);
  if (!lines) return {};
  const Tensor center = mean(x, dims);
  Tensor y = Tensor::uninitialized(keepdim ? r.kept : r.dropped, x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *in = x.data<T>(), *c = center.data<T>();
    T* out = y.mutable_data<T>();
    kernels::sum_all_lines(
        *lines, kernels::cost::kCopy<T>, [ in, c ](Index at, Index line) __attribute__((always_inline)) {
          const T distance = in[at] - c[line];
          return static_cast<double>(distance * distance);
        },
        [out](Index line, double sum) __attribute__((always_inline)) { out[line] = static_cast<T>(sum); });
  });
  return y;
}

// Whether no square of what has these sums has overflowed or lost digits.
bool are_usual(const Tensor& sums) {
  const auto [least, most] = sums.dtype() == float32 ? std::pair(0x1p-60, 0x1p120) : std::pair(0x1p-900, 0x1p1000);
  const std::vector<double> all = sums.to_vector<double>();
  return std::all_of(all.begin(), all.end(), [least = least, most = most](double v) { return v >= least && v <= most; });
}

}  // namespace

Tensor var(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Spread spread("var", x, dims, options);
  const Tensor now = sum_of_squared_distances(x, dims, spread.reduced, options.keepdim);
  return (now.defined() ? now : sum(square(from_mean(x, dims)), dims, {.keepdim = options.keepdim})) / spread.divisor;
}
Tensor var(const Tensor& x, Location site) { return var(x, detail::all_dims("var", x), {}, site); }

// Not the root of var, whose squares overflow or vanish where the norm's do not.
Tensor stddev(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Spread spread("stddev", x, dims, options);
  const Tensor now = sum_of_squared_distances(x, dims, spread.reduced, options.keepdim);
  const Tensor length = now.defined() && are_usual(now) ? sqrt(now) : norm(from_mean(x, dims), 2, dims, {.keepdim = options.keepdim});
  return length / std::sqrt(static_cast<double>(spread.divisor));
}
Tensor stddev(const Tensor& x, Location site) { return stddev(x, detail::all_dims("stddev", x), {}, site); }

}  // namespace wengert
