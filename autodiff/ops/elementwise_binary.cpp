// Functions of two operands.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_BINARY_FUNCTIONS(WENGERT_ZIP)

}  // namespace wengert::detail
