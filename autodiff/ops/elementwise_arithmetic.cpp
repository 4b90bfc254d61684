// + - * /
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_ARITHMETIC(WENGERT_ZIP)

}  // namespace wengert::detail
