#pragma once
#include <autodiff/autodiff.h>

inline wengert::Tensor W_bar(const wengert::Tensor& X, const wengert::Tensor& H, const wengert::Tensor& H_bar) {
  return matmul(transpose(X), H_bar * (1 - square(H)));
}

inline wengert::Tensor b_bar(const wengert::Tensor& H, const wengert::Tensor& H_bar) { return sum(H_bar * (1 - square(H)), 0); }
