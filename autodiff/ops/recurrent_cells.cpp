// The cells of recurrent networks. Each is a matrix product, which accumulates both terms onto the bias, followed by one pass over the
// gates. These are separate operations for speed: composed, a step of an LSTM would be twenty nodes.
//
//   A = X W^T + H U^T + b:   X_bar = A_bar W,  W_bar = A_bar^T X,  H_bar = A_bar U,  U_bar = A_bar^T H,  b_bar = A_bar summed over the rows
//
// LSTM, s = (i, f, g, o) = (sigmoid, sigmoid, tanh, sigmoid) of the four parts of A:  c' = f c + i g,  t = tanh c',  h' = o t
//   c'_total = c'_bar + h'_bar o (1 - t^2)
//   i_bar = c'_total g,  f_bar = c'_total c,  g_bar = c'_total i,  o_bar = h'_bar t,  c_bar = c'_total f
//   a_bar = s_bar slope(s), where slope(y) is y (1 - y), for the tanh 1 - y^2
//
// GRU, from A (of x) and B (of h):  r = sigmoid(a_r + b_r),  z = sigmoid(a_z + b_z),  n = tanh(a_n + r b_n),  h' = (1 - z) n + z h
//   z_bar = h'_bar (h - n),  n_bar = h'_bar (1 - z),  m = n_bar (1 - n^2),  r_bar = m b_n
//   a_bar = (r_bar slope(r), z_bar slope(z), m),  b_bar = (r_bar slope(r), z_bar slope(z), m r),  h_bar = h'_bar z
//
// The activated gates s are outputs with their own cotangents, which the next order of derivative needs; they are added to s_bar above.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/gru_gates.h"
#include "autodiff/kernels/lstm_gates.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/matrix_view.h"
#include "autodiff/ops/recurrent.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using detail::CellWeights;

using kernels::run_elements;

Tensor like(const Tensor& t, const Tensor& model) {
  return t.defined() ? t.contiguous() : Tensor::zeros(model.shape(), model.dtype(), model.made_at());
}
Tensor sigmoid_slope(const Tensor& y) { return y * (1 - y); }
Tensor tanh_slope(const Tensor& y) { return 1 - y * y; }

// ---- the matrix product -----------------------------------------------------------------------------------------------------------
class GateSum : public Operation {  // x, W, h, U and, if there is one, the bias
 public:
  const char* name() const override { return "recurrent_gates"; }
  const char* latex() const override { return R"(#1 #2^\top + #3 #4^\top + #5)"; }
  ValueSet saved_for(int i) const override { return i < 4 ? input(i ^ 1) : kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> a_bar, Cotangents& x_bar) const override {
    for (const int i : {0, 2}) {
      if (x_bar.needs(i)) x_bar.add_product(i, a_bar[0], s.x(i + 1));                  //  X_bar = A_bar W
      if (x_bar.needs(i + 1)) x_bar.add_product(i + 1, transposed(a_bar[0]), s.x(i));  //  W_bar = A_bar^T X
    }
    if (s.inputs() == 5 && x_bar.needs(4)) x_bar[4] = a_bar[0];
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> a_dot) const override {
    for (const int i : {0, 2}) {
      if (x_dot[i].defined()) a_dot[0] = detail::plus(a_dot[0], linear(x_dot[i], s.x(i + 1)));
      if (x_dot[i + 1].defined()) a_dot[0] = detail::plus(a_dot[0], linear(s.x(i), x_dot[i + 1]));
    }
    if (s.inputs() == 5 && x_dot[4].defined()) a_dot[0] = detail::plus(a_dot[0], expand(x_dot[4], s.y_shape()));
  }
  double multiply_adds(const Saved& s) const override {
    return static_cast<double>(s.y_shape().size() * (s.x_shape(0).back() + s.x_shape(2).back()));
  }
};

// ---- LSTM -------------------------------------------------------------------------------------------------------------------------

class Lstm : public Operation {  // the sums, c -> h', c', the activated gates
 public:
  const char* name() const override { return "lstm_cell"; }
  const char* latex() const override { return R"(\operatorname{LSTM}(#1, #2))"; }
  ValueSet saved_for(int) const override { return input(1) | output(1) | output(2); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &c = s.x(1), &c_next = s.y(1), &gates = s.y(2);
    if (recording() || y_bar[2].defined()) {
      detail::LstmSource source = detail::lstm_vjp(gates, c, c_next, {y_bar[0], y_bar[1]}, y_bar[2]);
      x_bar[0] = std::move(source.sums);
      x_bar[1] = std::move(source.c);
    } else {
      vjp_now(gates, c.contiguous(), c_next, like(y_bar[0], c_next), like(y_bar[1], c_next), x_bar);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    detail::LstmResult dot = detail::lstm_jvp(s.y(2), s.x(1), s.y(1), {x_dot[0], x_dot[1]});
    y_dot[0] = std::move(dot.h);
    y_dot[1] = std::move(dot.c);
    y_dot[2] = std::move(dot.gates);
  }

 private:
  static void vjp_now(const Tensor& gates, const Tensor& c, const Tensor& c_next, const Tensor& h_bar, const Tensor& c_next_bar,
                      Cotangents& x_bar) {
    x_bar[0] = Tensor::uninitialized(gates.shape(), gates.dtype(), gates.made_at());
    x_bar[1] = Tensor::uninitialized(c.shape(), c.dtype(), gates.made_at());
    detail::dispatch_floating(c.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const Index hidden = c.size(1);
      const T *s = gates.data<T>(), *before = c.data<T>(), *next = c_next.data<T>(), *h = h_bar.data<T>(), *next_bar = c_next_bar.data<T>();
      T *sums_bar = x_bar[0].mutable_data<T>(), *c_bar = x_bar[1].mutable_data<T>();
      kernels::for_blocks_of(c.size(0), 4 * kernels::cost::kFormula<T> * static_cast<double>(hidden), [=](Index first, Index last) {
        const Index at = first * hidden;
        kernels::lstm_gates_vjp(last - first, hidden, s + 4 * at, before + at, next + at, h + at, next_bar + at, sums_bar + 4 * at,
                                c_bar + at);
      });
    });
  }
};

LstmState lstm_activation(const Tensor& sums, const Tensor& c) {
  const Location site = sums.made_at();
  const Tensor before = c.constant().contiguous(site);
  Tensor y[3] = {Tensor::uninitialized(c.shape(), c.dtype(), site), Tensor::uninitialized(c.shape(), c.dtype(), site),
                 Tensor::uninitialized(sums.shape(), c.dtype(), site)};
  detail::dispatch_floating(c.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Index hidden = c.size(1);
    const T *in = sums.data<T>(), *from = before.data<T>();
    T *gates = y[2].mutable_data<T>(), *h_next = y[0].mutable_data<T>(), *c_next = y[1].mutable_data<T>();
    kernels::for_blocks_of(c.size(0), 4 * kernels::cost::kFormula<T> * static_cast<double>(hidden), [=](Index first, Index last) {
      const Index at = first * hidden;
      kernels::lstm_gates(last - first, hidden, in + 4 * at, from + at, gates + 4 * at, h_next + at, c_next + at);
    });
  });
  const Tensor* inputs[] = {&sums, &c};
  detail::record_all(Lstm(), site, inputs, y);
  return {std::move(y[0]), std::move(y[1])};
}

// ---- GRU --------------------------------------------------------------------------------------------------------------------------

class Gru : public Operation {  // A (of x), B (of h), h -> h', the activated gates with b_n
 public:
  const char* name() const override { return "gru_cell"; }
  const char* latex() const override { return R"(\operatorname{GRU}(#1, #2, #3))"; }
  ValueSet saved_for(int) const override { return input(2) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &h = s.x(2), &gates = s.y(1);
    if (recording() || y_bar[1].defined() || !y_bar[0].defined()) {
      detail::GruSource source = detail::gru_vjp(gates, h, {y_bar[0], y_bar[1]});
      x_bar[0] = std::move(source.a);
      x_bar[1] = std::move(source.b);
      x_bar[2] = std::move(source.h);
    } else {
      vjp_now(h.contiguous(), gates, y_bar[0], x_bar);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    detail::GruResult dot = detail::gru_jvp(s.y(1), s.x(2), {x_dot[0], x_dot[1], x_dot[2]});
    y_dot[0] = std::move(dot.h);
    y_dot[1] = std::move(dot.gates);
  }

 private:
  static void vjp_now(const Tensor& h, const Tensor& gates, const Tensor& y_bar, Cotangents& x_bar) {
    const Location site = gates.made_at();
    const Shape sums{h.size(0), 3 * h.size(1)};
    Tensor a_bar = Tensor::uninitialized(sums, h.dtype(), site), b_bar = Tensor::uninitialized(sums, h.dtype(), site);
    Tensor h_bar = y_bar.clone(site);
    detail::dispatch_floating(h.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const Index rows = h.size(0), hidden = h.size(1);
      const T *s = gates.data<T>(), *before = h.data<T>();
      T *to_a = a_bar.mutable_data<T>(), *to_b = b_bar.mutable_data<T>(), *to_h = h_bar.mutable_data<T>();
      kernels::for_blocks_of(rows, 3 * kernels::cost::kFormula<T> * static_cast<double>(hidden), [=](Index first, Index last) {
        const Index at = first * hidden;
        kernels::gru_gates_vjp<T>(last - first, hidden, s + 4 * at, before + at, to_h + at,
                                  {to_a + 3 * at, 3 * hidden, to_b + 3 * at + 2 * hidden, 3 * hidden});
        for (Index row = first; row < last; ++row) std::copy_n(to_a + row * 3 * hidden, 2 * hidden, to_b + row * 3 * hidden);
      });
    });
    x_bar[0] = std::move(a_bar);
    x_bar[1] = std::move(b_bar);
    x_bar[2] = std::move(h_bar);
  }
};

Tensor gru_activation(const Tensor& a, const Tensor& b, const Tensor& h) {
  const Location site = a.made_at();
  const Tensor before = h.constant().contiguous(site);
  Tensor y[2] = {Tensor::uninitialized(h.shape(), h.dtype(), site), Tensor::uninitialized({h.size(0), 4 * h.size(1)}, h.dtype(), site)};
  detail::dispatch_floating(h.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Index rows = h.size(0), hidden = h.size(1);
    const T *in = a.data<T>(), *recurrent = b.data<T>(), *from = before.data<T>();
    T *gates = y[1].mutable_data<T>(), *to = y[0].mutable_data<T>();
    kernels::for_blocks_of(rows, 3 * kernels::cost::kFormula<T> * static_cast<double>(hidden), [=](Index first, Index last) {
      const Index at = first * hidden;
      kernels::gru_gates(last - first, hidden, in + 3 * at, recurrent + 3 * at, from + at, gates + 4 * at, to + at);
    });
  });
  const Tensor* inputs[] = {&a, &b, &h};
  detail::record_all(Gru(), site, inputs, y);
  return std::move(y[0]);
}

void check_cell(const char* name, int gates, const Tensor& x, const Tensor& h, const RecurrentWeights& w) {
  detail::check_floating(name, x);
  if (x.rank() != 2) throw ShapeError(fmt::format("{}: the input {} must be (n, in)", name, describe(x)));
  detail::check_weights(name, gates, x, w);
  detail::check_state(name, "h", h, {x.size(0), w.weight_hh.size(1)}, x);
}

}  // namespace

namespace detail {
namespace {

// The four gates of (n, 4 hidden).
struct LstmGates {
  explicit LstmGates(const Tensor& s) {
    const Index hidden = s.size(1) / 4;
    Tensor* const parts[] = {&i, &f, &g, &o};
    for (Index k = 0; k < 4; ++k) *parts[k] = narrow(s, 1, k * hidden, hidden);
  }
  Tensor i, f, g, o;
};

// m times the slopes of the four activations: a cotangent of the gates becomes one of the sums, or a tangent of the sums one of the gates.
Tensor times_gate_slopes(const LstmGates& s, const Tensor& m) {
  const LstmGates k(m);
  return concat({k.i * sigmoid_slope(s.i), k.f * sigmoid_slope(s.f), k.g * tanh_slope(s.g), k.o * sigmoid_slope(s.o)}, 1);
}

}  // namespace

LstmSource lstm_vjp(const Tensor& gates, const Tensor& c, const Tensor& c_next, const LstmState& next_bar, const Tensor& gates_bar) {
  const LstmGates s(gates);
  const Tensor t = tanh(c_next), zero = Tensor::zeros(c_next.shape(), c_next.dtype());
  const Tensor& h_bar = next_bar.h.defined() ? next_bar.h : zero;
  const Tensor total = detail::plus(next_bar.c, h_bar * s.o * tanh_slope(t));
  const Tensor s_bar = detail::plus(concat({total * s.g, total * c, total * s.i, h_bar * t}, 1), gates_bar);
  return {times_gate_slopes(s, s_bar), total * s.f};
}

LstmResult lstm_jvp(const Tensor& gates, const Tensor& c, const Tensor& c_next, const LstmSource& dot) {
  const LstmGates s(gates);
  const Tensor t = tanh(c_next);
  const Tensor gates_dot = dot.sums.defined() ? times_gate_slopes(s, dot.sums) : Tensor::zeros(gates.shape(), gates.dtype());
  const LstmGates k(gates_dot);
  const Tensor c_dot = detail::plus(k.f * c + k.i * s.g + k.g * s.i, dot.c.defined() ? s.f * dot.c : Tensor());
  return {k.o * t + s.o * tanh_slope(t) * c_dot, c_dot, gates_dot};
}

namespace {

// The parts of (n, 3 hidden) or (n, 4 hidden); none of an undefined tensor.
struct GruGates {
  GruGates(const Tensor& s, Index hidden) {
    Tensor* const parts[] = {&r, &z, &n, &b_n};
    for (Index k = 0; s.defined() && k * hidden < s.size(1); ++k) *parts[k] = narrow(s, 1, k * hidden, hidden);
  }
  Tensor r, z, n, b_n;
};

}  // namespace

GruSource gru_vjp(const Tensor& gates, const Tensor& h, const GruResult& next_bar) {
  const GruGates y(gates, h.size(1)), bar(next_bar.gates, h.size(1));
  const Tensor h_bar = next_bar.h.defined() ? next_bar.h : Tensor::zeros(h.shape(), h.dtype());
  const Tensor z_bar = plus(h_bar * (h - y.n), bar.z) * sigmoid_slope(y.z);
  const Tensor m = plus(h_bar * (1 - y.z), bar.n) * tanh_slope(y.n);
  const Tensor r_bar = plus(m * y.b_n, bar.r) * sigmoid_slope(y.r);
  return {concat({r_bar, z_bar, m}, 1), concat({r_bar, z_bar, plus(m * y.r, bar.b_n)}, 1), h_bar * y.z};
}

GruResult gru_jvp(const Tensor& gates, const Tensor& h, const GruSource& dot) {
  const Tensor zero = Tensor::zeros({h.size(0), 3 * h.size(1)}, h.dtype());
  const GruGates y(gates, h.size(1)), a(dot.a.defined() ? dot.a : zero, h.size(1)), b(dot.b.defined() ? dot.b : zero, h.size(1));
  const Tensor r = (a.r + b.r) * sigmoid_slope(y.r), z = (a.z + b.z) * sigmoid_slope(y.z);
  const Tensor n = (a.n + r * y.b_n + y.r * b.n) * tanh_slope(y.n);
  const Tensor h_dot = (1 - y.z) * n + z * (h - y.n);
  return {plus(h_dot, dot.h.defined() ? y.z * dot.h : Tensor()), concat({r, z, n, b.n}, 1)};
}

void check_weights(const char* name, int gates, const Tensor& x, const RecurrentWeights& w) {
  check_floating(name, x);
  if (!w.weight_ih.defined() || !w.weight_hh.defined()) throw ValueError(fmt::format("{}: weight_ih and weight_hh must be given", name));
  if (w.bias_ih.defined() != w.bias_hh.defined()) throw ValueError(fmt::format("{}: both biases must be given, or neither", name));
  for (const Tensor* t : {&w.weight_ih, &w.weight_hh, &w.bias_ih, &w.bias_hh})
    if (t->defined()) check_same_dtype(name, x, *t, "input", t == &w.weight_ih || t == &w.weight_hh ? "weight" : "bias");
  const Index in = x.shape().back(), hidden = w.weight_hh.shape().back(), rows = gates * hidden;
  const bool fits = w.weight_ih.shape() == Shape{rows, in} && w.weight_hh.shape() == Shape{rows, hidden} &&
                    (!w.bias_ih.defined() || (w.bias_ih.shape() == Shape{rows} && w.bias_hh.shape() == Shape{rows}));
  if (fits) return;
  throw ShapeError(
      ErrorText(name,
                "weight_ih must be ({0}, {1}), weight_hh ({0}, {2}) and biases ({0},) for {1} features of the input and a state of {2}",
                rows, in, hidden)
          .operand("input", x)
          .operand("weight_ih", w.weight_ih)
          .operand("weight_hh", w.weight_hh)
          .operand("bias_ih", w.bias_ih)
          .operand("bias_hh", w.bias_hh));
}

void check_state(const char* name, const char* what, const Tensor& state, const Shape& shape, const Tensor& x) {
  check_same_dtype(name, x, state, "input", what);
  if (!(state.shape() == shape))
    throw ShapeError(
        ErrorText(name, "the state {} must have the shape {}", what, to_string(shape)).operand(what, state).operand("input", x));
}

Tensor gate_sum(const Tensor& x, const Tensor& h, const CellWeights& w) {
  const Location site = x.made_at();
  const Tensor in = x.constant().contiguous(site), state = h.constant().contiguous(site);
  const Tensor input = w.input.constant().contiguous(site), hidden = w.hidden.constant().contiguous(site);
  const Index n = x.size(0), gates = w.input.size(0);
  const Tensor bias = w.bias.defined() ? w.bias.constant().contiguous(site) : Tensor();
  Tensor y = Tensor::uninitialized({n, gates}, x.dtype(), site);
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = y.mutable_data<T>();
    const Index distance = std::max<Index>(gates, 1);
    kernels::product<T>(n, gates, x.size(1), detail::matrix_view<T>(in), detail::matrix_view<T>(input).transposed(), to, distance,
                        {.bias = bias.defined() ? bias.data<T>() : nullptr});
    kernels::product<T>(n, gates, h.size(1), detail::matrix_view<T>(state), detail::matrix_view<T>(hidden).transposed(), to, distance,
                        {.accumulate = true});
  });
  return w.bias.defined() ? record(GateSum(), site, {&x, &w.input, &h, &w.hidden, &w.bias}, std::move(y))
                          : record(GateSum(), site, {&x, &w.input, &h, &w.hidden}, std::move(y));
}

Tensor rnn_step(const Tensor& x, const Tensor& h, const CellWeights& w, Nonlinearity f) {
  const Tensor a = gate_sum(x, h, w);
  return f == Nonlinearity::tanh ? tanh(a) : relu(a);
}

// The reset gate multiplies the biased recurrent term, so the two products remain separate.
Tensor gru_step(const Tensor& x, const Tensor& h, const RecurrentWeights& w) {
  const bool bias = w.bias_ih.defined();
  return gru_activation(bias ? linear(x, w.weight_ih, w.bias_ih) : linear(x, w.weight_ih),
                        bias ? linear(h, w.weight_hh, w.bias_hh) : linear(h, w.weight_hh), h);
}

LstmState lstm_step(const Tensor& x, const LstmState& state, const CellWeights& w) {
  return lstm_activation(gate_sum(x, state.h, w), state.c);
}

}  // namespace detail

Tensor rnn_cell(const Tensor& x, const Tensor& h, const RecurrentWeights& w, Nonlinearity f, Location site) {
  const CallSite scope(site);
  check_cell("rnn_cell", 1, x, h, w);
  return detail::rnn_step(x, h, CellWeights(w), f);
}

Tensor gru_cell(const Tensor& x, const Tensor& h, const RecurrentWeights& w, Location site) {
  const CallSite scope(site);
  check_cell("gru_cell", 3, x, h, w);
  return detail::gru_step(x, h, w);
}

LstmState lstm_cell(const Tensor& x, const LstmState& state, const RecurrentWeights& w, Location site) {
  const CallSite scope(site);
  check_cell("lstm_cell", 4, x, state.h, w);
  detail::check_state("lstm_cell", "c", state.c, {x.size(0), w.weight_hh.size(1)}, x);
  return detail::lstm_step(x, state, CellWeights(w));
}

}  // namespace wengert
