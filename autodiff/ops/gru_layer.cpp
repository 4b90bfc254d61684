// A GRU layer: ops/recurrent_layer.h with two sums, because the reset gate multiplies the biased term of the state. The activated gates,
// and that term, are an output S with its own cotangent, for the next order.
#include "autodiff/ops/recurrent_layer.h"

namespace wengert {
namespace {

class GruLayer : public detail::RecurrentLayer {  // x, W, h, U and, if there are any, both biases -> H, S
 public:
  using RecurrentLayer::RecurrentLayer;
  const char* name() const override { return "gru"; }
  const char* latex() const override { return R"(\operatorname{GRU}(#1))"; }
  ValueSet saved_for(int) const override { return input(kX) | input(kW) | input(kH) | input(kU) | output(0) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    recording() || y_bar[1].defined() ? vjp_recorded(s, y_bar, x_bar) : vjp_now(s, y_bar[0], x_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Parts h = parts(), gates = parts();
    Tensor dot = x_dot[kH];
    for (Index k = 0; k < steps_; ++k) {
      const Index t = at(k);
      const auto with_bias = [&](const Tensor& sums, int bias) {
        if (s.inputs() <= bias || !x_dot[bias].defined()) return sums;
        return detail::plus(sums, expand(x_dot[bias], {s.x_shape(kX)[1], s.x_shape(bias)[0]}));
      };
      detail::GruResult result =
          detail::gru_jvp(select(s.y(1), 0, t), before(s, t, 0, kH),
                          {with_bias(input_sums_dot(s, x_dot, t), kBias), with_bias(state_sums_dot(s, x_dot, dot, t), kBiasHh), dot});
      dot = result.h;
      h[static_cast<std::size_t>(t)] = std::move(result.h);
      gates[static_cast<std::size_t>(t)] = std::move(result.gates);
    }
    y_dot[0] = stack(std::span<const Tensor>(h));
    y_dot[1] = stack(std::span<const Tensor>(gates));
  }

  // Runs the layer from `state`, which becomes the last one. Returns H.
  Tensor run(const Tensor& x, Tensor& state, const RecurrentWeights& w) const {
    const Operands o(x, w.weight_ih, state, w.weight_hh, w.bias_ih);
    const Tensor bias_hh = dense(w.bias_hh);
    const Index n = x.size(1), hidden = state.size(1);
    Tensor y[2] = {Tensor::uninitialized({steps_, n, hidden}, x.dtype()), Tensor::uninitialized({steps_, n, 4 * hidden}, x.dtype())};
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::gru_layer_forward<T>({layer<T>(o, y[0]), elements<T>(bias_hh), elements_of<T>(y[1])});
    });
    const Tensor* inputs[] = {&x, &w.weight_ih, &state, &w.weight_hh, &w.bias_ih, &w.bias_hh};
    detail::record_all(GruLayer(*this), {}, std::span(inputs).first(w.bias_ih.defined() ? 6 : 4), y);
    state = select(y[0], 0, last());
    return std::move(y[0]);
  }

 private:
  enum MoreInputs { kBias = 4, kBiasHh };

  void vjp_recorded(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    Parts a = parts(), b = parts();
    Tensor bar;
    for (Index k = steps_; k-- > 0;) {
      const Index t = at(k);
      detail::GruSource source =
          detail::gru_vjp(select(s.y(1), 0, t), before(s, t, 0, kH), {detail::plus(bar, part(y_bar[0], t)), part(y_bar[1], t)});
      bar = matmul(source.b, s.x(kU)) + source.h;
      a[static_cast<std::size_t>(t)] = std::move(source.a);
      b[static_cast<std::size_t>(t)] = std::move(source.b);
    }
    const Tensor a_bar = stack(std::span<const Tensor>(a)), b_bar = stack(std::span<const Tensor>(b));
    add_input_products(s, a_bar, x_bar);
    add_state_products(s, b_bar, x_bar);
    if (s.inputs() > kBias && x_bar.needs(kBias)) x_bar[kBias] = a_bar;
    if (s.inputs() > kBias && x_bar.needs(kBiasHh)) x_bar[kBiasHh] = b_bar;
    if (x_bar.needs(kH)) x_bar[kH] = bar;
  }

  void vjp_now(const Saved& s, const Tensor& y_bar, Cotangents& x_bar) const {
    const Operands o(s);
    const Tensor h_bar = dense(y_bar);
    make_cotangents(s, {kH}, x_bar);
    detail::dispatch_floating(h_bar.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto bar = [&](int i) { return elements_of<T>(x_bar, i, s.inputs()); };
      kernels::gru_layer_backward<T>({layer<T>(o, s.y(0)), nullptr, elements_of<T>(s.y(1))}, elements<T>(h_bar),
                                     {bar(kX), bar(kW), bar(kU), bar(kBias), bar(kBiasHh), bar(kH), nullptr});
    });
  }
};

}  // namespace

Tensor detail::gru_layer(const Tensor& x, Tensor& state, const RecurrentWeights& w, bool backward) {
  return GruLayer(x.size(0), backward).run(x, state, w);
}

}  // namespace wengert
