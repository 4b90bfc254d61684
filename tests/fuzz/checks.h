#pragma once
// The checks of random programs, and of those that `fuzz` prints.
#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace wengert::fuzz {

/// Numbers beyond are too large for the check of derivatives.
constexpr double kLarge = 1e4;

inline std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

/// How x differs from a tensor of this shape and dtype with these values, or "". Value k may be off by errors[k]; without errors all
/// must be equal.
inline std::string difference(const Tensor& x, const Shape& shape, Dtype dtype, const std::vector<double>& values,
                              const std::vector<double>& errors = {}) {
  if (!(x.shape() == shape) || x.dtype() != dtype)
    return to_string(x.shape()) + ' ' + to_string(x.dtype()) + " instead of " + to_string(shape) + ' ' + to_string(dtype);
  const std::vector<double> found = x.to_vector<double>();
  for (std::size_t k = 0; k < found.size(); ++k) {
    if (found[k] == values[k] || (std::isnan(found[k]) && std::isnan(values[k]))) continue;
    if (!errors.empty() && std::abs(found[k] - values[k]) <= errors[k]) continue;
    return "value " + std::to_string(k) + " is " + digits(found[k]) + " instead of " + digits(values[k]);
  }
  return "";
}

/// How <w, J v> by forward mode differs from <J^T w, v> by reverse mode, or "". target = <w, y> is on the tape, v has a direction for each
/// variable x, and the difference may be `fraction` of the sum of all terms. "" also if a derivative is very large or not finite: an
/// infinite slope times 0 is NaN in one mode, and 0 in the other where a rule selects.
inline std::string difference_of_modes(Tape& tape, const Tensor& target, const std::vector<Tensor>& x, const std::vector<Tensor>& v,
                                       double fraction) {
  const double pushed = tape.jvp(target, std::span<const Tensor>(x), v).item();
  if (!std::isfinite(pushed)) return "";
  const std::vector<Tensor> gradient = tape.gradient(target, std::span<const Tensor>(x), {.unreached = Unreached::zero});
  double pulled = 0, magnitude = 1;
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (!(gradient[k].shape() == x[k].shape()) || gradient[k].dtype() != x[k].dtype())
      return "a gradient has not the shape and dtype of its source";
    for (Index i = 0; i < gradient[k].size(); ++i) {
      const double term = gradient[k].element(i) * v[k].element(i);
      if (!(std::abs(term) < kLarge)) return "";
      pulled += term;
      magnitude += std::abs(term);
    }
  }
  if (std::abs(pushed - pulled) <= fraction * magnitude) return "";
  return "<w, J v> is " + digits(pushed) + ", but <J^T w, v> is " + digits(pulled);
}

}  // namespace wengert::fuzz
