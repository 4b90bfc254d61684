#pragma once
// Internal.
// exp and tanh in float32 without branches, tables or calls, so that compilers vectorize loops over them. They handle all arguments (NaN,
// infinities, results that underflow) and use the same operations on every machine. The polynomials are from S. L. Moshier's Cephes.
#include <bit>
#include <cmath>
#include <cstdint>

namespace wengert::fn {

/// e^x as p 2^k, for x such that k fits an exponent.
struct ScaledExponential {
  float p;
  std::int32_t k;
};
inline __attribute__((always_inline)) ScaledExponential scaled_exponential(float x) {
  //  x = k ln 2 + r: adding 1.5 2^23 rounds to an integer, which is then in the low bits. ln 2 in two parts, the first of 9 bits.
  constexpr float kRound = 12582912;
  const float rounded = x * 1.44269504f + kRound, k = rounded - kRound, r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {p * (r * r) + r + 1, std::bit_cast<std::int32_t>(rounded) - std::bit_cast<std::int32_t>(kRound)};
}
/// 2^k, for exponents of normal numbers.
inline __attribute__((always_inline)) float power_of_two(std::int32_t k) { return std::bit_cast<float>((k + 127) << 23); }

/// e^x within 1 ULP.
inline __attribute__((always_inline)) float exp(float x) {
  x = x > 89 ? 89.f : x;  // e^89 is infinite and e^-104 is 0; within these limits 2^k can be formed below. NaN stays NaN
  x = x < -104 ? -104.f : x;
  const auto [p, k] = scaled_exponential(x);
  //  2^k as a product of two powers, because 2^128 is not a float and denormal results must be rounded only once.
  const std::int32_t half = k >> 1;
  return p * power_of_two(half) * power_of_two(k - half);
}

/// tanh(x) within 1.5 ULP: a polynomial near 0, elsewhere 1 - 2 / (e^(2|x|) + 1) with the sign of x.
inline __attribute__((always_inline)) float tanh(float x) {
  const float z = x * x;
  float polynomial = -5.70498872745e-3f;
  polynomial = polynomial * z + 2.06390887954e-2f;
  polynomial = polynomial * z - 5.37397155531e-2f;
  polynomial = polynomial * z + 1.33314422036e-1f;
  polynomial = polynomial * z - 3.33332819422e-1f;
  const float magnitude = std::abs(x), twice = magnitude > 20 ? 40.f : 2 * magnitude;  // tanh(20) is 1
  const auto [p, k] = scaled_exponential(twice);
  const float near = polynomial * z * x + x, far = std::copysign(1 - 2 / (p * power_of_two(k) + 1), x);
  return magnitude > 0.625f ? far : near;
}

inline double exp(double x) { return std::exp(x); }
inline double tanh(double x) { return std::tanh(x); }
inline long double exp(long double x) { return std::exp(x); }
inline long double tanh(long double x) { return std::tanh(x); }

}  // namespace wengert::fn
