#include "nn/layers/layer_checks.h"

#include <fmt/format.h>

#include "autodiff/check_option.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::nn {

OptionChecks::OptionChecks(std::string_view layer, Location site) : owner_(layer), scope_(site) {}

void OptionChecks::size_error(std::string_view what) const { throw ShapeError(fmt::format("{}: {}", owner_, what)); }
void OptionChecks::value_error(std::string_view what) const { throw ValueError(fmt::format("{}: {}", owner_, what)); }

const OptionChecks& OptionChecks::at_least(Index min, std::string_view option, Index value) const {
  if (value < min) size_error(fmt::format("{} must be at least {}, but it is {}", option, min, value));
  return *this;
}

const OptionChecks& OptionChecks::at_least(Index min, std::string_view option, HeightWidth value) const {
  if (value.height < min || value.width < min) size_error(fmt::format("{} must be at least {}, but it is {}", option, min, to_text(value)));
  return *this;
}

const OptionChecks& OptionChecks::unit_interval(std::string_view option, double value) const {
  wengert::detail::check_unit_interval(owner_, option, value);
  return *this;
}

const OptionChecks& OptionChecks::positive(std::string_view option, double value) const {
  wengert::detail::check_positive(owner_, option, value);
  return *this;
}

const OptionChecks& OptionChecks::not_negative(std::string_view option, double value) const {
  wengert::detail::check_not_negative(owner_, option, value);
  return *this;
}

const OptionChecks& OptionChecks::divides(std::string_view option, Index parts, std::initializer_list<Index> wholes,
                                          std::string_view what) const {
  at_least(1, option, parts);
  for (const Index whole : wholes)
    if (whole % parts != 0) size_error(fmt::format("{} = {} must divide {}, and {} is not a multiple of it", option, parts, what, whole));
  return *this;
}

Parameter new_parameter(const Tensor& value, std::string_view name, std::string_view layer) {
  return Parameter(value, fmt::format("{} of {}", name, layer));
}

void input_dtype_error(const Module& layer, const Tensor& x, const Parameter& parameter, std::string_view name, Location site) {
  const std::string label = layer.label();
  throw DtypeError(
      fmt::format("{}: the dtypes differ: input {}, {} of {} {}; hint: input.to({}), or model.to({})", label, describe(x), name, label,
                  describe(parameter.value()), to_string(parameter.dtype()), to_string(is_floating(x.dtype()) ? x.dtype() : float64)),
      CallSite::of(site));
}

std::string to_text(HeightWidth size) {
  return size.height == size.width ? fmt::format("{}", size.height) : fmt::format("({}, {})", size.height, size.width);
}

}  // namespace wengert::nn
