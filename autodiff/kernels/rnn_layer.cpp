#include "autodiff/kernels/recurrent_steps.h"

namespace wengert::kernels {
namespace {

using recurrent::rows_of;
using recurrent::RowsOfBatch;

template <class T> recurrent::Steps<T> steps_of(const RnnLayer<T>& layer) {
  return {layer, {layer.hidden, layer.hidden, {{{0, layer.hidden, 0}}}}};
}

// f of the sums, where they are.
template <class T> void activate(T* sums, Index count, bool relu) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    if (relu) {
      for (Index i = 0; i < count; ++i) sums[i] = sums[i] <= 0 ? 0 : sums[i];
    } else {
      for (Index i = 0; i < count; ++i) sums[i] = fn::straight::tanh(sums[i]);
    }
  });
}

// The cotangents of the sums from h and those of h: h_bar (1 - h^2), or h_bar, but 0 where h <= 0.
template <class T> void activate_vjp(const T* h, const T* h_bar, T* sums_bar, Index count, bool relu) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    if (relu) {
      for (Index i = 0; i < count; ++i) sums_bar[i] = h[i] <= 0 ? 0 : h_bar[i];
    } else {
      for (Index i = 0; i < count; ++i) sums_bar[i] = h_bar[i] * (1 - h[i] * h[i]);
    }
  });
}

}  // namespace

template <class T> void rnn_layer_forward(const RnnLayer<T>& layer) {
  const recurrent::Steps<T> l = steps_of(layer);
  const recurrent::InputSums<T> inputs(l);
  const PackedMatrix<T> u_t(l.hidden, l.hidden, rows_of(l.u, l.hidden).transposed());
  l.for_rows(l.steps, [&](RowsOfBatch rows) {
    const Index state = rows.first * l.hidden;
    for (Index k = 0; k < l.steps; ++k) {
      const Index t = l.position(k);
      T* const h = l.h + t * l.n * l.hidden + state;
      inputs.write(t, rows, h);
      gemm(rows.count, rows_of(l.h_before(t) + state, l.hidden), u_t, h, l.hidden, {.accumulate = true});
      activate(h, rows.count * l.hidden, layer.relu);
    }
  });
}

template <class T> void rnn_layer_backward(const RnnLayer<T>& layer, const T* h_bar, const RecurrentLayerBars<T>& bars) {
  const recurrent::Steps<T> l = steps_of(layer);
  const PackedMatrix<T> u(l.hidden, l.hidden, rows_of(l.u, l.hidden));
  recurrent::sweep(l, h_bar, bars, [&](Index t, RowsOfBatch rows, T* sums_bar, T* h_sum) {
    activate_vjp(l.h + (t * l.n + rows.first) * l.hidden, h_sum, sums_bar, rows.count * l.hidden, layer.relu);
    gemm(rows.count, rows_of<T>(sums_bar, l.hidden), u, h_sum, l.hidden);
  });
}

template void rnn_layer_forward(const RnnLayer<float>&);
template void rnn_layer_forward(const RnnLayer<double>&);
template void rnn_layer_backward(const RnnLayer<float>&, const float*, const RecurrentLayerBars<float>&);
template void rnn_layer_backward(const RnnLayer<double>&, const double*, const RecurrentLayerBars<double>&);

}  // namespace wengert::kernels
