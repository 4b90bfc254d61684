#include "autodiff/tape/operation_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/error.h"

namespace wengert {

const OperationOptions::Option& OperationOptions::find(std::string_view name) const {
  const auto found = std::find_if(list_.begin(), list_.end(), [&](const Option& o) { return o.name == name; });
  if (found == list_.end()) throw Error(fmt::format("a recorded operation has no option {}", name));
  return *found;
}

}  // namespace wengert
