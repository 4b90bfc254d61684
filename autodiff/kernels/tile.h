#pragma once
// The one inner loop of matrix products and convolutions; tile-inl.h has its code.
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// C = A B for a tile of C that fits the registers, where k counts through segments that lie apart:
///
///   C(row, column) (+)= sum over segments s and steps k of A(row; s, k) B(s, k; column)
///
/// Columns of B and C are contiguous; everything else has a stride, in elements. A product of matrices has one segment, whose steps are
/// k; a convolution has a segment for each row of the kernel and the channels it covers.
///
///                          b + s b_segment + k b_step ->  [ B B B B B B ]   one load for each vector
///                                                           | | | | | |
///   a + s a_segment + k a_step                  ->  A  --   c c c c c c     c
///   a + s a_segment + k a_step +     a_row      ->  A  --   c c c c c c     c +     c_row
///   a + s a_segment + k a_step + 2 * a_row      ->  A  --   c c c c c c     c + 2 * c_row
///                                    one broadcast each     registers until the last step
template <class T> struct Tile {
  const T* a = nullptr;
  Index a_row = 0, a_segment = 0, a_step = 0;
  Index a_group = 0;  ///< of a tile of two groups of rows: from the first of one to the first of the other
  const T* b = nullptr;
  Index b_segment = 0, b_step = 0;
  T* c = nullptr;
  Index c_row = 0;
  Index segments = 1, steps = 0;
  const T* bias = nullptr;  ///< what a sum begins with, by columns; null: 0
  bool accumulate = false;  ///< it begins with C instead
  bool relu = false;        ///< C = max(sum, 0), and NaN stays
  bool descend = false;     ///< C -= rate * sum instead; with none of the others
  T rate = 0;
};

}  // namespace wengert::kernels
