#pragma once
// Internal.
// Which element of a result is at fault: not finite although the operands that it is computed from are.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// Whether all elements are finite; true for integers and conditions.
bool all_finite(const Tensor& t);
bool has_nan(const Tensor& t);

struct Fault {
  int result = 0;                     ///< which result of the operation
  Index flat = 0;                     ///< which element, in row-major order
  double value = 0;                   ///< of the element
  std::vector<double> operands = {};  ///< of an elementwise operation: what the element is computed from
};

/// The first element that is not finite although the operands are, or NaN although none of them is. `name`: of the operation; those of
/// functions.h are elementwise. Operands may be undefined: then they count as finite.
std::optional<Fault> fault_of(const std::string& name, std::span<const Tensor* const> x, std::span<const Tensor> y);

/// "(1, 2)" of a flat index.
std::string position_text(const Shape& shape, Index flat);
/// "0.5", "nan", "-inf", with up to six digits.
std::string number_text(double x);

}  // namespace wengert::detail
