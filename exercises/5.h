#pragma once
// Exercise 5. A recurrence: h_t = tanh(w h_(t-1) + u x_t), E = 1/2 (y - h_T)^2. h[0] is the start, h[t] the state after step t, and
// x[t - 1] the input of step t. Write dE/du.
#include <cstddef>
#include <vector>

inline double dE_du(double w, double y, const std::vector<double>& x, const std::vector<double>& h) {
  double h_bar = h.back() - y, sum = 0;
  for (std::size_t t = x.size(); t > 0; --t) {
    const double slope = 1 - h[t] * h[t];
    sum += h_bar * slope * x[t - 1];
    h_bar *= w;  // not complete: what else lies between h_t and h_(t-1)?
  }
  return sum;
}
