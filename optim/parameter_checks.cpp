#include "optim/parameter_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/error.h"

namespace wengert::optim {

std::string name_of(const ParameterState& parameter, std::size_t position) {
  return parameter.name.empty() ? fmt::format("parameter {}", position) : fmt::format("parameter {}", parameter.name);
}

void check_parameters(std::string_view owner, const ParameterList& parameters, const ParameterList& earlier, std::string_view place) {
  if (parameters.empty())
    throw Error(fmt::format(
        "{}: there are no parameters{}; hint: does the model's visit name its members, and are they of the type Parameter?", owner, place));
  const auto holds = [](const ParameterRef* begin, const ParameterRef* end, const ParameterRef& p) {
    return std::find(begin, end, p) != end;
  };
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const ParameterRef& p = parameters[i];
    if (!p.get())
      throw ValueError(
          fmt::format("{}: parameter {} is undefined: it was default-constructed, or the layer was made without it; hint: leave "
                      "it out, or pass model.parameters()",
                      owner, earlier.size() + i));
    if (holds(parameters.begin(), parameters.begin() + i, p) || holds(earlier.begin(), earlier.end(), p))
      throw Error(fmt::format("{}: {} is listed twice", owner, name_of(*p.get(), earlier.size() + i)));
  }
}

}  // namespace wengert::optim
