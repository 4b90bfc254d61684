// One direction of one LSTM layer over a whole sequence. It is an operation of its own for speed: a loop over cells reads and writes the
// gradients of both weights at every step. Here the steps do only what must be done step by step, and the gradients of the weights and of x
// come from products over many steps at once.
//
//   forward, t = 0, 1, ...:       A_t = X_t W^T + H_t-1 U^T + b;  H_t, C_t, S_t from the gates (ops/recurrent_cells.cpp), S in A's place
//   backward, t = ..., 1, 0:      A_bar_t, C_bar_t-1 from H_bar_t, C_bar_t;   H_bar_t-1 += A_bar_t U
//   over steps:                   X_bar = A_bar W,   W_bar = A_bar^T X,   U_bar = A_bar^T H shifted by a step,   b_bar = A_bar summed
//
// The backward direction runs through t the other way. S is an output with a cotangent of its own, for the next order.
#include <algorithm>

#include "autodiff/kernels/lstm.h"
#include "autodiff/kernels/product.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/recurrent.h"

namespace wengert {
namespace {

/// In which order the steps are taken.
struct Order {
  Index steps;
  bool backward;

  /// Position of the kth step.
  Index at(Index k) const { return backward ? steps - 1 - k : k; }
  Index first() const { return at(0); }
  Index last() const { return at(steps - 1); }
  /// Where the state before position t is.
  Index before(Index t) const { return backward ? t + 1 : t - 1; }
};

template <class T> kernels::MatrixView<T> rows_of(const T* data, Index columns) { return {data, columns, 1}; }

/// Dense operands of the kernels.
template <class T> struct Layer {
  Layer(const Order& order, const Tensor& x, const Tensor& h0, const Tensor& c0, Tensor& h, Tensor& c, Tensor& gates)
      : order(order),
        n(x.size(1)),
        in(x.size(2)),
        hidden(h0.size(1)),
        x(x.data<T>()),
        h0(h0.data<T>()),
        c0(c0.data<T>()),
        h(static_cast<T*>(h.elements()->data)),
        c(static_cast<T*>(c.elements()->data)),
        gates(static_cast<T*>(gates.elements()->data)) {}

  const T* x_at(Index t) const { return x + t * n * in; }
  T* h_at(Index t) const { return h + t * n * hidden; }
  T* c_at(Index t) const { return c + t * n * hidden; }
  T* gates_at(Index t) const { return gates + t * n * 4 * hidden; }
  const T* h_before(Index t) const { return t == order.first() ? h0 : h_at(order.before(t)); }
  const T* c_before(Index t) const { return t == order.first() ? c0 : c_at(order.before(t)); }

  Order order;
  Index n, in, hidden;
  const T *x, *h0, *c0;
  T *h, *c, *gates;
};

/// w_t (in, 4 hidden) and u_t (hidden, 4 hidden) are W and U transposed.
template <class T> void run_forward(const Layer<T>& l, const T* w_t, const T* u_t, const T* bias) {
  const Index gates = 4 * l.hidden;
  for (Index k = 0; k < l.order.steps; ++k) {
    const Index t = l.order.at(k);
    T* const tile = l.gates_at(t);
    kernels::product<T>(l.n, gates, l.in, rows_of(l.x_at(t), l.in), rows_of(w_t, gates), tile, gates, {.bias = bias});
    kernels::product<T>(l.n, gates, l.hidden, rows_of(l.h_before(t), l.hidden), rows_of(u_t, gates), tile, gates, {.accumulate = true});
    kernels::lstm_gates(l.n, l.hidden, tile, l.c_before(t), tile, l.h_at(t), l.c_at(t));
  }
}

/// Where the cotangents go; null for those that nobody asked for.
template <class T> struct LayerBars {
  T *x, *w, *u, *bias;  ///< w, u and bias start at 0
  T *h, *c;             ///< (n, hidden): start at 0, end as those of the initial state
};

template <class T> void add_to(T* to, const T* from, Index count) {
  kernels::run_elements<T>([=]() __attribute__((always_inline)) {
    for (Index i = 0; i < count; ++i) to[i] += from[i];
  });
}

/// What A_bar of the positions low, low + 1, ... below high gives, which lie one behind the other.
template <class T>
void pull_through_products(const Layer<T>& l, const T* w, const T* a_bar, Index low, Index high, const LayerBars<T>& bars) {
  const Index gates = 4 * l.hidden, rows = (high - low) * l.n;
  const auto a = [&](Index t) { return rows_of(a_bar + (t - low) * l.n * gates, gates); };
  if (bars.x) kernels::product<T>(rows, l.in, gates, a(low), rows_of(w, l.in), bars.x + low * l.n * l.in, l.in);
  if (bars.w) kernels::product<T>(gates, l.in, rows, a(low).transposed(), rows_of(l.x_at(low), l.in), bars.w, l.in, {.accumulate = true});
  if (bars.u) {
    const auto add = [&](Index t, Index count, const T* states) {
      kernels::product<T>(gates, l.hidden, count * l.n, a(t).transposed(), rows_of(states, l.hidden), bars.u, l.hidden,
                          {.accumulate = true});
    };
    // The first step, which is at either end, follows the initial state; the others follow outputs.
    const Index first = l.order.first();
    const bool has_first = low <= first && first < high;
    const Index from = has_first && first == low ? low + 1 : low, to = has_first && first != low ? high - 1 : high;
    if (has_first) add(first, 1, l.h0);
    if (to > from) add(from, to - from, l.h_at(l.order.before(from)));
  }
  if (bars.bias)
    for (Index row = 0; row < rows; ++row) add_to(bars.bias, a_bar + row * gates, gates);
}

/// h_bar and c_bar, (t, n, hidden), may be null.
template <class T> void run_backward(const Layer<T>& l, const T* w, const T* u, const T* h_bar, const T* c_bar, const LayerBars<T>& bars) {
  constexpr Index kRows = 256;  // of A_bar at once: enough for a product to be fast, few enough to stay in the cache
  const Index gates = 4 * l.hidden, states = l.n * l.hidden, chunk = std::max<Index>(1, kRows / l.n);
  const kernels::Scratch<T> a_bar(chunk * l.n * gates);
  for (Index end = l.order.steps; end > 0; end -= std::min(end, chunk)) {
    const Index begin = std::max<Index>(0, end - chunk);
    const Index low = std::min(l.order.at(begin), l.order.at(end - 1)), high = low + end - begin;
    for (Index k = end; k-- > begin;) {
      const Index t = l.order.at(k);
      T* const sums_bar = a_bar.data() + (t - low) * l.n * gates;
      if (h_bar) add_to(bars.h, h_bar + t * states, states);
      if (c_bar) add_to(bars.c, c_bar + t * states, states);
      kernels::lstm_gates_vjp(l.n, l.hidden, l.gates_at(t), l.c_before(t), l.c_at(t), bars.h, bars.c, sums_bar, bars.c);
      kernels::product<T>(l.n, l.hidden, gates, rows_of(sums_bar, gates), rows_of(u, l.hidden), bars.h, l.hidden);
    }
    pull_through_products(l, w, a_bar.data(), low, high, bars);
  }
}

/// (t, n, k) as (t n, k).
Tensor flat(const Tensor& x) { return reshape(x, {x.size(0) * x.size(1), x.size(2)}); }

enum Input { kX, kW, kH, kU, kC, kBias };

class LstmLayer : public Operation {  // x, W, h, U, c and, if there is one, the bias -> H, C, S
 public:
  explicit LstmLayer(const Order& order) : order_(order) {}
  const char* name() const override { return "lstm"; }
  const char* latex() const override { return R"(\operatorname{LSTM}(#1))"; }
  ValueSet reads(int) const override {
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
      const auto add = [&](const Tensor& term) { sums = sums.defined() ? sums + term : term; };
      if (x_dot[kX].defined()) add(linear(select(x_dot[kX], 0, t), s.x(kW)));
      if (x_dot[kW].defined()) add(linear(select(s.x(kX), 0, t), x_dot[kW]));
      if (dot.h.defined()) add(linear(dot.h, s.x(kU)));
      if (x_dot[kU].defined()) add(linear(before(s, t, 0, kH), x_dot[kU]));
      if (s.inputs() > kBias && x_dot[kBias].defined()) add(expand(x_dot[kBias], {s.y_shape(2)[1], s.y_shape(2)[2]}));
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

 private:
  std::size_t count() const { return static_cast<std::size_t>(order_.steps); }
  /// The state before position t: an output, or the initial one.
  Tensor before(const Saved& s, Index t, int output, int initial) const {
    return t == order_.first() ? s.x(initial) : select(s.y(output), 0, order_.before(t));
  }

  void vjp_recorded(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    const auto part = [](const Tensor& whole, Index t) { return whole.defined() ? select(whole, 0, t) : Tensor(); };
    const auto sum = [](const Tensor& a, const Tensor& b) { return a.defined() && b.defined() ? a + b : a.defined() ? a : b; };
    pool::Vector<Tensor> a(count());
    LstmState bar;
    for (Index k = order_.steps; k-- > 0;) {
      const Index t = order_.at(k);
      const LstmState next_bar{sum(bar.h, part(y_bar[0], t)), sum(bar.c, part(y_bar[1], t))};
      detail::LstmSource source =
          detail::lstm_vjp(select(s.y(2), 0, t), before(s, t, 1, kC), select(s.y(1), 0, t), next_bar, part(y_bar[2], t));
      bar = {matmul(source.sums, s.x(kU)), std::move(source.c)};
      a[static_cast<std::size_t>(t)] = std::move(source.sums);
    }
    const Tensor a_bar = stack(std::span<const Tensor>(a)), a_t = transpose(flat(a_bar));
    if (x_bar.wants(kX)) x_bar[kX] = matmul(a_bar, s.x(kW));
    if (x_bar.wants(kW)) x_bar[kW] = matmul(a_t, flat(s.x(kX)));
    if (x_bar.wants(kU)) {
      const Tensor h0 = unsqueeze(s.x(kH), 0), rest = narrow(s.y(0), 0, order_.backward ? 1 : 0, order_.steps - 1);
      x_bar[kU] = matmul(a_t, flat(order_.backward ? concat({rest, h0}) : concat({h0, rest})));
    }
    if (s.inputs() > kBias && x_bar.wants(kBias)) x_bar[kBias] = a_bar;
    if (x_bar.wants(kH)) x_bar[kH] = bar.h;
    if (x_bar.wants(kC)) x_bar[kC] = bar.c;
  }

  void vjp_now(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const {
    const auto dense = [](const Tensor& t) { return t.defined() ? t.contiguous() : t; };
    const Tensor x = dense(s.x(kX)), w = dense(s.x(kW)), h0 = dense(s.x(kH)), u = dense(s.x(kU)), c0 = dense(s.x(kC));
    const Tensor h_bar = dense(y_bar[0]), c_bar = dense(y_bar[1]);
    Tensor h = s.y(0), c = s.y(1), gates = s.y(2);
    const auto make = [&](int i, const Shape& shape) {
      if (x_bar.wants(i)) x_bar[i] = Tensor::zeros(shape, x.dtype(), h.made_at());
    };
    make(kX, x.shape());
    make(kW, w.shape());
    make(kU, u.shape());
    if (s.inputs() > kBias) make(kBias, {u.size(0)});
    x_bar[kH] = Tensor::zeros(h0.shape(), x.dtype(), h.made_at());
    x_bar[kC] = Tensor::zeros(c0.shape(), x.dtype(), h.made_at());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto at = [&](int i) { return x_bar.wants(i) ? x_bar[i].template mutable_data<T>() : nullptr; };
      const LayerBars<T> bars{at(kX),
                              at(kW),
                              at(kU),
                              s.inputs() > kBias ? at(kBias) : nullptr,
                              x_bar[kH].template mutable_data<T>(),
                              x_bar[kC].template mutable_data<T>()};
      run_backward<T>({order_, x, h0, c0, h, c, gates}, w.data<T>(), u.data<T>(), h_bar.defined() ? h_bar.data<T>() : nullptr,
                      c_bar.defined() ? c_bar.data<T>() : nullptr, bars);
    });
  }

  Order order_;
};

}  // namespace

Tensor detail::lstm_layer(const Tensor& x, LstmState& state, const CellWeights& w, bool backward) {
  const Location where = x.made_at();
  const Order order{x.size(0), backward};
  const auto dense = [&](const Tensor& t) { return t.constant().contiguous(where); };
  const Tensor in = dense(x), h0 = dense(state.h), c0 = dense(state.c);
  const Tensor w_t = dense(transpose(w.input.constant())), u_t = dense(transpose(w.hidden.constant()));
  const Tensor bias = w.bias.defined() ? dense(w.bias) : Tensor();
  const Index steps = x.size(0), n = x.size(1), hidden = h0.size(1);
  Tensor y[3] = {Tensor::uninitialized({steps, n, hidden}, x.dtype(), where), Tensor::uninitialized({steps, n, hidden}, x.dtype(), where),
                 Tensor::uninitialized({steps, n, 4 * hidden}, x.dtype(), where)};
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    run_forward<T>({order, in, h0, c0, y[0], y[1], y[2]}, w_t.data<T>(), u_t.data<T>(), bias.defined() ? bias.data<T>() : nullptr);
  });
  const Tensor* inputs[] = {&x, &w.input, &state.h, &w.hidden, &state.c, &w.bias};
  record_all(LstmLayer(order), where, std::span(inputs).first(w.bias.defined() ? 6 : 5), y);
  state = {select(y[0], 0, order.last()), select(y[1], 0, order.last())};
  return std::move(y[0]);
}

}  // namespace wengert
