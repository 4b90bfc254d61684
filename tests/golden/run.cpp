#include "run.h"

#include <autodiff/autodiff.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "operations.h"

namespace wengert::golden {
namespace {

// The tolerance of a float32 run is not that of the case, which is for float64; it comes from the condition of the case. With x the inputs
// rounded to float32 and f the library's own float64 result (which the float64 run compares with the data),
//     |f32(x) - f(x)| <= kRelative |f(x)| + absolute + kCondition max_k |f(x + d_k) - f(x)|
// where each d_k moves every input, the cotangents included, by one unit in its last place in float32, up or down at random. An algorithm
// that is backward stable stays within a small multiple of that last term, however ill-conditioned the case is; one that loses more digits
// is detected. The absolute term is for differences of intermediate results, whose rounding errors no change of the inputs can explain (the
// gradient of a saturated softmax): some units in the last place at the scale of the case's own absolute tolerance, and less where that is
// less than the usual 1e-12. Below the smallest normal number float32 has no digits to compare, beyond the largest it has infinity: the
// expected value is f(x) rounded to float32.
constexpr double kRelative = 1e-5;
constexpr double kAbsolute = 1e-6;
constexpr double kCondition = 16;
constexpr int kWiggles = 4;
constexpr double kSmallestNormal = std::numeric_limits<float>::min();

template <class F> Values map_values(const Values& values, const F& f) {
  Values mapped;
  for (const auto& [name, tensor] : values) mapped.emplace(name, f(tensor));
  return mapped;
}

Tensor converted(const Tensor& x, Dtype dtype) { return is_floating(x.dtype()) ? x.to(dtype) : x; }

Tensor wiggled(const Tensor& x, std::mt19937& random) {
  if (!is_floating(x.dtype())) return x;
  auto values = x.to_vector<double>();
  for (double& v : values) v *= random() & 1 ? 1 + 0x1p-23 : 1 - 0x1p-23;
  return Tensor::from(values, x.shape());
}

// max_k |f(x + d_k) - f(x)| for every element of every result. At ties and kinks a perturbation changes the branch and would allow
// anything; the numbers there are exact in float32, so the condition counts as 0.
std::map<std::string, std::vector<double>> movements(const Case& c, const Values& given, const Values& at_given) {
  std::map<std::string, std::vector<double>> moved;
  for (const auto& [name, tensor] : at_given) moved[name].resize(static_cast<std::size_t>(tensor.size()));
  if (c.tagged("tie") || c.tagged("kink")) return moved;
  std::mt19937 random(1);
  for (int k = 0; k < kWiggles; ++k) {
    const Values nearby = compute(c, map_values(given, [&](const Tensor& x) { return wiggled(x, random); }));
    for (auto& [name, largest] : moved) {
      const auto here = at_given.at(name).to_vector<double>(), there = nearby.at(name).to_vector<double>();
      for (std::size_t i = 0; i < largest.size(); ++i)
        if (std::isfinite(here[i]) && std::isfinite(there[i])) largest[i] = std::max(largest[i], std::abs(there[i] - here[i]));
    }
  }
  return moved;
}

// Compares each result that the case expects; the worst verdict counts.
template <class Allowed> Verdict compare_all(const Values& expected, const Values& actual, const Allowed& allowed) {
  Verdict worst;
  for (const auto& [name, tensor] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end())
      return {.passed = false, .worst = std::numeric_limits<double>::infinity(), .message = name + ": not computed"};
    Verdict verdict = compare(name, found->second, tensor, allowed(name, tensor));
    if (verdict.worst > worst.worst) worst = std::move(verdict);
  }
  return worst;
}

Verdict run_in_float64(const Case& c, const Values& given) {
  return compare_all(c.expected, compute(c, given), [&](const std::string&, const Tensor& expected) {
    return allowed_errors(expected, c.relative_tolerance, c.absolute_tolerance, c.scaled_by_tensor);
  });
}

Verdict run_in_float32(const Case& c) {
  const Values narrow = map_values(c.given, [](const Tensor& x) { return converted(x, float32); });
  const Values rounded = map_values(narrow, [](const Tensor& x) { return converted(x, float64); });
  Values reference = compute(c, rounded);
  std::erase_if(reference, [&](const auto& result) { return !c.expected.contains(result.first); });
  const auto moved = movements(c, rounded, reference);
  const double relative = std::max(kRelative, c.relative_tolerance);
  const double absolute = kAbsolute * std::min(1.0, c.absolute_tolerance / 1e-12);
  const Values expected = map_values(reference, [](const Tensor& x) { return converted(x, float32); });
  return compare_all(expected, compute(c, narrow), [&](const std::string& name, const Tensor&) {
    std::vector<double> allowed = allowed_errors(reference.at(name), relative, absolute, c.scaled_by_tensor);
    for (std::size_t i = 0; i < allowed.size(); ++i) allowed[i] += kCondition * moved.at(name)[i] + kSmallestNormal;
    return allowed;
  });
}

// Every dimension, the last one first.
Dims reversed_dims(int rank) {
  Dims dims;
  while (rank-- > 0) dims.push_back(rank);
  return dims;
}

// The elements of x spread over memory of the reversed shape whose last size is doubled: x[i, ..., k] at [k, ..., 2 i].
template <class T> Tensor spread(const Tensor& x, T poison) {
  const Tensor transposed = permute(x, reversed_dims(x.rank()));
  const auto values = transposed.to_vector<T>();
  Shape wide = transposed.shape();
  wide[wide.rank() - 1] *= 2;
  Tensor memory = Tensor::uninitialized(wide, x.dtype());
  T* to = memory.mutable_data<T>();
  for (std::size_t i = 0; i < values.size(); ++i) to[2 * i] = values[i], to[2 * i + 1] = poison;
  return memory;
}

Tensor spread(const Tensor& x) {
  switch (x.dtype()) {
    case float32:
      return spread<float>(x, std::numeric_limits<float>::quiet_NaN());
    case float64:
      return spread<double>(x, std::numeric_limits<double>::quiet_NaN());
    case int64:
      return spread<std::int64_t>(x, std::numeric_limits<std::int64_t>::min());
    case boolean:
      return spread<bool>(x, true);
  }
  __builtin_unreachable();
}

}  // namespace

const char* to_string(Way way) {
  switch (way) {
    case Way::float64:
      return "float64";
    case Way::float32:
      return "float32";
    case Way::noncontiguous:
      return "noncontiguous";
  }
  __builtin_unreachable();
}

Tensor strided_view(const Tensor& x) {
  if (x.rank() == 0) return select(spread(reshape(x, {1})), 0, 0);
  const Tensor memory = spread(x);
  return permute(slice(memory, -1, 0, memory.size(-1), 2), reversed_dims(x.rank()));
}

Verdict run(const Case& c, Way way) {
  try {
    if (way == Way::float32) return run_in_float32(c);
    return run_in_float64(c, way == Way::noncontiguous ? map_values(c.given, strided_view) : c.given);
  } catch (const std::exception& e) {
    return {.passed = false, .worst = std::numeric_limits<double>::infinity(), .message = fmt::format("threw: {}", e.what())};
  }
}

}  // namespace wengert::golden
