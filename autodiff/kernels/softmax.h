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

/// For each row of n > 0 elements of dense x: e = e^(x - top) for its largest element, then finish(row, top, sum of e). x and e may be the
/// same. A row of -inf alone has NaN for its exponentials.
template <class T, class Finish> void for_each_softmax_row(const T* x, T* e, Index rows, Index n, Finish&& finish) {
  constexpr Index kRows = 64;
  T tops[kRows];
  for (Index first = 0; first < rows; first += kRows) {
    const Index last = std::min(first + kRows, rows);
    extremes_of_lines(Extreme::largest, Lines{last - first, n, 1}, x + first * n, tops);
    run_elements<T>([&]() __attribute__((always_inline)) {
      for (Index r = first; r < last; ++r) {
        const T *const row = x + r * n, top = tops[r - first];
        T* const to = e + r * n;
        for (Index i = 0; i < n; ++i) to[i] = fn::straight::exp(row[i] - top);
        finish(r, top,
               sum_of_run<double>(
                   0, n, [to](Index i) __attribute__((always_inline)) { return to[i]; }));
      }
    });
  }
}

/// y = e^(x - max) / sum, or x - max - ln sum, in each line of dense x; n > 0. A line of -inf alone has NaN for its exponentials.
template <class T> void softmax_lines(const T* x, T* y, const Lines& l, bool logarithm) {
  pool::Vector<T> top(static_cast<std::size_t>(l.count())), scale(top.size());
  T *tops = top.data(), *scales = scale.data();
  for_blocks_of_lines(l, cost::kFormula<T>, [&](const SomeLines& some) {
    extremes_of_lines(Extreme::largest, some, x, tops);
    run_elements<T>([&]() __attribute__((always_inline)) {
      for_each_in_lines(
          some, y, tops, tops, [x](Index i, T t, T) __attribute__((always_inline)) { return fn::straight::exp(x[i] - t); });
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
