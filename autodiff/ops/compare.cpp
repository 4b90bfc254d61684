// Comparisons and selection.
//
//   y = where(c, a, b):   a_bar = where(c, y_bar, 0),   b_bar = where(c, 0, y_bar)
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <type_traits>

#include "autodiff/ops/broadcast.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// Of a number that no int64 is, beyond their range: an infinity on its side of them. Otherwise nothing.
std::optional<double> beyond_int64(const Operand& x) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!x.is_number() || x.as_number().integer()) return std::nullopt;
  const double value = x.as_number().value();
  if (value >= 0x1p63) return kInfinity;
  if (value < -0x1p63) return -kInfinity;
  return std::nullopt;
}

template <class Relation> Tensor compare(const char* name, Operand& a, Operand& b) {
  const CallSite scope(a.site);
  const Dtype dtype = detail::common_dtype(name, a, b);
  if (dtype == int64) {
    // Every element compares with such a number as 0 does.
    if (const auto v = beyond_int64(b)) return Tensor::full(a.tensor().shape(), Relation{}(0.0, *v), boolean, a.site);
    if (const auto v = beyond_int64(a)) return Tensor::full(b.tensor().shape(), Relation{}(*v, 0.0), boolean, a.site);
  }
  const Tensor &s = a.as(dtype, name), &t = b.as(dtype, name);
  detail::check_same_dtype(name, s, t);
  Tensor y = Tensor::uninitialized(detail::broadcast_shape(name, s, t), boolean, a.site);
  detail::dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    detail::elementwise_into<T, bool>(
        y, [](T p, T q) { return Relation{}(p, q); }, s, t);
  });
  return y;
}

// c ? p : q without a branch, so that the loop becomes SIMD and does not wait for conditions that no predictor knows.
template <class T> __attribute__((always_inline)) inline T selected(std::uint8_t c, T p, T q) {
  using Bits = std::conditional_t<sizeof(T) == 1, std::uint8_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  const Bits mask = static_cast<Bits>(-static_cast<Bits>(c));
  return std::bit_cast<T>(static_cast<Bits>((std::bit_cast<Bits>(p) & mask) | (std::bit_cast<Bits>(q) & ~mask)));
}

class Where : public Operation {
 public:
  const char* name() const override { return "where"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (x_bar.needs(1)) x_bar[1] = where(s.x(0), y_bar[0], 0);
    if (x_bar.needs(2)) x_bar[2] = where(s.x(0), 0, y_bar[0]);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const auto or_zero = [](const Tensor& dot, const Tensor& like) { return dot.defined() ? dot : Tensor::zeros({}, like.dtype()); };
    y_dot[0] = where(s.x(0), or_zero(x_dot[1], x_dot[2]), or_zero(x_dot[2], x_dot[1]));
  }
};

}  // namespace

Tensor operator<(Operand a, Operand b) { return compare<std::less<>>("<", a, b); }
Tensor operator<=(Operand a, Operand b) { return compare<std::less_equal<>>("<=", a, b); }
Tensor operator>(Operand a, Operand b) { return compare<std::greater<>>(">", a, b); }
Tensor operator>=(Operand a, Operand b) { return compare<std::greater_equal<>>(">=", a, b); }
Tensor operator==(Operand a, Operand b) { return compare<std::equal_to<>>("==", a, b); }
Tensor operator!=(Operand a, Operand b) { return compare<std::not_equal_to<>>("!=", a, b); }

Tensor where(const Tensor& condition, Operand a, Operand b) {
  const CallSite scope(a.site);
  detail::check_defined("where", condition, "the condition");
  if (condition.dtype() != boolean)
    throw DtypeError(
        detail::ErrorText("where", "the condition is not boolean").operand("condition", condition).hint("compare it, as in x > 0"));
  const Dtype dtype = detail::common_dtype("where", a, b, "a", "b");
  const Tensor &s = a.as(dtype, "where"), &t = b.as(dtype, "where");
  detail::check_same_dtype("where", s, t, "a", "b");
  const Shape both = detail::broadcast_shape("where", s, t, "a", "b");
  const std::optional<Shape> shape = detail::broadcast(condition.shape(), both);
  if (!shape) {  // then the condition does not broadcast with one of them
    detail::broadcast_shape("where", condition, s, "condition", "a");
    detail::broadcast_shape("where", condition, t, "condition", "b");
  }
  Tensor y = Tensor::uninitialized(*shape, dtype, a.site);
  detail::dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto select = [](std::uint8_t c, T p, T q) __attribute__((always_inline)) { return selected(c, p, q); };
    const std::array operands{&condition, &s, &t};
    detail::elementwise_into(y, operands, kernels::dense_loop<T, std::uint8_t, T, T>(select));
  });
  return record(Where(), a.site, {&condition, &s, &t}, std::move(y));
}

}  // namespace wengert
