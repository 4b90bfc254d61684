// One direction of one LSTM layer over a whole sequence. It is one operation for speed: a loop over cells reads and writes the gradients of
// both weights at every step. Here each step computes only what depends on the previous step; the gradients of the weights and of x are
// products over many steps at once.
//
//   forward, t = 0, 1, ...:       A_t = X_t W^T + H_t-1 U^T + b;  H_t, C_t, S_t from the gates (ops/recurrent_cells.cpp); S overwrites A
//   backward, t = ..., 1, 0:      A_bar_t, C_bar_t-1 from H_bar_t, C_bar_t;   H_bar_t-1 += A_bar_t U
//   over steps:                   X_bar = A_bar W,   W_bar = A_bar^T X,   U_bar = A_bar^T H shifted by a step,   b_bar = A_bar summed
//
// The backward direction runs through t in reverse. S is an output with its own cotangent, for the next order.
#include "autodiff/kernels/lstm_layer.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/recurrent.h"
#include "autodiff/tape/operation_options.h"

namespace wengert {
namespace {

// The order of the steps.
struct Order {
  Index steps;
  bool backward;

  // Position of the kth step.
  Index at(Index k) const { return backward ? steps - 1 - k : k; }
  Index first() const { return at(0); }
  Index last() const { return at(steps - 1); }
  // The position that comes before position t.
  Index before(Index t) const { return backward ? t + 1 : t - 1; }
};

// x in a form that the kernel can read: rows are dense and do not overlap.
Tensor with_dense_rows(const Tensor& x) {
  const Shape& strides = x.strides();
  const Index in = x.size(2);
  const bool fits = (in == 1 || strides[2] == 1) && strides[0] >= in && strides[1] >= in;
  return fits ? x.constant() : x.constant().contiguous();
}

// The kernel's operands; all except x are dense.
template <class T> kernels::LstmLayer<T> layer_of(const Order& order, const Tensor& x, const Tensor& w, const Tensor& u, const Tensor& bias,
                                                  const Tensor& h0, const Tensor& c0, Tensor& h, Tensor& c, Tensor& gates) {
  const auto elements = [](Tensor& y) { return static_cast<T*>(y.elements()->data); };
  const auto* rows = static_cast<const T*>(x.elements()->data);
  return {order.steps,
          x.size(1),
          x.size(2),
          h0.size(1),
          order.backward,
          rows,
          x.strides()[0],
          x.strides()[1],
          w.data<T>(),
          u.data<T>(),
          bias.defined() ? bias.data<T>() : nullptr,
          h0.data<T>(),
          c0.data<T>(),
          elements(h),
          elements(c),
          elements(gates)};
}

// (t, n, k) as (t n, k).
Tensor flat(const Tensor& x) { return reshape(x, {checked_size("lstm", x.shape(), 0, 2), x.size(2)}); }

enum Input { kX, kW, kH, kU, kC, kBias };

class LstmLayer : public OperationWithOptions {  // x, W, h, U, c and, if there is one, the bias -> H, C, S
 public:
  explicit LstmLayer(const Order& order) : order_(order) {}
  const char* name() const override { return "lstm"; }
  const char* latex() const override { return R"(\operatorname{LSTM}(#1))"; }
  void options(OperationOptions& to) const override { to.set("backward", order_.backward); }
  ValueSet saved_for(int) const override {
    return input(kX) | input(kW) | input(kH) | input(kU) | input(kC) | output(0) | output(1) | output(2);
  }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    recording() || y_bar[2].defined() ? vjp_recorded(s, y_bar, x_bar) : vjp_now(s, y_bar, x_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    pool::Vector<Tensor> h(count()), c(count()), gates(count());
    LstmState dot{x_dot[kH], x_dot[kC]};
    for (Index k = 0; k < order_.steps; ++k) {
      const Index t = order_.at(k);
      Tensor sums;
      if (x_dot[kX].defined()) sums = detail::plus(sums, linear(select(x_dot[kX], 0, t), s.x(kW)));
      if (x_dot[kW].defined()) sums = detail::plus(sums, linear(select(s.x(kX), 0, t), x_dot[kW]));
      if (dot.h.defined()) sums = detail::plus(sums, linear(dot.h, s.x(kU)));
      if (x_dot[kU].defined()) sums = detail::plus(sums, linear(before(s, t, 0, kH), x_dot[kU]));
      if (s.inputs() > kBias && x_dot[kBias].defined()) sums = detail::plus(sums, expand(x_dot[kBias], {s.y_shape(2)[1], s.y_shape(2)[2]}));
      detail::LstmResult result = detail::lstm_jvp(select(s.y(2), 0, t), before(s, t, 1, kC), select(s.y(1), 0, t), {sums, dot.c});
      dot = {result.h, result.c};
      const auto at = static_cast<std::size_t>(t);
      h[at] = std::move(result.h);
      c[at] = std::move(result.c);
      gates[at] = std::move(result.gates);
    }
    y_dot[0] = stack(std::span<const Tensor>(h));
    y_dot[1] = stack(std::span<const Tensor>(c));
    y_dot[2] = stack(std::span<const Tensor>(gates));
  }
  double multiply_adds(const Saved& s) const override {
    return static_cast<double>(s.y_shape(2).size() * (s.x_shape(kX).back() + s.x_shape(kH).back()));
  }

 private:
  std::size_t count() const { return static_cast<std::size_t>(order_.steps); }
  // The state before position t: an output, or the initial one.
  Tensor before(const Saved& s, Index t, int output, int initial) const {
    return t == order_.first() ? s.x(initial) : select(s.y(output), 0, order_.before(t));
  }

  void vjp_recorded(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    const auto part = [](const Tensor& whole, Index t) { return whole.defined() ? select(whole, 0, t) : Tensor(); };
    pool::Vector<Tensor> a(count());
    LstmState bar;
    for (Index k = order_.steps; k-- > 0;) {
      const Index t = order_.at(k);
      const LstmState next_bar{detail::plus(bar.h, part(y_bar[0], t)), detail::plus(bar.c, part(y_bar[1], t))};
      detail::LstmSource source =
          detail::lstm_vjp(select(s.y(2), 0, t), before(s, t, 1, kC), select(s.y(1), 0, t), next_bar, part(y_bar[2], t));
      bar = {matmul(source.sums, s.x(kU)), std::move(source.c)};
      a[static_cast<std::size_t>(t)] = std::move(source.sums);
    }
    const Tensor a_bar = stack(std::span<const Tensor>(a)), a_t = transpose(flat(a_bar));
    if (x_bar.needs(kX)) x_bar[kX] = matmul(a_bar, s.x(kW));
    if (x_bar.needs(kW)) x_bar[kW] = matmul(a_t, flat(s.x(kX)));
    if (x_bar.needs(kU)) {
      const Tensor h0 = unsqueeze(s.x(kH), 0), rest = narrow(s.y(0), 0, order_.backward ? 1 : 0, order_.steps - 1);
      x_bar[kU] = matmul(a_t, flat(order_.backward ? concat({rest, h0}) : concat({h0, rest})));
    }
    if (s.inputs() > kBias && x_bar.needs(kBias)) x_bar[kBias] = a_bar;
    if (x_bar.needs(kH)) x_bar[kH] = bar.h;
    if (x_bar.needs(kC)) x_bar[kC] = bar.c;
  }

  void vjp_now(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    const auto dense = [](const Tensor& t) { return t.defined() ? t.contiguous() : t; };
    const Tensor x = with_dense_rows(s.x(kX)), w = dense(s.x(kW)), h0 = dense(s.x(kH)), u = dense(s.x(kU)), c0 = dense(s.x(kC));
    const Tensor h_bar = dense(y_bar[0]), c_bar = dense(y_bar[1]);
    Tensor h = s.y(0), c = s.y(1), gates = s.y(2);
    for (int i = 0; i < s.inputs(); ++i)
      if (x_bar.needs(i) || i == kH || i == kC) x_bar[i] = Tensor::uninitialized(s.x_shape(i), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto at = [&](int i) { return i < s.inputs() && x_bar[i].defined() ? static_cast<T*>(x_bar[i].elements()->data) : nullptr; };
      kernels::lstm_layer_backward<T>(layer_of<T>(order_, x, w, u, Tensor(), h0, c0, h, c, gates),
                                      h_bar.defined() ? h_bar.data<T>() : nullptr, c_bar.defined() ? c_bar.data<T>() : nullptr,
                                      {at(kX), at(kW), at(kU), at(kBias), at(kH), at(kC)});
    });
  }

  Order order_;
};

}  // namespace

Tensor detail::lstm_layer(const Tensor& x, LstmState& state, const CellWeights& w, bool backward) {
  const Order order{x.size(0), backward};
  const auto dense = [&](const Tensor& t) { return t.constant().contiguous(); };
  const Tensor in = with_dense_rows(x), h0 = dense(state.h), c0 = dense(state.c);
  const Tensor weight = dense(w.input), recurrent = dense(w.hidden);
  const Tensor bias = w.bias.defined() ? dense(w.bias) : Tensor();
  const Index steps = x.size(0), n = x.size(1), hidden = h0.size(1);
  Tensor y[3] = {Tensor::uninitialized({steps, n, hidden}, x.dtype()), Tensor::uninitialized({steps, n, hidden}, x.dtype()),
                 Tensor::uninitialized({steps, n, 4 * hidden}, x.dtype())};
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::lstm_layer_forward(layer_of<T>(order, in, weight, recurrent, bias, h0, c0, y[0], y[1], y[2]));
  });
  const Tensor* inputs[] = {&x, &w.input, &state.h, &w.hidden, &state.c, &w.bias};
  record_all(LstmLayer(order), {}, std::span(inputs).first(w.bias.defined() ? 6 : 5), y);
  state = {select(y[0], 0, order.last()), select(y[1], 0, order.last())};
  return std::move(y[0]);
}

}  // namespace wengert
