// The logarithm of a sum of exponentials, without overflow: m + ln sum e^(x - m), where m is the largest element.
//
//   y = ln sum_d e^x:   x_bar = y_bar p,   y_dot = sum_d p x_dot,   where p = e^x / sum_d e^x
//
// It is one operation rather than a composition because of its limits: where y is -inf (no elements, or all -inf), p is 0; where y is inf,
// the infinite elements share the gradient evenly.
#include <cmath>
#include <limits>

#include "autodiff/ops/reduction.h"

namespace wengert {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class LogSumExp : public Operation {
 public:
  explicit LogSumExp(const Dims& dims, const Shape& kept) : dims_(dims), kept_(kept) {}
  const char* name() const override { return "logsumexp"; }
  const char* latex() const override { return R"(\ln\sum e^{#})"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = share(s.x()) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(share(s.x()) * x_dot[0], dims_), s.y_shape());
  }

 private:
  /// p, in the shape of x. The largest element cancels out of p, so it is treated as a constant.
  Tensor share(const Tensor& x) const {
    if (x.size() == 0) return x;
    const Tensor top = max(x.constant(), dims_, {.keepdim = true});
    const Tensor finite = (top < kInfinity) == (top > -kInfinity);
    const Tensor e = exp(where(finite, x - top, 0));
    const Tensor at_top = (x.constant() == top).to(x.dtype());
    const Tensor limit = where(top == -kInfinity, 0, at_top / sum(at_top, dims_, {.keepdim = true}));  // NaN where top is NaN
    return where(finite, e / sum(e, dims_, {.keepdim = true}), limit);
  }
  Dims dims_;
  Shape kept_;
};

}  // namespace

Tensor logsumexp(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  detail::check_floating("logsumexp", x);
  const detail::Reduced r = detail::reduce_over("logsumexp", x, dims);
  Tensor y = Tensor::full(options.keepdim ? r.kept : r.dropped, -kInfinity, x.dtype(), site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    detail::for_each_reduced<T>(x, r, [&](Index at, T v) { out[at] = v > out[at] || std::isnan(v) ? v : out[at]; });
    pool::Vector<double> sums(static_cast<std::size_t>(y.size()));
    detail::for_each_reduced<T>(x, r,
                                [&](Index at, T v) { sums[static_cast<std::size_t>(at)] += static_cast<double>(std::exp(v - out[at])); });
    for (Index i = 0; i < y.size(); ++i)
      if (std::isfinite(out[i])) out[i] = static_cast<T>(static_cast<double>(out[i]) + std::log(sums[static_cast<std::size_t>(i)]));
  });
  return record(LogSumExp(dims, r.kept), site, {&x}, std::move(y));
}
Tensor logsumexp(const Tensor& x, Location site) { return logsumexp(x, detail::all_dims("logsumexp", x), {}, site); }

}  // namespace wengert
