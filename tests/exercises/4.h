#pragma once
#include <cstddef>
#include <vector>

inline double dE_dw(int k, const std::vector<double>& x, const std::vector<double>& h_bar) {
  double sum = 0;
  for (std::size_t i = 0; i < h_bar.size(); ++i) sum += h_bar[i] * x[i + k];
  return sum;
}

inline double dE_dx(std::size_t j, const std::vector<double>& w, const std::vector<double>& h_bar) {
  return (j < h_bar.size() ? h_bar[j] * w[0] : 0) + (j > 0 ? h_bar[j - 1] * w[1] : 0);
}
