// An LSTM layer: ops/recurrent_layer.h with one sum A_t + B_t, which the activated gates S overwrite. S is an output with its own
// cotangent, for the next order.
#include "autodiff/ops/recurrent_layer.h"

namespace wengert {
namespace {

class LstmLayer : public detail::RecurrentLayer {  // x, W, h, U, c and, if there is one, the bias -> H, C, S
 public:
  using RecurrentLayer::RecurrentLayer;
  const char* name() const override { return "lstm"; }
  const char* latex() const override { return R"(\operatorname{LSTM}(#1))"; }
  ValueSet saved_for(int) const override {
    return input(kX) | input(kW) | input(kH) | input(kU) | input(kC) | output(0) | output(1) | output(2);
  }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    recording() || y_bar[2].defined() ? vjp_recorded(s, y_bar, x_bar) : vjp_now(s, y_bar, x_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Parts h = parts(), c = parts(), gates = parts();
    LstmState dot{x_dot[kH], x_dot[kC]};
    for (Index k = 0; k < steps_; ++k) {
      const Index t = at(k);
      Tensor sums = detail::plus(input_sums_dot(s, x_dot, t), state_sums_dot(s, x_dot, dot.h, t));
      if (s.inputs() > kBias && x_dot[kBias].defined()) sums = detail::plus(sums, expand(x_dot[kBias], {s.y_shape(2)[1], s.y_shape(2)[2]}));
      detail::LstmResult result = detail::lstm_jvp(select(s.y(2), 0, t), before(s, t, 1, kC), select(s.y(1), 0, t), {sums, dot.c});
      dot = {result.h, result.c};
      const auto i = static_cast<std::size_t>(t);
      h[i] = std::move(result.h);
      c[i] = std::move(result.c);
      gates[i] = std::move(result.gates);
    }
    y_dot[0] = stack(std::span<const Tensor>(h));
    y_dot[1] = stack(std::span<const Tensor>(c));
    y_dot[2] = stack(std::span<const Tensor>(gates));
  }

  // Runs the layer from `state`, which becomes the last one. Returns H.
  Tensor run(const Tensor& x, LstmState& state, const detail::CellWeights& w) const {
    const Operands o(x, w.input, state.h, w.hidden, w.bias);
    const Tensor c0 = dense(state.c);
    const Index n = x.size(1), hidden = state.h.size(1);
    Tensor y[3] = {Tensor::uninitialized({steps_, n, hidden}, x.dtype()), Tensor::uninitialized({steps_, n, hidden}, x.dtype()),
                   Tensor::uninitialized({steps_, n, 4 * hidden}, x.dtype())};
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      kernels::lstm_layer_forward<T>({layer<T>(o, y[0]), c0.data<T>(), elements_of<T>(y[1]), elements_of<T>(y[2])});
    });
    const Tensor* inputs[] = {&x, &w.input, &state.h, &w.hidden, &state.c, &w.bias};
    detail::record_all(LstmLayer(*this), {}, std::span(inputs).first(w.bias.defined() ? 6 : 5), y);
    state = {select(y[0], 0, last()), select(y[1], 0, last())};
    return std::move(y[0]);
  }

 private:
  enum MoreInputs { kC = 4, kBias };

  void vjp_recorded(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    Parts a = parts();
    LstmState bar;
    for (Index k = steps_; k-- > 0;) {
      const Index t = at(k);
      const LstmState next_bar{detail::plus(bar.h, part(y_bar[0], t)), detail::plus(bar.c, part(y_bar[1], t))};
      detail::LstmSource source =
          detail::lstm_vjp(select(s.y(2), 0, t), before(s, t, 1, kC), select(s.y(1), 0, t), next_bar, part(y_bar[2], t));
      bar = {matmul(source.sums, s.x(kU)), std::move(source.c)};
      a[static_cast<std::size_t>(t)] = std::move(source.sums);
    }
    const Tensor a_bar = stack(std::span<const Tensor>(a));
    add_input_products(s, a_bar, x_bar);
    add_state_products(s, a_bar, x_bar);
    if (s.inputs() > kBias && x_bar.needs(kBias)) x_bar[kBias] = a_bar;
    if (x_bar.needs(kH)) x_bar[kH] = bar.h;
    if (x_bar.needs(kC)) x_bar[kC] = bar.c;
  }

  void vjp_now(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    const Operands o(s);
    const Tensor c0 = dense(s.x(kC)), h_bar = dense(y_bar[0]), c_bar = dense(y_bar[1]);
    make_cotangents(s, {kH, kC}, x_bar);
    detail::dispatch_floating(c0.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto bar = [&](int i) { return elements_of<T>(x_bar, i, s.inputs()); };
      kernels::lstm_layer_backward<T>({layer<T>(o, s.y(0)), c0.data<T>(), elements_of<T>(s.y(1)), elements_of<T>(s.y(2))},
                                      elements<T>(h_bar), elements<T>(c_bar),
                                      {bar(kX), bar(kW), bar(kU), bar(kBias), nullptr, bar(kH), bar(kC)});
    });
  }
};

}  // namespace

Tensor detail::lstm_layer(const Tensor& x, LstmState& state, const CellWeights& w, bool backward) {
  return LstmLayer(x.size(0), backward).run(x, state, w);
}

}  // namespace wengert
