// Pooling: the largest element of each window, and the mean of each.
//
//   y = max_pool(x):   x_bar = put(y_bar) (each element at the position of its maximum),             y_dot = take(x_dot) (from there)
//   y = take(x):       x_bar = put(y_bar),                                                           y_dot = take(x_dot)
//   x = put(y):        y_bar = take(x_bar),                                                          x_dot = put(y_dot)
//
//   y = mean(x):       x_bar = spread(y_bar),                                                        y_dot = mean(x_dot)
//   x = spread(y):     y_bar = mean(x_bar),                                                          x_dot = spread(y_dot)
//
// take and put are linear and each other's transpose, and so are mean and spread. Only the positions are saved, neither x nor the maxima.
#include "autodiff/kernels/pooling.h"
#include "autodiff/tape/operation_options.h"

#include <fmt/format.h>

#include <limits>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/windows.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using detail::data;
using kernels::Divisor;
using kernels::Pooling;

// Windows on tensors with one spatial dimension (then the kernels' height is 1) or two; these are the last ones.
struct PoolingForm {
  const char* name;
  Pooling sizes;
  Shape x_shape, y_shape;

  void options(OperationOptions& to) const {
    const auto set = [&](const char* option, Index kernels::WindowAxis::*field) {
      to.set(option, x_shape.rank() == 3 ? Dims{sizes.width.*field} : Dims{sizes.height.*field, sizes.width.*field});
    };
    set("kernel", &kernels::WindowAxis::kernel);
    set("stride", &kernels::WindowAxis::stride);
    set("padding", &kernels::WindowAxis::padding);
    set("dilation", &kernels::WindowAxis::dilation);
  }
};

// A result of the given shape, filled by f(dense elements of x, elements of the result).
template <class F> Tensor compute(const Tensor& x, const Shape& shape, F&& f) {
  const Tensor from = x.constant().contiguous();
  Tensor y = Tensor::uninitialized(shape, x.dtype());
  if (y.size() == 0) return y;  // the sizes beside a 0 may be huge
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    f(from.data<T>(), data<T>(y));
  });
  return y;
}

// ---- maxima ------------------------------------------------------------------------------------------------------------------------

// Memory for the position of each maximum in its window: bytes for windows of up to 256 positions, else 32-bit integers. There are no such
// dtypes, so another dtype of the same element size stands in; as a tensor, the memory can be saved by nodes.
Tensor uninitialized_positions(const PoolingForm& form) {
  return Tensor::uninitialized(form.y_shape, form.sizes.height.kernel * form.sizes.width.kernel <= 256 ? boolean : float32);
}
// Calls f with the positions as integers.
template <class Positions, class F> void with_positions(Positions& positions, F&& f) {
  positions.dtype() == boolean ? f(data<std::uint8_t>(positions)) : f(data<std::int32_t>(positions));
}

Tensor take(const PoolingForm& form, const Tensor& x, const Tensor& positions);
Tensor put(const PoolingForm& form, const Tensor& y, const Tensor& positions);

// max_pool, or the linear map that takes the elements at given positions: both have the same rules.
class TakePooled : public OperationWithOptions {  // inputs: x, positions
 public:
  TakePooled(const char* name, const PoolingForm& form) : name_(name), form_(form) {}
  const char* name() const override { return name_; }
  void options(OperationOptions& to) const override { form_.options(to); }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = put(form_, y_bar[0], s.x(1)); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = take(form_, x_dot[0], s.x(1));
  }

 private:
  const char* name_;
  PoolingForm form_;
};

class Put : public Operation {  // inputs: y, positions
 public:
  explicit Put(const PoolingForm& form) : form_(form) {}
  const char* name() const override { return "put_pooled"; }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> x_bar, Cotangents& y_bar) const override { y_bar[0] = take(form_, x_bar[0], s.x(1)); }
  void jvp(const Saved& s, std::span<const Tensor> y_dot, std::span<Tensor> x_dot) const override {
    x_dot[0] = put(form_, y_dot[0], s.x(1));
  }

 private:
  PoolingForm form_;
};

Tensor take(const PoolingForm& form, const Tensor& x, const Tensor& positions) {
  Tensor y = compute(x, form.y_shape, [&](const auto* from, auto* to) {
    with_positions(positions, [&](const auto* at) { kernels::take_pooled(form.sizes, from, at, to); });
  });
  return record(TakePooled("take_pooled", form), {}, {&x, &positions}, std::move(y));
}

Tensor put(const PoolingForm& form, const Tensor& y, const Tensor& positions) {
  Tensor x = compute(y, form.x_shape, [&](const auto* from, auto* to) {
    with_positions(positions, [&](const auto* at) { kernels::put_pooled(form.sizes, from, at, to); });
  });
  return record(Put(form), {}, {&y, &positions}, std::move(x));
}

void check_positions(const PoolingForm& form, const Tensor& x) {
  const Index height = form.sizes.height.kernel, width = form.sizes.width.kernel;
  if (height > std::numeric_limits<std::int32_t>::max() / width)
    throw ShapeError(fmt::format("{}: {}: a window of {} x {} has too many positions", form.name, describe(x), height, width));
}

struct Maxima {
  Tensor values, positions;
};
Maxima maxima(const PoolingForm& form, const Tensor& x) {
  check_positions(form, x);
  Tensor positions = uninitialized_positions(form);
  Tensor y = compute(x, form.y_shape, [&](const auto* from, auto* to) {
    with_positions(positions, [&](auto* at) { kernels::max_pool(form.sizes, from, to, at); });
  });
  return {record(TakePooled(form.name, form), {}, {&x, &positions}, std::move(y)), std::move(positions)};
}

// The same, without the positions where no rule needs them.
Tensor values_of_maxima(const PoolingForm& form, const Tensor& x) {
  if (const Tensor* const operands[] = {&x}; detail::any_tracked(operands)) return maxima(form, x).values;
  check_positions(form, x);
  return compute(x, form.y_shape, [&](const auto* from, auto* to) { kernels::max_pool(form.sizes, from, to); });
}

// ---- means -------------------------------------------------------------------------------------------------------------------------

Tensor mean_of_windows(const PoolingForm& form, Divisor divisor, const Tensor& x);
Tensor spread(const PoolingForm& form, Divisor divisor, const Tensor& y);

class MeanOfWindows : public OperationWithOptions {
 public:
  MeanOfWindows(const PoolingForm& form, Divisor divisor) : form_(form), divisor_(divisor) {}
  const char* name() const override { return form_.name; }
  void options(OperationOptions& to) const override {
    form_.options(to);
    to.set("count_include_pad", divisor_ == Divisor::padded), to.set("adaptive", divisor_ == Divisor::adaptive);
  }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = spread(form_, divisor_, y_bar[0]); }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = mean_of_windows(form_, divisor_, x_dot[0]);
  }

 private:
  PoolingForm form_;
  Divisor divisor_;
};

class Spread : public Operation {
 public:
  Spread(const PoolingForm& form, Divisor divisor) : form_(form), divisor_(divisor) {}
  const char* name() const override { return "spread_average"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> x_bar, Cotangents& y_bar) const override {
    y_bar[0] = mean_of_windows(form_, divisor_, x_bar[0]);
  }
  void jvp(const Saved&, std::span<const Tensor> y_dot, std::span<Tensor> x_dot) const override {
    x_dot[0] = spread(form_, divisor_, y_dot[0]);
  }

 private:
  PoolingForm form_;
  Divisor divisor_;
};

Tensor mean_of_windows(const PoolingForm& form, Divisor divisor, const Tensor& x) {
  Tensor y = compute(x, form.y_shape, [&](const auto* from, auto* to) { kernels::average_pool(form.sizes, divisor, from, to); });
  return record(MeanOfWindows(form, divisor), {}, {&x}, std::move(y));
}

Tensor spread(const PoolingForm& form, Divisor divisor, const Tensor& y) {
  Tensor x = compute(y, form.x_shape, [&](const auto* from, auto* to) { kernels::spread_average(form.sizes, divisor, from, to); });
  return record(Spread(form, divisor), {}, {&y}, std::move(x));
}

// ---- public functions --------------------------------------------------------------------------------------------------------------

void check_operand(const char* name, const Tensor& x, int dimensions) {
  detail::check_floating(name, x);
  if (x.rank() != dimensions + 2)
    throw ShapeError(
        detail::ErrorText(name, "the input must be {}", dimensions == 1 ? "(n, channels, length)" : "(n, channels, height, width)")
            .operand("input", x)
            .hint(x.rank() == dimensions + 1 ? "unsqueeze(input, 0) makes a batch of one" : ""));
}

// The form with the numbers of windows from the axes.
PoolingForm form_of(const char* name, const Tensor& x, const kernels::WindowAxis& height, const kernels::WindowAxis& width) {
  PoolingForm form{name, {checked_size(name, x.shape(), 0, 2), height, width}, x.shape(), x.shape()};
  if (x.rank() == 4) form.y_shape[2] = height.out;
  form.y_shape[x.rank() - 1] = width.out;
  checked_size(name, form.y_shape);
  return form;
}

// The axis with its number of windows. A ShapeError if they do not fit, or if one of them lies entirely in the padding.
kernels::WindowAxis checked_axis(const char* name, const char* dimension, const Tensor& x, kernels::WindowAxis axis, bool ceil_mode) {
  if (axis.stride == 0) axis.stride = axis.kernel;
  std::string wrong = detail::place_windows(dimension, axis, ceil_mode);
  if (wrong.empty() && axis.padding > axis.kernel / 2)
    wrong = fmt::format("padding {} of the {} is more than half the kernel {}", axis.padding, dimension, axis.kernel);
  if (wrong.empty() && axis.dilation > 1)  // without dilation every window reaches the input
    for (Index i = 0; i < axis.out && wrong.empty(); ++i)
      if (kernels::unpadded(axis, i).size() == 0) wrong = fmt::format("window {} of the {} lies entirely in the padding", i, dimension);
  if (!wrong.empty()) throw ShapeError(fmt::format("{}: {}: {}", name, describe(x), wrong));
  return axis;
}

PoolingForm max_pool_form(const char* name, const Tensor& x, HeightWidth kernel, const MaxPool2dOptions& o) {
  check_operand(name, x, 2);
  const auto height =
      checked_axis(name, "height", x, {x.size(2), 1, kernel.height, o.stride.height, o.padding.height, o.dilation.height}, o.ceil_mode);
  const auto width =
      checked_axis(name, "width", x, {x.size(3), 1, kernel.width, o.stride.width, o.padding.width, o.dilation.width}, o.ceil_mode);
  return form_of(name, x, height, width);
}

}  // namespace

Tensor max_pool2d(const Tensor& x, HeightWidth kernel, const MaxPool2dOptions& options, Location site) {
  const CallSite scope(site);
  return values_of_maxima(max_pool_form("max_pool2d", x, kernel, options), x);
}

ValuesAndIndices max_pool2d_with_indices(const Tensor& x, HeightWidth kernel, const MaxPool2dOptions& options, Location site) {
  const CallSite scope(site);
  const PoolingForm form = max_pool_form("max_pool2d_with_indices", x, kernel, options);
  Maxima result = maxima(form, x);
  Tensor indices = Tensor::uninitialized(form.y_shape, int64);
  if (indices.size() > 0)
    with_positions(result.positions, [&](const auto* at) { kernels::pooled_indices(form.sizes, at, data<std::int64_t>(indices)); });
  return {std::move(result.values), std::move(indices)};
}

Tensor max_pool1d(const Tensor& x, Index kernel, const MaxPool1dOptions& o, Location site) {
  const CallSite scope(site);
  check_operand("max_pool1d", x, 1);
  const auto axis = checked_axis("max_pool1d", "length", x, {x.size(2), 1, kernel, o.stride, o.padding, o.dilation}, o.ceil_mode);
  return values_of_maxima(form_of("max_pool1d", x, {}, axis), x);
}

Tensor avg_pool2d(const Tensor& x, HeightWidth kernel, const AvgPool2dOptions& o, Location site) {
  const CallSite scope(site);
  check_operand("avg_pool2d", x, 2);
  const auto height =
      checked_axis("avg_pool2d", "height", x, {x.size(2), 1, kernel.height, o.stride.height, o.padding.height}, o.ceil_mode);
  const auto width = checked_axis("avg_pool2d", "width", x, {x.size(3), 1, kernel.width, o.stride.width, o.padding.width}, o.ceil_mode);
  return mean_of_windows(form_of("avg_pool2d", x, height, width), o.count_include_pad ? Divisor::padded : Divisor::inside, x);
}

Tensor avg_pool1d(const Tensor& x, Index kernel, const AvgPool1dOptions& o, Location site) {
  const CallSite scope(site);
  check_operand("avg_pool1d", x, 1);
  const auto axis = checked_axis("avg_pool1d", "length", x, {x.size(2), 1, kernel, o.stride, o.padding}, o.ceil_mode);
  return mean_of_windows(form_of("avg_pool1d", x, {}, axis), o.count_include_pad ? Divisor::padded : Divisor::inside, x);
}

Tensor adaptive_avg_pool2d(const Tensor& x, HeightWidth size, Location site) {
  const CallSite scope(site);
  check_operand("adaptive_avg_pool2d", x, 2);
  if (size.height < 1 || size.width < 1 || x.size(2) < 1 || x.size(3) < 1)
    throw ShapeError(fmt::format("adaptive_avg_pool2d: {} to {} x {}: all sizes must be at least 1", describe(x), size.height, size.width));
  return mean_of_windows(form_of("adaptive_avg_pool2d", x, {x.size(2), size.height}, {x.size(3), size.width}), Divisor::adaptive, x);
}

}  // namespace wengert
