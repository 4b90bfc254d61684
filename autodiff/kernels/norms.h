#pragma once
// Norms of elements, and what is done to elements to bound their norm.
//
// All of it is computed in double. Sums are added up in an order that depends on n alone, so that they have the same bits on every
// instruction set.
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// The largest |x[i]|, 0 for none; NaN if one is.
template <class T> double max_magnitude(const T* x, Index n);
/// The sum of |x[i]|.
template <class T> double sum_of_magnitudes(const T* x, Index n);
/// The sum of x[i]^2. Of float32, no square overflows or underflows.
template <class T> double sum_of_squares(const T* x, Index n);
/// The sum of (|x[i]| / unit)^p.
template <class T> double sum_of_powers(const T* x, Index n, double unit, double p);

/// x[i] *= factor
template <class T> void scale(T* x, Index n, double factor);
/// x[i] = min(max(x[i], -limit), limit); a NaN stays.
template <class T> void clamp(T* x, Index n, double limit);

}  // namespace wengert::kernels
