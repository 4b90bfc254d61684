#include "compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace wengert::golden {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Verdict failed(std::string message) { return {.passed = false, .worst = kInfinity, .message = std::move(message)}; }

// "[1, 0, 2]" for the row-major `flat`th element.
std::string position(Index flat, const Shape& shape) {
  std::vector<Index> index(static_cast<std::size_t>(shape.rank()));
  for (int i = shape.rank(); i-- > 0; flat /= shape[i]) index[static_cast<std::size_t>(i)] = flat % shape[i];
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// The error in units of what is allowed; at most 1 passes.
double error_ratio(double a, double e, double allowed) {
  if (std::isnan(a) || std::isnan(e)) return std::isnan(a) && std::isnan(e) ? 0 : kInfinity;
  if (a == e) return 0;
  if (std::isinf(a) || std::isinf(e)) return kInfinity;
  const double error = std::abs(a - e);
  return error <= allowed ? error / allowed : std::max(error / allowed, std::nextafter(1.0, 2.0));
}

Verdict compare_numbers(const std::string& name, const Tensor& actual, const Tensor& expected, std::span<const double> allowed) {
  const auto a = actual.to_vector<double>(), e = expected.to_vector<double>();
  double worst = 0;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double ratio = error_ratio(a[i], e[i], allowed[i]);
    if (ratio > worst) worst = ratio, worst_at = i;
  }
  if (worst <= 1) return {.passed = true, .worst = worst, .message = {}};
  return {.passed = false,
          .worst = worst,
          .message = fmt::format("{}{}: got {:.17g}, expected {:.17g} (error {:.3g}, allowed {:.3g})", name,
                                 position(static_cast<Index>(worst_at), expected.shape()), a[worst_at], e[worst_at],
                                 std::abs(a[worst_at] - e[worst_at]), allowed[worst_at])};
}

Verdict compare_integers(const std::string& name, const Tensor& actual, const Tensor& expected) {
  const auto a = actual.to_vector<std::int64_t>(), e = expected.to_vector<std::int64_t>();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != e[i])
      return failed(fmt::format("{}{}: got {}, expected {}", name, position(static_cast<Index>(i), expected.shape()), a[i], e[i]));
  return {};
}

}  // namespace

std::vector<double> allowed_errors(const Tensor& expected, double relative, double absolute, bool scaled_by_tensor) {
  const auto e = expected.to_vector<double>();
  double scale = 1;
  if (scaled_by_tensor)
    for (double x : e)
      if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  std::vector<double> allowed;
  for (double x : e) allowed.push_back(relative * std::abs(x) + absolute * scale);
  return allowed;
}

Verdict compare(const std::string& name, const Tensor& actual, const Tensor& expected, std::span<const double> allowed) {
  if (!(actual.shape() == expected.shape()))
    return failed(fmt::format("{}: got shape {}, expected {}", name, to_string(actual.shape()), to_string(expected.shape())));
  if (actual.dtype() != expected.dtype())
    return failed(fmt::format("{}: got {}, expected {}", name, to_string(actual.dtype()), to_string(expected.dtype())));
  return is_floating(expected.dtype()) ? compare_numbers(name, actual, expected, allowed) : compare_integers(name, actual, expected);
}

}  // namespace wengert::golden
