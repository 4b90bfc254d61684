#include "autodiff/explain/finite.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "autodiff/kernels/target.h"
#include "autodiff/program/opcode.h"

namespace wengert::detail {
namespace {

// The exponent bits are all set in NaN and infinities. The largest magnitude decides, so that the loop has no branch.
template <class T, class Bits> bool finite_loop(const T* x, Index n) {
  constexpr Bits kInfinite = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  Bits largest = 0;
  kernels::run_on_best_target(
      [&]() __attribute__((always_inline)) {
        Bits most = 0;
        for (Index i = 0; i < n; ++i) {
          Bits bits;
          __builtin_memcpy(&bits, x + i, sizeof bits);
          bits &= ~(Bits(1) << (8 * sizeof(Bits) - 1));
          most = bits > most ? bits : most;
        }
        largest = most;
      },
      n > 64);
  return largest < kInfinite;
}

bool elementwise(const std::string& name, std::span<const Tensor* const> x) {
  const std::optional<Opcode> opcode = opcode_named(name);
  return opcode && info(*opcode).operands == static_cast<int>(x.size());
}

// The element of x that broadcasting puts at position `flat` of a result of this shape.
double broadcast_element(const Tensor& x, const Shape& shape, Index flat) {
  Index at = 0, step = 1;
  const auto& own = x.shape();
  for (int d = own.rank() - 1, e = shape.rank() - 1; e >= 0; --e, --d) {
    const Index i = flat % shape[e];
    flat /= shape[e];
    if (d < 0) continue;
    if (own[d] != 1) at += i * step;
    step *= own[d];
  }
  return x.element(at);
}

}  // namespace

bool all_finite(const Tensor& t) {
  if (!t.defined() || !is_floating(t.dtype()) || t.size() == 0) return true;
  const Tensor dense = t.constant().contiguous();
  return t.dtype() == float32 ? finite_loop<float, std::uint32_t>(dense.data<float>(), dense.size())
                              : finite_loop<double, std::uint64_t>(dense.data<double>(), dense.size());
}

bool has_nan(const Tensor& t) {
  if (all_finite(t)) return false;
  for (Index i = 0; i < t.size(); ++i)
    if (std::isnan(t.element(i))) return true;
  return false;
}

std::optional<Fault> fault_of(const std::string& name, std::span<const Tensor* const> x, std::span<const Tensor> y) {
  for (std::size_t j = 0; j < y.size(); ++j) {
    if (all_finite(y[j])) continue;
    const bool by_element = elementwise(name, x);
    bool infinite_operand = false, nan_operand = false;
    if (!by_element)
      for (const Tensor* operand : x) {
        infinite_operand |= !all_finite(*operand);
        nan_operand |= has_nan(*operand);
      }
    for (Index i = 0; i < y[j].size(); ++i) {
      const double value = y[j].element(i);
      if (std::isfinite(value)) continue;
      Fault fault{static_cast<int>(j), i, value, {}};
      bool infinite = infinite_operand, nan = nan_operand;
      if (by_element)
        for (const Tensor* operand : x) {
          if (!operand->defined()) continue;
          fault.operands.push_back(broadcast_element(*operand, y[j].shape(), i));
          infinite |= !std::isfinite(fault.operands.back());
          nan |= std::isnan(fault.operands.back());
        }
      if (!infinite || (std::isnan(value) && !nan)) return fault;
    }
  }
  return std::nullopt;
}

std::string position_text(const Shape& shape, Index flat) {
  std::vector<Index> at(static_cast<std::size_t>(shape.rank()));
  for (int d = shape.rank() - 1; d >= 0; --d) {
    at[static_cast<std::size_t>(d)] = flat % shape[d];
    flat /= shape[d];
  }
  std::string text = "(";
  for (std::size_t d = 0; d < at.size(); ++d) text += fmt::format("{}{}", d ? ", " : "", at[d]);
  return text + (at.size() == 1 ? ",)" : ")");
}

std::string number_text(double x) { return std::isnan(x) ? "nan" : fmt::format("{:.6g}", x); }

}  // namespace wengert::detail
