#pragma once
// Parameters that a layer may have been made without.
#include "autodiff/tape/parameter.h"

namespace wengert::nn {

/// The parameter as a tensor; an undefined one gives an undefined tensor.
inline Tensor or_undefined(const Parameter& p) { return p.ref().get() ? Tensor(p) : Tensor(); }

}  // namespace wengert::nn
