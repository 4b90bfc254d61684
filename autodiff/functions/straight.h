#pragma once
// Internal.
// Elementary functions as straight formulas: no branch on a value, no table, no call, no fused product. Compilers make SIMD of loops over
// them, and they have the same bits on every machine and however a loop is cut. Each is right for all arguments (NaN, infinities, zeros of
// either sign, results that underflow), except that sin, cos and tan want |x| <= kTrigonometricLimit, and lgamma and its derivatives want
// x > 0. Errors of the float64 formulas of one operand are in docs/functions.md; those of atan2, hypot and pow are below 1.9, 1.2 and 1.9
// ULP, those of the float32 formulas below 2.5 ULP.
//
// Ranges are reduced as in the usual libraries (J.-M. Muller, Elementary Functions, 3rd ed., chapters 11 and 12). The polynomials
// interpolate at Chebyshev points, with coefficients rounded to nearest.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "autodiff/functions/exponential.h"

#define WENGERT_STRAIGHT __attribute__((always_inline)) inline

namespace wengert::fn::straight {

/// c[0] + c[1] x + c[2] x^2 + ...
template <class T, class... C> WENGERT_STRAIGHT T polynomial(T x, double c, C... rest) {
  if constexpr (sizeof...(C) == 0) {
    return static_cast<T>(c);
  } else {
    return static_cast<T>(c) + x * polynomial(x, rest...);
  }
}

template <class T> using BitsOf = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
template <class T> WENGERT_STRAIGHT BitsOf<T> bits(T x) { return std::bit_cast<BitsOf<T>>(x); }

/// The constants of a format.
template <class T> struct Format;
template <> struct Format<double> {
  static constexpr int kDigits = 52;
  static constexpr double kRound = 0x1.8p52;  // x + kRound - kRound is x rounded to an integer, which is in the low bits of x + kRound
  static constexpr double kBias = 1023;
  static constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;  // the high part times an exponent is exact
  static constexpr double kLeast = 0x1p-1022, kGrow = 0x1p54, kGrown = 54;                   // the least normal number
  static constexpr std::uint64_t kHalfRoot = 0x3fe6a09e667f3bcd;                             // sqrt(1/2)
  static constexpr double kOverflow = 710, kUnderflow = -746;                                // of the exponential
};
template <> struct Format<float> {
  static constexpr int kDigits = 23;
  static constexpr float kRound = 0x1.8p23f;
  static constexpr float kBias = 127;
  static constexpr float kLn2High = 0x1.63p-1f, kLn2Low = -0x1.bd0106p-13f;
  static constexpr float kLeast = 0x1p-126f, kGrow = 0x1p25f, kGrown = 25;
  static constexpr std::uint32_t kHalfRoot = 0x3f3504f3;
  static constexpr float kOverflow = 89, kUnderflow = -104;
};

/// The first half of the digits of x: a product of two such numbers is exact.
template <class T> WENGERT_STRAIGHT T head_of(T x) {
  return std::bit_cast<T>(bits(x) & static_cast<BitsOf<T>>(sizeof(T) == 8 ? 0xffffffff00000000 : 0xfffff000));
}
template <class T> WENGERT_STRAIGHT T rounded(T x) { return (x + Format<T>::kRound) - Format<T>::kRound; }
/// 2^k for an integer k such that it is a normal number.
template <class T> WENGERT_STRAIGHT T power_of_two(T k) {
  return std::bit_cast<T>(bits(k + (Format<T>::kRound + Format<T>::kBias)) << Format<T>::kDigits);
}
/// p 2^k, rounded once, also where 2^k is no normal number.
template <class T> WENGERT_STRAIGHT T scale(T p, T k) {
  const T half = rounded(k * T(0.5));
  return p * power_of_two(half) * power_of_two(k - half);
}

// ---- exponentials ----------------------------------------------------------------------------------------------------------------

/// e^x = (1 + p) 2^k with |ln(1 + p)| <= ln(2) / 2.
template <class T> struct Exponential { T p, k; };
/// (e^r - 1), for |r| <= ln(2) / 2.
template <class T> WENGERT_STRAIGHT T small_exponential(T r) {
  if constexpr (sizeof(T) == 8) {
    return r + r * r *
                   polynomial(r, 0.5, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717,
                              0.00019841269863053618, 2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07,
                              2.510038549551032e-08);
  } else {
    return r + r * r * polynomial(r, 5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4);
  }
}
template <class T> WENGERT_STRAIGHT Exponential<T> exponential(T x) {
  const T k = rounded(x * T(1.4426950408889634));
  return {small_exponential((x - k * Format<T>::kLn2High) - k * Format<T>::kLn2Low), k};
}
template <class T> WENGERT_STRAIGHT T between(T low, T x, T high) {
  x = x > high ? high : x;
  return x < low ? low : x;
}

template <class T> WENGERT_STRAIGHT T exp(T x) {
  if constexpr (sizeof(T) == 4) {
    return fn::exp(x);
  } else {
    const auto [p, k] = exponential(between(Format<T>::kUnderflow, x, Format<T>::kOverflow));
    return scale(1 + p, k);
  }
}
template <class T> WENGERT_STRAIGHT T exp2(T x) {
  x = sizeof(T) == 8 ? between(T(-1080), x, T(1030)) : between(T(-152), x, T(130));  // where it is 0 and infinite
  const T k = rounded(x);
  return scale(1 + small_exponential((x - k) * T(0.69314718055994531)), k);
}
/// e^x - 1 for x <= 40.
template <class T> WENGERT_STRAIGHT T moderate_expm1(T x) {
  const auto [p, k] = exponential(x < -50 ? T(-50) : x);
  const T s = power_of_two(k);
  return p * s + (s - 1);
}
template <class T> WENGERT_STRAIGHT T expm1(T x) {
  const T limit = 40, large = exp(x);
  const T moderate = moderate_expm1(x > limit ? limit : x);
  return x > limit ? large : x == 0 ? x : moderate;
}
/// e^x / 2 for x >= 0.
template <class T> WENGERT_STRAIGHT T half_exp(T x) {
  const auto [p, k] = exponential(between(T(0), x, Format<T>::kOverflow + 1));
  return scale(1 + p, k - 1);
}
template <class T> WENGERT_STRAIGHT T sinh(T x) {
  const T a = std::abs(x), t = moderate_expm1(a > 22 ? T(22) : a), near = (t + t / (t + 1)) * T(0.5);
  return std::copysign(a > 22 ? half_exp(a) : near, x);
}
template <class T> WENGERT_STRAIGHT T cosh(T x) {
  const T e = half_exp(std::abs(x));
  return e + T(0.25) / e;
}
/// With t = e^(2|x|) - 1 it is t / (t + 2) with the sign of x.
template <class T> WENGERT_STRAIGHT T tanh(T x) {
  if constexpr (sizeof(T) == 4) {
    return fn::tanh(x);
  } else {
    const T a = std::abs(x), t = moderate_expm1(a > 20 ? T(40) : 2 * a);
    return std::copysign(t / (t + 2), x);
  }
}

// ---- logarithms ------------------------------------------------------------------------------------------------------------------

/// x = (1 + f) 2^k with sqrt(1/2) <= 1 + f < sqrt(2), for positive x.
template <class T> struct Split { T f, k; };
template <class T> WENGERT_STRAIGHT Split<T> split(T x) {
  using Bits = BitsOf<T>;
  constexpr int kDigits = Format<T>::kDigits;
  constexpr Bits kOne = std::bit_cast<Bits>(T(1)), kMantissa = (Bits(1) << kDigits) - 1;
  constexpr T kCarrier = static_cast<T>(Bits(1) << kDigits);  // whose low bits count ones
  const bool tiny = x < Format<T>::kLeast;
  const Bits b = bits(tiny ? x * Format<T>::kGrow : x) + (kOne - Format<T>::kHalfRoot);
  const T exponent = std::bit_cast<T>((b >> kDigits) | std::bit_cast<Bits>(kCarrier)) - (kCarrier + Format<T>::kBias);
  return {std::bit_cast<T>((b & kMantissa) + Format<T>::kHalfRoot) - 1, tiny ? exponent - Format<T>::kGrown : exponent};
}
/// ln(1 + f) = f - half + tail, with half = f^2 / 2.
template <class T> struct SmallLogarithm { T half, tail; };
template <class T> WENGERT_STRAIGHT SmallLogarithm<T> small_logarithm(T f) {
  const T s = f / (2 + f), z = s * s, half = f * f * T(0.5);
  T r;
  if constexpr (sizeof(T) == 8) {
    r = polynomial(z, 0.666666666666667, 0.39999999999899405, 0.2857142862602153, 0.2222221112727996, 0.18182889672759556,
                   0.15331703403303396, 0.14616674592485554);
  } else {
    r = polynomial(z, 0.6666666655442178, 0.4000012190139024, 0.2855081382983567, 0.23330657298883917);
  }
  return {half, s * (half + z * r)};
}
/// y where ln x is finite, and otherwise its limit.
template <class T> WENGERT_STRAIGHT T logarithm_or_limit(T x, T y) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity(), kNaN = std::numeric_limits<T>::quiet_NaN();
  y = x < kInfinity ? y : x;
  y = x < 0 ? kNaN : y;
  return x == 0 ? -kInfinity : y;
}
template <class T> WENGERT_STRAIGHT T log(T x) {
  const auto [f, k] = split(x);
  const auto [half, tail] = small_logarithm(f);
  return logarithm_or_limit(x, k * Format<T>::kLn2High - ((half - (tail + k * Format<T>::kLn2Low)) - f));
}
/// ln(u) for u = 1 + x rounded, corrected by the rounding error divided by u.
template <class T> WENGERT_STRAIGHT T log1p(T x) {
  const T u = 1 + x;
  const auto [mantissa, k] = split(u);
  const T error = x > 1 ? 1 - (u - x) : x - (u - 1);
  const bool near = k == 0;
  const T f = near ? x : mantissa, c = near ? 0 : error / u;
  const auto [half, tail] = small_logarithm(f);
  const T y = k * Format<T>::kLn2High - ((half - (tail + (k * Format<T>::kLn2Low + c))) - f);
  return x == 0 ? x : logarithm_or_limit(u, y);
}
/// (k ln(2) + ln(1 + f)) / ln(base) with the products of the high parts exact.
template <class T> WENGERT_STRAIGHT T logarithm_to_base(T x, T high, T low, T two_high, T two_low) {
  const auto [f, k] = split(x);
  const auto [half, tail] = small_logarithm(f);
  const T head = head_of(f - half), rest = ((f - head) - half) + tail;
  const T a = k * two_high, b = head * high, sum = a + b;
  const T correction = k * two_low + ((rest + head) * low + rest * high) + ((a - sum) + b);
  return logarithm_or_limit(x, sum + correction);
}
WENGERT_STRAIGHT double log2(double x) { return logarithm_to_base(x, 0x1.71546p+0, 0x1.652b82fe1777dp-20, 1.0, 0.0); }
WENGERT_STRAIGHT float log2(float x) { return logarithm_to_base(x, 0x1.714p+0f, 0x1.47652cp-12f, 1.f, 0.f); }
WENGERT_STRAIGHT double log10(double x) {
  return logarithm_to_base(x, 0x1.bcb7ap-2, 0x1.1526e50e32a6bp-22, 0x1.34413508p-2, 0x1.f79fef311f12bp-34);
}
WENGERT_STRAIGHT float log10(float x) { return logarithm_to_base(x, 0x1.bcap-2f, 0x1.7b1526p-14f, 0x1.344p-2f, 0x1.3509f8p-18f); }
/// ln(x / (1 - x)) = ln(q) + c, where c makes up for the rounding of q. Near x = 1/2, q - 1 is computed without q.
WENGERT_STRAIGHT float logit(float x) {
  const float rest = 1 - x, q = x / rest;
  const auto [mantissa, k] = split(q);
  const bool near = k == 0;
  const double error = static_cast<double>(x) - static_cast<double>(q) * (1 - static_cast<double>(x));
  const float f = near ? (2 * x - 1) / rest : mantissa, c = near ? 0 : static_cast<float>(error) / x;
  const auto [half, tail] = small_logarithm(f);
  return logarithm_or_limit(q, k * Format<float>::kLn2High - ((half - (tail + (k * Format<float>::kLn2Low + c))) - f));
}

// ---- powers ----------------------------------------------------------------------------------------------------------------------

/// log2 x in two parts of which the first is a head: about 65 digits, which b log2 |a| needs. ln(1 + f) = 2 artanh(s) with
/// s = f / (2 + f), in two parts as well (the algorithm of fdlibm's e_pow.c).
struct TwoParts {
  double high, low;
};
WENGERT_STRAIGHT TwoParts precise_log2(double x) {
  constexpr double kFactor = 0x1.ec709dc3a03fdp-1, kFactorHigh = 0x1.ec709p-1, kFactorLow = 0x1.b87407fae93f8p-22;  // 2 / (3 ln 2)
  const auto [f, k] = split(x);
  const double d = 2 + f, inverse = 1 / d, s = f * inverse;
  const double s_high = head_of(s), d_high = head_of(d), d_low = f - (d_high - 2);
  const double s_low = inverse * ((f - s_high * d_high) - s_high * d_low);
  // 3 artanh(s) / s = 3 + s^2 + s^4 p(s^2)
  const double z = s * s, square = s_high * s_high;
  const double p = polynomial(z, 0.6, 0.4285714285714405, 0.3333333333248435, 0.27272727502971605, 0.23076892456343187, 0.20002206357338018,
                              0.17559372811383578, 0.1758457654214663);
  const double r = z * z * p + s_low * (s_high + s), t_high = head_of(3 + square + r), t_low = r - ((t_high - 3) - square);
  const double u = s_high * t_high, v = s_low * t_high + t_low * s;
  const double product = head_of(u + v), product_low = v - (product - u);
  const double y = kFactorHigh * product, y_low = kFactorLow * product + product_low * kFactor;
  const double high = head_of((y + y_low) + k);
  return {high, y_low - ((high - k) - y)};
}
/// a^b for finite a > 0, other than 1 if b is infinite.
WENGERT_STRAIGHT double power_of_size(double a, double b) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1, kHigh = 0x1.62e42p-1, kLow = 0x1.fdf473de6af28p-22, kFar = 1100;
  const auto [l, l_low] = precise_log2(a);
  const double b_high = head_of(b), product = b_high * l, product_low = (b - b_high) * l + b * l_low, exponent = product + product_low;
  const bool near = std::abs(exponent) < kFar;
  const double high = near ? product : std::copysign(kFar, b * l), low = near ? product_low : 0;
  const double n = rounded(high + low), t = high - n, head = head_of(t + low);
  const double u = head * kHigh, v = (low - (head - t)) * kLn2 + head * kLow, r = u + v, rest = v - (r - u);
  const double p = small_exponential(r);
  return scale(1 + (p + rest * (1 + p)), n);
}
/// In double, whose digits make up for those of the exponent.
WENGERT_STRAIGHT float power_of_size(float a, float b) {
  constexpr double kFar = 300;
  const auto [f, k] = split(static_cast<double>(a));
  const auto [half, tail] = small_logarithm(f);
  const double exponent = static_cast<double>(b) * (k + 0x1.71547652b82fep+0 * (f - (half - tail)));
  const double e = std::abs(exponent) < kFar ? exponent : std::copysign(kFar, exponent), n = rounded(e);
  return static_cast<float>((1 + small_exponential((e - n) * 0x1.62e42fefa39efp-1)) * power_of_two(n));
}
/// a^b with the special cases of C's pow; for the exponents -1, 1, 2, 3 and 4 the inverse or a product.
template <class T> WENGERT_STRAIGHT T pow(T a, T b) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity(), kNaN = std::numeric_limits<T>::quiet_NaN();
  constexpr T kWhole = static_cast<T>(BitsOf<T>(1) << Format<T>::kDigits);  // from here on numbers are integers
  const T size = std::abs(a), b_size = std::abs(b), carrier = b_size < kWhole ? b_size + kWhole : b_size;
  const T whole = b_size < kWhole ? carrier - kWhole : b_size, power = power_of_size(size, b);
  const T inverse_size = 1 / size, real = whole == b_size ? power : a < 0 ? kNaN : power, limit = b > 0 ? size : inverse_size;
  const T value = size == 0 ? limit : size == kInfinity ? limit : real;
  const T last = b_size < 2 * kWhole ? carrier : T(0), odd_or_even = whole == b_size ? last : T(0);  // in the last bit
  const T signed_value = std::bit_cast<T>(bits(value) | ((bits(odd_or_even) << (8 * sizeof(T) - 1)) & bits(a)));
  const T known = a == a ? (b == b ? signed_value : b) : a, one = b_size == kInfinity ? size : a;
  const double base = static_cast<double>(a), exact = base * base;  // of a float
  const T square = a * a, fourth = static_cast<T>(exact * exact), inverse = std::copysign(inverse_size, a);
  // (By a single chain of conditions, g++ branches, and makes no vectors.)
  const T low = b == 1 ? a : b == 2 ? square : known, high = b == 3 ? square * a : b == 4 ? fourth : low;
  const T usual = b == -1 ? inverse : high;
  return b == 0 ? T(1) : one == 1 ? T(1) : usual;
}

// ---- inverses of hyperbolic functions --------------------------------------------------------------------------------------------

template <class T> WENGERT_STRAIGHT T asinh(T x) {
  const T a = std::abs(x);
  const bool large = a > T(1 << 28);
  const T u = large ? a - 1 : a + a * a / (1 + std::sqrt(a * a + 1));
  return std::copysign(log1p(u) + (large ? T(0.69314718055994531) : T(0)), x);
}
template <class T> WENGERT_STRAIGHT T acosh(T x) {
  const T t = x - 1;
  const bool large = x > T(1 << 28);
  const T u = large ? t : t + std::sqrt(2 * t + t * t), y = log1p(u) + (large ? T(0.69314718055994531) : T(0));
  return x < 1 ? std::numeric_limits<T>::quiet_NaN() : y;
}
template <class T> WENGERT_STRAIGHT T atanh(T x) {
  const T a = std::abs(x), twice = 2 * a, far = twice / (1 - a), near = twice + twice * a / (1 - a);
  return std::copysign(log1p(a < T(0.5) ? near : far) * T(0.5), x);
}

// ---- trigonometric functions and their inverses ----------------------------------------------------------------------------------

/// Beyond, the multiples of pi/2 that are subtracted below are no longer exact.
constexpr double kTrigonometricLimit = 1e6;

/// x = quarters pi/2 + (r + rest) with |r| <= pi/4.
template <class T> struct Angle {
  T r, rest;
  BitsOf<T> quarters;  // modulo 4
};
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1, kHalfPi1 = 0x1.921fb544p+0, kHalfPi2 = 0x1.0b4611a6p-34,
                 kHalfPi3 = 0x1.3198a2e037073p-69;
WENGERT_STRAIGHT Angle<double> angle(double x) {
  const double carrier = x * kTwoOverPi + Format<double>::kRound, n = carrier - Format<double>::kRound;
  const double a = x - n * kHalfPi1, second = n * kHalfPi2, b = a - second, error = (a - b) - second;
  const double third = n * kHalfPi3, r = b - third;
  return {r, ((b - r) - third) + error, bits(carrier)};
}
WENGERT_STRAIGHT Angle<float> angle(float x) {  // in double, so that r keeps its digits near the multiples of pi/2
  const double n = rounded(static_cast<double>(x) * kTwoOverPi);
  const double r = (static_cast<double>(x) - n * kHalfPi1) - n * kHalfPi2;
  return {static_cast<float>(r), 0, static_cast<std::uint32_t>(static_cast<std::int32_t>(n))};
}
template <class T> WENGERT_STRAIGHT T sine_near_0(T r, T rest) {
  const T z = r * r, cube = z * r;
  T p;
  if constexpr (sizeof(T) == 8) {
    p = polynomial(z, 0.008333333333330946, -0.0001984126983675497, 2.755731610068303e-06, -2.5051131455427946e-08, 1.5918101230274118e-10);
  } else {
    p = polynomial(z, 0.008332748037517147, -0.00019587840521305319);
  }
  return r - ((z * (T(0.5) * rest - cube * p) - rest) + cube * T(0.16666666666666666));
}
template <class T> WENGERT_STRAIGHT T cosine_near_0(T r, T rest) {
  const T z = r * r, half = T(0.5) * z, w = 1 - half;
  T p;
  if constexpr (sizeof(T) == 8) {
    p = polynomial(z, 0.041666666666666664, -0.0013888888888887395, 2.4801587298763433e-05, -2.7557317270560326e-07, 2.0876146024689747e-09,
                   -1.1382614868556323e-11);
  } else {
    p = polynomial(z, 0.04166666465830042, -0.0013888302802309161, 2.4547891619813857e-05);
  }
  return w + (((1 - w) - half) + (z * z * p - r * rest));
}
/// x with its sign changed if bit 1 of quarters is set.
template <class T> WENGERT_STRAIGHT T with_sign_of(BitsOf<T> quarters, T x) {
  return std::bit_cast<T>(bits(x) ^ ((quarters & 2) << (8 * sizeof(T) - 2)));
}
template <class T> WENGERT_STRAIGHT T sin(T x) {
  const Angle<T> a = angle(x);
  const T s = sine_near_0(a.r, a.rest), c = cosine_near_0(a.r, a.rest);
  return with_sign_of(a.quarters, (a.quarters & 1) != 0 ? c : s);
}
template <class T> WENGERT_STRAIGHT T cos(T x) {
  const Angle<T> a = angle(x);
  const T s = sine_near_0(a.r, a.rest), c = cosine_near_0(a.r, a.rest);
  return with_sign_of(a.quarters + 1, (a.quarters & 1) != 0 ? s : c);
}
template <class T> WENGERT_STRAIGHT T tan(T x) {
  const Angle<T> a = angle(x);
  const T s = sine_near_0(a.r, a.rest), c = cosine_near_0(a.r, a.rest);
  const bool odd = (a.quarters & 1) != 0;
  return (odd ? -c : s) / (odd ? s : c);
}
/// arctan(t) - t, for |t| <= tan(pi/8).
template <class T> WENGERT_STRAIGHT T arc_tangent_tail(T t) {
  const T z = t * t;
  T p;
  if constexpr (sizeof(T) == 8) {
    p = polynomial(z, -0.3333333333333333, 0.19999999999995513, -0.1428571428466482, 0.11111111015117626, -0.09090904572487347,
                   0.07692183059894106, -0.06664509603255293, 0.05858132894427219, -0.05085365922341002, 0.03922923713827552,
                   -0.019173922285454965);
  } else {
    p = polynomial(z, -0.33333331761167462, 0.19999540483405659, -0.14263955589555222, 0.10743731399683508, -0.064519279061700546);
  }
  return t * z * p;
}
WENGERT_STRAIGHT double atan(double x) {
  constexpr double kPi4 = 0.78539816339744828, kPi4Low = 3.0616169978683830e-17;
  const double a = std::abs(x);
  const bool far = a > 2.4142135623730949, middle = a > 0.41421356237309503;
  const double numerator = far ? -1 : middle ? a - 1 : a, denominator = far ? a : middle ? a + 1 : 1;
  const double base = far ? 2 * kPi4 : middle ? kPi4 : 0, low = far ? 2 * kPi4Low : middle ? kPi4Low : 0;
  const double t = numerator / denominator;
  return std::copysign(base + (t + (low + arc_tangent_tail(t))), x);
}
/// The angle of the point (b, a). The axes and diagonals cut the plane into octants. In each, the angle from the axis at its side is the
/// arc tangent of the smaller coordinate by the larger one, reduced as that of one operand (Cephes). Before, both are scaled, so that
/// neither their sum overflows nor a product with them is subnormal.
template <class T> WENGERT_STRAIGHT T atan2(T a, T b) {
  constexpr T kPi4 = T(0.78539816339744828), kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kPi4Low = sizeof(T) == 8 ? T(3.0616169978683830e-17) : T(-2.1855694e-8);
  constexpr T kLarge = std::numeric_limits<T>::max() / 4, kSmall = Format<T>::kLeast * Format<T>::kGrow;
  const T x = std::abs(b), y = std::abs(a);
  const bool steep = y > x, left = std::copysign(T(1), b) < 0;
  const T small = steep ? x : y, large = steep ? y : x, s = large > kLarge ? T(0.25) : large < kSmall ? Format<T>::kGrow : T(1);
  const bool infinite = large == kInfinity;
  const T p = infinite ? (small == kInfinity ? T(1) : small * 0) : small * s, q = infinite ? T(1) : large == 0 ? T(1) : large * s;
  const bool middle = p > T(0.41421356237309503) * q;
  const T t = (middle ? p - q : p) / (middle ? p + q : q);
  const T axis = steep ? 2 * kPi4 : left ? 4 * kPi4 : T(0), axis_low = steep ? 2 * kPi4Low : left ? 4 * kPi4Low : T(0);
  const bool back = steep != left;  // the angle is measured clockwise
  const T low = (middle ? kPi4Low : T(0)) + (back ? -axis_low : axis_low);
  const T r = (middle ? kPi4 : T(0)) + (t + (low + arc_tangent_tail(t)));
  return std::copysign(axis + (back ? -r : r), a);
}
/// s such that arcsin |x| is s for |x| <= 1/2 and pi/2 - 2 s beyond.
template <class T> WENGERT_STRAIGHT T reduced_arc_sine(T a, bool far) {
  const T z = far ? (1 - a) * T(0.5) : a * a, s = far ? std::sqrt(z) : a;
  T p;
  if constexpr (sizeof(T) == 8) {
    p = polynomial(z, 0.16666666666666669, 0.07499999999998425, 0.04464285714637338, 0.030381944137085216, 0.0223721730020056,
                   0.0173523912659092, 0.013971235301124917, 0.011478952690254089, 0.010324318288763578, 0.005450878187643825,
                   0.017419357965078285, -0.014881409393100096, 0.028778442612773937);
  } else {
    p = polynomial(z, 0.16666666337430908, 0.07500094543497424, 0.04459940152851218, 0.03110066273549457, 0.017149238357677253,
                   0.03369084720283012);
  }
  return s + s * z * p;
}
template <class T> constexpr T kHalfPi = T(1.5707963267948966);
template <class T> constexpr T kHalfPiLow = sizeof(T) == 8 ? T(6.1232339957367660e-17) : T(-4.3711388e-8);
template <class T> WENGERT_STRAIGHT T asin(T x) {
  const T a = std::abs(x);
  const bool far = a > T(0.5);
  const T s = reduced_arc_sine(a, far);
  return std::copysign(far ? (kHalfPi<T> - 2 * s) + kHalfPiLow<T> : s, x);
}
template <class T> WENGERT_STRAIGHT T acos(T x) {
  const T a = std::abs(x);
  const bool far = a > T(0.5);
  const T s = reduced_arc_sine(a, far), near = kHalfPi<T> - (std::copysign(s, x) - kHalfPiLow<T>);
  return far ? (x > 0 ? 2 * s : 2 * (kHalfPi<T> - (s - kHalfPiLow<T>))) : near;
}

// ---- lengths ---------------------------------------------------------------------------------------------------------------------

/// A power of two for which the squares of a s and b s neither overflow nor lose digits that count.
WENGERT_STRAIGHT double scale_of_squares(double a, double b) {
  constexpr double kLarge = 0x1p500, kSmall = 0x1p-500;
  const double x = std::abs(a), y = std::abs(b), most = x > y ? x : y;
  return most > kLarge ? 0x1p-600 : most < kSmall ? 0x1p600 : 1.0;
}
/// sqrt(a^2 + b^2), infinite beside an infinity, even that of NaN.
WENGERT_STRAIGHT double hypot(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double s = scale_of_squares(a, b), x = a * s, y = b * s, back = s < 1 ? 0x1p600 : s > 1 ? 0x1p-600 : 1.0;
  const double r = std::sqrt(x * x + y * y) * back;
  return std::abs(a) == kInfinity ? kInfinity : std::abs(b) == kInfinity ? kInfinity : r;
}
WENGERT_STRAIGHT float hypot(float a, float b) {  // no square of a float overflows in double
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const double x = a, y = b;
  const auto r = static_cast<float>(std::sqrt(x * x + y * y));
  return std::abs(a) == kInfinity ? kInfinity : std::abs(b) == kInfinity ? kInfinity : r;
}
/// c / (a^2 + b^2) for c = a or c = b, and 0 at the origin and at infinity.
WENGERT_STRAIGHT double over_square(double c, double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double s = scale_of_squares(a, b), x = a * s, y = b * s, d = x * x + y * y;
  const double r = c * s / (d == 0 ? 1.0 : d) * s;
  return std::abs(a) == kInfinity ? 0.0 : std::abs(b) == kInfinity ? 0.0 : r;
}
WENGERT_STRAIGHT float over_square(float c, float a, float b) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const double x = a, y = b, d = x * x + y * y;
  const auto r = static_cast<float>(static_cast<double>(c) / (d == 0 ? 1.0 : d));
  return std::abs(a) == kInfinity ? 0.f : std::abs(b) == kInfinity ? 0.f : r;
}

// ---- gamma function -------------------------------------------------------------------------------------------------------------

/// ln Gamma(x) for x > 0, in double, whose digits make up for what cancels near the zeros 1 and 2. From 8 on it is Stirling's series
/// (DLMF 5.11.1), before ln Gamma(x + 8) - ln(x (x + 1) ... (x + 7)).
WENGERT_STRAIGHT float lgamma_of_positive(float argument) {
  const double x = argument;
  const bool moved = x < 8;
  const double product = (x * (x + 1)) * ((x + 2) * (x + 3)) * (((x + 4) * (x + 5)) * ((x + 6) * (x + 7)));
  const double y = moved ? x + 8 : x, w = 1 / y;
  const double series =
      w * polynomial(w * w, 1 / 12., -1 / 360., 1 / 1260., -1 / 1680., 1 / 1188., -691 / 360360., 1 / 156., -3617 / 122400.);
  const double sum = (y - 0.5) * (log(y) - 1) + (0.41893853320467274 + series);
  const double r = moved ? sum - log(product) : sum;
  return static_cast<float>((x - 1) * (x - 2) == 0 ? 0.0 : r);
}

// Derivatives of ln Gamma.
//
// For x > 0 alone. Beyond 2 they are the first terms of the asymptotic series (DLMF 5.11.2, 5.15.8) and, in place of the others, a rational
// function of 1/x^2. Up to 2, a rational function of x stands for what is smooth once the pole at 0 is taken out. Both interpolate at
// Chebyshev points and share one division. Nearly all coefficients are positive, so little cancels; and r is small beside what it is added
// to, or x is, so that its rounding errors count little.

/// psi(x). For x < 1 it is psi(x + 1) - 1/x. The zero is a factor in two parts, so that no digits are lost beside it (as in Boost.Math).
WENGERT_STRAIGHT double digamma_of_positive(double x) {
  constexpr double kZero = 0x1.762d86356be3fp+0, kZeroLow = 0x1.b86a722197829p-54;
  constexpr double kZeroLessOne = 0x1.d8b618d5af8fep-2, kZeroLessOneLow = -0x1.1e563779a1f5bp-56;
  const bool far = x > 2, next = x < 1;
  const double w = 1 / x, z = w * w, u = next ? x + 1 : x;
  const double t = next ? (x - kZeroLessOne) - kZeroLessOneLow : (x - kZero) - kZeroLow;
  const double near_p = polynomial(u, 0.68416668050926799, 1.1769052881219564, 0.0084898176200327701, -0.53900062533458282,
                                   -0.20407923998082755, -0.022276967878676422, -0.00057379053840029008);
  const double near_q =
      u * polynomial(u, 1, 1.9204525441282898, 1.1789168710785269, 0.28285410912873538, 0.02501956887148395, 0.00057924255535939009);
  const double far_p = polynomial(z, 0.083333333333333259, 1.5265158317956384, 8.9692597265081133, 20.642817351671013, 18.136513112320415,
                                  4.9017207657197996, 0.184814855998373);
  const double far_q = polynomial(z, 1, 18.418189981546448, 109.42531666893366, 257.82928318947393, 239.04035860862626, 74.497022977061633,
                                  4.8924342051301837);
  const double r = (far ? far_p : near_p) / (far ? far_q : near_q);
  const double near = (t + t * r) - (next ? w : 0);
  return far ? log(x) - w * (0.5 + w * r) : near;
}
/// psi'(x) = 1/x + (1/2 + r) / x^2
WENGERT_STRAIGHT double trigamma_of_positive(double x) {
  const bool far = x > 2;
  const double w = 1 / x, z = w * w;
  const double near_p = polynomial(x, 0.5, 1.1353104927007316, 1.1897891686193298, 0.70461967072375664, 0.24489791082786264,
                                   0.047077110937267692, 0.0039122818041430864, -2.7771711143368695e-09, 9.0650395653421302e-11);
  const double near_q = polynomial(x, 1, 4.2706209854014725, 7.6309521743447091, 7.4295914118162827, 4.2843305999091976, 1.4740624975501271,
                                   0.28246524743884854, 0.02347343659974498);
  const double far_p = w * polynomial(z, 0.16666666666666646, 3.9273377383677848, 30.807871412489764, 99.593460023798826,
                                      132.56312088935462, 61.966192385397811, 5.7014629770600234, -0.12850860598924638);
  const double far_q = polynomial(z, 1, 23.76402643020479, 189.45717661867758, 632.25733447908533, 899.06314600742633, 489.89536126097778,
                                  73.183008998058938);
  const double r = (far ? far_p : near_p) / (far ? far_q : near_q);
  return far ? w + z * (0.5 + r) : (x + (0.5 + r)) / (x * x);
}
/// psi''(x) = -(1/x^2 + (1 + r) / x^3)
WENGERT_STRAIGHT double tetragamma_of_positive(double x) {
  const bool far = x > 2;
  const double w = 1 / x, z = w * w;
  const double near_p =
      polynomial(x, 1, 3.9748958360039617, 5.5470777448931958, 4.2529332539937945, 1.9604569208376577, 0.54469886758726571,
                 0.08394564190337328, 0.0054329014156695556, -1.8146853889016092e-08, 5.5683909788026214e-10);
  const double near_q = polynomial(x, 1, 4.9748958360039754, 10.521973580896351, 12.370793028591224, 8.8649735870774027, 3.9771895315253794,
                                   1.0929700526282842, 0.16789752251064333, 0.0108652174383773);
  const double far_p = w * polynomial(z, 0.49999999999999939, 15.031189826224699, 156.11619992926975, 704.22142207049467, 1421.09950421289,
                                      1181.7503298182191, 315.38083897774777, 11.490379183476774);
  const double far_q = polynomial(z, 1, 30.395712985780538, 322.03097085453442, 1506.2545966577113, 3253.5109870024389, 3095.0589730953116,
                                  1110.0323416350814, 98.838388457038661);
  const double r = (far ? far_p : near_p) / (far ? far_q : near_q);
  return -(far ? z + z * (w * (1 + r)) : (x + (1 + r)) / (x * x * x));
}

// ---- error function --------------------------------------------------------------------------------------------------------------

/// e^(-f a^2) for a power of two f. The rounding error of a^2 would be multiplied by a^2, so the low part of the square goes to the reduced
/// argument.
template <class T> WENGERT_STRAIGHT Exponential<T> exponential_of_negative_square(T a, T f = 1) {
  constexpr BitsOf<T> kLowHalf = (BitsOf<T>(1) << (sizeof(T) == 8 ? 27 : 12)) - 1;
  const T head = std::bit_cast<T>(bits(a) & ~kLowHalf), low = (a - head) * (a + head) * f, square = head * head * f;
  const T k = rounded(square * T(-1.4426950408889634));
  return {small_exponential((-square - k * Format<T>::kLn2High) - (k * Format<T>::kLn2Low + low)), k};
}
/// e^(a^2) erfc(a), for a >= 0: times 1 + 2a it is a polynomial of t = (a - K) / (a + K)
/// (M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36, 1981).
template <class T> WENGERT_STRAIGHT T scaled_tail_of_gaussian(T a) {
  T p;
  if constexpr (sizeof(T) == 8) {
    const T t = (a - 3) / (a + 3);
    p = polynomial(t, 1.2530080582697296, -0.1356211061245807, -0.047562294353446374, 0.12964515870270552, -0.11927366341552853,
                   0.068308027345804587, -0.023770514914233671, 0.0025293917882704452, 0.0018886903120037819, -0.00077983203796111152,
                   -0.00010515949033775975, 0.00012509815174864322, 4.9481478755765391e-06, -2.0096630875953951e-05,
                   -7.2758757466671833e-07, 3.4639975323529041e-06, 3.4899197889744293e-07, -6.0500486239335033e-07,
                   -1.3111661375364589e-07, 9.186243026143847e-08, 3.2916343967663199e-08, -8.500119502115306e-09, -4.2101049751191952e-09);
  } else {
    const T t = (a - 2) / (a + 2);
    p = polynomial(t, 1.2769783774738688, -0.092764021557756704, -0.16603053011744243, 0.1640563038024363, -0.054211961230748701,
                   -0.0080667040304843, 0.0086522872321874566, 0.0013316854285827489, -0.0012467969243424078, -0.00041589707000613162);
  }
  return p / (1 + 2 * a);
}
/// Where erfc is 0.
template <class T> constexpr T kEndOfGaussian = sizeof(T) == 8 ? 28 : 11;
/// p 2^k, rounded once, for the exponents k <= 0 of e^(-a^2) up to that end.
template <class T> WENGERT_STRAIGHT T scale_down(T p, T k) {
  constexpr T kShift = sizeof(T) == 8 ? 512 : 64, kBack = sizeof(T) == 8 ? T(0x1p-512) : T(0x1p-64);
  return p * power_of_two(k + kShift) * kBack;
}
/// erfc(a), for a >= 0.
template <class T> WENGERT_STRAIGHT T tail_of_gaussian(T a) {
  a = a > kEndOfGaussian<T> ? kEndOfGaussian<T> : a;
  const Exponential<T> e = exponential_of_negative_square(a);
  const T q = scaled_tail_of_gaussian(a);
  return scale_down(q + e.p * q, e.k);
}
/// The distribution function of the standard normal distribution at z, and e^(-z^2 / 2). Below 0 the former is the latter times w times a
/// polynomial of |z| w, with w = K / (|z| + K) for K = 3 sqrt(2). The rounding error of z^2 stays in the exponential.
struct Normal {
  float left, exponential;
};
WENGERT_STRAIGHT Normal normal(float z) {
  constexpr float kEnd = kEndOfGaussian<float> * 1.4142135623730951f, kMiddle = 3 * 1.4142135623730951f;
  z = between(-kEnd, z, kEnd);
  const float square = z * z * 0.5f, k = rounded(square * -1.4426950408889634f);
  const float p = small_exponential((-square - k * Format<float>::kLn2High) - k * Format<float>::kLn2Low), e = scale_down(1 + p, k);
  const float a = std::abs(z), w = kMiddle / (a + kMiddle);
  const float tail = polynomial(a * w, 0.5000000008132196, -0.28109119943990329, 0.089715092933299712, -0.016149275376656089,
                                0.0011097645440599293, 0.00012036514736227751, -1.5982194239973193e-05, -4.2384271935648717e-06,
                                1.0133158344012325e-06, -6.3584467667542664e-08) *
                     w * e;
  return {z > 0 ? 1 - tail : tail, e};
}
/// erf(x) for |x| <= 1.
template <class T> WENGERT_STRAIGHT T erf_near_0(T x) {
  const T z = x * x;
  if constexpr (sizeof(T) == 8) {
    return x * polynomial(z, 1.1283791670955126, -0.37612638903183543, 0.11283791670945006, -0.02686617064323777, 0.0052239776071164225,
                          -0.0008548325975389692, 0.00012055294904839707, -1.4924736907419654e-05, 1.6447424703317288e-06,
                          -1.620848380187118e-07, 1.3720064546775592e-08, -7.795898826998504e-10);
  } else {
    return x * polynomial(z, 1.1283791261787373, -0.376123437753278, 0.11280316652505046, -0.026715054232265757, 0.004921762027876559,
                          -0.0005648059865500606);
  }
}
template <class T> WENGERT_STRAIGHT T erf(T x) {
  const T a = std::abs(x), far = std::copysign(1 - tail_of_gaussian(a), x), near = erf_near_0(x);
  return a > 1 ? far : near;
}
template <class T> WENGERT_STRAIGHT T erfc(T x) {
  const T a = std::abs(x), near = 1 - erf_near_0(x), right = tail_of_gaussian(a);
  return a > T(0.46875) ? (x > 0 ? right : 2 - right) : near;
}

}  // namespace wengert::fn::straight

#undef WENGERT_STRAIGHT
