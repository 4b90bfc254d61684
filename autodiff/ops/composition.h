#pragma once
// For operations that are written in other operations.
#include "autodiff/ops.h"
#include "autodiff/tensor/location.h"

namespace wengert::detail {

/// For the scope of a composed operation: its parts are said to be made where the user called it.
class ComposedAt {
 public:
  explicit ComposedAt(Location where) : scope_(user_location(where)) {}

 private:
  RuleOf scope_;
};

/// sqrt(x), and 0 with all derivatives where x is 0.
Tensor sqrt_or_zero(const Tensor& x);

}  // namespace wengert::detail
