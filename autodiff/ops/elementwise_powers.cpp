// Exponentials, logarithms, powers, roots, signs and rounding.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_POWERS(WENGERT_MAP)

}  // namespace wengert::detail
