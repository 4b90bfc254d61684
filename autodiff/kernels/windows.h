#pragma once
// Windows that slide along a dimension of an image: of convolutions and of pooling.
#include <algorithm>

#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// One spatial dimension. Output i reads the inputs i * stride - padding + k * dilation for every k below `kernel`; those outside [0, in)
/// are padding. `out` may be smaller than what there is room for (transposed convolutions need that), and larger by the part of a window
/// that hangs over the end (pooling does that on request).
struct WindowAxis {
  Index in = 1, out = 1, kernel = 1, stride = 1, padding = 0, dilation = 1;

  /// The input that stands at position k of the window of output i.
  Index input(Index i, Index k) const { return i * stride - padding + k * dilation; }
};

/// The same windows with a stride of 1 if there is only one, and a dilation of 1 if it has only one position: both may be huge then.
inline WindowAxis simplified(WindowAxis axis) {
  if (axis.out == 1) axis.stride = 1;
  if (axis.kernel == 1) axis.dilation = 1;
  return axis;
}

/// Positions first, first + 1, ... before last.
struct Range {
  Index first, last;
  Index size() const { return last - first; }
};

/// a / b for b > 0, rounded up.
constexpr Index divided_up(Index a, Index b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }

/// The outputs of `range` for which position k of the window is not padding: those with 0 <= i * stride + position k of the first < in.
inline Range inside(const WindowAxis& axis, Index k, Range range) {
  const Index offset = axis.input(0, k);
  const Index first = std::clamp(divided_up(-offset, axis.stride), range.first, range.last);
  return {first, std::clamp(divided_up(axis.in - offset, axis.stride), first, range.last)};
}

/// The positions of the window of output i that are not padding: those with 0 <= k * dilation + first input < in.
inline Range unpadded(const WindowAxis& axis, Index i) {
  const Index offset = axis.input(i, 0);
  if (offset >= 0 && axis.input(i, axis.kernel - 1) < axis.in) return {0, axis.kernel};  // most windows; division is slow
  const Index first = std::clamp<Index>(divided_up(-offset, axis.dilation), 0, axis.kernel);
  return {first, std::clamp(divided_up(axis.in - offset, axis.dilation), first, axis.kernel)};
}

}  // namespace wengert::kernels
