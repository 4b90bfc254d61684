#include "autodiff/kernels/norms.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "autodiff/kernels/target.h"

namespace wengert::kernels {
namespace {

// Partial results side by side: four vectors of the widest instruction set, so that no addition waits for the one before.
constexpr Index kPartial = 32;

// The sum of term(x[i]) by kPartial sums: that of i = k, k + kPartial, ... is the kth.
template <class T, class F> double sum(const T* x, Index n, F term) {
  double result = 0;
  run_on_best_target([&]() __attribute__((always_inline)) {
    double partial[kPartial] = {};
    Index i = 0;
    for (; i + kPartial <= n; i += kPartial)
      for (Index k = 0; k < kPartial; ++k) partial[k] += term(static_cast<double>(x[i + k]));
    for (Index k = 0; i + k < n; ++k) partial[k] += term(static_cast<double>(x[i + k]));
    for (Index half = kPartial / 2; half > 0; half /= 2)
      for (Index k = 0; k < half; ++k) partial[k] += partial[k + half];
    result = partial[0];
  });
  return result;
}

// f(element&) for every element.
template <class T, class F> void change(T* x, Index n, F f) {
  run_on_best_target([&]() __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) x[i] = f(x[i]);
  });
}

}  // namespace

// As integers, the bits of magnitudes are in the order of the magnitudes, with the NaNs above infinity: none of them gets lost.
template <class T> double max_magnitude(const T* x, Index n) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits kMagnitude = ~Bits(0) >> 1;  // all but the sign
  Bits max = 0;
  run_on_best_target([&]() __attribute__((always_inline)) {
    Bits m = 0;
    for (Index i = 0; i < n; ++i) {
      const Bits bits = std::bit_cast<Bits>(x[i]) & kMagnitude;
      m = bits > m ? bits : m;
    }
    max = m;
  });
  return static_cast<double>(std::bit_cast<T>(max));
}

template <class T> double sum_of_magnitudes(const T* x, Index n) {
  return sum(
      x, n, [](double v) __attribute__((always_inline)) { return std::abs(v); });
}
template <class T> double sum_of_squares(const T* x, Index n) {
  return sum(
      x, n, [](double v) __attribute__((always_inline)) { return v * v; });
}
template <class T> double sum_of_powers(const T* x, Index n, double unit, double p) {
  return sum(
      x, n, [=](double v) __attribute__((always_inline)) { return std::pow(std::abs(v) / unit, p); });
}

template <class T> void scale(T* x, Index n, double factor) {
  change(
      x, n, [=](T v) __attribute__((always_inline)) { return static_cast<T>(v * factor); });
}
template <class T> void clamp(T* x, Index n, double limit) {
  const T high = static_cast<T>(limit), low = -high;
  change(
      x, n, [=](T v) __attribute__((always_inline)) { return v < low    ? low
                                                             : v > high ? high
                                                                        : v; });
}

#define WENGERT_NORMS(T)                                          \
  template double max_magnitude(const T*, Index);                 \
  template double sum_of_magnitudes(const T*, Index);             \
  template double sum_of_squares(const T*, Index);                \
  template double sum_of_powers(const T*, Index, double, double); \
  template void scale(T*, Index, double);                         \
  template void clamp(T*, Index, double);
WENGERT_NORMS(float)
WENGERT_NORMS(double)
#undef WENGERT_NORMS

}  // namespace wengert::kernels
