// Conversion to another dtype.
//
//   y = x.to(dtype):   x_bar = y_bar.to(x's dtype),   y_dot = x_dot.to(dtype)
#include "autodiff/ops/broadcast.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Cast : public Operation {
 public:
  explicit Cast(Dtype to) : to_(to) {}
  const char* name() const override { return "to"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = y_bar[0].to(s.x_dtype()); }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = x_dot[0].to(to_); }

 private:
  Dtype to_;
};

}  // namespace

Tensor Tensor::to(Dtype dtype, Location site) const {
  const CallSite scope(site);
  detail::check_defined("to", *this);
  if (dtype == this->dtype()) return *this;
  Tensor y = uninitialized(shape(), dtype, site);
  copy_to(y.elements_->data, dtype);
  return is_floating(dtype) ? record(Cast(dtype), site, {this}, std::move(y)) : y;
}

}  // namespace wengert
