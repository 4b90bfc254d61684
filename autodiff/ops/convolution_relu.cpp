// A convolution followed by relu and, optionally, max pooling. Results are pooled while they are in the cache, and only one byte for each
// result is saved for the backward pass. (This saves a third of the time of a small network's step, and most of its memory.)
//
//   y = relu(conv(x, w) + b):             z_bar = y_bar where y > 0, 0 elsewhere
//   y = max_pool(relu(conv(x, w) + b)):   z_bar = y_bar at the position of each maximum that is positive, 0 elsewhere
//
//   x_bar = conv_transpose(z_bar, w),  w_bar = weights(x, z_bar),  b_bar = sum of z_bar per channel,
//   z_dot = conv(x_dot, w) + conv(x, w_dot) + b_dot, and y_dot is z_dot at the positions to which y_bar goes
//
// Cases that the kernel does not support are composed.
#include <fmt/format.h>

#include <initializer_list>

#include "autodiff/kernels/direct_convolution.h"
#include "autodiff/ops/relu_mask.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using detail::data;
using kernels::Convolution;

// Inputs: x, w, b if there is one, and with pooling the positions of the maxima, in bytes.
class ConvolveRelu : public OperationWithOptions {
 public:
  ConvolveRelu(const Convolution& sizes, bool bias, bool pool) : sizes_(sizes), bias_(bias), pool_(pool) {}
  const char* name() const override { return pool_ ? "conv2d_relu_max_pool2d" : "conv2d_relu"; }
  const char* latex() const override { return R"(\max(#1 \star #2 + #3, 0))"; }
  void options(OperationOptions& to) const override {
    to.set("stride", Dims{1, 1});
    to.set("padding", Dims{sizes_.height.padding, sizes_.width.padding});
    to.set("dilation", Dims{1, 1});
    to.set("groups", 1);
  }
  ValueSet saved_for(int i) const override { return (i < 2 ? input(1 - i) : kNoValues) | (pool_ ? input(positions()) : output()); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (!recording()) return vjp_by_kernel(s, y_bar[0], x_bar);
    const Tensor z_bar = spread(s, y_bar[0]);
    if (x_bar.needs(0)) x_bar[0] = conv_transpose2d(z_bar, s.x(1), {.padding = padding()});
    if (x_bar.needs(1)) x_bar[1] = transpose(conv2d(transpose(s.x(0), 0, 1), transpose(z_bar, 0, 1), {.padding = padding()}), 0, 1);
    if (bias_ && x_bar.needs(2)) x_bar[2] = sum(z_bar, {0, 2, 3});
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Tensor z_dot;
    if (x_dot[0].defined()) z_dot = detail::plus(z_dot, conv2d(x_dot[0], s.x(1), {.padding = padding()}));
    if (x_dot[1].defined()) z_dot = detail::plus(z_dot, conv2d(s.x(0), x_dot[1], {.padding = padding()}));
    if (bias_ && x_dot[2].defined()) z_dot = detail::plus(z_dot, expand(reshape(x_dot[2], {-1, 1, 1}), z_shape()));
    y_dot[0] = take(s, z_dot);
  }
  double multiply_adds(const Saved&) const override { return sizes_.multiply_adds(); }

 private:
  int positions() const { return bias_ ? 3 : 2; }
  HeightWidth padding() const { return {sizes_.height.padding, sizes_.width.padding}; }
  Shape z_shape() const { return {sizes_.batch, sizes_.out_channels, sizes_.height.out, sizes_.width.out}; }
  // The shape before pooling, with separate dimensions for the rows and columns of each window (size 2, or 1 for one element each).
  Shape windows(Index size = 2) const {
    return {sizes_.batch, sizes_.out_channels, sizes_.height.out / 2, size, sizes_.width.out / 2, size};
  }

  Tensor spread(const Saved& s, const Tensor& m) const {
    if (!pool_) return detail::relu_mask(s.y(), m);
    return reshape(reshape(m, windows(1)) * maxima(s), z_shape());
  }
  Tensor take(const Saved& s, const Tensor& m) const {
    if (!pool_) return detail::relu_mask(s.y(), m);
    return sum(reshape(m, windows()) * maxima(s), {3, 5});
  }
  // 1 at the position of each positive maximum, 0 elsewhere.
  Tensor maxima(const Saved& s) const {
    const Shape w = windows();
    Tensor result = Tensor::zeros(w, float32);
    const Tensor at = s.x(positions()).contiguous();
    const auto* from = data<std::uint8_t>(at);
    float* to = data<float>(result);
    for (Index n = 0; n < w[0]; ++n, from += kernels::pooled_positions(sizes_))
      for (Index c = 0; c < w[1]; ++c)
        for (Index i = 0; i < w[2]; ++i, to += 4 * w[4])
          for (Index j = 0; j < w[4]; ++j) {
            const int k = from[kernels::pooled_position(sizes_, c, i, j)];
            if (k < 4) to[(k / 2) * 2 * w[4] + 2 * j + k % 2] = 1;
          }
    return result;
  }

  void vjp_by_kernel(const Saved& s, const Tensor& y_bar, Cotangents& x_bar) const {
    const Tensor g = y_bar.contiguous();
    const auto dense = [&](const Tensor& t) { return t.defined() ? t.contiguous() : Tensor(); };
    const auto elements = [](const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; };
    const Tensor x = dense(s.x(0)), w = dense(s.x(1)), y = pool_ ? Tensor() : dense(s.y());
    kernels::ConvolutionGradients gradients;
    const auto result = [&](int i) {
      x_bar[i] = Tensor::uninitialized(s.x_shape(i), float32);
      return data<float>(x_bar[i]);
    };
    if (x_bar.needs(0)) gradients.x = result(0);
    if (x_bar.needs(1)) gradients.weight = result(1);
    if (bias_ && x_bar.needs(2)) gradients.bias = result(2);
    kernels::direct_gradients(sizes_, {true, pool_}, elements(x), elements(w), elements(y),
                              pool_ ? data<std::uint8_t>(s.x(positions())) : nullptr, g.data<float>(), gradients);
  }

  Convolution sizes_;
  bool bias_, pool_;
};

// Whether the kernel supports this case; if so, sets `sizes`. False for arguments that conv2d refuses.
bool is_supported(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o, Index pool, Convolution& sizes) {
  const auto is_one = [](const HeightWidth& p) { return p.height == 1 && p.width == 1; };
  if (x.dtype() != float32 || weight.dtype() != float32 || x.rank() != 4 || weight.rank() != 4) return false;
  if (o.groups != 1 || !is_one(o.stride) || !is_one(o.dilation) || o.padding.height < 0 || o.padding.width < 0) return false;
  if (x.size(1) != weight.size(1) || x.size() == 0 || weight.size() == 0) return false;
  if (bias.defined() && (bias.dtype() != float32 || !(bias.shape() == Shape{weight.size(0)}))) return false;
  const auto axis = [](Index in, Index kernel, Index padding) {
    return kernels::WindowAxis{in, in + 2 * padding - kernel + 1, kernel, 1, padding, 1};
  };
  sizes = {x.size(0),
           x.size(1),
           weight.size(0),
           1,
           axis(x.size(2), weight.size(2), o.padding.height),
           axis(x.size(3), weight.size(3), o.padding.width)};
  if (sizes.height.out < 1 || sizes.width.out < 1) return false;
  if (pool != 1 && (pool != 2 || sizes.height.out % 2 != 0 || sizes.width.out % 2 != 0)) return false;
  return kernels::has_direct_data_gradient(sizes) || (kernels::is_direct(sizes) && x.number() == 0);
}

}  // namespace

Tensor conv2d_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options, Index pool, Location site) {
  const CallSite scope(site);
  detail::check_defined("conv2d_relu", x, "the input");
  detail::check_defined("conv2d_relu", weight, "the weight");
  if (pool < 1) throw ShapeError(detail::ErrorText("conv2d_relu", "pool must be at least 1, not {}", pool).operand("input", x));
  Convolution sizes;
  if (!is_supported(x, weight, bias, options, pool, sizes)) {
    const Tensor y = relu(conv2d(x, weight, bias, options, site), site);
    return pool == 1 ? y : max_pool2d(y, pool, {}, site);
  }
  const bool pools = pool == 2;
  const Tensor from = x.constant().contiguous(site), by = weight.constant().contiguous(site);
  const Tensor plus = bias.defined() ? bias.constant().contiguous(site) : Tensor();
  Tensor y = Tensor::uninitialized({sizes.batch, sizes.out_channels, sizes.height.out / pool, sizes.width.out / pool}, float32, site);
  Tensor at;
  if (pools) at = Tensor::uninitialized({sizes.batch, kernels::pooled_positions(sizes)}, boolean, site);
  kernels::direct_convolution(sizes, {true, pools}, from.data<float>(), by.data<float>(), plus.defined() ? plus.data<float>() : nullptr,
                              data<float>(y), pools ? data<std::uint8_t>(at) : nullptr);
  const auto recorded = [&](std::initializer_list<const Tensor*> inputs) {
    return record(ConvolveRelu(sizes, bias.defined(), pools), site, inputs, std::move(y));
  };
  if (bias.defined()) return pools ? recorded({&x, &weight, &bias, &at}) : recorded({&x, &weight, &bias});
  return pools ? recorded({&x, &weight, &at}) : recorded({&x, &weight});
}

}  // namespace wengert
