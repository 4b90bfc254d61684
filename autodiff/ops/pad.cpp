// Adds elements around a tensor, or removes them.
//
//   y = pad(x, before, after, value):   x_bar = pad(y_bar, -before, -after, 0),   y_dot = pad(x_dot, before, after, 0)
//
// The other kinds of padding repeat elements of x: they select them along each dimension.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

Dims negate(Dims widths) {
  for (Index& w : widths) w = -w;
  return widths;
}

class Pad : public OperationWithOptions {
 public:
  Pad(const Dims& before, const Dims& after, double value) : before_(before), after_(after), value_(value) {}
  const char* name() const override { return "pad"; }
  void options(OperationOptions& to) const override { to.set("before", before_), to.set("after", after_), to.set("value", value_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = pad(y_bar[0], negate(before_), negate(after_), 0);
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = pad(x_dot[0], before_, after_, 0);
  }

 private:
  Dims before_, after_;
  double value_;
};

// The shape of the result. A ShapeError unless there is a width for each side of each dimension, and no size becomes negative.
Shape padded_shape(const Tensor& x, const Dims& before, const Dims& after) {
  if (before.rank() != x.rank() || after.rank() != x.rank())
    throw ShapeError(fmt::format("pad: {} needs one width before and one after each of its dimensions, not {} and {}", describe(x),
                                 to_string(before), to_string(after)));
  Shape shape = x.shape();
  for (int d = 0; d < x.rank(); ++d)
    if (__builtin_add_overflow(shape[d], before[d], &shape[d]) || __builtin_add_overflow(shape[d], after[d], &shape[d]) || shape[d] < 0)
      throw ShapeError(fmt::format("pad: widths {} and {} do not fit dimension {} of {}", before[d], after[d], d, describe(x)));
  return shape;
}

// The part of t that begins `skipped` positions into each dimension.
Tensor part_of(const Tensor& t, const Shape& skipped, const Shape& shape) {
  Index offset = 0;
  for (int d = 0; d < t.rank(); ++d) offset += skipped[d] * t.strides()[d];
  return view(t, shape, t.strides(), shape.size() == 0 ? 0 : offset, {});
}

// The position in [0, n) whose element goes to position i, where i may lie beyond either end.
Index source_position(Padding padding, Index i, Index n) {
  if (padding == Padding::replicate) return std::clamp<Index>(i, 0, n - 1);
  if (padding == Padding::circular) return ((i % n) + n) % n;
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

// The largest width of padding for n elements.
Index max_width(Padding padding, Index n) {
  if (padding == Padding::reflect) return n - 1;
  return padding == Padding::circular ? n : std::numeric_limits<Index>::max();
}

}  // namespace

Tensor pad(const Tensor& x, const Dims& before, const Dims& after, ExactNumber value, Location site) {
  const CallSite scope(site);
  detail::check_defined("pad", x);
  if (!is_floating(x.dtype()) && !value.integer())
    throw DtypeError(detail::ErrorText("pad", "the value {} cannot be an element of {}", value.value(), describe(x))
                         .hint("convert the tensor with .to(float32) or .to(float64)"));
  Tensor y = Tensor::full(padded_shape(x, before, after), value, x.dtype(), site);
  Shape common = x.shape(), in_x = before, in_y = before;
  for (int d = 0; d < x.rank(); ++d) {
    in_x[d] = std::max<Index>(0, -before[d]);
    in_y[d] = std::max<Index>(0, before[d]);
    common[d] = std::max<Index>(0, std::min(x.shape()[d] - in_x[d], y.shape()[d] - in_y[d]));
  }
  const Tensor from = part_of(x, in_x, common);
  const Shape to_strides = part_of(y, in_y, common).strides();
  Index first = 0;
  for (int d = 0; d < y.rank(); ++d) first += in_y[d] * y.strides()[d];
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = static_cast<const T*>(from.elements()->data);
    T* out = static_cast<T*>(y.elements()->data) + (common.size() == 0 ? 0 : first);
    kernels::Rows<2>(common, {&from.strides(), &to_strides})
        .for_each_row(kernels::cost::kCopy<T>, [&](const auto& offset, Index n, const auto& step, Index) {
          kernels::copy_row(in + offset[0], step[0], n, out + offset[1], step[1]);
        });
  });
  return record(Pad(before, after, value.value()), site, {&x}, std::move(y));
}

Tensor pad(const Tensor& x, const Dims& before, const Dims& after, Padding padding, Location site) {
  const CallSite scope(site);
  detail::check_defined("pad", x);
  padded_shape(x, before, after);
  for (int d = 0; d < x.rank(); ++d) {
    const Index n = x.shape()[d], max = std::max(before[d], after[d]);
    if (std::min(before[d], after[d]) < 0 || (max > 0 && (n == 0 || max > max_width(padding, n))))
      throw ShapeError(
          fmt::format("pad: widths {} and {} of dimension {} of {} must be at least 0, and at most as large as its elements can fill",
                      before[d], after[d], d, describe(x)));
  }
  Tensor y = x;
  for (int d = 0; d < x.rank(); ++d) {
    if (before[d] == 0 && after[d] == 0) continue;
    std::vector<std::int64_t> positions;
    for (Index i = -before[d]; i < x.shape()[d] + after[d]; ++i) positions.push_back(source_position(padding, i, x.shape()[d]));
    y = index_select(y, d, Tensor::from(positions));
  }
  return y;
}

}  // namespace wengert
