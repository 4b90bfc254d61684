// + - * /
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_ARITHMETIC(WENGERT_ZIP)

const ElementwiseOperation& addition() {
  static constexpr Zip<fn::Add> kAddition;
  return kAddition;
}
const ElementwiseOperation& subtraction() {
  static constexpr Zip<fn::Subtract> kSubtraction;
  return kSubtraction;
}
const ElementwiseOperation& multiplication() {
  static constexpr Zip<fn::Multiply> kMultiplication;
  return kMultiplication;
}

}  // namespace wengert::detail
