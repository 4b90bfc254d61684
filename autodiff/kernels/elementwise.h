#pragma once
// Elementwise loops: any number of operands, each broadcast to the shape of the result, which is dense and row-major.
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/strided.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// y[i] = f(x[i]...) in `rows` rows of n elements, which are dense in every operand and lie behind each other in y.
template <class T, class F, class... X>
void elementwise_rows(Index rows, Index n, T* y, F&& f, const std::array<Index, sizeof...(X)>& row_strides, const X*... x) {
  const auto loop = [&]() __attribute__((always_inline)) {
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
      for (Index row = 0; row < rows; ++row) {
        const auto line = [&](T* __restrict to, const X*... from) __attribute__((always_inline)) {
          for (Index i = 0; i < n; ++i) to[i] = static_cast<T>(f(from[i]...));
        };
        line(y + row * n, (x + row * row_strides[k])...);
      }
    }
    (std::index_sequence_for<X...>{});
  };
  constexpr Index kWorthIt = 64;
  if constexpr ((std::is_same_v<T, float> && ... && std::is_same_v<X, float>)) {
    if (rows * n >= kWorthIt) return run_on_best_target(loop);
  }
  loop();
}

/// The same for operands that all walk by one pattern.
template <class T, class F, class... X> void elementwise_flat(Index n, T* y, F&& f, const X*... x) {
  elementwise_rows(1, n, y, f, {}, x...);
}

/// The same by blocks: one without an element for which `rare(x[i]...)` holds takes `usual`, which gives the same there and costs less.
template <class T, class Rare, class Usual, class F, class... X>
void elementwise_by_blocks(Index n, T* y, Rare&& rare, Usual&& usual, F&& f, const X*... x) {
  const auto block = [&](Index count, T* __restrict to, const X*... from) __attribute__((always_inline)) {
    int any = 0;
    for (Index i = 0; i < count; ++i) any |= rare(from[i]...);
    if (any) {
      for (Index i = 0; i < count; ++i) to[i] = f(from[i]...);
    } else {
      for (Index i = 0; i < count; ++i) to[i] = usual(from[i]...);
    }
  };
  constexpr Index kBlock = 64;
  const auto loop = [&]() __attribute__((always_inline)) {
    Index i = 0;
    for (; i + kBlock <= n; i += kBlock) block(kBlock, y + i, (x + i)...);
    if (i < n) block(n - i, y + i, (x + i)...);
  };
  if constexpr (std::is_same_v<T, float>) return run_on_best_target(loop);
  loop();
}

/// The same with a stride for each operand along each dimension of `shape` (0: repeated).
template <class T, class F, class... X>
void elementwise_strided(const Shape& shape, const std::array<const Shape*, sizeof...(X)>& strides, T* y, F&& f, const X*... x) {
  constexpr std::size_t N = sizeof...(X);
  using Strides = std::array<Index, N>;
  const auto row = [&]<std::size_t... k>(const Strides& offset, Index n, const Strides& step, std::index_sequence<k...>) {
    if constexpr (N == 2) {
      const auto [p, q] = std::pair(x...);
      const auto *a = p + offset[0], *b = q + offset[1];
      const auto run = [&](auto left, auto right) {
        for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f(left(i), right(i)));
      };
      if (step[0] == 1 && step[1] == 0) {
        run([a](Index i) { return a[i]; }, [v = *b](Index) { return v; });
      } else if (step[0] == 0 && step[1] == 1) {
        run([v = *a](Index) { return v; }, [b](Index i) { return b[i]; });
      } else {
        run([a, s = step[0]](Index i) { return a[i * s]; }, [b, s = step[1]](Index i) { return b[i * s]; });
      }
    } else {
      for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(f((x + offset[k])[i * step[k]]...));
    }
  };
  const auto plane = [&](Strides offset, Index rows, const Strides& row_step, Index n, const Strides& step) {
    [&]<std::size_t... k>(std::index_sequence<k...> operands) {
      if (((step[k] == 1) && ...)) {
        elementwise_rows(rows, n, y, f, row_step, (x + offset[k])...);
        y += rows * n;
        return;
      }
      for (Index i = 0; i < rows; ++i, y += n) {
        row(offset, n, step, operands);
        ((offset[k] += row_step[k]), ...);
      }
    }
    (std::index_sequence_for<X...>{});
  };
  Rows<static_cast<int>(N)>(shape, strides).for_each_plane(plane);
}

}  // namespace wengert::kernels
