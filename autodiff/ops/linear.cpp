// A linear layer, optionally followed by relu. As one operation it needs no transposed copy of W or of its gradient, the product
// accumulates onto the bias, and relu needs no separate pass.
//
//   Y = X W^T + b:         X_bar = Y_bar W,   W_bar = Y_bar^T X,   b_bar = Y_bar summed over the rows (by the sweep)
//                          Y_dot = X_dot W^T + X W_dot^T + b_dot
//   Y = relu(X W^T + b):   the same with Y_bar and Y_dot where Y > 0, and 0 elsewhere
//
// Leading dimensions of X are rows.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/ops/matrix_view.h"
#include "autodiff/ops/relu_mask.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using detail::rows_of;

// Inputs: x, weight and, if there is one, bias.
template <bool kRelu> class Linear : public Operation {
 public:
  const char* name() const override { return kRelu ? "linear_relu" : "linear"; }
  const char* latex() const override { return kRelu ? R"(\max(#1 #2^\top + #3, 0))" : R"(#1 #2^\top + #3)"; }
  ValueSet saved_for(int i) const override { return (i < 2 ? input(1 - i) : kNoValues) | (kRelu ? output() : kNoValues); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor z_bar = kRelu ? detail::relu_mask(s.y(), y_bar[0]) : y_bar[0];
    if (x_bar.needs(0)) x_bar.add_product(0, z_bar, s.x(1));                                                //  X_bar = Y_bar W
    if (x_bar.needs(1)) x_bar.add_product(1, transposed(rows_of(name(), z_bar)), rows_of(name(), s.x(0)));  //  W_bar = Y_bar^T X
    if (s.inputs() == 3 && x_bar.needs(2)) x_bar[2] = z_bar;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Tensor z_dot;
    if (x_dot[0].defined()) z_dot = detail::plus(z_dot, linear(x_dot[0], s.x(1)));
    if (x_dot[1].defined()) z_dot = detail::plus(z_dot, linear(s.x(0), x_dot[1]));
    if (s.inputs() == 3 && x_dot[2].defined()) z_dot = detail::plus(z_dot, expand(x_dot[2], s.y_shape()));
    y_dot[0] = kRelu ? detail::relu_mask(s.y(), z_dot) : z_dot;
  }
  double multiply_adds(const Saved& s) const override { return static_cast<double>(s.y_shape().size() * s.x_shape(0).back()); }
};

void check(const char* name, const Tensor& x, const Tensor& weight, const Tensor* bias) {
  detail::check_same_dtype(name, x, weight, "input", "weight");
  if (bias) detail::check_same_dtype(name, x, *bias, "input", "bias");
  detail::check_floating(name, x);
  const bool fits = x.rank() > 0 && weight.rank() == 2 && x.shape().back() == weight.size(1) &&
                    (!bias || (bias->rank() == 1 && bias->size() == weight.size(0)));
  if (fits) return;
  const bool transposed = x.rank() > 0 && weight.rank() == 2 && x.shape().back() == weight.size(0);
  throw ShapeError(detail::ErrorText(name, "the operands must be (..., in), (out, in){}", bias ? " and (out)" : "")
                       .operand("input", x)
                       .operand("weight", weight)
                       .operand("bias", bias ? *bias : Tensor())
                       .hint(transposed ? "transpose(weight)" : ""));
}

// Not recorded.
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor* bias, bool relu, Location site) {
  const Tensor a = x.constant().contiguous(site), w = weight.constant().contiguous(site);
  const Tensor b = bias ? bias->constant().contiguous(site) : Tensor();
  const Index in = w.size(1), out = w.size(0);
  Shape shape = x.shape();
  shape[shape.rank() - 1] = out;
  Tensor y = Tensor::uninitialized(shape, x.dtype(), site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::product<T>(out > 0 ? y.size() / out : 0, out, in, detail::matrix_view<T>(a), detail::matrix_view<T>(w).transposed(),
                        static_cast<T*>(y.elements()->data), out, {.bias = bias ? b.data<T>() : nullptr, .relu = relu});
  });
  return y;
}

template <bool kRelu> Tensor linear(const char* name, const Tensor& x, const Tensor& weight, const Tensor* bias, Location site) {
  const CallSite scope(site);
  check(name, x, weight, bias);
  Tensor y = forward(x, weight, bias, kRelu, site);
  if (bias) return record(Linear<kRelu>(), site, {&x, &weight, bias}, std::move(y));
  return record(Linear<kRelu>(), site, {&x, &weight}, std::move(y));
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Location site) {
  return linear<false>("linear", x, weight, &bias, site);
}
Tensor linear(const Tensor& x, const Tensor& weight, Location site) { return linear<false>("linear", x, weight, nullptr, site); }
Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, Location site) {
  return linear<true>("linear_relu", x, weight, &bias, site);
}
Tensor linear_relu(const Tensor& x, const Tensor& weight, Location site) { return linear<true>("linear_relu", x, weight, nullptr, site); }

}  // namespace wengert
