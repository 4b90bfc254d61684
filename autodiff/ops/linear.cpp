// A linear layer. As one operation it needs no transposed weights, neither of W nor of its gradient, and starts the product from the bias.
//
//   Y = X W^T + b:   X_bar = Y_bar W,   W_bar = Y_bar^T X,   b_bar = Y_bar summed over the rows (by the sweep)
//                    Y_dot = X_dot W^T + X W_dot^T + b_dot
//
// Leading dimensions of X are rows.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/blas.h"
#include "autodiff/ops/broadcast.h"

namespace wengert {
namespace {

/// (..., n) as (rows, n).
Tensor rows_of(const Tensor& x, Location where) {
  Index rows = 1;
  for (int d = 0; d + 1 < x.rank(); ++d) rows *= x.shape()[d];
  return x.rank() == 2 ? x : reshape(x, {rows, x.shape().back()}, where);
}

/// c += op(a) b for dense matrices.
template <class T> void add_product(bool transpose_a, const Tensor& a, const Tensor& b, Tensor& c) {
  const Index m = a.size(transpose_a ? 1 : 0), k = b.size(0), n = b.size(1);
  blas::gemm<T>(transpose_a, false, m, n, k, 1, a.data<T>(), std::max<Index>(a.size(1), 1), b.data<T>(), std::max<Index>(n, 1), 1,
                static_cast<T*>(c.elements()->data), std::max<Index>(n, 1));
}

class Linear : public Operation {  // inputs: x, weight and, if there is one, bias
 public:
  const char* name() const override { return "linear"; }
  const char* latex() const override { return R"(#1 #2^\top + #3)"; }
  ValueSet reads(int i) const override { return i < 2 ? input(1 - i) : kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location where = y_bar[0].made_at();
    if (x_bar.wants(0)) x_bar[0] = matmul(y_bar[0], s.x(1), where);  //  X_bar = Y_bar W
    if (x_bar.wants(1))                                              //  W_bar = Y_bar^T X
      x_bar[1] = matmul(transpose(rows_of(y_bar[0], where), 0, 1, where), rows_of(s.x(0), where), where);
    if (s.inputs() == 3 && x_bar.wants(2)) x_bar[2] = y_bar[0];
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const auto add = [&](const Tensor& t) { y_dot[0] = y_dot[0].defined() ? y_dot[0] + t : t; };
    if (x_dot[0].defined()) add(linear(x_dot[0], s.x(1)));
    if (x_dot[1].defined()) add(linear(s.x(0), x_dot[1]));
    if (s.inputs() == 3 && x_dot[2].defined()) add(expand(x_dot[2], s.y_shape()));
  }
  bool add_vjp(const Saved& s, std::span<const Tensor> y_bar, int i, Tensor& x_bar) const override {  // GEMM with beta = 1
    const Tensor& g = y_bar[0];
    if (i > 1 || g.rank() != 2 || !g.is_row_major() || !s.x(1 - i).is_row_major()) return false;
    detail::dispatch_floating(g.dtype(), [&](auto zero) { add_product<decltype(zero)>(i == 1, g, s.x(1 - i), x_bar); });
    return true;
  }
};

void check(const Tensor& x, const Tensor& weight, const Tensor* bias) {
  detail::check_same_dtype("linear", x, weight);
  if (bias) detail::check_same_dtype("linear", x, *bias);
  detail::check_floating("linear", x);
  const bool fits = x.rank() > 0 && weight.rank() == 2 && x.shape().back() == weight.size(1) &&
                    (!bias || (bias->rank() == 1 && bias->size() == weight.size(0)));
  if (fits) return;
  throw ShapeError(
      fmt::format("linear: input {}, weight {}{} do not fit; they must be (..., in), (out, in){}; input made at {}, weight at {}",
                  to_string(x.shape()), to_string(weight.shape()), bias ? ", bias " + to_string(bias->shape()) : "",
                  bias ? " and (out)" : "", to_string(x.made_at()), to_string(weight.made_at())));
}

/// Not recorded.
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor* bias, Location where) {
  const Tensor a = x.constant().contiguous(where), w = weight.constant().contiguous(where);
  const Index in = w.size(1), out = w.size(0);
  Shape shape = x.shape();
  shape[shape.rank() - 1] = out;
  Tensor y = Tensor::uninitialized(shape, x.dtype(), where);
  const Index rows = out > 0 ? y.size() / out : 0;
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = static_cast<T*>(y.elements()->data);
    if (bias) {
      const Tensor b = bias->constant().contiguous(where);
      for (Index i = 0; i < rows; ++i) std::copy_n(b.data<T>(), out, to + i * out);
    }
    blas::gemm<T>(false, true, rows, out, in, 1, a.data<T>(), std::max<Index>(in, 1), w.data<T>(), std::max<Index>(in, 1), bias ? 1 : 0, to,
                  std::max<Index>(out, 1));
  });
  return y;
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Location where) {
  check(x, weight, &bias);
  return record(Linear(), where, {&x, &weight, &bias}, forward(x, weight, &bias, where));
}
Tensor linear(const Tensor& x, const Tensor& weight, Location where) {
  check(x, weight, nullptr);
  return record(Linear(), where, {&x, &weight}, forward(x, weight, nullptr, where));
}

}  // namespace wengert
