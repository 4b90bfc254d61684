// A layer of a plain RNN: ops/recurrent_layer.h with H_t = f(A_t + B_t), where f is tanh or relu.
//
//   A_bar_t = H_bar_t (1 - H_t^2),  or H_bar_t, but 0 where H_t <= 0, as the rule of relu
#include "autodiff/ops/recurrent_layer.h"

namespace wengert {
namespace {

class RnnLayer : public detail::RecurrentLayer {  // x, W, h, U and, if there is one, the bias -> H
 public:
  RnnLayer(Index steps, bool backward, Nonlinearity f) : RecurrentLayer(steps, backward), relu_(f == Nonlinearity::relu) {}
  const char* name() const override { return "rnn"; }
  const char* latex() const override { return R"(\operatorname{RNN}(#1))"; }
  void options(OperationOptions& to) const override { RecurrentLayer::options(to), to.set("relu", relu_); }
  ValueSet saved_for(int) const override { return input(kX) | input(kW) | input(kH) | input(kU) | output(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    recording() ? vjp_recorded(s, y_bar[0], x_bar) : vjp_now(s, y_bar[0], x_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Parts h = parts();
    Tensor dot = x_dot[kH];
    for (Index k = 0; k < steps_; ++k) {
      const Index t = at(k);
      Tensor sums = detail::plus(input_sums_dot(s, x_dot, t), state_sums_dot(s, x_dot, dot, t));
      if (s.inputs() > kBias && x_dot[kBias].defined()) sums = detail::plus(sums, expand(x_dot[kBias], {s.y_shape()[1], s.y_shape()[2]}));
      const Tensor here = select(s.y(), 0, t);
      dot = sums.defined() ? times_slope(here, sums) : Tensor::zeros(here.shape(), here.dtype());
      h[static_cast<std::size_t>(t)] = dot;
    }
    y_dot[0] = stack(std::span<const Tensor>(h));
  }

  // Runs the layer from `state`, which becomes the last one. Returns H.
  Tensor run(const Tensor& x, Tensor& state, const detail::CellWeights& w) const {
    const Operands o(x, w.input, state, w.hidden, w.bias);
    Tensor y[1] = {Tensor::uninitialized({steps_, x.size(1), state.size(1)}, x.dtype())};
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::rnn_layer_forward<T>({layer<T>(o, y[0]), relu_});
    });
    const Tensor* inputs[] = {&x, &w.input, &state, &w.hidden, &w.bias};
    detail::record_all(RnnLayer(*this), {}, std::span(inputs).first(w.bias.defined() ? 5 : 4), y);
    state = select(y[0], 0, last());
    return std::move(y[0]);
  }

 private:
  enum MoreInputs { kBias = 4 };

  Tensor times_slope(const Tensor& h, const Tensor& m) const { return relu_ ? where(h <= 0, 0, m) : m * (1 - h * h); }

  void vjp_recorded(const Saved& s, const Tensor& h_bar, Cotangents& x_bar) const {
    Parts a = parts();
    Tensor bar;
    for (Index k = steps_; k-- > 0;) {
      const Index t = at(k);
      Tensor& sums_bar = a[static_cast<std::size_t>(t)];
      sums_bar = times_slope(select(s.y(), 0, t), detail::plus(bar, part(h_bar, t)));
      bar = matmul(sums_bar, s.x(kU));
    }
    const Tensor a_bar = stack(std::span<const Tensor>(a));
    add_input_products(s, a_bar, x_bar);
    add_state_products(s, a_bar, x_bar);
    if (s.inputs() > kBias && x_bar.needs(kBias)) x_bar[kBias] = a_bar;
    if (x_bar.needs(kH)) x_bar[kH] = bar;
  }

  void vjp_now(const Saved& s, const Tensor& y_bar, Cotangents& x_bar) const {
    const Operands o(s);
    const Tensor h_bar = dense(y_bar);
    make_cotangents(s, {kH}, x_bar);
    detail::dispatch_floating(h_bar.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto bar = [&](int i) { return elements_of<T>(x_bar, i, s.inputs()); };
      kernels::rnn_layer_backward<T>({layer<T>(o, s.y()), relu_}, elements<T>(h_bar),
                                     {bar(kX), bar(kW), bar(kU), bar(kBias), nullptr, bar(kH), nullptr});
    });
  }

  bool relu_;
};

}  // namespace

Tensor detail::rnn_layer(const Tensor& x, Tensor& state, const CellWeights& w, Nonlinearity f, bool backward) {
  return RnnLayer(x.size(0), backward, f).run(x, state, w);
}

}  // namespace wengert
