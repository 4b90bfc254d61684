#pragma once
// Softmax: along a dimension, and the exponentials of it row by row.
#include "autodiff/functions/straight.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {

/// The largest of a row's n > 0 elements; some number or NaN if one is NaN, as then the sum of exponentials is.
template <class T> __attribute__((always_inline)) inline T largest_of_row(const T* x, Index n) {
  if (n >= kAbreast)
    return largest_of_run<T>(
        0, n, [x](Index i) __attribute__((always_inline)) { return x[i]; });
  T top = x[0];
  for (Index i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}
/// The sum of a row of exponentials.
template <class T> __attribute__((always_inline)) inline double sum_of_row(const T* e, Index n) {
  if (n >= kAbreast)
    return sum_of_run<double>(
        0, n, [e](Index i) __attribute__((always_inline)) { return e[i]; });
  double partial[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8)
    for (Index k = 0; k < 8; ++k) partial[k] += static_cast<double>(e[i + k]);
  for (; i < n; ++i) partial[0] += static_cast<double>(e[i]);
  return ((partial[0] + partial[1]) + (partial[2] + partial[3])) + ((partial[4] + partial[5]) + (partial[6] + partial[7]));
}
/// For each row of n > 0 elements of dense x: e = e^(x - top) for its largest element, then finish(row, top, sum of e). x and e may be the
/// same. A row of -inf alone has NaN for its exponentials.
template <class T, class Finish> void for_each_softmax_row(const T* x, T* e, Index rows, Index n, Finish&& finish) {
  run_elements<T>([&]() __attribute__((always_inline)) {
    for (Index r = 0; r < rows; ++r, x += n, e += n) {
      const T top = largest_of_row(x, n);
      for (Index i = 0; i < n; ++i) e[i] = fn::straight::exp(x[i] - top);
      finish(r, top, sum_of_row(e, n));
    }
  });
}

/// y = e^(x - max) / sum, or x - max - ln sum, in each line of dense x; n > 0. A line of -inf alone has NaN for its exponentials.
template <class T> void softmax_lines(const T* x, T* y, const Lines& l, bool logarithm) {
  pool::Vector<T> top(static_cast<std::size_t>(l.count())), scale(top.size());
  T *tops = top.data(), *scales = scale.data();
  for_blocks_of_lines(l, cost::kFormula<T>, [&](const SomeLines& some) {
    run_elements<T>([&]() __attribute__((always_inline)) {
      max_lines(
          some, tops, [x](Index i) __attribute__((always_inline)) { return x[i]; });
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
