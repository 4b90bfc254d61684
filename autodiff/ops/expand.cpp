// Repetition along dimensions of size 1: a view with stride 0.
//
//   y = expand(x):   x_bar = y_bar, summed over the repetitions (by the sweep),   y_dot = expand(x_dot)
#include <fmt/format.h>

#include "autodiff/ops/broadcast.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Expand : public Operation {
 public:
  const char* name() const override { return "expand"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = y_bar[0]; }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = expand(x_dot[0], s.y_shape());
  }
};

}  // namespace

Tensor expand(const Tensor& x, const Shape& shape, Location site) {
  const CallSite scope(site);
  detail::check_defined("expand", x);
  if (shape == x.shape()) return x;
  checked_size("expand", shape);
  if (!detail::broadcasts_to(x, shape))
    throw ShapeError(fmt::format("expand: {} cannot be repeated to {}; only dimensions of size 1 and new leading ones can", describe(x),
                                 to_string(shape)));
  return record(Expand(), site, {&x}, view(x, shape, detail::broadcast_strides(x, shape), 0, site));
}

}  // namespace wengert
