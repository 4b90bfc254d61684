#pragma once
// Internal.
// Elementwise functions. One struct defines all of a function: scalars, tensors, kernels, reverse and forward mode, all higher orders and
// the generated tests are derived from it. A new function is a struct here and a row in the list at the end of this file.
//
//   name, latex     its name in errors, and its formula in documents; `latex` with # for the operand (#1 and #2 for two)
//   smooth          an interval in which the function is differentiable and finite differences agree, for the generated tests
//   reads           which of x and y `pullback` reads; a tape saves only these
//   value(x)        y
//   pullback(m, x, y)
//                   m dy/dx: carries a cotangent from y to x, or a tangent from x to y, which is the same for a diagonal Jacobian
//   left, right     the same for the two operands of y = value(a, b)
//   needs_tail(y), slope_without_tail(y)
//                   for a pullback of the form m * where_lazy(needs_tail(y), f, slope_without_tail(y)): loops compute f only in blocks in
//                   which some y needs it
//
// The operands are doubles, floats, dual numbers or recorded tensors. So formulas use operators, the elementary functions and
// `where(condition, a, b)` (never ?:), and write numbers as integers where that is exact: they take x's type.
// `where_lazy(condition, f, b)` is where(condition, f(), b) for an expensive f that is seldom needed. Tensors compute both branches, and
// derivatives propagate through both: the branch that is not selected must not overflow either, or 0 times infinity makes the next order
// NaN. Hence exp(-abs(x)), or exp(where(x < 0, x, 0)), where exp(x) would do for plain numbers.
// `constant(c, x)` is the number c in x's precision, `zero_like(m)` a zero of m's shape, `call(F{}, x)` another function of this file.
//
// A function with `integers` takes int64 as well. One with parameters says in `mistake()` what is wrong with their values; null: nothing.
//
// Members are forced inline: the compiler sees through an expression of Scalars only if nothing in it is a call.
#include "autodiff/functions/math.h"

namespace wengert::fn {

// In a namespace of their own, which has no functions: argument-dependent look-up for an expression of Scalars also searches the namespace
// of the functions that it is made of.
namespace functions {

// ---- one operand -----------------------------------------------------------------------------------------------------------

// Exponentials and logarithms.

/// e^x.
struct Exp {
  static constexpr const char *name = "exp", *latex = "e^{#}";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return exp(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return m * y; }
};
/// 2^x.
struct Exp2 {
  static constexpr const char *name = "exp2", *latex = "2^{#}";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return exp2(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return m * y * constant(0.69314718055994531, y); }
};
/// e^x - 1 without the loss of digits near 0. The slope y + 1 loses them where y nears -1, so there it is e^x.
struct Expm1 {
  static constexpr const char *name = "expm1", *latex = "e^{#} - 1";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return expm1(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto& y) const {
    return m * where_lazy(
                   y < -0.5, [&] { return exp(where(x < 0, x, 0)); }, y + 1);
  }
};
/// Natural logarithm.
struct Log {
  static constexpr const char *name = "log", *latex = R"(\ln #)";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / x; }
};
/// Logarithm to base 2.
struct Log2 {
  static constexpr const char *name = "log2", *latex = R"(\log_2 #)";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log2(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / (constant(0.69314718055994531, x) * x); }
};
/// Logarithm to base 10.
struct Log10 {
  static constexpr const char *name = "log10", *latex = R"(\log_{10} #)";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log10(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * constant(0.43429448190325183, x) / x; }
};
/// ln(1 + x) without the loss of digits near 0.
struct Log1p {
  static constexpr const char *name = "log1p", *latex = R"(\ln(1 + #))";
  static constexpr Interval smooth{-0.8, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log1p(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / (1 + x); }
};

// Powers and roots.

/// Square root; slope infinity at 0.
struct Sqrt {
  static constexpr const char *name = "sqrt", *latex = R"(\sqrt{#})";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return sqrt(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return m / (2 * y); }
};
/// 1 / sqrt(x).
struct Rsqrt {
  static constexpr const char *name = "rsqrt", *latex = R"(\frac{1}{\sqrt{#}})";
  static constexpr Interval smooth{0.2, 5};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return 1 / sqrt(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto& y) const { return -(m * y) / (2 * x); }
};
/// 1 / x.
struct Reciprocal {
  static constexpr const char *name = "reciprocal", *latex = R"(\frac{1}{#})";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return 1 / x; }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return -(m * y) * y; }
};
/// x^2.
struct Square {
  static constexpr const char *name = "square", *latex = "#^2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& x) const { return x * x; }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return 2 * m * x; }
};

// Signs and rounding.

/// |x|; slope 0 at 0.
struct Abs {
  static constexpr const char *name = "abs", *latex = R"(\lvert # \rvert)";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::x;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& x) const { return abs(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return where(x > 0, m, where(x < 0, -m, 0)); }
};
/// -x.
struct Negative {
  static constexpr const char *name = "negative", *latex = "-#";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::nothing;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& x) const { return -x; }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return -m; }
};
/// -1, 0 or 1, NaN for NaN; slope 0 everywhere.
struct Sign {
  static constexpr const char *name = "sign", *latex = R"(\operatorname{sign} #)";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::nothing;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& x) const { return where(x > 0, 1, where(x < 0, -1, x)); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return zero_like(m); }
};
/// The largest integer that is not above x; slope 0 everywhere.
struct Floor {
  static constexpr const char *name = "floor", *latex = R"(\lfloor # \rfloor)";
  static constexpr Interval smooth{0.1, 0.9};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return floor(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return zero_like(m); }
};
/// The smallest integer that is not below x; slope 0 everywhere.
struct Ceil {
  static constexpr const char *name = "ceil", *latex = R"(\lceil # \rceil)";
  static constexpr Interval smooth{0.1, 0.9};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return ceil(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return zero_like(m); }
};
/// The nearest integer, the even one of two that are equally near; slope 0 everywhere.
struct Round {
  static constexpr const char *name = "round", *latex = R"(\operatorname{round} #)";
  static constexpr Interval smooth{-0.4, 0.4};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return rint(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return zero_like(m); }
};
/// 1 where x >= 0, else 0, NaN for NaN: the perceptron's activation. The slope is 0 everywhere, so nothing is learnt through it.
struct Step {
  static constexpr const char *name = "step", *latex = R"(\theta(#))";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::nothing;
  WENGERT_INLINE auto value(const auto& x) const { return where(x >= 0, 1, where(x < 0, 0, x)); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto&) const { return zero_like(m); }
};

// Trigonometric functions and their inverses.

/// Sine.
struct Sin {
  static constexpr const char *name = "sin", *latex = R"(\sin #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return sin(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * cos(x); }
};
/// Cosine.
struct Cos {
  static constexpr const char *name = "cos", *latex = R"(\cos #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return cos(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return -m * sin(x); }
};
/// Tangent.
struct Tan {
  static constexpr const char *name = "tan", *latex = R"(\tan #)";
  static constexpr Interval smooth{-1.2, 1.2};
  static constexpr Reads reads = Reads::y;
  WENGERT_INLINE auto value(const auto& x) const { return tan(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return m * (1 + y * y); }
};
/// Arc sine; slope infinity at -1 and 1.
struct Asin {
  static constexpr const char *name = "asin", *latex = R"(\arcsin #)";
  static constexpr Interval smooth{-0.8, 0.8};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return asin(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / sqrt(one_minus_square(x)); }
  /// 1 - x^2. The product keeps its digits near -1 and 1, and would lose those of the next order near 0.
  WENGERT_INLINE static auto one_minus_square(const auto& x) { return where(abs(x) < 0.5, 1 - x * x, (1 - x) * (1 + x)); }
};
/// Arc cosine; slope -infinity at -1 and 1.
struct Acos {
  static constexpr const char *name = "acos", *latex = R"(\arccos #)";
  static constexpr Interval smooth{-0.8, 0.8};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return acos(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return -m / sqrt(Asin::one_minus_square(x)); }
};
/// Arc tangent. Beyond 1e9 the slope is 1 / x^2 to the last digit, and x^2 would overflow in time.
struct Atan {
  static constexpr const char *name = "atan", *latex = R"(\arctan #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return atan(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto far = abs(x) > 1e9;
    return where_lazy(
        far, [&] { return m / where(far, x, 1) / where(far, x, 1); }, m / (1 + square_of(where(far, 1, x))));
  }
  WENGERT_INLINE static auto square_of(const auto& x) { return x * x; }
};

// Hyperbolic functions and their inverses.

/// Hyperbolic sine.
struct Sinh {
  static constexpr const char *name = "sinh", *latex = R"(\sinh #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return sinh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * cosh(x); }
};
/// Hyperbolic cosine.
struct Cosh {
  static constexpr const char *name = "cosh", *latex = R"(\cosh #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return cosh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * sinh(x); }
};
// [tanh]
/// Hyperbolic tangent. The slope 1 - y^2 loses all digits where y rounds to 1, so there it is 4 e^(-2|x|) / (1 + e^(-2|x|))^2.
struct Tanh {
  static constexpr const char *name = "tanh", *latex = R"(\tanh #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return tanh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto& y) const {
    return m * where_lazy(
                   needs_tail(y), [&] { return slope_of_tail(exp(-2 * abs(x))); }, slope_without_tail(y));
  }
  WENGERT_INLINE static auto needs_tail(const auto& y) { return abs(y) > constant(0.9, y); }
  WENGERT_INLINE static auto slope_without_tail(const auto& y) { return 1 - y * y; }
  WENGERT_INLINE static auto slope_of_tail(const auto& e) { return 4 * e / ((1 + e) * (1 + e)); }
};
// [tanh]
/// Inverse hyperbolic sine. Beyond 1e9 the slope is 1 / |x| to the last digit, and x^2 would overflow in time.
struct Asinh {
  static constexpr const char *name = "asinh", *latex = R"(\operatorname{arsinh} #)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return asinh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto far = abs(x) > 1e9;
    return where_lazy(
        far, [&] { return m / abs(where(far, x, 1)); }, m / sqrt(1 + square_of(where(far, 1, x))));
  }
  WENGERT_INLINE static auto square_of(const auto& x) { return x * x; }
};
/// Inverse hyperbolic cosine. x^2 - 1 would lose the digits of x - 1, and a product of roots is infinite at infinity, where it meets a
/// cotangent of 0 in the next order.
struct Acosh {
  static constexpr const char *name = "acosh", *latex = R"(\operatorname{arcosh} #)";
  static constexpr Interval smooth{1.2, 5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return acosh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / sqrt(x - 1) / sqrt(x + 1); }
};
/// Inverse hyperbolic tangent.
struct Atanh {
  static constexpr const char *name = "atanh", *latex = R"(\operatorname{artanh} #)";
  static constexpr Interval smooth{-0.8, 0.8};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return atanh(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / Asin::one_minus_square(x); }
};

// Sigmoids.

/// Logistic function 1 / (1 + e^-x). The slope y (1 - y) loses all digits where y rounds to 1, so there it is e^-x y^2.
struct Sigmoid {
  static constexpr const char *name = "sigmoid", *latex = R"(\sigma(#))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::both;
  WENGERT_INLINE auto value(const auto& x) const { return 1 / (1 + exp(-x)); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto& y) const {
    return m * where_lazy(
                   needs_tail(y), [&] { return exp(-abs(x)) * y * y; }, slope_without_tail(y));
  }
  WENGERT_INLINE static auto needs_tail(const auto& y) { return y > constant(0.9, y); }
  WENGERT_INLINE static auto slope_without_tail(const auto& y) { return y * (1 - y); }
};
/// -ln(1 + e^-x), computed as min(x, 0) - ln(1 + e^-|x|) so that nothing overflows.
struct LogSigmoid {
  static constexpr const char *name = "log_sigmoid", *latex = R"(\ln \sigma(#))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x < 0, x, 0) - log1p(exp(-abs(x))); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * call(Sigmoid{}, -x); }
};
/// ln(p / (1 - p)). As ln(1 + |2p - 1| / min(p, 1 - p)) it keeps its digits near its zero at 1/2; for small p the quotient would overflow.
WENGERT_INLINE auto log_odds(const auto& p) {
  const auto size = log1p(abs(2 * p - 1) / where(p < 0.5, where(p < 0.25, 0.25, p), 1 - p));
  return where_lazy(
      p < 0.25, [&] { return log(p / (1 - p)); }, where(p < 0.5, -size, size));
}
/// The logarithm of the odds, the inverse of sigmoid.
struct Logit {
  static constexpr const char *name = "logit", *latex = R"(\ln \frac{#}{1 - #})";
  static constexpr Interval smooth{0.1, 0.9};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return log_odds(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m / x + m / (1 - x); }
};
/// x / (1 + |x|); -1 and 1 at the infinities.
struct Softsign {
  static constexpr const char *name = "softsign", *latex = R"(\frac{#}{1 + \lvert # \rvert})";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x > 1e30, 1, where(x < -1e30, -1, x / (1 + abs(x)))); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto d = 1 + abs(x);
    return m / d / d;
  }
};
/// x/6 + 1/2 between 0 and 1; slope 0 at the edges.
struct HardSigmoid {
  static constexpr const char *name = "hardsigmoid", *latex = R"(\operatorname{clamp}(\tfrac{#}{6} + \tfrac{1}{2}, 0, 1))";
  static constexpr Interval smooth{-2.5, 2.5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= -3, 0, where(x >= 3, 1, (x + 3) / 6)); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return where(x > -3, where(x < 3, m / 6, 0), 0); }
};

// Rectifiers.

/// max(x, 0), NaN for NaN; slope 0 at 0.
struct Relu {
  static constexpr const char *name = "relu", *latex = R"(\max(#, 0))";
  static constexpr Interval smooth{0.1, 3};
  static constexpr Reads reads = Reads::y;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= 0, 0, x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto&, const auto& y) const { return where(y <= 0, 0, m); }
};
/// x between 0 and 6; slope 0 at the edges.
struct Relu6 {
  static constexpr const char *name = "relu6", *latex = R"(\min(\max(#, 0), 6))";
  static constexpr Interval smooth{0.1, 5.9};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= 0, 0, where(x >= 6, 6, x)); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return where(x > 0, where(x < 6, m, 0), 0); }
};
/// x where x > 0, slope * x elsewhere; slope `slope` at 0.
struct LeakyRelu {
  double slope = 0.01;
  WENGERT_INLINE const char* mistake() const { return is_finite(slope) ? nullptr : "slope must be finite"; }
  static constexpr const char *name = "leaky_relu", *latex = R"(\max(#, 0) + s \min(#, 0))";
  static constexpr Interval smooth{-3, -0.1};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x > 0, x, constant(slope, x) * x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return where(x > 0, m, constant(slope, x) * m); }
};
/// x where x > 0, alpha (e^x - 1) elsewhere; slope alpha at 0.
struct Elu {
  double alpha = 1;
  WENGERT_INLINE const char* mistake() const { return is_finite(alpha) ? nullptr : "alpha must be finite"; }
  static constexpr const char *name = "elu", *latex = R"(\max(#, 0) + \alpha (e^{\min(#, 0)} - 1))";
  static constexpr Interval smooth{-3, -0.1};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    return where_lazy(
        x <= 0, [&] { return constant(alpha, x) * expm1(x); }, x);
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    return where_lazy(
        x <= 0, [&] { return constant(alpha, x) * m * exp(where(x <= 0, x, 0)); }, m);
  }
};
/// Self-normalising elu: 1.0507 x where x > 0, 1.7581 (e^x - 1) elsewhere (Klambauer et al. 2017).
struct Selu {
  static constexpr const char *name = "selu", *latex = R"(\lambda (\max(#, 0) + \alpha (e^{\min(#, 0)} - 1)))";
  static constexpr Interval smooth{-3, -0.1};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    return where_lazy(
        x <= 0, [&] { return constant(kScale * kAlpha, x) * expm1(x); }, constant(kScale, x) * x);
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    return where_lazy(
        x <= 0, [&] { return constant(kScale * kAlpha, x) * m * exp(where(x <= 0, x, 0)); }, constant(kScale, x) * m);
  }
  static constexpr double kScale = 1.0507009873554804934, kAlpha = 1.6732632423543772848;
};
/// The distribution function of the standard normal distribution. erfc and not 1 + erf, which is 0 to the left of -8.
WENGERT_INLINE auto normal_distribution(const auto& z) { return erfc(z * constant(-0.70710678118654752, z)) / 2; }
/// x times the normal distribution function at x. The slope is that of the nearest point of [-40, 40], and the value that of the nearest
/// point above -40: beyond, they are 0 or 1 to the last digit, and 0 times infinity.
struct Gelu {
  static constexpr const char *name = "gelu", *latex = R"(# \cdot \Phi(#))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto z = where(x < -40, -40, x);
    return z * normal_distribution(z);
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(x > 40, 40, where(x < -40, -40, x));
    const auto density = constant(0.39894228040143268, x) * exp(-(z * z) / 2);
    return m * (normal_distribution(z) + z * density);
  }
};
/// The approximation of gelu x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3). (1 + tanh u) / 2 is sigmoid(2u), which keeps its digits
/// to the left. The slope is that of the nearest point of [-30, 30]: beyond, it is 0 or 1 to the last digit, and x^3 may overflow. To the
/// left of -30 the value is 0, too.
struct GeluTanh {
  static constexpr const char *name = "gelu_tanh",
                              *latex = R"(\tfrac{#}{2} \left(1 + \tanh\left(\sqrt{\tfrac{2}{\pi}} (# + 0.044715 \cdot #^3)\right)\right))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto z = where(x < -30, -30, x);
    return z / (1 + exp(-twice_u(z)));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(x > 30, 30, where(x < -30, -30, x));
    const auto v = twice_u(z);
    const auto left = call(Sigmoid{}, v), right = call(Sigmoid{}, -v);
    return m * (left + left * right * z * (constant(1.5957691216057308, x) + constant(0.21406444881780073, x) * z * z));
  }
  WENGERT_INLINE static auto twice_u(const auto& x) {
    return x * (constant(1.5957691216057308, x) + constant(0.07135481627260025, x) * x * x);
  }
};
/// x sigmoid(x), also called swish. Beyond 800 its slope is 0 or 1 to the last digit, and the value to the left is 0; there the formulas
/// would be 0 times infinity in time.
struct Silu {
  static constexpr const char *name = "silu", *latex = R"(# \cdot \sigma(#))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto z = where(x < -800, -800, x);
    return z / (1 + exp(-z));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(x > 800, 800, where(x < -800, -800, x));
    return m * call(Sigmoid{}, z) * (1 + z * call(Sigmoid{}, -z));
  }
};
/// x hardsigmoid(x); slope -1/2 at -3 and 3/2 at 3.
struct HardSwish {
  static constexpr const char *name = "hardswish", *latex = R"(# \cdot \operatorname{clamp}(\tfrac{#}{6} + \tfrac{1}{2}, 0, 1))";
  static constexpr Interval smooth{-2.5, 2.5};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return where(x <= -3, 0, where(x >= 3, x, x * ((x + 3) / 6))); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    return where(x < -3, 0, where(x <= 3, m * ((2 * x + 3) / 6), m));
  }
};
/// ln(1 + e^(beta x)) / beta, computed as (max(beta x, 0) + ln(1 + e^-|beta x|)) / beta so that nothing overflows. beta is not 0.
struct Softplus {
  double beta = 1;
  WENGERT_INLINE const char* mistake() const { return is_finite(beta) && beta != 0 ? nullptr : "beta must be finite and not 0"; }
  static constexpr const char *name = "softplus", *latex = R"(\ln(1 + e^{#}))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto u = constant(beta, x) * x;
    return where(u <= 0, 0, x) + log1p(exp(-abs(u))) / constant(beta, x);
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * call(Sigmoid{}, constant(beta, x) * x); }
};
/// x tanh(softplus(x)). With n = e^-|x| the factor is (1 + 2n) / (1 + 2n + 2n^2) for x >= 0 and (n^2 + 2n) / (n^2 + 2n + 2) for x < 0.
/// Far out as silu.
struct Mish {
  static constexpr const char *name = "mish", *latex = R"(# \tanh(\ln(1 + e^{#})))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto z = where(x < -800, -800, x);
    const auto n = exp(-abs(z));
    const auto p = where(z < 0, n * (n + 2), 1 + 2 * n);
    return z * p / (p + 2 * where(z < 0, 1, n * n));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(x > 800, 800, where(x < -800, -800, x));
    const auto w = call(Tanh{}, call(Softplus{}, z));
    return m * (w + z * (1 - w * w) * call(Sigmoid{}, z));
  }
};

// Limits.

/// min(max(x, low), high), NaN for NaN: `high` everywhere if low > high. Slope 1 inside and at the edges.
struct Clamp {
  double low = -HUGE_VAL;
  double high = HUGE_VAL;
  WENGERT_INLINE const char* mistake() const { return low == low && high == high ? nullptr : "the limits must be numbers, not NaN"; }
  static constexpr const char *name = "clamp", *latex = R"(\operatorname{clamp} #)";
  static constexpr Interval smooth{-0.9, 0.9};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    return where(x > constant(high, x), constant(high, x), where(x < constant(low, x), constant(low < high ? low : high, x), x));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    return where(x >= constant(low, x), where(x <= constant(high, x), m, 0), 0);
  }
};
/// x between low and high, NaN for NaN; slope 1 inside, 0 at the edges.
struct Hardtanh {
  double low = -1;
  double high = 1;
  WENGERT_INLINE const char* mistake() const { return low <= high ? nullptr : "low must not be larger than high"; }
  static constexpr const char *name = "hardtanh", *latex = R"(\operatorname{hardtanh} #)";
  static constexpr Interval smooth{-0.9, 0.9};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    return where(x <= constant(low, x), constant(low, x), where(x >= constant(high, x), constant(high, x), x));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    return where(x > constant(low, x), where(x < constant(high, x), m, 0), 0);
  }
};
/// x moved towards 0 by `lambda`, and 0 where |x| <= lambda.
struct Softshrink {
  double lambda = 0.5;
  WENGERT_INLINE const char* mistake() const { return lambda >= 0 ? nullptr : "lambda must not be negative"; }
  static constexpr const char *name = "softshrink", *latex = R"(# - \operatorname{clamp}(#, -\lambda, \lambda))";
  static constexpr Interval smooth{0.7, 3};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const {
    const auto l = constant(lambda, x);
    return x - where(x > l, l, where(x < -l, -l, x));
  }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return where(abs(x) > constant(lambda, x), m, 0); }
};

// Special functions.

/// Error function, 2/sqrt(pi) times the integral of e^-t^2 from 0 to x. Beyond 40 the slope is 0, and the next order would be 0 times
/// infinity.
struct Erf {
  static constexpr const char *name = "erf", *latex = R"(\operatorname{erf} #)";
  static constexpr Interval smooth{-2, 2};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return erf(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(abs(x) > 40, 40, x);
    return m * (constant(1.1283791670955126, x) * exp(-(z * z)));
  }
};
/// 1 - erf(x) without the loss of digits for large x.
struct Erfc {
  static constexpr const char *name = "erfc", *latex = R"(\operatorname{erfc} #)";
  static constexpr Interval smooth{-2, 2};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return erfc(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const {
    const auto z = where(abs(x) > 40, 40, x);
    return -m * (constant(1.1283791670955126, x) * exp(-(z * z)));
  }
};
/// The nth derivative of digamma, n = 0, 1, ..., 60; NaN for other n.
struct Polygamma {
  double n = 1;
  static constexpr const char *name = "polygamma", *latex = R"(\psi^{(n)}(#))";
  static constexpr Interval smooth{0.5, 4};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return polygamma(constant(n, x), x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * call(Polygamma{n + 1}, x); }
};
/// Derivative of lgamma.
struct Digamma {
  static constexpr const char *name = "digamma", *latex = R"(\psi(#))";
  static constexpr Interval smooth{0.5, 4};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return digamma(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * call(Polygamma{1}, x); }
};
/// ln |Gamma(x)|.
struct Lgamma {
  static constexpr const char *name = "lgamma", *latex = R"(\ln \lvert \Gamma(#) \rvert)";
  static constexpr Interval smooth{0.5, 4};
  static constexpr Reads reads = Reads::x;
  WENGERT_INLINE auto value(const auto& x) const { return lgamma(x); }
  WENGERT_INLINE auto pullback(const auto& m, const auto& x, const auto&) const { return m * call(Digamma{}, x); }
};

// ---- two operands ----------------------------------------------------------------------------------------------------------

/// a + b.
struct Add {
  static constexpr const char *name = "add", *latex = "#1 + #2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::nothing, reads_right = Reads::nothing;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a + b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto&, const auto&) const { return m; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto&, const auto&) const { return m; }
};
/// a - b.
struct Subtract {
  static constexpr const char *name = "subtract", *latex = "#1 - #2";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::nothing, reads_right = Reads::nothing;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a - b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto&, const auto&) const { return m; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto&, const auto&) const { return -m; }
};
/// a * b.
struct Multiply {
  static constexpr const char *name = "multiply", *latex = R"(#1 \cdot #2)";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::b, reads_right = Reads::a;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a * b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto& b, const auto&) const { return m * b; }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto&, const auto&) const { return m * a; }
};
// [divide]
/// a / b. Both partials share the one division m / b.
struct Divide {
  static constexpr const char *name = "divide", *latex = R"(\frac{#1}{#2})";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::b, reads_right = Reads::b | Reads::y;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return a / b; }
  WENGERT_INLINE auto left(const auto& m, const auto&, const auto& b, const auto&) const { return m / b; }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto& b, const auto& y) const { return -(m / b) * y; }
};
// [divide]
/// a^b. By a, 0 where b is 0; by b, 0 where a is 0 and b >= 0: neither 0 times infinity nor 0 times ln 0 arises at a = 0.
/// The exponent of the left slope is b - 1 except for 0^0, where any positive one will do. Where a power tends to 0 as an operand tends to
/// infinity, so do its slopes.
struct Pow {
  static constexpr const char *name = "pow", *latex = "#1^{#2}";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b | Reads::y;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return pow(a, b); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const {
    const auto power = pow(a, where(abs(a) <= 1e-300, where(b == 0, b + 1, b - 1), b - 1));
    return m * where(power == 0, where(abs(b) == HUGE_VAL, 0, b), b) * power;
  }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto& y) const {
    return where(a == 0, where(b >= 0, 0, -m * y), m * y * log(where(a == 0, 1, where(a == HUGE_VAL, where(b < 0, 1, a), a))));
  }
};
/// The larger of a and b, NaN if one is; where they tie both slopes are 1/2.
struct Maximum {
  static constexpr const char *name = "maximum", *latex = R"(\max(#1, #2))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return where(a >= b, a, where(a == a, b, a)); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const {
    return where(a < b, 0, where(a == b, m / 2, m));
  }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto&) const {
    return where(b < a, 0, where(a == b, m / 2, m));
  }
};
/// The smaller of a and b, NaN if one is; where they tie both slopes are 1/2.
struct Minimum {
  static constexpr const char *name = "minimum", *latex = R"(\min(#1, #2))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b;
  static constexpr bool integers = true;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return where(a <= b, a, where(a == a, b, a)); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const {
    return where(a > b, 0, where(a == b, m / 2, m));
  }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto&) const {
    return where(b > a, 0, where(a == b, m / 2, m));
  }
};
/// The angle of the point (b, a): arc tangent of a / b in its quadrant; both slopes are 0 at the origin and at infinity.
struct Atan2 {
  static constexpr const char *name = "atan2", *latex = R"(\operatorname{atan2}(#1, #2))";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return atan2(a, b); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const { return m * over_square(b, a, b); }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto&) const { return -m * over_square(a, a, b); }
  /// c / (a^2 + b^2)
  WENGERT_INLINE static auto over_square(const auto& c, const auto& a, const auto& b) {
    const auto r = hypot(a, b);
    const auto d = where(r == 0, 1, where(r == HUGE_VAL, 1, r));
    return where(r == HUGE_VAL, 0, c) / d / d;
  }
};
/// sqrt(a^2 + b^2) without overflow; both slopes are 0 at the origin, and -1 or 1 by an infinite operand.
struct Hypot {
  static constexpr const char *name = "hypot", *latex = R"(\sqrt{#1^2 + #2^2})";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::y, reads_right = Reads::b | Reads::y;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return hypot(a, b); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto&, const auto& y) const { return m * cosine(a, y); }
  WENGERT_INLINE auto right(const auto& m, const auto&, const auto& b, const auto& y) const { return m * cosine(b, y); }
  WENGERT_INLINE static auto cosine(const auto& a, const auto& y) {
    const auto side = where(a == HUGE_VAL, 1, where(a == -HUGE_VAL, -1, a));
    return side / where(y == 0, 1, where(abs(a) == HUGE_VAL, 1, y));
  }
};
/// ln(e^a + e^b), computed as max(a, b) + ln(1 + e^-|a - b|); where both are the same infinity it is that, and both slopes are 1/2.
struct Logaddexp {
  static constexpr const char *name = "logaddexp", *latex = R"(\ln(e^{#1} + e^{#2}))";
  static constexpr Interval smooth{-3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const {
    return where(a == b, a + constant(0.69314718055994531, a), where(a > b, a, b) + log1p(exp(-abs(a - b))));
  }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const { return m * call(Sigmoid{}, difference(a, b)); }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto&) const {
    return m * call(Sigmoid{}, difference(b, a));
  }
  /// a - b, but 0 for equal infinities.
  WENGERT_INLINE static auto difference(const auto& a, const auto& b) {
    const auto d = a - b;
    return where(a == b, where(d == d, d, 0), d);
  }
};
/// a ln b, and 0 where a is 0, unless b is NaN; by a, 0 where a is 0 and b <= 0.
struct Xlogy {
  static constexpr const char *name = "xlogy", *latex = R"(#1 \ln #2)";
  static constexpr Interval smooth{0.3, 3};
  static constexpr Reads reads_left = Reads::a | Reads::b, reads_right = Reads::a | Reads::b;
  WENGERT_INLINE auto value(const auto& a, const auto& b) const { return where(a == 0, where(b == b, 0, b), a * log(b)); }
  WENGERT_INLINE auto left(const auto& m, const auto& a, const auto& b, const auto&) const {
    return m * log(where(a == 0, where(b <= 0, 1, b), b));
  }
  WENGERT_INLINE auto right(const auto& m, const auto& a, const auto& b, const auto&) const {
    return m * (a / where(a == 0, where(b == 0, 1, b), b));
  }
};

}  // namespace functions
using namespace functions;

}  // namespace wengert::fn

// ---- the lists: (struct, name of the function), then for each parameter of a function its name and default ------------------
//
// Each list is compiled for tensors in a file of its own (ops/elementwise_*.cpp).

#define WENGERT_POWERS(X)   \
  X(Exp, exp)               \
  X(Exp2, exp2)             \
  X(Expm1, expm1)           \
  X(Log, log)               \
  X(Log2, log2)             \
  X(Log10, log10)           \
  X(Log1p, log1p)           \
  X(Sqrt, sqrt)             \
  X(Rsqrt, rsqrt)           \
  X(Reciprocal, reciprocal) \
  X(Square, square)         \
  X(Abs, abs)               \
  X(Negative, negative)     \
  X(Sign, sign)             \
  X(Floor, floor)           \
  X(Ceil, ceil)             \
  X(Round, round)           \
  X(Step, step)
#define WENGERT_TRIGONOMETRY(X) \
  X(Sin, sin)                   \
  X(Cos, cos)                   \
  X(Tan, tan)                   \
  X(Asin, asin)                 \
  X(Acos, acos)                 \
  X(Atan, atan)                 \
  X(Sinh, sinh)                 \
  X(Cosh, cosh)                 \
  X(Tanh, tanh)                 \
  X(Asinh, asinh)               \
  X(Acosh, acosh)               \
  X(Atanh, atanh)
#define WENGERT_ACTIVATIONS(X) \
  X(Sigmoid, sigmoid)          \
  X(LogSigmoid, log_sigmoid)   \
  X(Logit, logit)              \
  X(Softsign, softsign)        \
  X(HardSigmoid, hardsigmoid)  \
  X(Relu, relu)                \
  X(Relu6, relu6)              \
  X(Selu, selu)                \
  X(Gelu, gelu)                \
  X(GeluTanh, gelu_tanh)       \
  X(Silu, silu)                \
  X(HardSwish, hardswish)      \
  X(Mish, mish)
#define WENGERT_SPECIAL_FUNCTIONS(X) \
  X(Erf, erf)                        \
  X(Erfc, erfc)                      \
  X(Digamma, digamma)                \
  X(Lgamma, lgamma)
// Scalars and dual numbers have the names of <cmath> in one namespace and the others in another (scalar.h says why). `round` is in
// neither: there it rounds halves away from zero, as <cmath> does, and not to even.
#define WENGERT_CMATH_FUNCTIONS(X) \
  X(Exp, exp)                      \
  X(Exp2, exp2)                    \
  X(Expm1, expm1)                  \
  X(Log, log)                      \
  X(Log2, log2)                    \
  X(Log10, log10)                  \
  X(Log1p, log1p)                  \
  X(Sqrt, sqrt)                    \
  X(Abs, abs)                      \
  X(Floor, floor)                  \
  X(Ceil, ceil)                    \
  X(Erf, erf)                      \
  X(Erfc, erfc)                    \
  X(Lgamma, lgamma)                \
  WENGERT_TRIGONOMETRY(X)
#define WENGERT_OWN_FUNCTIONS(X) \
  X(Rsqrt, rsqrt)                \
  X(Reciprocal, reciprocal)      \
  X(Square, square)              \
  X(Negative, negative)          \
  X(Sign, sign)                  \
  X(Step, step)                  \
  X(Digamma, digamma)            \
  WENGERT_ACTIVATIONS(X)
#define WENGERT_BINARY_CMATH_FUNCTIONS(X) \
  X(Pow, pow)                             \
  X(Atan2, atan2)                         \
  X(Hypot, hypot)
#define WENGERT_BINARY_OWN_FUNCTIONS(X) \
  X(Maximum, maximum)                   \
  X(Minimum, minimum)                   \
  X(Logaddexp, logaddexp)               \
  X(Xlogy, xlogy)
#define WENGERT_UNARY_FUNCTIONS(X) \
  WENGERT_POWERS(X)                \
  WENGERT_TRIGONOMETRY(X)          \
  WENGERT_ACTIVATIONS(X)           \
  WENGERT_SPECIAL_FUNCTIONS(X)
#define WENGERT_UNARY_FUNCTIONS_1(X)     \
  X(LeakyRelu, leaky_relu, slope, 0.01)  \
  X(Elu, elu, alpha, 1)                  \
  X(Softplus, softplus, beta, 1)         \
  X(Softshrink, softshrink, lambda, 0.5) \
  X(Polygamma, polygamma, n, 1)
#define WENGERT_UNARY_FUNCTIONS_2(X)              \
  X(Clamp, clamp, low, -HUGE_VAL, high, HUGE_VAL) \
  X(Hardtanh, hardtanh, low, -1, high, 1)
#define WENGERT_BINARY_FUNCTIONS(X) \
  X(Pow, pow)                       \
  X(Maximum, maximum)               \
  X(Minimum, minimum)               \
  X(Atan2, atan2)                   \
  X(Hypot, hypot)                   \
  X(Logaddexp, logaddexp)           \
  X(Xlogy, xlogy)
#define WENGERT_ARITHMETIC(X) \
  X(Add, +)                   \
  X(Subtract, -)              \
  X(Multiply, *)              \
  X(Divide, /)
