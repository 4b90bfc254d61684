// Permutations of dimensions, as views.
//
//   y = permute(x, p):   x_bar = permute(y_bar, p^-1),   y_dot = permute(x_dot, p)
#include <fmt/format.h>

#include <utility>

#include "autodiff/ops.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Permute : public OperationWithOptions {
 public:
  explicit Permute(const Dims& dims) : dims_(dims) {}
  const char* name() const override { return "permute"; }
  void options(OperationOptions& to) const override { to.set("dims", dims_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    Dims inverse = dims_;
    for (int i = 0; i < dims_.rank(); ++i) inverse[static_cast<int>(dims_[i])] = i;
    x_bar[0] = permute(y_bar[0], inverse);
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = permute(x_dot[0], dims_); }

 private:
  Dims dims_;  // nonnegative
};

class Transpose : public OperationWithOptions {
 public:
  Transpose(int dim0, int dim1) : dim0_(dim0), dim1_(dim1) {}
  const char* name() const override { return "transpose"; }
  const char* latex() const override { return "{#}^T"; }
  void options(OperationOptions& to) const override { to.set("dim0", dim0_), to.set("dim1", dim1_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = transpose(y_bar[0], dim0_, dim1_); }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = transpose(x_dot[0], dim0_, dim1_);
  }

 private:
  int dim0_, dim1_;
};

}  // namespace

Tensor permute(const Tensor& x, const Dims& dims, Location site) {
  const CallSite scope(site);
  detail::check_defined("permute", x);
  Dims order = dims;
  Shape shape, strides;
  bool each_once = dims.rank() == x.rank();
  for (int i = 0; each_once && i < dims.rank(); ++i) {
    order[i] = checked_dim("permute", dims[i], x);
    for (int j = 0; j < i; ++j) each_once &= order[i] != order[j];
  }
  if (!each_once) throw ShapeError(fmt::format("permute: {} does not name each dimension of {} once", to_string(dims), describe(x)));
  for (const Index d : order) {
    shape.push_back(x.shape()[static_cast<int>(d)]);
    strides.push_back(x.strides()[static_cast<int>(d)]);
  }
  return record(Permute(order), site, {&x}, view(x, shape, strides, 0, site));
}

Tensor transpose(const Tensor& x, Index dim0, Index dim1, Location site) {
  const CallSite scope(site);
  const int p = checked_dim("transpose", dim0, x), q = checked_dim("transpose", dim1, x);
  Shape shape = x.shape(), strides = x.strides();
  std::swap(shape[p], shape[q]);
  std::swap(strides[p], strides[q]);
  return record(Transpose(p, q), site, {&x}, view(x, shape, strides, 0, site));
}

}  // namespace wengert
