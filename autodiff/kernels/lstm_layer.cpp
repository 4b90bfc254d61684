#include "autodiff/kernels/lstm_gates.h"
#include "autodiff/kernels/recurrent_steps.h"

namespace wengert::kernels {
namespace {

using recurrent::rows_of;
using recurrent::RowsOfBatch;

template <class T> recurrent::Steps<T> steps_of(const LstmLayer<T>& layer) {
  const Index columns = 4 * layer.hidden;
  return {layer, {columns, columns, {{{0, columns, 0}}}}};
}

}  // namespace

template <class T> void lstm_layer_forward(const LstmLayer<T>& layer) {
  const recurrent::Steps<T> l = steps_of(layer);
  const recurrent::InputSums<T> inputs(l);
  const PackedMatrix<T> u_t(l.hidden, l.gates.row, rows_of(l.u, l.hidden).transposed());
  l.for_rows(l.steps, [&](RowsOfBatch rows) {
    const Index state = rows.first * l.hidden;
    for (Index k = 0; k < l.steps; ++k) {
      const Index t = l.position(k), states = t * l.n * l.hidden + state;
      T* const sums = layer.gates + 4 * states;
      inputs.write(t, rows, sums);
      gemm(rows.count, rows_of(l.h_before(t) + state, l.hidden), u_t, sums, l.gates.row, {.accumulate = true});
      lstm_gates(rows.count, l.hidden, sums, l.before(t, layer.c, layer.c0) + state, sums, l.h + states, layer.c + states);
    }
  });
}

template <class T> void lstm_layer_backward(const LstmLayer<T>& layer, const T* h_bar, const T* c_bar, const RecurrentLayerBars<T>& bars) {
  const recurrent::Steps<T> l = steps_of(layer);
  const PackedMatrix<T> u(l.gates.row, l.hidden, rows_of(l.u, l.hidden));
  std::fill_n(bars.c0, l.n * l.hidden, T(0));
  recurrent::sweep(l, h_bar, bars, [&](Index t, RowsOfBatch rows, T* sums_bar, T* h_sum) {
    const Index state = rows.first * l.hidden, here = t * l.n * l.hidden + state;
    T* const c_sum = bars.c0 + state;
    if (c_bar) recurrent::add_to(c_sum, c_bar + here, rows.count * l.hidden);
    lstm_gates_vjp(rows.count, l.hidden, layer.gates + 4 * here, l.before(t, layer.c, layer.c0) + state, layer.c + here, h_sum, c_sum,
                   sums_bar, c_sum);
    gemm(rows.count, rows_of<T>(sums_bar, l.gates.row), u, h_sum, l.hidden);
  });
}

template void lstm_layer_forward(const LstmLayer<float>&);
template void lstm_layer_forward(const LstmLayer<double>&);
template void lstm_layer_backward(const LstmLayer<float>&, const float*, const float*, const RecurrentLayerBars<float>&);
template void lstm_layer_backward(const LstmLayer<double>&, const double*, const double*, const RecurrentLayerBars<double>&);

}  // namespace wengert::kernels
