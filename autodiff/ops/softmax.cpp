// Softmax and its logarithm along a dimension.
//
//   y = softmax(x):       x_bar = y (y_bar - sum(y_bar y)),     y_dot = y (x_dot - sum(x_dot y))
//   y = log_softmax(x):   x_bar = y_bar - e^y sum(y_bar),       y_dot = x_dot - sum(x_dot e^y)
#include <cmath>

#include "autodiff/kernels/softmax.h"
#include "autodiff/ops/broadcast.h"

namespace wengert {
namespace {

class Softmax : public Operation {
 public:
  explicit Softmax(int dim) : dim_(dim) {}
  const char* name() const override { return "softmax"; }
  const char* latex() const override { return R"(\operatorname{softmax}(#))"; }
  // [rule]
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = carry(s.y(), y_bar[0]); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = carry(s.y(), x_dot[0]); }

 private:
  /// The Jacobian is symmetric.
  Tensor carry(const Tensor& y, const Tensor& m) const { return y * (m - sum(m * y, dim_, {.keepdim = true})); }
  // [rule]
  int dim_;
};

class LogSoftmax : public Operation {
 public:
  explicit LogSoftmax(int dim) : dim_(dim) {}
  const char* name() const override { return "log_softmax"; }
  const char* latex() const override { return R"(\ln\operatorname{softmax}(#))"; }
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = y_bar[0] - exp(s.y()) * sum(y_bar[0], dim_, {.keepdim = true});
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = x_dot[0] - sum(x_dot[0] * exp(s.y()), dim_, {.keepdim = true});
  }

 private:
  int dim_;
};

/// For each row of dense x: y = e^(x - max) / sum, or x - max - ln sum.
template <class T> void softmax_rows(const T* x, T* y, Index rows, Index n, bool logarithm) {
  kernels::for_each_softmax_row(x, y, rows, n, [=](Index r, T top, double total) {
    T* row = y + r * n;
    if (logarithm) {
      const T shift = static_cast<T>(std::log(total));
      for (Index i = 0; i < n; ++i) row[i] = x[r * n + i] - top - shift;
    } else {
      const T scale = static_cast<T>(1 / total);
      for (Index i = 0; i < n; ++i) row[i] *= scale;
    }
  });
}

// [forward]
template <class Op> Tensor along(const char* name, const Tensor& x, Index dim, bool logarithm, Location site) {
  detail::check_floating(name, x);
  const int d = checked_dim(name, dim, x);
  const bool last = d == x.rank() - 1;
  const Tensor moved = last ? x.constant() : transpose(x.constant(), d, -1, site);
  const Tensor rows = moved.contiguous(site);
  Tensor y = Tensor::uninitialized(rows.shape(), x.dtype(), site);
  const Index n = rows.shape().back();
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (n > 0) softmax_rows(rows.data<T>(), y.mutable_data<T>(), rows.size() / n, n, logarithm);
  });
  if (!last) y = transpose(y, d, -1, site).contiguous(site);
  return record(Op(d), site, {&x}, std::move(y));
}
// [forward]

}  // namespace

Tensor softmax(const Tensor& x, Index dim, Location site) { return along<Softmax>("softmax", x, dim, false, site); }
Tensor log_softmax(const Tensor& x, Index dim, Location site) { return along<LogSoftmax>("log_softmax", x, dim, true, site); }

}  // namespace wengert
