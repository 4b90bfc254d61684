#pragma once
// Internal.
// Second and third derivatives of smooth functions of functions.h, for recorded sweeps: a rule that is recorded operation by operation is
// differentiated so, and tanh, whose slope has fifteen operations, costs hundreds of loops in the third order.
//
//   second(x, y, s), third(x, y, s)     f''(x) and f'''(x), where y = f(x) if f's rule reads it, and s = f'(x) if `kReadsSlope`
//
// The operands are elements or recorded tensors, as in functions.h.
#include "autodiff/functions/functions.h"

namespace wengert::fn {

template <class F> struct HigherDerivatives;
template <class F> constexpr bool kHasHigherDerivatives = requires { HigherDerivatives<F>::kReadsSlope; };

/// y' = 1 - y^2
template <> struct HigherDerivatives<Tanh> {
  static constexpr bool kReadsSlope = true;
  static constexpr const char *first_name = "tanh_derivative", *second_name = "tanh_second_derivative";
  WENGERT_INLINE static auto second(const auto&, const auto& y, const auto& s) { return -2 * y * s; }
  WENGERT_INLINE static auto third(const auto&, const auto& y, const auto& s) { return (4 * y * y - 2 * s) * s; }
};
/// y' = y (1 - y)
template <> struct HigherDerivatives<Sigmoid> {
  static constexpr bool kReadsSlope = true;
  static constexpr const char *first_name = "sigmoid_derivative", *second_name = "sigmoid_second_derivative";
  WENGERT_INLINE static auto second(const auto&, const auto& y, const auto& s) { return (1 - 2 * y) * s; }
  WENGERT_INLINE static auto third(const auto&, const auto&, const auto& s) { return (1 - 6 * s) * s; }
};
/// With p = sigmoid(x), s = p (1 - p) and d = 1 - 2p: y' = p + x s, s' = d s, d' = -2s. Far out as the slope.
template <> struct HigherDerivatives<Silu> {
  static constexpr bool kReadsSlope = false;
  static constexpr const char *first_name = "silu_derivative", *second_name = "silu_second_derivative";
  WENGERT_INLINE static auto second(const auto& x, const auto&, const auto&) {
    const auto z = near(x);
    const auto p = call(Sigmoid{}, z), q = call(Sigmoid{}, -z);
    return p * q * (2 + z * (q - p));
  }
  WENGERT_INLINE static auto third(const auto& x, const auto&, const auto&) {
    const auto z = near(x);
    const auto p = call(Sigmoid{}, z), q = call(Sigmoid{}, -z);
    const auto s = p * q;
    return s * (3 * (q - p) + z * (1 - 6 * s));
  }
  WENGERT_INLINE static auto near(const auto& x) { return where(x > 800, 800, where(x < -800, -800, x)); }
};
/// With the density d of the normal distribution, d' = -x d: y'' = (2 - x^2) d. Far out as the slope.
template <> struct HigherDerivatives<Gelu> {
  static constexpr bool kReadsSlope = false;
  static constexpr const char *first_name = "gelu_derivative", *second_name = "gelu_second_derivative";
  WENGERT_INLINE static auto second(const auto& x, const auto&, const auto&) {
    const auto z = near(x);
    return density(z) * (2 - z * z);
  }
  WENGERT_INLINE static auto third(const auto& x, const auto&, const auto&) {
    const auto z = near(x);
    return density(z) * (z * (z * z - 4));
  }
  WENGERT_INLINE static auto near(const auto& x) { return where(x > 40, 40, where(x < -40, -40, x)); }
  WENGERT_INLINE static auto density(const auto& z) { return constant(0.39894228040143268, z) * exp(-(z * z) / 2); }
};

}  // namespace wengert::fn
