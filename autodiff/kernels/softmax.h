#pragma once
// Softmax: along a dimension, and the exponentials of it row by row.
#include <algorithm>

#include "autodiff/functions/straight.h"
#include "autodiff/kernels/extremes.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {

/// e = e^(x - tops[line]) for each element of some lines, to be called in a loop of run_elements. Short runs do not pay for SIMD one by
/// one: all differences are written first, and then one loop takes the exponentials.
template <class T> __attribute__((always_inline)) inline void write_exponentials(const SomeLines& l, const T* x, const T* tops, T* e) {
  const bool is_whole = l.first % l.inner == 0 && l.last % l.inner == 0 && l.begin == 0 && l.end == l.n;
  if (!is_whole || (l.inner == 1 ? l.n : l.inner) >= kShort)
    return for_each_in_lines(
        l, e, tops, tops, [x](Index i, T t, T) __attribute__((always_inline)) { return fn::straight::exp(x[i] - t); });
  for_each_in_lines(
      l, e, tops, tops, [x](Index i, T t, T) __attribute__((always_inline)) { return x[i] - t; });
  for (Index i = l.first * l.n; i < l.last * l.n; ++i) e[i] = fn::straight::exp(e[i]);
}

/// For each row of n > 0 elements of dense x: e = e^(x - top) for its largest element, then finish(row, top, sum of e). x and e may be the
/// same. A row of -inf alone has NaN for its exponentials.
template <class T, class Finish> void for_each_softmax_row(const T* x, T* e, Index rows, Index n, Finish&& finish) {
  constexpr Index kMost = 64, kElements = 4096;  // of rows that are done together
  const Index together = std::clamp(kElements / std::max(n, Index(1)), Index(1), kMost);
  T tops[kMost];
  double sums[kMost];
  for (Index first = 0; first < rows; first += together) {
    const Lines some{std::min(together, rows - first), n, 1};
    const T* const from = x + first * n;
    T* const to = e + first * n;
    extremes_of_lines(Extreme::largest, some, from, tops);
    run_elements<T>([&]() __attribute__((always_inline)) {
      write_exponentials(some, from, tops, to);
      sum_lines<double>(
          some, sums, [to](Index i, Index) __attribute__((always_inline)) { return to[i]; });
    });
    for (Index r = 0; r < some.outer; ++r) finish(first + r, tops[r], sums[r]);
  }
}

/// y = e^(x - max) / sum, or x - max - ln sum, in each line of dense x; n > 0. A line of -inf alone has NaN for its exponentials.
template <class T> void softmax_lines(const T* x, T* y, const Lines& l, bool logarithm) {
  if (l.n == 0) return;
  pool::Vector<T> top(static_cast<std::size_t>(l.count())), scale(top.size());
  T *tops = top.data(), *scales = scale.data();
  for_blocks_of_lines(l, cost::kFormula<T>, [&](const SomeLines& some) {
    extremes_of_lines(Extreme::largest, some, x, tops);
    run_elements<T>([&]() __attribute__((always_inline)) {
      write_exponentials(some, x, tops, y);
      sum_lines<double>(
          some, scales, [y](Index i, Index) __attribute__((always_inline)) { return y[i]; });
      if (!logarithm) {
        for (Index i = some.first; i < some.last; ++i) scales[i] = 1 / scales[i];
        for_each_in_lines(
            some, y, scales, scales, [y](Index i, T s, T) __attribute__((always_inline)) { return y[i] * s; });
      } else {
        for (Index i = some.first; i < some.last; ++i) scales[i] = fn::straight::log(scales[i]);
        for_each_in_lines(
            some, y, tops, scales, [x](Index i, T t, T s) __attribute__((always_inline)) { return x[i] - t - s; });
      }
    });
  });
}

}  // namespace wengert::kernels
