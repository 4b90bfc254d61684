#include "autodiff/ops/windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace wengert::detail {
namespace {

// Sums of a few numbers up to this size do not overflow.
constexpr Index kMax = Index(1) << 60;

std::optional<Index> checked_product(Index a, Index b) {
  Index result = 0;
  if (__builtin_mul_overflow(a, b, &result) || result > kMax) return std::nullopt;
  return result;
}

std::string mistake_in(const char* dimension, const kernels::WindowAxis& axis) {
  const auto below = [&](const char* what, Index value, Index min) {
    return value < min ? fmt::format("the {} of the {} must be at least {}, not {}", what, dimension, min, value) : std::string();
  };
  for (std::string wrong : {below("kernel", axis.kernel, 1), below("stride", axis.stride, 1), below("padding", axis.padding, 0),
                            below("dilation", axis.dilation, 1)})
    if (!wrong.empty()) return wrong;
  if (axis.padding > kMax / 2 || axis.kernel > kMax)
    return fmt::format("a {} with kernel {} and padding {} overflows", dimension, axis.kernel, axis.padding);
  return "";
}

// The distance from the first element of a window to its last, plus 1; nothing if that overflows.
std::optional<Index> extent_of(const kernels::WindowAxis& axis) {
  const auto steps = checked_product(axis.dilation, axis.kernel - 1);
  return steps ? std::optional(*steps + 1) : std::nullopt;
}

// Clamps a stride or a dilation. Beyond the limit its value has no effect: there is only one window, or one element in each.
Index clamp_distance(Index distance) { return std::min(distance, kMax); }

}  // namespace

std::string place_windows(const char* dimension, kernels::WindowAxis& axis, bool hanging) {
  if (std::string wrong = mistake_in(dimension, axis); !wrong.empty()) return wrong;
  if (axis.in < 1) return fmt::format("the {} is 0", dimension);
  axis.stride = clamp_distance(axis.stride);
  const auto extent = extent_of(axis);
  const Index room = axis.in + 2 * axis.padding, spare = extent ? room - *extent + (hanging ? axis.stride - 1 : 0) : -1;
  if (spare < 0)
    return fmt::format("a kernel of {}{} is larger than the {} {} with padding {}", axis.kernel,
                       axis.dilation > 1 ? fmt::format(" with dilation {}", axis.dilation) : "", dimension, axis.in, axis.padding);
  axis.dilation = clamp_distance(axis.dilation);
  axis.out = spare / axis.stride + 1;
  if (hanging && (axis.out - 1) * axis.stride >= axis.in + axis.padding) --axis.out;
  return "";
}

std::string place_transposed(const char* dimension, kernels::WindowAxis& axis, Index remaining) {
  if (std::string wrong = mistake_in(dimension, axis); !wrong.empty()) return wrong;
  if (axis.out < 1) return fmt::format("the {} is 0", dimension);
  if (remaining < 0 || remaining >= std::max(axis.stride, axis.dilation))
    return fmt::format("output_padding {} of the {} must be at least 0 and smaller than the stride {} or the dilation {}", remaining,
                       dimension, axis.stride, axis.dilation);
  axis.stride = clamp_distance(axis.stride);
  axis.dilation = clamp_distance(axis.dilation);
  const auto steps = checked_product(axis.out - 1, axis.stride), extent = extent_of(axis);
  if (!steps || !extent) return fmt::format("the {} of the result overflows", dimension);
  axis.in = *steps + *extent + std::min(remaining, kMax) - 2 * axis.padding;
  if (axis.in < 1) return fmt::format("padding {} leaves nothing of the {}", axis.padding, dimension);
  return "";
}

}  // namespace wengert::detail
