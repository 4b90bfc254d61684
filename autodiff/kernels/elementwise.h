#pragma once
// Elementwise loops: any number of operands, each broadcast to the shape of the result, which is dense and row-major.
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/strided.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// y[i] = f(x[i]...) for operands that all walk by the same pattern.
template <class T, class F, class... X> void elementwise_flat(Index n, T* __restrict y, F&& f, const X*... x) {
  const auto loop = [&]() __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f(x[i]...));
  };
  constexpr Index kWorthIt = 64;
  if constexpr ((std::is_same_v<T, float> && ... && std::is_same_v<X, float>)) {
    if (n >= kWorthIt) return run_on_best_target(loop);
  }
  loop();
}

/// The same with a stride for each operand along each dimension of `shape` (0: repeated).
template <class T, class F, class... X>
void elementwise_strided(const Shape& shape, const std::array<const Shape*, sizeof...(X)>& strides, T* y, F&& f, const X*... x) {
  constexpr std::size_t N = sizeof...(X);
  Rows<static_cast<int>(N)>(shape, strides).for_each([&](const std::array<Index, N>& offset, Index n, const std::array<Index, N>& step) {
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      if (((step[k] == 1) && ...)) {
        elementwise_flat(n, y, f, (x + offset[k])...);
      } else if constexpr (N == 2) {
        const auto [p, q] = std::pair(x...);
        const auto *a = p + offset[0], *b = q + offset[1];
        const auto row = [&](auto left, auto right) {
          for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f(left(i), right(i)));
        };
        if (step[0] == 1 && step[1] == 0) {
          row([a](Index i) { return a[i]; }, [v = *b](Index) { return v; });
        } else if (step[0] == 0 && step[1] == 1) {
          row([v = *a](Index) { return v; }, [b](Index i) { return b[i]; });
        } else {
          row([a, s = step[0]](Index i) { return a[i * s]; }, [b, s = step[1]](Index i) { return b[i * s]; });
        }
      } else {
        for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f((x + offset[k])[i * step[k]]...));
      }
    }
    (std::index_sequence_for<X...>{});
    y += n;
  });
}

}  // namespace wengert::kernels
