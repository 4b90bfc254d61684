#pragma once
// Exercise 3. A layer with a bias: H = tanh(X W + b), where b is added to each row. Given H_bar = dE/dH, write W_bar and b_bar.
#include <autodiff/autodiff.h>

/// X (n, in), H (n, out), H_bar (n, out) -> (in, out)
inline wengert::Tensor W_bar(const wengert::Tensor& X, const wengert::Tensor& H, const wengert::Tensor& H_bar) {
  const wengert::Tensor A_bar = H_bar * H;  // not right: A = X W + b, and H = tanh(A)
  return matmul(transpose(X), A_bar);
}

/// H (n, out), H_bar (n, out) -> (out)
inline wengert::Tensor b_bar(const wengert::Tensor& H, const wengert::Tensor& H_bar) {
  return sum(H_bar * H, 0);  // not right
}
