#pragma once
// Loops over elements of a type that a template leaves open.
#include <type_traits>

#include "autodiff/functions/straight.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// Runs a loop over elements of type T, which is an always inlined lambda: over floating ones on the best instruction set, unless it is
/// not `worth_it`.
template <class T, class F> void run_elements(F&& loop, bool worth_it = true) {
  if constexpr (std::is_floating_point_v<T>) {
    run_on_best_target(loop, worth_it);
  } else {
    loop();
  }
}

template <class T> __attribute__((always_inline)) inline T logistic(T x) { return 1 / (1 + fn::straight::exp(-x)); }

}  // namespace wengert::kernels
