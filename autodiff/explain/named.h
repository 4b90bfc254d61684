#pragma once
// Names for values, which explanations then use.
#include <string_view>

#include "autodiff/tape/tape.h"

namespace wengert {

/// x, which explanations of the active tape call by this name: `const Scalar w = named("w", tape.variable(0.5))`. Without a tape that keeps
/// formulas, nothing happens. Values without a name are called as the source calls them.
Scalar named(std::string_view name, const Scalar& x);
Tensor named(std::string_view name, const Tensor& x);

}  // namespace wengert
