#pragma once
// Elementwise loops: any number of operands, each broadcast to the shape of the result, which is dense and row-major.
//
// A function has one loop, over operands whose elements lie behind each other. Where an operand lies otherwise (broadcast, transposed,
// every second element ...), elementwise_strided copies it to a small buffer block by block and runs the same loop on the blocks.
#include <cstddef>
#include <span>
#include <utility>

#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

/// y[i] = f(x[0][i], x[1][i] ...) for i < n. The types of the elements are those that the loop was made for.
using DenseLoop = wengert::detail::FunctionRef<void(Index n, void* y, const void* const* x)>;

/// Makes what a DenseLoop refers to, of a body that is always inlined: body(n, to, from...) is the loop over n elements.
template <class Y, class... X, class Body> auto dense_loop_of(Body body) {
  return [body](Index n, void* y, const void* const* x) {
    constexpr Index kWorthIt = 64;
    const auto loop = [&]() __attribute__((always_inline)) {
      [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        body(n, static_cast<Y*>(y), static_cast<const X*>(x[k])...);
      }
      (std::index_sequence_for<X...>{});
    };
    run_elements<Y>(loop, n >= kWorthIt);
  };
}

/// The same for the function of one element: y = f(x...).
template <class Y, class... X, class F> auto dense_loop(F f) {
  return dense_loop_of<Y, X...>([f](Index n, Y* __restrict to, const X*... from) __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] = static_cast<Y>(f(from[i]...));
  });
}

/// The same by blocks: one without an element for which `rare(x...)` holds takes `usual`, which gives the same there and costs less.
template <class Y, class... X, class Rare, class Usual, class F> auto dense_loop_by_blocks(Rare rare, Usual usual, F f) {
  return dense_loop_of<Y, X...>([ rare, usual, f ](Index n, Y* __restrict to, const X*... from) __attribute__((always_inline)) {
    constexpr Index kBlock = 64;
    for (Index begin = 0; begin < n; begin += kBlock) {
      const Index end = n - begin < kBlock ? n : begin + kBlock;
      int any = 0;
      for (Index i = begin; i < end; ++i) any |= rare(from[i]...);
      if (any) {
        for (Index i = begin; i < end; ++i) to[i] = f(from[i]...);
      } else {
        for (Index i = begin; i < end; ++i) to[i] = usual(from[i]...);
      }
    }
  });
}

/// Elements somewhere in memory.
struct StridedOperand {
  const void* data;
  const Shape* strides;  ///< in elements, along each dimension of the result; 0: repeated
  Index size;            ///< of an element in bytes: 1, 4 or 8
};
/// Runs the loop for y, dense and of `shape`, whose elements have y_size bytes; of 1 to 4 operands.
void elementwise_strided(const Shape& shape, std::span<const StridedOperand> x, void* y, Index y_size, DenseLoop loop);

}  // namespace wengert::kernels
