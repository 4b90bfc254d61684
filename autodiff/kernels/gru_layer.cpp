#include "autodiff/kernels/gru_gates.h"
#include "autodiff/kernels/recurrent_steps.h"

namespace wengert::kernels {
namespace {

using recurrent::rows_of;
using recurrent::RowsOfBatch;

// Rows of gates are (r, z, n, b_n) of gru_gates.h, and rows of their cotangents (a_bar, b_n_bar): r and z have the same sums of x and h.
template <class T> recurrent::Steps<T> steps_of(const GruLayer<T>& layer) {
  const Index hidden = layer.hidden;
  return {layer, {4 * hidden, 3 * hidden, {{{0, 2 * hidden, 0}, {3 * hidden, hidden, 2 * hidden}}}}};
}

}  // namespace

template <class T> void gru_layer_forward(const GruLayer<T>& layer) {
  const recurrent::Steps<T> l = steps_of(layer);
  const recurrent::InputSums<T> inputs(l);
  const Index sums = 3 * l.hidden;
  const PackedMatrix<T> u_t(l.hidden, sums, rows_of(l.u, l.hidden).transposed());
  l.for_rows(l.steps, [&](RowsOfBatch rows) {
    const Index state = rows.first * l.hidden;
    const Scratch<T> of_h(rows.count * sums);
    for (Index k = 0; k < l.steps; ++k) {
      const Index t = l.position(k), here = t * l.n * l.hidden + state;
      const T* const before = l.h_before(t) + state;
      inputs.write(t, rows, layer.gates + 4 * here);
      gemm(rows.count, rows_of(before, l.hidden), u_t, of_h.data(), sums, {.bias = layer.bias_hh});
      gru_gates(rows.count, l.hidden, of_h.data(), before, layer.gates + 4 * here, l.h + here);
    }
  });
}

template <class T> void gru_layer_backward(const GruLayer<T>& layer, const T* h_bar, const RecurrentLayerBars<T>& bars) {
  const recurrent::Steps<T> l = steps_of(layer);
  const Index hidden = l.hidden, row = l.gates.row;
  const PackedMatrix<T> u_rz(2 * hidden, hidden, rows_of(l.u, hidden)), u_n(hidden, hidden, rows_of(l.u + 2 * hidden * hidden, hidden));
  recurrent::sweep(l, h_bar, bars, [&](Index t, RowsOfBatch rows, T* gates_bar, T* h_sum) {
    const Index state = rows.first * hidden, here = t * l.n * hidden + state;
    gru_gates_vjp<T>(rows.count, hidden, layer.gates + 4 * here, l.h_before(t) + state, h_sum,
                     {gates_bar, row, gates_bar + 3 * hidden, row});
    gemm(rows.count, rows_of<T>(gates_bar, row), u_rz, h_sum, hidden, {.accumulate = true});
    gemm(rows.count, rows_of<T>(gates_bar + 3 * hidden, row), u_n, h_sum, hidden, {.accumulate = true});
  });
}

template void gru_layer_forward(const GruLayer<float>&);
template void gru_layer_forward(const GruLayer<double>&);
template void gru_layer_backward(const GruLayer<float>&, const float*, const RecurrentLayerBars<float>&);
template void gru_layer_backward(const GruLayer<double>&, const double*, const RecurrentLayerBars<double>&);

}  // namespace wengert::kernels
