#pragma once
#include <cmath>

inline double dE_dw(double w, double b, double x, double y) {
  const double p = 1 / (1 + std::exp(-(w * x + b)));
  return (p - y) * x;
}
