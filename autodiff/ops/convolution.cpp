// Convolutions (in fact cross-correlations, as usual in networks), transposed convolutions, and gradients with respect to the weights:
// three maps of one trilinear form, <conv(x, w), y> = <x, conv_transpose(y, w)> = <w, weights(x, y)>. The rules of each are the other two.
//
//   y = conv(x, w) + b:            x_bar = conv_transpose(y_bar, w),  w_bar, b_bar = weights(x, y_bar)
//   x = conv_transpose(y, w) + b:  y_bar = conv(x_bar, w),            w_bar = weights(x_bar, y),  b_bar = sum of x_bar per channel
//   w, b = weights(x, y):          x_bar = conv_transpose(y, w_bar),  y_bar = conv(x, w_bar) + b_bar
//
// where the b of weights(x, y) is the sum of y per channel.
#include "autodiff/kernels/convolution.h"
#include "autodiff/tape/operation_options.h"

#include <fmt/format.h>

#include <array>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/windows.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The sizes of the form, and the number of spatial dimensions of its tensors: 1 (then the kernels' height is 1) or 2.
struct Form {
  kernels::Convolution sizes;
  int dimensions;

  Shape x_shape() const { return shape(sizes.batch, sizes.in_channels, sizes.height.in, sizes.width.in); }
  Shape y_shape() const { return shape(sizes.batch, sizes.out_channels, sizes.height.out, sizes.width.out); }
  Shape w_shape() const { return shape(sizes.out_channels, sizes.in_channels / sizes.groups, sizes.height.kernel, sizes.width.kernel); }

  void options(OperationOptions& to) const {
    const auto set = [&](const char* option, Index kernels::WindowAxis::*field) {
      to.set(option, dimensions == 1 ? Dims{sizes.width.*field} : Dims{sizes.height.*field, sizes.width.*field});
    };
    set("stride", &kernels::WindowAxis::stride);
    set("padding", &kernels::WindowAxis::padding);
    set("dilation", &kernels::WindowAxis::dilation);
    to.set("groups", sizes.groups);
  }

 private:
  Shape shape(Index a, Index b, Index height, Index width) const {
    return dimensions == 1 ? Shape{a, b, width} : Shape{a, b, height, width};
  }
};

// The sum over all dimensions except the channels.
Tensor sum_of_channels(const Tensor& y) { return sum(y, y.rank() == 3 ? Dims{0, 2} : Dims{0, 2, 3}); }
// One number for each channel, broadcast to the given shape.
Tensor in_channels(const Tensor& b, const Shape& shape) {
  return expand(reshape(b, shape.rank() == 3 ? Shape{-1, 1} : Shape{-1, 1, 1}), shape);
}

Tensor dense(const Tensor& x) { return x.constant().contiguous(); }

// The bias is undefined where there is none.
Tensor convolve(const Form& form, const Tensor& x, const Tensor& w, const Tensor& b);
Tensor convolve_transposed(const Form& form, const Tensor& y, const Tensor& w, const Tensor& b);
struct Weights {
  Tensor w, b;
};
Weights weights(const Form& form, const Tensor& x, const Tensor& y, bool with_bias);

class Convolve : public OperationWithOptions {  // inputs: x, w and, if there is one, b
 public:
  explicit Convolve(const Form& form) : form_(form) {}
  const char* name() const override { return form_.dimensions == 1 ? "conv1d" : "conv2d"; }
  const char* latex() const override { return R"(#1 \star #2 + #3)"; }
  void options(OperationOptions& to) const override { form_.options(to); }
  ValueSet saved_for(int i) const override { return i < 2 ? input(1 - i) : kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& bar) const override {
    const bool wants_bias = s.inputs() == 3 && bar.needs(2);
    if (bar.needs(0)) bar[0] = convolve_transposed(form_, y_bar[0], s.x(1), {});
    if (bar.needs(1)) {
      auto [w_bar, b_bar] = weights(form_, s.x(0), y_bar[0], wants_bias);
      bar[1] = std::move(w_bar);
      if (wants_bias) bar[2] = std::move(b_bar);
    } else if (wants_bias) {
      bar[2] = sum_of_channels(y_bar[0]);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> dot, std::span<Tensor> y_dot) const override {
    const Tensor b_dot = s.inputs() == 3 ? dot[2] : Tensor();
    if (dot[0].defined()) y_dot[0] = convolve(form_, dot[0], s.x(1), b_dot);
    if (dot[1].defined()) {
      const Tensor remaining = dot[0].defined() ? Tensor() : b_dot;
      y_dot[0] = detail::plus(y_dot[0], convolve(form_, s.x(0), dot[1], remaining));
    }
    if (!y_dot[0].defined()) y_dot[0] = in_channels(b_dot, s.y_shape());
  }
  double multiply_adds(const Saved&) const override { return form_.sizes.multiply_adds(); }

 private:
  Form form_;
};

class ConvolveTransposed : public OperationWithOptions {  // inputs: y, w and, if there is one, b
 public:
  explicit ConvolveTransposed(const Form& form) : form_(form) {}
  const char* name() const override { return form_.dimensions == 1 ? "conv_transpose1d" : "conv_transpose2d"; }
  const char* latex() const override { return R"(#1 \star^\top #2 + #3)"; }
  void options(OperationOptions& to) const override { form_.options(to); }
  ValueSet saved_for(int i) const override { return i < 2 ? input(1 - i) : kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> x_bar, Cotangents& bar) const override {
    if (bar.needs(0)) bar[0] = convolve(form_, x_bar[0], s.x(1), {});
    if (bar.needs(1)) bar[1] = weights(form_, x_bar[0], s.x(0), false).w;
    if (s.inputs() == 3 && bar.needs(2)) bar[2] = sum_of_channels(x_bar[0]);
  }
  void jvp(const Saved& s, std::span<const Tensor> dot, std::span<Tensor> x_dot) const override {
    const Tensor b_dot = s.inputs() == 3 ? dot[2] : Tensor();
    if (dot[0].defined()) x_dot[0] = convolve_transposed(form_, dot[0], s.x(1), b_dot);
    if (dot[1].defined()) {
      const Tensor remaining = dot[0].defined() ? Tensor() : b_dot;
      x_dot[0] = detail::plus(x_dot[0], convolve_transposed(form_, s.x(0), dot[1], remaining));
    }
    if (!x_dot[0].defined()) x_dot[0] = in_channels(b_dot, s.y_shape());
  }
  double multiply_adds(const Saved&) const override { return form_.sizes.multiply_adds(); }

 private:
  Form form_;
};

class WeightsOf : public Operation {  // inputs: x, y; outputs: w and, if needed, b
 public:
  explicit WeightsOf(const Form& form) : form_(form) {}
  const char* name() const override { return form_.dimensions == 1 ? "conv1d_weights" : "conv2d_weights"; }
  ValueSet saved_for(int i) const override { return input(1 - i); }
  void vjp(const Saved& s, std::span<const Tensor> bar_out, Cotangents& bar) const override {
    const Tensor& w_bar = bar_out[0];
    const Tensor b_bar = bar_out.size() == 2 ? bar_out[1] : Tensor();
    if (!w_bar.defined()) {
      if (bar.needs(1)) bar[1] = in_channels(b_bar, s.x_shape(1));
      return;
    }
    if (bar.needs(0)) bar[0] = convolve_transposed(form_, s.x(1), w_bar, {});
    if (bar.needs(1)) bar[1] = convolve(form_, s.x(0), w_bar, b_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> dot, std::span<Tensor> out_dot) const override {
    if (dot[1].defined()) {
      auto [w_dot, b_dot] = weights(form_, s.x(0), dot[1], out_dot.size() == 2);
      out_dot[0] = std::move(w_dot);
      if (out_dot.size() == 2) out_dot[1] = std::move(b_dot);
    }
    if (dot[0].defined()) out_dot[0] = detail::plus(out_dot[0], weights(form_, dot[0], s.x(1), false).w);
  }
  double multiply_adds(const Saved&) const override { return form_.sizes.multiply_adds(); }

 private:
  Form form_;
};

template <class Op> Tensor record_with_bias(Op&& op, const Tensor& a, const Tensor& w, const Tensor& b, Tensor result) {
  if (b.defined()) return record(std::forward<Op>(op), {}, {&a, &w, &b}, std::move(result));
  return record(std::forward<Op>(op), {}, {&a, &w}, std::move(result));
}

Tensor convolve(const Form& form, const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor from = dense(x), by = dense(w), plus = b.defined() ? dense(b) : Tensor();
  Tensor y = Tensor::uninitialized(form.y_shape(), x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::convolution_forward(form.sizes, from.data<T>(), by.data<T>(), plus.defined() ? plus.data<T>() : nullptr, detail::data<T>(y));
  });
  return record_with_bias(Convolve(form), x, w, b, std::move(y));
}

Tensor convolve_transposed(const Form& form, const Tensor& y, const Tensor& w, const Tensor& b) {
  const Tensor from = dense(y), by = dense(w), plus = b.defined() ? dense(b) : Tensor();
  Tensor x = Tensor::uninitialized(form.x_shape(), y.dtype());
  detail::dispatch_floating(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::convolution_data_gradient(form.sizes, from.data<T>(), by.data<T>(), plus.defined() ? plus.data<T>() : nullptr,
                                       detail::data<T>(x));
  });
  return record_with_bias(ConvolveTransposed(form), y, w, b, std::move(x));
}

Weights weights(const Form& form, const Tensor& x, const Tensor& y, bool with_bias) {
  const Tensor from = dense(x), by = dense(y);
  std::array<Tensor, 2> results{Tensor::uninitialized(form.w_shape(), x.dtype())};
  if (with_bias) results[1] = Tensor::uninitialized({form.sizes.out_channels}, x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::convolution_weight_gradient(form.sizes, from.data<T>(), by.data<T>(), detail::data<T>(results[0]),
                                         with_bias ? detail::data<T>(results[1]) : nullptr);
  });
  const Tensor* const inputs[] = {&x, &y};
  detail::record_all(WeightsOf(form), {}, inputs, std::span(results).first(with_bias ? 2 : 1));
  return {std::move(results[0]), std::move(results[1])};
}

// ---- public functions --------------------------------------------------------------------------------------------------------------

// The operands of a call, for messages.
struct Operands {
  const char* name;
  const Tensor &x, &weight, &bias;

  [[noreturn]] void refuse(const std::string& what, const char* hint = "") const {
    throw ShapeError(detail::ErrorText(name, "{}", what).operand("input", x).operand("weight", weight).operand("bias", bias).hint(hint));
  }

  void check(int dimensions, const char* x_form, const char* weight_form) const {
    detail::check_same_dtype(name, x, weight, "input", "weight");
    if (bias.defined()) detail::check_same_dtype(name, x, bias, "input", "bias");
    detail::check_floating(name, x);
    if (x.rank() != dimensions + 2 || weight.rank() != dimensions + 2)
      refuse(fmt::format("input and weight must be {} and {}", x_form, weight_form),
             x.rank() == dimensions + 1 ? "unsqueeze(input, 0) makes a batch of one" : "");
  }

  void refuse_if(const std::string& wrong) const {
    if (!wrong.empty()) refuse(wrong);
  }

  void check_bias(Index out) const {
    if (bias.defined() && !(bias.shape() == Shape{out})) refuse(fmt::format("the bias must have the shape ({},)", out));
  }
};

Form checked_convolution(const Operands& o, int dimensions, const Conv2dOptions& options) {
  if (dimensions == 1)
    o.check(1, "(n, in, length)", "(out, in / groups, kernel)");
  else
    o.check(2, "(n, in, height, width)", "(out, in / groups, kernel height, kernel width)");
  const Index groups = options.groups, in = o.x.size(1), out = o.weight.size(0);
  if (groups < 1 || in % groups != 0 || out % groups != 0)
    o.refuse(fmt::format("{} input and {} output channels cannot be divided into {} groups", in, out, groups));
  if (o.weight.size(1) != in / groups)
    o.refuse(fmt::format("the input has {} channels, {} in each group, but the weight takes {}", in, in / groups, o.weight.size(1)));
  o.check_bias(out);
  Form form{{o.x.size(0), in, out, groups, {}, {}}, dimensions};
  kernels::WindowAxis &height = form.sizes.height, &width = form.sizes.width;
  if (dimensions == 2) height = {o.x.size(2), 1, o.weight.size(2), options.stride.height, options.padding.height, options.dilation.height};
  width = {o.x.size(-1), 1, o.weight.size(-1), options.stride.width, options.padding.width, options.dilation.width};
  o.refuse_if(detail::place_windows("height", height));
  o.refuse_if(detail::place_windows(dimensions == 1 ? "length" : "width", width));
  checked_size(o.name, form.y_shape());
  return form;
}

Form checked_transposed(const Operands& o, const ConvTranspose2dOptions& options) {
  o.check(2, "(n, in, height, width)", "(in, out / groups, kernel height, kernel width)");
  const Index groups = options.groups, in = o.x.size(1);
  if (groups < 1 || in % groups != 0) o.refuse(fmt::format("{} input channels cannot be divided into {} groups", in, groups));
  if (o.weight.size(0) != in) o.refuse(fmt::format("the input has {} channels, but the weight takes {}", in, o.weight.size(0)));
  Index out = 0;
  if (__builtin_mul_overflow(o.weight.size(1), groups, &out)) o.refuse("the number of output channels overflows");
  o.check_bias(out);
  Form form{{o.x.size(0), out, in, groups, {}, {}}, 2};
  kernels::WindowAxis &height = form.sizes.height, &width = form.sizes.width;
  height = {1, o.x.size(2), o.weight.size(2), options.stride.height, options.padding.height, options.dilation.height};
  width = {1, o.x.size(3), o.weight.size(3), options.stride.width, options.padding.width, options.dilation.width};
  o.refuse_if(detail::place_transposed("height", height, options.output_padding.height));
  o.refuse_if(detail::place_transposed("width", width, options.output_padding.width));
  checked_size(o.name, form.x_shape());
  return form;
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv1dOptions& options, Location site) {
  const CallSite scope(site);
  const Conv2dOptions with_height{
      .stride = {1, options.stride}, .padding = {0, options.padding}, .dilation = {1, options.dilation}, .groups = options.groups};
  const Form form = checked_convolution({"conv1d", x, weight, bias}, 1, with_height);
  return convolve(form, x, weight, bias);
}
Tensor conv1d(const Tensor& x, const Tensor& weight, const Conv1dOptions& options, Location site) {
  return conv1d(x, weight, Tensor(), options, site);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options, Location site) {
  const CallSite scope(site);
  const Form form = checked_convolution({"conv2d", x, weight, bias}, 2, options);
  return convolve(form, x, weight, bias);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options, Location site) {
  return conv2d(x, weight, Tensor(), options, site);
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTranspose2dOptions& options, Location site) {
  const CallSite scope(site);
  const Form form = checked_transposed({"conv_transpose2d", x, weight, bias}, options);
  return convolve_transposed(form, x, weight, bias);
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const ConvTranspose2dOptions& options, Location site) {
  return conv_transpose2d(x, weight, Tensor(), options, site);
}

}  // namespace wengert
