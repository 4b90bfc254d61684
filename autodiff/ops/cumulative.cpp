// Running sums and products.
//
//   y = cumsum(x):   x_bar_j = sum_{i >= j} y_bar_i, the running sum from the other end,   y_dot = cumsum(x_dot)
//
// A running product is a linear recurrence, y_i = x_i y_{i-1}. Its derivatives are exact where elements are 0, to every order.

#include "autodiff/kernels/scan.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/linear_recurrence.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

Tensor running_sum(const Tensor& x, int dim, bool backwards, Location site = {});

class RunningSum : public OperationWithOptions {
 public:
  RunningSum(int dim, bool backwards) : dim_(dim), backwards_(backwards) {}
  const char* name() const override { return "cumsum"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_), to.set("backwards", backwards_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = running_sum(y_bar[0], dim_, !backwards_);
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = running_sum(x_dot[0], dim_, backwards_);
  }

 private:
  int dim_;
  bool backwards_;
};

// [running_sum]
Tensor running_sum(const Tensor& x, int dim, bool backwards, Location site) {
  const Tensor dense = x.constant().contiguous(site);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  const kernels::Lines lines = detail::lines_along(x.shape(), dim);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Sum = detail::Wide<T>;
    if (y.size() == 0) return;
    kernels::scan_lines(lines, 2 * kernels::cost::kCopy<T>, backwards, Sum(0), y.mutable_data<T>(),
                        [from = dense.data<T>()](Sum sum, Index at, Index) { return sum + static_cast<Sum>(from[at]); });
  });
  return record(RunningSum(dim, backwards), site, {&x}, std::move(y));
}
// [running_sum]

}  // namespace

Tensor cumsum(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("cumsum", dim, x);
  return running_sum(x.dtype() == boolean ? x.to(int64, site) : x, d, false, site);
}

Tensor cumprod(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("cumprod", dim, x);
  return detail::linear_recurrence(x.dtype() == boolean ? x.to(int64, site) : x, {}, {.dim = d, .initial = 1}, site);
}

}  // namespace wengert
