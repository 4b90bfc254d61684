#pragma once
// When a result counts as right.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::golden {

/// What a comparison found. `worst` is the largest error in units of what is allowed, 0 where all agree, infinity where nothing that is
/// allowed would do (another shape, a NaN, a wrong integer).
struct Verdict {
  bool passed = true;
  double worst = 0;
  std::string message;  ///< which element is the worst, what it is and should be; empty if passed
};

/// The format's rule, element by element: |a - e| <= relative |e| + absolute scale, where the scale is 1, or the largest finite |e| of the
/// tensor if that is more.
std::vector<double> allowed_errors(const Tensor& expected, double relative, double absolute, bool scaled_by_tensor);

/// Compares by shape, dtype and element: two NaN agree, an infinity agrees with itself alone, -0.0 with 0.0; integers and booleans
/// must be equal; finite numbers may differ by what is allowed (one number an element).
Verdict compare(const std::string& name, const Tensor& actual, const Tensor& expected, std::span<const double> allowed);

}  // namespace wengert::golden
