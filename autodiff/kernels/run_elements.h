#pragma once
// Loops over elements of a type that a template leaves open.
#include <type_traits>

#include "autodiff/functions/exponential.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// Runs a loop over elements of type T, which is an always inlined lambda, on the best instruction set.
template <class T, class F> void run_elements(F&& loop) {
  if constexpr (std::is_same_v<T, float>) {
    run_on_best_target(loop);
  } else {
    loop();
  }
}

template <class T> __attribute__((always_inline)) inline T logistic(T x) { return 1 / (1 + fn::exp(-x)); }

}  // namespace wengert::kernels
