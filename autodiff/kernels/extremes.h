#pragma once
// The largest and the smallest elements of lines.
#include "autodiff/kernels/lines.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

enum class Extreme { largest, smallest };

/// to[line] = the extreme of the line's elements in dense x; NaN if one is. 0 is larger than -0, so the order of the elements does not
/// matter. The lines must not be empty.
void extremes_of_lines(Extreme extreme, const SomeLines& lines, const float* x, float* to);
void extremes_of_lines(Extreme extreme, const SomeLines& lines, const double* x, double* to);

/// The same for all lines, in blocks over the pool.
void extremes_of_all_lines(Extreme extreme, const Lines& lines, const float* x, float* to);
void extremes_of_all_lines(Extreme extreme, const Lines& lines, const double* x, double* to);

}  // namespace wengert::kernels
