// Reorders and repeats elements.
//
//   y = flip(x):   x_bar = flip(y_bar),   y_dot = flip(x_dot)
//
// A flipped tensor is a view with negative strides. Rolling and repeating are composed.
#include <fmt/format.h>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Flip : public OperationWithOptions {
 public:
  explicit Flip(const Dims& dims) : dims_(dims) {}
  const char* name() const override { return "flip"; }
  void options(OperationOptions& to) const override { to.set("dims", dims_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = flip(y_bar[0], dims_); }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = flip(x_dot[0], dims_); }

 private:
  Dims dims_;
};

// Shifts positions by `shift` towards the end; those beyond the end wrap around to the front.
Tensor roll_dimension(const Tensor& x, int dim, Index shift) {
  const Index n = x.shape()[dim];
  if (n == 0) return x;
  const Index split = (n - shift % n) % n;  // the position that comes first in the result
  return split == 0 ? x : concat({slice(x, dim, split, n), slice(x, dim, 0, split)}, dim);
}

}  // namespace

Tensor flip(const Tensor& x, const Dims& dims, Location site) {
  const CallSite scope(site);
  detail::check_defined("flip", x);
  Shape strides = x.strides();
  Index offset = 0;
  Dims flipped;
  for (const Index given : dims) {
    const int d = checked_dim("flip", given, x);
    for (const Index other : flipped)
      if (other == d) throw ShapeError(fmt::format("flip: dimension {} of {} is named twice in {}", given, describe(x), to_string(dims)));
    flipped.push_back(d);
    strides[d] = -strides[d];
    if (x.size() > 0) offset += (x.shape()[d] - 1) * x.strides()[d];
  }
  return record(Flip(flipped), site, {&x}, view(x, x.shape(), strides, offset, site));
}

Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims, Location site) {
  const CallSite scope(site);
  if (shifts.rank() != dims.rank())
    throw ShapeError(fmt::format("roll: {} shifts for {} dimensions of {}", shifts.rank(), dims.rank(), describe(x)));
  for (const Index d : dims) checked_dim("roll", d, x);
  Tensor y = x;
  for (int i = 0; i < dims.rank(); ++i) y = roll_dimension(y, checked_dim("roll", dims[i], x), shifts[i]);
  return y;
}

Tensor repeat(const Tensor& x, const Dims& repeats, Location site) {
  const CallSite scope(site);
  detail::check_defined("repeat", x);
  if (repeats.rank() < x.rank())
    throw ShapeError(fmt::format("repeat: {} has more dimensions than there are repeats in {}", describe(x), to_string(repeats)));
  const int added = repeats.rank() - x.rank();
  Shape apart, repeated, shape;  // a dimension of size 1 before each dimension; the same, repeated; merged
  for (int d = 0; d < repeats.rank(); ++d) {
    const Index size = d < added ? 1 : x.shape()[d - added];
    if (repeats[d] < 0) throw ShapeError(fmt::format("repeat: the repeats {} of {} must be at least 0", to_string(repeats), describe(x)));
    for (const Index n : {Index(1), size}) apart.push_back(n);
    for (const Index n : {repeats[d], size}) repeated.push_back(n);
  }
  checked_size("repeat", repeated);
  for (int d = 0; d < repeats.rank(); ++d) shape.push_back(checked_size("repeat", repeated, 2 * d, 2 * d + 2));
  return reshape(expand(reshape(x, apart), repeated), shape);
}

}  // namespace wengert
