#pragma once
// Comparison of results with reference data.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::golden {

/// The result of a comparison. `worst` is the largest error in units of the allowed error; infinity for differences that no tolerance
/// allows (another shape, a NaN, a wrong integer).
struct Verdict {
  bool passed = true;
  double worst = 0;
  std::string message;  ///< the worst element, its value and the expected one; empty if passed
};

/// The format's rule, element by element: |a - e| <= relative |e| + absolute scale, where the scale is 1, or the largest finite |e| of the
/// tensor if that is more.
std::vector<double> allowed_errors(const Tensor& expected, double relative, double absolute, bool scaled_by_tensor);

/// Compares shapes, dtypes and elements: NaN agrees with NaN, an infinity only with itself, and -0.0 with 0.0; integers and booleans must
/// be equal; finite numbers may differ by the allowed error, one for each element.
Verdict compare(const std::string& name, const Tensor& actual, const Tensor& expected, std::span<const double> allowed);

}  // namespace wengert::golden
