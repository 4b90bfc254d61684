#include <algorithm>
#include <cmath>

#include "scalar_unit.h"

namespace wengert::testing {

Scalar program_compiled_plainly(std::span<const Scalar> x) { return user_program(x); }

}  // namespace wengert::testing
