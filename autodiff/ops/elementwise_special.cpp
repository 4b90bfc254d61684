// Special functions, and those with parameters.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_SPECIAL_FUNCTIONS(WENGERT_MAP)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_MAP)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_MAP)

}  // namespace wengert::detail
