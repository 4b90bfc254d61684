#pragma once
// Internal. The update of moments shared by Adam and related optimizers.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/tensor/shape.h"

namespace wengert::optim {

/// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2.
template <class T> struct Moments {
  T beta1, rest1, beta2, rest2;
  T *m, *v;

  Moments(double beta1, double beta2, T* m, T* v)
      : beta1(static_cast<T>(beta1)),
        rest1(static_cast<T>(1 - beta1)),
        beta2(static_cast<T>(beta2)),
        rest2(static_cast<T>(1 - beta2)),
        m(m),
        v(v) {}
  __attribute__((always_inline)) void add(Index i, T g) const {
    m[i] = beta1 * m[i] + rest1 * g;
    v[i] = beta2 * v[i] + rest2 * g * g;
  }
};

}  // namespace wengert::optim
