// Variance and standard deviation, in two passes: the mean, then the squared deviations from it, so that a large common offset loses no
// digits. Composed where it is recorded, so that derivatives of every order follow from those of the parts.
//
//   var = sum_d (x - mean)^2 / (n - correction),   stddev = |x - mean|_2 / sqrt(n - correction), with gradient 0 where it is 0
#include <algorithm>
#include <atomic>
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

// What finish(T of x, sum) makes of the sums in double of the squares of from_mean(x, dims), each by `square`, without a tensor of these
// distances; undefined where a rule will read them, or x is not dense or its dimensions do not lie together.
template <class Square, class Finish> Tensor from_squared_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r,
                                                                    bool keepdim, const Square& square, const Finish& finish) {
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
        *lines, kernels::cost::kCopy<T>,
        [ in, c, square ](Index at, Index line) __attribute__((always_inline)) { return static_cast<double>(square(in[at] - c[line])); },
        [ out, finish ](Index line, double sum) __attribute__((always_inline)) { out[line] = finish(T(), sum); });
  });
  return y;
}

// The sum of square(from_mean(x, dims)), to the bit.
Tensor sum_of_squared_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim) {
  return from_squared_distances(
      x, dims, r, keepdim, [](auto distance) __attribute__((always_inline)) { return distance * distance; },
      []<class T>(T, double sum) __attribute__((always_inline)) { return static_cast<T>(sum); });
}

// The norm of from_mean(x, dims), to the bit; undefined, too, where a sum of squares has left its range.
Tensor norm_of_distances(const Tensor& x, const Dims& dims, const detail::Reduced& r, bool keepdim) {
  std::atomic<bool> exact = true;
  const Tensor y = from_squared_distances(
      x, dims, r, keepdim,
      [](auto distance) __attribute__((always_inline)) { return static_cast<double>(distance) * static_cast<double>(distance); },
      [&exact]<class T>(T, double sum) __attribute__((always_inline)) {
        if (!detail::is_exact_sum_of_squares<T>(sum)) exact.store(false, std::memory_order_relaxed);
        return static_cast<T>(std::sqrt(sum));
      });
  return exact ? y : Tensor();
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
