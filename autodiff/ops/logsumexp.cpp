// The logarithm of a sum of exponentials, without overflow: m + ln sum e^(x - m), where m is the largest element.
//
//   y = ln sum_d e^x:   x_bar = y_bar p,   y_dot = sum_d p x_dot,   where p = e^x / sum_d e^x
//
// It is one operation rather than a composition because of its limits: where y is -inf (no elements, or all -inf), p is 0; where y is inf,
// the infinite elements share the gradient evenly.
#include <cmath>

#include "autodiff/functions/straight.h"
#include "autodiff/kernels/extremes.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class LogSumExp : public detail::Reduction {
 public:
  using Reduction::Reduction;
  const char* name() const override { return "logsumexp"; }
  const char* latex() const override { return R"(\ln\sum e^{#})"; }
  ValueSet saved_for(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const auto lines = recording() ? std::nullopt : detail::lines_of(s.x(), kept_);
    const bool finite = lines && all(isfinite(s.y())).element(0) != 0;
    x_bar[0] = finite ? share_out(*lines, s.x(), y_bar[0]) : share(s.x()) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(share(s.x()) * x_dot[0], dims_), s.y_shape());
  }

 private:
  // p, in the shape of x. The largest element cancels out of p, so it is treated as a constant.
  Tensor share(const Tensor& x) const {
    if (x.size() == 0) return x;
    const Tensor top = max(x.constant(), dims_, {.keepdim = true});
    const Tensor finite = (top < detail::kInfinity) == (top > -detail::kInfinity);
    const Tensor e = exp(where(finite, x - top, 0));
    const Tensor at_top = (x.constant() == top).to(x.dtype());
    const Tensor limit = where(top == -detail::kInfinity, 0, at_top / sum(at_top, dims_, {.keepdim = true}));  // NaN where top is NaN
    return where(finite, e / sum(e, dims_, {.keepdim = true}), limit);
  }
  // y_bar p where all y are finite, not recorded. p is not e^(x - y), because y has lost the digits of its sum where x is large.
  static Tensor share_out(const kernels::Lines& l, const Tensor& x, const Tensor& y_bar) {
    const Tensor m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(x.shape(), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      pool::Vector<T> per_line(static_cast<std::size_t>(l.count()));
      const T *in = x.data<T>(), *from = m.data<T>();
      T *to = x_bar.mutable_data<T>(), *line = per_line.data();
      kernels::extremes_of_all_lines(kernels::Extreme::largest, l, in, line);
      kernels::for_each_in_all_lines(
          l, kernels::cost::kFormula<T>, to, line,
          line, [in](Index i, T top, T) __attribute__((always_inline)) { return fn::straight::exp(in[i] - top); });
      kernels::sum_all_lines(
          l, kernels::cost::kCopy<T>, [to](Index i, Index) __attribute__((always_inline)) { return static_cast<double>(to[i]); },
          [ line, from ](Index i, double sum)
              __attribute__((always_inline)) { line[i] = static_cast<T>(static_cast<double>(from[i]) / sum); });
      kernels::for_each_in_all_lines(
          l, kernels::cost::kCopy<T>, to, line, line, [to](Index i, T factor, T) __attribute__((always_inline)) { return to[i] * factor; });
    });
    return x_bar;
  }
};

// y[line] = its logsumexp, for dense x with n > 0.
template <class T> void logsumexp_lines(const kernels::Lines& l, const T* x, T* y) {
  pool::Vector<double> sum(static_cast<std::size_t>(l.count()));
  double* sums = sum.data();
  kernels::extremes_of_all_lines(kernels::Extreme::largest, l, x, y);
  const T* top = y;
  kernels::sum_all_lines(
      l, kernels::cost::kFormula<T>,
      [ x, top ](Index i, Index line) __attribute__((always_inline)) { return static_cast<double>(fn::straight::exp(x[i] - top[line])); },
      [sums](Index line, double s) __attribute__((always_inline)) { sums[line] = s; });
  kernels::for_blocks_of(l.count(), kernels::cost::kFormula<double>, [=](Index first, Index last) {
    kernels::run_on_best_target([=]() __attribute__((always_inline)) {
      for (Index i = first; i < last; ++i) {
        const T value = static_cast<T>(static_cast<double>(y[i]) + fn::straight::log(sums[i]));
        y[i] = y[i] - y[i] == 0 ? value : y[i];  // infinities and NaN stay as they are
      }
    });
  });
}

}  // namespace

Tensor logsumexp(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  detail::check_floating("logsumexp", x);
  const detail::Reduced r = detail::reduce_over("logsumexp", x, dims);
  Tensor y = Tensor::full(options.keepdim ? r.kept : r.dropped, -detail::kInfinity, x.dtype(), site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    if (const auto lines = detail::lines_of(x, r.kept); lines && x.size() > 0) return logsumexp_lines(*lines, x.data<T>(), out);
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
