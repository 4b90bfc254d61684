// Softmax and its logarithm along a dimension.
//
//   y = softmax(x):       x_bar = y (y_bar - sum(y_bar y)),     y_dot = y (x_dot - sum(x_dot y))
//   y = log_softmax(x):   x_bar = y_bar - e^y sum(y_bar),       y_dot = x_dot - sum(x_dot e^y)
//
// Outside recording a rule is two passes over the elements.
#include <cmath>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/softmax.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// Of a dense tensor, along dimension d.
kernels::Lines lines_of(const Shape& shape, int d) {
  kernels::Lines l{1, shape[d], 1};
  for (int i = 0; i < shape.rank(); ++i) (i < d ? l.outer : l.inner) *= i == d ? 1 : shape[i];
  return l;
}

// r[i] = combine(y[i], m[i], s) with s = the sum of term(y[i], m[i]) along dimension d; y is dense.
template <class Term, class Combine> Tensor rule(const Tensor& y, const Tensor& y_bar, int d, Term term, Combine combine) {
  const Tensor m = y_bar.contiguous();
  Tensor r = Tensor::uninitialized(y.shape(), y.dtype());
  if (r.size() == 0) return r;
  const kernels::Lines l = lines_of(y.shape(), d);
  detail::dispatch_floating(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *p = y.data<T>(), *q = m.data<T>();
    T* to = r.mutable_data<T>();
    pool::Vector<T> sums(static_cast<std::size_t>(l.count()));
    kernels::for_blocks_of_lines(l, kernels::cost::kFormula<T>, [&](const kernels::SomeLines& some) {
      kernels::run_elements<T>([&]() __attribute__((always_inline)) {
        sum_lines<double>(
            some, sums.data(), [ p, q, term ](Index i, Index) __attribute__((always_inline)) { return term(p[i], q[i]); });
        for_each_in_lines(
            some, to, sums.data(), sums.data(),
            [ p, q, combine ](Index i, T s, T) __attribute__((always_inline)) { return combine(p[i], q[i], s); });
      });
    });
  });
  return r;
}

class Softmax : public OperationWithOptions {
 public:
  explicit Softmax(int dim) : dim_(dim) {}
  const char* name() const override { return "softmax"; }
  const char* latex() const override { return R"(\operatorname{softmax}(#))"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_); }
  // [rule]
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = carry(s.y(), y_bar[0]); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = carry(s.y(), x_dot[0]); }

 private:
  // The Jacobian is symmetric.
  Tensor carry(const Tensor& y, const Tensor& m) const {
    if (recording()) return y * (m - sum(m * y, dim_, {.keepdim = true}));
    return rule(
        y, m, dim_, [](auto y, auto m) __attribute__((always_inline)) { return y * m; },
        [](auto y, auto m, auto sum) __attribute__((always_inline)) { return y * (m - sum); });
  }
  // [rule]
  int dim_;
};

class LogSoftmax : public OperationWithOptions {
 public:
  explicit LogSoftmax(int dim) : dim_(dim) {}
  const char* name() const override { return "log_softmax"; }
  const char* latex() const override { return R"(\ln\operatorname{softmax}(#))"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_); }
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = recording() ? y_bar[0] - exp(s.y()) * sum(y_bar[0], dim_, {.keepdim = true})
                           : rule(
                                 s.y(), y_bar[0], dim_, [](auto, auto m) __attribute__((always_inline)) { return m; },
                                 [](auto y, auto m, auto sum) __attribute__((always_inline)) { return m - fn::straight::exp(y) * sum; });
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = x_dot[0] - sum(x_dot[0] * exp(s.y()), dim_, {.keepdim = true});
  }

 private:
  int dim_;
};

// [forward]
template <class Op> Tensor along(const char* name, const Tensor& x, Index dim, bool logarithm, Location site) {
  const CallSite scope(site);
  detail::check_floating(name, x);
  const int d = checked_dim(name, dim, x);
  const Tensor dense = x.constant().contiguous(site);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (y.size() > 0) kernels::softmax_lines(dense.data<T>(), y.mutable_data<T>(), lines_of(x.shape(), d), logarithm);
  });
  return record(Op(d), site, {&x}, std::move(y));
}
// [forward]

}  // namespace

Tensor softmax(const Tensor& x, Index dim, Location site) { return along<Softmax>("softmax", x, dim, false, site); }
Tensor log_softmax(const Tensor& x, Index dim, Location site) { return along<LogSoftmax>("log_softmax", x, dim, true, site); }

}  // namespace wengert
