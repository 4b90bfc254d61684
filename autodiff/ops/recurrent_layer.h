#pragma once
// Internal.
// Shared by the operations that are one direction of one recurrent layer over a whole sequence. These are operations for speed: a loop over
// cells reads and writes the gradients of both weights at every step. In one operation each step computes only what depends on the previous
// step; the gradients of the weights and of x are products over many steps at once.
//
//   forward, t = 0, 1, ...:    A_t = X_t W^T + b,  B_t = H_t-1 U^T + b';  H_t from the gates, which ops/recurrent_cells.cpp defines
//   backward, t = ..., 1, 0:   A_bar_t, B_bar_t from H_bar_t;   H_bar_t-1 += B_bar_t U
//   over steps:                X_bar = A_bar W,   W_bar = A_bar^T X,   U_bar = B_bar^T H shifted by a step,   b_bar = A_bar summed
//
// The backward direction runs through t in reverse.
#include "autodiff/kernels/recurrent_layer.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/recurrent.h"
#include "autodiff/tape/operation_options.h"

namespace wengert::detail {

/// x (steps, n, in), W, h (n, hidden), U, and what a kind of layer has more -> H (steps, n, hidden), ...
class RecurrentLayer : public OperationWithOptions {
 public:
  RecurrentLayer(Index steps, bool backward) : steps_(steps), backward_(backward) {}
  void options(OperationOptions& to) const override { to.set("backward", backward_); }
  double multiply_adds(const Saved& s) const override {
    const Shape &x = s.x_shape(kX), &w = s.x_shape(kW);
    return static_cast<double>(x[0] * x[1] * w[0]) * static_cast<double>(x[2] + s.x_shape(kH)[1]);
  }

 protected:
  enum Input { kX, kW, kH, kU };
  using Parts = pool::Vector<Tensor>;  // of the positions

  ~RecurrentLayer() = default;

  /// Position of the kth step.
  Index at(Index k) const { return backward_ ? steps_ - 1 - k : k; }
  Index last() const { return at(steps_ - 1); }
  Parts parts() const { return Parts(static_cast<std::size_t>(steps_)); }
  static Tensor part(const Tensor& whole, Index t) { return whole.defined() ? select(whole, 0, t) : Tensor(); }
  /// The state before position t: of the output, or the initial one.
  Tensor before(const Saved& s, Index t, int output, int initial) const {
    return t == at(0) ? s.x(initial) : select(s.y(output), 0, backward_ ? t + 1 : t - 1);
  }

  /// The tangents of X_t W^T and of H_t-1 U^T; undefined where they are 0.
  Tensor input_sums_dot(const Saved& s, std::span<const Tensor> x_dot, Index t) const;
  Tensor state_sums_dot(const Saved& s, std::span<const Tensor> x_dot, const Tensor& h_dot, Index t) const;
  /// Adds what the cotangents of the sums, (steps, n, gates hidden), give with respect to x and W, and to U.
  void add_input_products(const Saved& s, const Tensor& a_bar, Cotangents& x_bar) const;
  void add_state_products(const Saved& s, const Tensor& b_bar, Cotangents& x_bar) const;

  // For the kernels.

  /// x as they read it: rows are dense and do not overlap.
  static Tensor with_dense_rows(const Tensor& x);
  static Tensor dense(const Tensor& t) { return t.defined() ? t.constant().contiguous() : t; }
  template <class T> static const T* elements(const Tensor& t) { return t.defined() ? t.data<T>() : nullptr; }
  template <class T> static T* elements_of(const Tensor& result) { return static_cast<T*>(result.elements()->data); }
  template <class T> static T* elements_of(Cotangents& x_bar, int i, int inputs) {
    return i < inputs && x_bar[i].defined() ? elements_of<T>(x_bar[i]) : nullptr;
  }
  /// The operands that all kinds have, densely; the rules need no bias.
  struct Operands {
    Operands(const Tensor& x, const Tensor& w, const Tensor& h0, const Tensor& u, const Tensor& bias)
        : x(with_dense_rows(x)), w(dense(w)), h0(dense(h0)), u(dense(u)), bias(dense(bias)) {}
    explicit Operands(const Saved& s) : Operands(s.x(kX), s.x(kW), s.x(kH), s.x(kU), {}) {}
    Tensor x, w, h0, u, bias;
  };
  /// The operands, which stay where they are, with the result H.
  template <class T> kernels::RecurrentLayer<T> layer(const Operands& o, const Tensor& h) const {
    return {
        steps_,           o.x.size(1),      o.x.size(2),   o.h0.size(1),  backward_,           static_cast<const T*>(o.x.elements()->data),
        o.x.strides()[0], o.x.strides()[1], o.w.data<T>(), o.u.data<T>(), elements<T>(o.bias), o.h0.data<T>(),
        elements_of<T>(h)};
  }
  /// Memory for the cotangents that are wanted, and for those of the states, which the kernels need.
  static void make_cotangents(const Saved& s, std::initializer_list<int> states, Cotangents& x_bar);

  Index steps_;
  bool backward_;
};

}  // namespace wengert::detail
