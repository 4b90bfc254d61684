// Whole sequences through layers of cells. Without lengths one direction of a layer is one operation (ops/recurrent_layer.h); with them it
// is a loop over cells.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/composition_scope.h"
#include "autodiff/ops/recurrent.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The state of one layer and direction: h, and for an LSTM c.
template <std::size_t N> using State = std::array<Tensor, N>;

// The states of all layers and directions: (layers directions, n, hidden) each.
template <std::size_t N> struct Run {
  Tensor output;
  State<N> last;
};

struct Plan {
  const char* name;
  int gates;
  std::span<const RecurrentWeights> weights;
  const RecurrentOptions& options;
  bool relu = false;  // of rnn: instead of tanh

  Index directions() const { return options.bidirectional ? 2 : 1; }
  Index hidden() const { return weights[0].weight_hh.size(1); }
  Index cells() const { return static_cast<Index>(weights.size()); }
};

// x for layer 0, else zeros in the shape of the layer's input: for checking all weights before anything is computed.
Tensor input_of_layer(const Plan& p, const Tensor& x, Index layer) {
  if (layer == 0) return x;
  Shape shape = x.shape();
  shape[2] = p.directions() * p.hidden();
  return expand(Tensor::zeros({1, 1, 1}, x.dtype()), shape);
}

void check_lengths(const Plan& p, Index n, Index steps) {
  const Tensor& lengths = p.options.lengths;
  if (!lengths.defined()) return;
  if (lengths.dtype() != int64)
    throw DtypeError(detail::ErrorText(p.name, "the lengths {} are not int64", describe(lengths)).hint("convert them with .to(int64)"));
  if (!(lengths.shape() == Shape{n}))
    throw ShapeError(fmt::format("{}: the lengths {} must have the shape ({},), one for each sequence", p.name, describe(lengths), n));
  for (Index i = 0; i < n; ++i)
    if (lengths.element(i) < 0 || lengths.element(i) > static_cast<double>(steps))
      throw ShapeError(fmt::format("{}: length {} of sequence {} is not in [0, {}]", p.name, lengths.element(i), i, steps));
}

// x is (t, n, in).
template <std::size_t N> void check_sequence(const Plan& p, const Tensor& x, const State<N>& initial) {
  if (p.weights.empty() || p.cells() % p.directions() != 0)
    throw ShapeError(fmt::format("{}: {} sets of weights cannot be divided into layers of {} direction{}", p.name, p.weights.size(),
                                 p.directions(), p.directions() == 1 ? "" : "s"));
  for (Index i = 0; i < p.cells(); ++i)
    detail::check_weights(p.name, p.gates, input_of_layer(p, x, i / p.directions()), p.weights[static_cast<std::size_t>(i)]);
  detail::check_probability(p.name, p.options.dropout, x);
  static constexpr const char* names[] = {"h", "c"};
  for (std::size_t k = 0; k < N; ++k)
    if (initial[k].defined()) detail::check_state(p.name, names[k], initial[k], {p.cells(), x.size(1), p.hidden()}, x);
  check_lengths(p, x.size(1), x.size(0));
}

bool is_one_operation(const Tensor& x, const RecurrentOptions& options) {
  return !options.lengths.defined() && x.size(0) > 0 && x.size(1) > 0;
}

// One direction of one layer over x (t, n, in). Updates `state` to the last one; returns (t, n, hidden).
template <std::size_t N, class Step>
Tensor run_direction(const Tensor& x, State<N>& state, bool backward, const Tensor& lengths, const Step& step) {
  const Index steps = x.size(0);
  const double shortest = lengths.defined() && lengths.size() > 0 ? min(lengths).item() : static_cast<double>(steps);
  pool::Vector<Tensor> h(static_cast<std::size_t>(steps));
  for (Index k = 0; k < steps; ++k) {
    const Index t = backward ? steps - 1 - k : k;
    const Tensor x_t = select(x, 0, t);
    Tensor& out = h[static_cast<std::size_t>(t)];
    State<N> next;
    if (shortest <= static_cast<double>(t)) {  // some sequences have ended: their states stay, and their padding is ignored
      const Tensor lives = unsqueeze(lengths > static_cast<double>(t), 1);
      next = step(where(lives, x_t, 0), state);
      out = where(lives, next[0], 0);
      for (std::size_t s = 0; s < N; ++s) next[s] = where(lives, next[s], state[s]);
    } else {
      next = step(x_t, state);
      out = next[0];
    }
    state = std::move(next);
  }
  if (steps == 0) return Tensor::zeros({0, x.size(1), state[0].size(1)}, x.dtype());
  return stack(std::span<const Tensor>(h));
}

// All layers. `run(x, state, backward, weights)` computes one direction of one layer.
template <std::size_t N, class Direction>
Run<N> run_layers(const Plan& p, const Tensor& input, const State<N>& initial, const Direction& run) {
  const RecurrentOptions& o = p.options;
  const auto start = [&](const Tensor& all, Index cell) {
    return all.defined() ? select(all, 0, cell) : Tensor::zeros({input.size(1), p.hidden()}, input.dtype());
  };
  std::array<pool::Vector<Tensor>, N> last;
  Tensor x = input;
  for (Index layer = 0; layer < p.cells() / p.directions(); ++layer) {
    if (layer > 0 && o.dropout > 0) x = dropout(x, o.dropout, o.generator ? *o.generator : default_generator());
    Tensor outputs[2];
    for (Index d = 0; d < p.directions(); ++d) {
      const Index cell = layer * p.directions() + d;
      State<N> state;
      for (std::size_t k = 0; k < N; ++k) state[k] = start(initial[k], cell);
      outputs[d] = run(x, state, d == 1, p.weights[static_cast<std::size_t>(cell)]);
      for (std::size_t k = 0; k < N; ++k) last[k].push_back(std::move(state[k]));
    }
    x = p.directions() == 1 ? outputs[0] : concat({outputs[0], outputs[1]}, 2);
  }
  Run<N> result{x, {}};
  for (std::size_t k = 0; k < N; ++k) result.last[k] = stack(std::span<const Tensor>(last[k]));
  return result;
}

// x, the initial states, the lengths, and the four tensors of each set of weights.
template <std::size_t N> pool::Vector<const Tensor*> operands_of(const Plan& p, const Tensor& x, const State<N>& initial) {
  pool::Vector<const Tensor*> list{&x};
  for (const Tensor& state : initial) list.push_back(&state);
  list.push_back(&p.options.lengths);
  for (const RecurrentWeights& w : p.weights)
    for (const Tensor* t : {&w.weight_ih, &w.weight_hh, &w.bias_ih, &w.bias_hh}) list.push_back(t);
  return list;
}

// Checks the arguments and handles `.batch_first`.
template <std::size_t N, class Direction>
Run<N> run_sequence(const Plan& p, const Tensor& x, const State<N>& initial, Location site, const Direction& direction) {
  detail::check_floating(p.name, x);
  if (x.rank() != 3)
    throw ShapeError(fmt::format("{}: the input {} must be {}", p.name, describe(x), p.options.batch_first ? "(n, t, in)" : "(t, n, in)"));
  const CallSite scope(site);
  const Tensor in_time = p.options.batch_first ? transpose(x, 0, 1) : x;
  check_sequence<N>(p, in_time, initial);
  detail::CompositionScope whole(p.options.dropout > 0 ? "recurrence with dropout" : p.name, operands_of<N>(p, in_time, initial),
                                 [&](OperationOptions& to) { to.set("bidirectional", p.options.bidirectional), to.set("relu", p.relu); });
  Run<N> run = run_layers<N>(p, in_time, initial, direction);
  if constexpr (N == 1) {
    whole.end({&run.output, &run.last[0]});
  } else {
    whole.end({&run.output, &run.last[0], &run.last[1]});
  }
  if (p.options.batch_first) run.output = transpose(run.output, 0, 1);
  return run;
}

}  // namespace

Sequence rnn(const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, Nonlinearity f, const RecurrentOptions& options,
             Location site) {
  const CallSite scope(site);
  const auto direction = [&](const Tensor& in, State<1>& state, bool backward, const RecurrentWeights& weights) {
    const detail::CellWeights cell(weights);
    if (is_one_operation(in, options)) return detail::rnn_layer(in, state[0], cell, f, backward);
    return run_direction<1>(in, state, backward, options.lengths,
                            [&](const Tensor& x_t, const State<1>& s) { return State<1>{detail::rnn_step(x_t, s[0], cell, f)}; });
  };
  auto [output, last] = run_sequence<1>({"rnn", 1, w, options, f == Nonlinearity::relu}, x, {h}, site, direction);
  return {std::move(output), std::move(last[0])};
}

Sequence gru(const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& options, Location site) {
  const CallSite scope(site);
  const auto direction = [&](const Tensor& in, State<1>& state, bool backward, const RecurrentWeights& weights) {
    if (is_one_operation(in, options)) return detail::gru_layer(in, state[0], weights, backward);
    return run_direction<1>(in, state, backward, options.lengths,
                            [&](const Tensor& x_t, const State<1>& s) { return State<1>{detail::gru_step(x_t, s[0], weights)}; });
  };
  auto [output, last] = run_sequence<1>({"gru", 3, w, options}, x, {h}, site, direction);
  return {std::move(output), std::move(last[0])};
}

LstmSequence lstm(const Tensor& x, const LstmState& state, std::span<const RecurrentWeights> w, const RecurrentOptions& options,
                  Location site) {
  const CallSite scope(site);
  const auto direction = [&](const Tensor& in, State<2>& states, bool backward, const RecurrentWeights& weights) {
    const detail::CellWeights cell(weights);
    if (!is_one_operation(in, options))
      return run_direction<2>(in, states, backward, options.lengths, [&](const Tensor& x_t, const State<2>& s) {
        LstmState next = detail::lstm_step(x_t, {s[0], s[1]}, cell);
        return State<2>{std::move(next.h), std::move(next.c)};
      });
    LstmState s{states[0], states[1]};
    Tensor output = detail::lstm_layer(in, s, cell, backward);
    states = {std::move(s.h), std::move(s.c)};
    return output;
  };
  auto [output, last] = run_sequence<2>({"lstm", 4, w, options}, x, {state.h, state.c}, site, direction);
  return {std::move(output), {std::move(last[0]), std::move(last[1])}};
}

}  // namespace wengert
