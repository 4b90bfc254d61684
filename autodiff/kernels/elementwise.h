#pragma once
// Elementwise loops: any number of operands, each broadcast to the shape of the result, which is dense and row-major.
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/strided.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

template <class T, class F, class... X>
__attribute__((always_inline)) inline void elementwise_loop(Index n, T* __restrict y, F& f, const X*... x) {
  for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f(x[i]...));
}
#ifdef WENGERT_SEVERAL_TARGETS
template <class T, class F, class... X> WENGERT_TARGET_AVX2 void elementwise_avx2(Index n, T* __restrict y, F& f, const X*... x) {
  elementwise_loop(n, y, f, x...);
}
template <class T, class F, class... X> WENGERT_TARGET_AVX512 void elementwise_avx512(Index n, T* __restrict y, F& f, const X*... x) {
  elementwise_loop(n, y, f, x...);
}
#endif

/// y[i] = f(x[i]...) for operands that all walk by the same pattern.
template <class T, class F, class... X> void elementwise_flat(Index n, T* __restrict y, F&& f, const X*... x) {
#ifdef WENGERT_SEVERAL_TARGETS
  if constexpr ((std::is_same_v<T, float> && ... && std::is_same_v<X, float>)) {
    constexpr Index kWorthIt = 64;
    if (n >= kWorthIt) {
      const Target best = target();
      if (best == Target::avx512) return elementwise_avx512(n, y, f, x...);
      if (best == Target::avx2) return elementwise_avx2(n, y, f, x...);
    }
  }
#endif
  elementwise_loop(n, y, f, x...);
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
