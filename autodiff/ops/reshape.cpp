// The same elements in another shape.
//
//   y = reshape(x):   x_bar = reshape(y_bar),   y_dot = reshape(x_dot)
#include <fmt/format.h>

#include "autodiff/ops.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Reshape : public Operation {
 public:
  const char* name() const override { return "reshape"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = reshape(y_bar[0], s.x_shape()); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(x_dot[0], s.y_shape());
  }
};

class Contiguous : public Operation {
 public:
  const char* name() const override { return "contiguous"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = y_bar[0]; }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = x_dot[0]; }
};

// `wanted` with its one -1, if any, replaced by the remaining size.
Shape resolve(const Tensor& x, const Shape& wanted) {
  Shape shape = wanted;
  int open = -1;
  Index known = 1;
  bool fits = true;
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == -1) {
      fits &= open < 0;
      open = d;
    } else {
      fits &= shape[d] >= 0 && !__builtin_mul_overflow(known, shape[d], &known);
    }
  }
  if (open >= 0) {
    fits = fits && known > 0 && x.size() % known == 0;
    if (fits) shape[open] = x.size() / known;
  } else {
    fits = fits && known == x.size();
  }
  if (!fits)
    throw ShapeError(
        fmt::format("reshape: {} with {} elements cannot take the shape {}, whose sizes must be at least 0, with at most one -1, and "
                    "multiply to the number of elements",
                    describe(x), x.size(), to_string(wanted)));
  return shape;
}

}  // namespace

Tensor Tensor::contiguous(Location site) const {
  const CallSite scope(site);
  detail::check_defined("contiguous", *this);
  if (is_row_major()) return *this;
  return record(Contiguous(), site, {this}, clone(site));
}

Tensor reshape(const Tensor& x, const Shape& wanted, Location site) {
  const CallSite scope(site);
  detail::check_defined("reshape", x);
  const Shape shape = resolve(x, wanted);
  if (shape == x.shape()) return x;
  const Tensor dense = x.is_row_major() ? x.constant() : x.clone(site);
  return record(Reshape(), site, {&x}, view(dense, shape, row_major_strides(shape), 0, site));
}

Tensor flatten(const Tensor& x, Index first, Index last, Location site) {
  const CallSite scope(site);
  detail::check_defined("flatten", x);
  if (x.rank() == 0) return reshape(x, {1}, site);
  const int from = checked_dim("flatten", first, x), to = checked_dim("flatten", last, x);
  if (from > to) throw ShapeError(fmt::format("flatten: the first dimension {} of {} comes after the last, {}", first, describe(x), last));
  Shape shape;
  for (int d = 0; d < from; ++d) shape.push_back(x.shape()[d]);
  shape.push_back(checked_size("flatten", x.shape(), from, to + 1));
  for (int d = to + 1; d < x.rank(); ++d) shape.push_back(x.shape()[d]);
  return reshape(x, shape, site);
}

Tensor squeeze(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("squeeze", dim, x);
  if (x.shape()[d] != 1) throw ShapeError(fmt::format("squeeze: dimension {} of {} has size {}, not 1", dim, describe(x), x.shape()[d]));
  Shape shape, strides;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == d) continue;
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  return record(Reshape(), site, {&x}, view(x, shape, strides, 0, site));
}

Tensor squeeze(const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined("squeeze", x);
  Shape shape, strides;
  for (int d = 0; d < x.rank(); ++d) {
    if (x.shape()[d] == 1) continue;
    shape.push_back(x.shape()[d]);
    strides.push_back(x.strides()[d]);
  }
  return record(Reshape(), site, {&x}, view(x, shape, strides, 0, site));
}

Tensor unsqueeze(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("unsqueeze", dim, x, 1);
  Shape shape, strides;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i == d) {
      shape.push_back(1);
      strides.push_back(i < x.rank() ? x.shape()[i] * x.strides()[i] : 1);
    }
    if (i == x.rank()) break;
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  return record(Reshape(), site, {&x}, view(x, shape, strides, 0, site));
}

}  // namespace wengert
