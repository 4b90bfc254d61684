#pragma once
#include <cstddef>
#include <vector>

inline double dE_du(double w, double y, const std::vector<double>& x, const std::vector<double>& h) {
  double h_bar = h.back() - y, sum = 0;
  for (std::size_t t = x.size(); t > 0; --t) {
    const double slope = 1 - h[t] * h[t];
    sum += h_bar * slope * x[t - 1];
    h_bar *= slope * w;
  }
  return sum;
}
