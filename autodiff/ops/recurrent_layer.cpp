#include "autodiff/ops/recurrent_layer.h"

#include <algorithm>

namespace wengert::detail {
namespace {

// (t, n, k) as (t n, k).
Tensor flat(const Tensor& x) { return reshape(x, {checked_size("recurrence", x.shape(), 0, 2), x.size(2)}); }

}  // namespace

Tensor RecurrentLayer::input_sums_dot(const Saved& s, std::span<const Tensor> x_dot, Index t) const {
  Tensor sums;
  if (x_dot[kX].defined()) sums = linear(select(x_dot[kX], 0, t), s.x(kW));
  if (x_dot[kW].defined()) sums = plus(sums, linear(select(s.x(kX), 0, t), x_dot[kW]));
  return sums;
}

Tensor RecurrentLayer::state_sums_dot(const Saved& s, std::span<const Tensor> x_dot, const Tensor& h_dot, Index t) const {
  Tensor sums;
  if (h_dot.defined()) sums = linear(h_dot, s.x(kU));
  if (x_dot[kU].defined()) sums = plus(sums, linear(before(s, t, 0, kH), x_dot[kU]));
  return sums;
}

void RecurrentLayer::add_input_products(const Saved& s, const Tensor& a_bar, Cotangents& x_bar) const {
  if (x_bar.needs(kX)) x_bar[kX] = matmul(a_bar, s.x(kW));
  if (x_bar.needs(kW)) x_bar[kW] = matmul(transpose(flat(a_bar)), flat(s.x(kX)));
}

void RecurrentLayer::add_state_products(const Saved& s, const Tensor& b_bar, Cotangents& x_bar) const {
  if (!x_bar.needs(kU)) return;
  const Tensor h0 = unsqueeze(s.x(kH), 0), rest = narrow(s.y(0), 0, backward_ ? 1 : 0, steps_ - 1);
  x_bar[kU] = matmul(transpose(flat(b_bar)), flat(backward_ ? concat({rest, h0}) : concat({h0, rest})));
}

Tensor RecurrentLayer::with_dense_rows(const Tensor& x) {
  const Shape& strides = x.strides();
  const Index in = x.size(2);
  const bool fits = (in == 1 || strides[2] == 1) && strides[0] >= in && strides[1] >= in;
  return fits ? x.constant() : dense(x);
}

void RecurrentLayer::make_cotangents(const Saved& s, std::initializer_list<int> states, Cotangents& x_bar) {
  for (int i = 0; i < s.inputs(); ++i)
    if (x_bar.needs(i) || std::find(states.begin(), states.end(), i) != states.end())
      x_bar[i] = Tensor::uninitialized(s.x_shape(i), s.y(0).dtype());
}

}  // namespace wengert::detail
