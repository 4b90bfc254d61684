// The rectifier with a trainable slope w, one for all or one for each channel.
//
//   y = x where x > 0, else w x:   x_bar = y_bar where x > 0, else w y_bar;   w_bar = sum of x y_bar where x <= 0
//                                  y_dot = x_dot where x > 0, else w x_dot + w_dot x
//
// Where x > 0 the product is not used, and an infinite x must not reach the gradient of the slope.
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// x where x > 0, else w x.
template <class T> auto value_loop() {
  return kernels::dense_loop<T, T, T>([](T x, T w) __attribute__((always_inline)) { return x > 0 ? x : w * x; });
}
// The rule for x: m where x > 0, else w m.
template <class T> auto rule_loop() {
  return kernels::dense_loop<T, T, T, T>([](T x, T w, T m) __attribute__((always_inline)) { return x > 0 ? m : w * m; });
}

// The weight, one for all or one for each channel, in a shape that broadcasts to x.
Tensor slope(const Tensor& weight, const Tensor& x) { return weight.size() == 1 ? weight : detail::along_channels(weight, x); }

class Prelu : public Operation {  // x: the tensor, the weight
 public:
  const char* name() const override { return "prelu"; }
  ValueSet saved_for(int i) const override { return i == 0 ? input(0) | input(1) : input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &x = s.x(0), &m = y_bar[0];
    if (x_bar.needs(0)) {
      const Tensor w = slope(s.x(1), x);
      x_bar[0] = recording() ? where(x > 0, m, m * w) : detail::apply_rule(m, {&x, &w, &m}, rule_loop<float>(), rule_loop<double>());
    }
    if (x_bar.needs(1)) {
      const Tensor each = where(x > 0, 0, x) * m;
      if (s.x_shape(1).size() == 1) {
        x_bar[1] = reshape(sum(each), s.x_shape(1));
        return;
      }
      Dims others{0};
      for (int d = 2; d < x.rank(); ++d) others.push_back(d);
      x_bar[1] = sum(each, others);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor& x = s.x(0);
    if (x_dot[0].defined()) y_dot[0] = where(x > 0, x_dot[0], x_dot[0] * slope(s.x(1), x));
    if (x_dot[1].defined()) y_dot[0] = detail::plus(y_dot[0], where(x > 0, 0, x) * slope(x_dot[1], x));
  }
};

}  // namespace

Tensor prelu(const Tensor& x, const Tensor& weight, Location site) {
  const CallSite scope(site);
  detail::check_floating("prelu", x);
  detail::check_same_dtype("prelu", x, weight, "input", "weight");
  const bool one = weight.size() == 1, fits = weight.rank() == 1 && (one || (x.rank() > 1 && weight.size() == x.size(1)));
  if (!fits)
    throw ShapeError(detail::ErrorText("prelu", "the weight must have one element, or one for each channel (dimension 1) of the input")
                         .operand("input", x)
                         .operand("weight", weight));
  const Tensor w = slope(weight.constant(), x);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  detail::floating_into(y, {&x, &w}, value_loop<float>(), value_loop<double>());
  return record(Prelu(), site, {&x, &weight}, std::move(y));
}

}  // namespace wengert
