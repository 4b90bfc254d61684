#pragma once
// Exercise 4. A convolution in one dimension: h_i = w_0 x_i + w_1 x_(i+1). Given h_bar = dE/dh, write dE/dw_0, dE/dw_1 and dE/dx_j.
#include <cstddef>
#include <vector>

inline double dE_dw(int k, const std::vector<double>& x, const std::vector<double>& h_bar) {
  return h_bar[0] * x[k];  // not complete: the weight is used at every position
}

inline double dE_dx(std::size_t j, const std::vector<double>& w, const std::vector<double>& h_bar) {
  return j < h_bar.size() ? h_bar[j] * w[0] : 0;  // not complete: which other h contains x_j?
}
