// Trigonometric and hyperbolic functions and their inverses.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_TRIGONOMETRY(WENGERT_MAP)

const ElementwiseOperation& hyperbolic_tangent() {
  static constexpr Map<fn::Tanh> kTanh;
  return kTanh;
}

}  // namespace wengert::detail
