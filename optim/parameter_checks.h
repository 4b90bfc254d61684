#pragma once
// Internal. What optimizers and averages of weights check of the parameters that they are made with.
#include <cstddef>
#include <string>
#include <string_view>

#include "autodiff/tape/parameter.h"

namespace wengert::optim {

/// "parameter weight", or "parameter 3" if it has no name.
std::string name_of(const ParameterState& parameter, std::size_t position);

/// An Error, which begins with `owner`, if there are no parameters, or one is listed twice: in them, or in them and `earlier`, those of
/// groups that were added before; a ValueError if one is undefined. `place` follows "there are no parameters".
void check_parameters(std::string_view owner, const ParameterList& parameters, const ParameterList& earlier = {},
                      std::string_view place = "");

}  // namespace wengert::optim
