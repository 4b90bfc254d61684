#pragma once
// Exercise 2. Logistic regression: p = 1 / (1 + e^-(w x + b)), E = -(y ln p + (1 - y) ln(1 - p)). Write dE/dw without a logarithm.
#include <cmath>

inline double dE_dw(double w, double b, double x, double y) {
  const double p = 1 / (1 + std::exp(-(w * x + b)));
  return (p - y) * p * (1 - p) * x;  // that is for the squared error; what cancels here?
}
