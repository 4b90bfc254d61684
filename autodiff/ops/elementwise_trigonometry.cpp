// Trigonometric and hyperbolic functions and their inverses.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_TRIGONOMETRY(WENGERT_MAP)

}  // namespace wengert::detail
