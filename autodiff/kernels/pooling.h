#pragma once
// Pooling with two spatial dimensions: maxima and means of windows, and their transposed maps.
#include <cstdint>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/windows.h"

namespace wengert::kernels {

/// Windows on each plane (one channel of one image): x (planes, height.in, width.in), y (planes, height.out, width.out), both dense and
/// row-major. No window lies in the padding alone.
struct Pooling {
  Index planes = 0;
  WindowAxis height, width;

  /// Elements of a plane of x, and of y.
  Index plane_in() const { return height.in * width.in; }
  Index plane_out() const { return height.out * width.out; }
};

/// f(first plane, last plane) for blocks of planes, over the thread pool.
template <class F> void for_blocks_of_planes(const Pooling& p, F&& f) {
  for_blocks_of(p.planes, cost::kCopy<double> * static_cast<double>(p.plane_in()), f);
}

// Each function writes all of its results; T is float or double. Planes are spread over the thread pool in blocks that depend on the sizes
// alone, so the bits do not depend on num_threads().

/// @name Maxima
/// `at` says where in its window each maximum stands: at r * width.kernel + s. Position is std::uint8_t for windows of up to 256 positions,
/// std::int32_t for larger ones.
/// @{
/// y = the largest element, the first one in row-major order where several are equal; NaN is larger than every number.
template <class T, class Position> void max_pool(const Pooling& p, const T* x, T* y, Position* at);
/// The same without the positions.
template <class T> void max_pool(const Pooling& p, const T* x, T* y);
/// y = x where `at` says.
template <class T, class Position> void take_pooled(const Pooling& p, const T* x, const Position* at, T* y);
/// The transposed map of take_pooled: x = 0, and y added where `at` says.
template <class T, class Position> void put_pooled(const Pooling& p, const T* y, const Position* at, T* x);
/// The positions in a plane of x, row * width.in + column, that `at` means.
template <class Position> void pooled_indices(const Pooling& p, const Position* at, std::int64_t* index);
/// @}

/// What a mean divides by.
enum class Divisor : std::uint8_t {
  padded,   ///< the positions of the window within the padded input
  inside,   ///< the positions that are not padding
  adaptive  ///< the windows are [i in / out, (i + 1) in / out), rounded outwards; kernel, stride, padding and dilation are not used
};
/// y = the means of windows (without dilation).
template <class T> void average_pool(const Pooling& p, Divisor divisor, const T* x, T* y);
/// The transposed map: x = the sum of y / divisor over all windows that an element belongs to.
template <class T> void spread_average(const Pooling& p, Divisor divisor, const T* y, T* x);

}  // namespace wengert::kernels
