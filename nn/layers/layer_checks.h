#pragma once
// Internal. What layers check, in one form of message: options in their constructors, inputs in their calls.
#include <initializer_list>
#include <string>
#include <string_view>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/call_site.h"
#include "nn/module/module.h"

namespace wengert::nn {

/// The options of a layer that is being made. Each check throws "net.cpp:12: Dropout(50): p must be in [0, 1], but it is 50".
class OptionChecks {
 public:
  /// `layer` is how messages call the layer: "Linear(2, 3)".
  OptionChecks(std::string_view layer, Location site);

  const OptionChecks& at_least(Index min, std::string_view option, Index value) const;
  const OptionChecks& at_least(Index min, std::string_view option, HeightWidth value) const;
  const OptionChecks& unit_interval(std::string_view option, double value) const;
  const OptionChecks& positive(std::string_view option, double value) const;
  const OptionChecks& not_negative(std::string_view option, double value) const;
  /// `parts` divides each of `wholes`.
  const OptionChecks& divides(std::string_view option, Index parts, std::initializer_list<Index> wholes, std::string_view what) const;
  /// A ShapeError or a ValueError with any other text.
  [[noreturn]] void size_error(std::string_view what) const;
  [[noreturn]] void value_error(std::string_view what) const;

 private:
  std::string owner_;
  CallSite scope_;
};

/// A layer's new parameter, of the given elements. Messages call it "weight of Linear(2, 1)" until the model's visit gives it a path.
Parameter new_parameter(const Tensor& value, std::string_view name, std::string_view layer);

[[noreturn]] void input_dtype_error(const Module& layer, const Tensor& x, const Parameter& parameter, std::string_view name, Location site);

/// The input must have the dtype of the layer's parameter, which may be undefined.
inline void check_input_dtype(const Module& layer, const Tensor& x, const Parameter& parameter, std::string_view name, Location site) {
  if (parameter.ref().get() && x.dtype() != parameter.dtype()) [[unlikely]]
    input_dtype_error(layer, x, parameter, name, site);
}

/// "(5, 3)", or "5" for a square.
std::string to_text(HeightWidth size);

}  // namespace wengert::nn
