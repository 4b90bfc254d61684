#pragma once
// The exponentials of a softmax, row by row.
#include "autodiff/functions/straight.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// For each row of n > 0 elements of dense x: e = e^(x - top) for its largest element, then finish(row, top, sum of e). x and e may be the
/// same. A row of -inf alone has NaN for its exponentials.
template <class T, class Finish> void for_each_softmax_row(const T* x, T* e, Index rows, Index n, Finish&& finish) {
  const auto loop = [&]() __attribute__((always_inline)) {
    for (Index r = 0; r < rows; ++r, x += n, e += n) {
      T top = x[0];
      for (Index i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
      for (Index i = 0; i < n; ++i) e[i] = fn::straight::exp(x[i] - top);
      double partial[8] = {};
      Index i = 0;
      for (; i + 8 <= n; i += 8)
        for (Index k = 0; k < 8; ++k) partial[k] += static_cast<double>(e[i + k]);
      for (; i < n; ++i) partial[0] += static_cast<double>(e[i]);
      finish(r, top, ((partial[0] + partial[1]) + (partial[2] + partial[3])) + ((partial[4] + partial[5]) + (partial[6] + partial[7])));
    }
  };
  run_elements<T>(loop);
}

}  // namespace wengert::kernels
