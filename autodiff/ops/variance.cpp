// Variance and standard deviation, in two passes: the mean, then the squared deviations from it, so that a large common offset loses no
// digits. Composed where it is recorded, so that derivatives of every order follow from those of the parts.
//
//   var = sum_d (x - mean)^2 / (n - correction),   stddev = |x - mean|_2 / sqrt(n - correction), with gradient 0 where it is 0
#include <algorithm>
#include <cmath>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/records.h"

namespace wengert {
namespace {

// The reduction of x, and n - correction.
struct Variance {
  Variance(const char* name, const Tensor& x, const Dims& dims, const VarianceOptions& options) {
    detail::check_floating(name, x);
    reduced = detail::reduce_over(name, x, dims);
    divisor = std::max<Index>(0, reduced.count - options.correction);
  }
  detail::Reduced reduced;
  Index divisor;
};

Tensor from_mean(const Tensor& x, const Dims& dims) { return x - mean(x, dims, {.keepdim = true}); }

// A reduction of the distances from_mean(x, dims) without a tensor of them: reduce(lines, x, center, result), pointers to the elements.
// Undefined where a rule will read the distances, x is not dense or its dimensions do not lie together, or `reduce` returns false.
template <class Reduce>
Tensor of_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim, const Reduce& reduce) {
  const Tensor* const inputs[] = {&x};
  if (detail::any_tracked(inputs)) return {};
  const auto lines = detail::lines_of(x, r.kept);
  if (!lines) return {};
  const Tensor center = mean(x, dims);
  Tensor y = Tensor::uninitialized(keepdim ? r.kept : r.dropped, x.dtype());
  const bool done = detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return reduce(*lines, x.data<T>(), center.data<T>(), y.mutable_data<T>());
  });
  return done ? y : Tensor();
}

// The sum of square(from_mean(x, dims)), to the bit.
Tensor sum_of_squared_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim) {
  return of_distances(x, dims, r, keepdim, []<class T>(const kernels::Lines& lines, const T* in, const T* c, T* out) {
    kernels::sum_all_lines<double>(
        lines, kernels::cost::kCopy<T>, [ in, c ](Index at, Index line) __attribute__((always_inline)) {
          const T distance = in[at] - c[line];
          return distance * distance;
        },
        [out](Index line, double sum) __attribute__((always_inline)) { out[line] = static_cast<T>(sum); });
    return true;
  });
}

// The norm of from_mean(x, dims), to the bit; undefined, too, where a sum of squares is not exact.
Tensor norm_of_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim) {
  return of_distances(x, dims, r, keepdim, []<class T>(const kernels::Lines& lines, const T* in, const T* c, T* out) {
    return detail::roots_of_sums(
        lines, [ in, c ](Index at, Index line) __attribute__((always_inline)) {
          const auto distance = static_cast<double>(in[at] - c[line]);
          return distance * distance;
        },
        out);
  });
}

}  // namespace

Tensor var(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Variance of("var", x, dims, options);
  const Tensor now = sum_of_squared_distances(x, dims, of.reduced, options.keepdim);
  return (now.defined() ? now : sum(square(from_mean(x, dims)), dims, {.keepdim = options.keepdim})) / of.divisor;
}
Tensor var(const Tensor& x, Location site) { return var(x, detail::all_dims("var", x), {}, site); }

// Not the root of var, whose squares overflow or vanish where the norm's do not.
Tensor stddev(const Tensor& x, const Dims& dims, const VarianceOptions& options, Location site) {
  const CallSite scope(site);
  const Variance of("stddev", x, dims, options);
  Tensor length = norm_of_distances(x, dims, of.reduced, options.keepdim);
  if (!length.defined()) length = norm(from_mean(x, dims), 2, dims, {.keepdim = options.keepdim});
  return length / std::sqrt(static_cast<double>(of.divisor));
}
Tensor stddev(const Tensor& x, Location site) { return stddev(x, detail::all_dims("stddev", x), {}, site); }

}  // namespace wengert
