// Sigmoids and rectifiers.
#include "autodiff/ops/elementwise.h"

namespace wengert::detail {

WENGERT_ACTIVATIONS(WENGERT_MAP)

}  // namespace wengert::detail
