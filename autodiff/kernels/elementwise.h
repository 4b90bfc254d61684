#pragma once
// Elementwise loops: any number of operands, each broadcast to the shape of the result, which is dense and row-major.
//
// A function has one loop, over rows whose elements lie behind each other in every operand. Where they do not (transposed operands, every
// second element, rows of a few elements ...), elementwise_strided copies them to a small buffer block by block and runs the same loop on
// the blocks.
#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

inline constexpr std::size_t kMaxOperands = 4;

/// `rows` rows of n elements, which lie behind each other within a row. (Only as many operands are set as the loop has.)
struct ElementwiseRows {
  ElementwiseRows() {}  // NOLINT(modernize-use-equals-default): the arrays are left as they are, also by ElementwiseRows{}
  Index rows = 1, n = 0;
  void* y = nullptr;
  Index y_pitch = 0;  ///< from row to row, in elements, as the operands' pitches
  std::array<const void*, kMaxOperands> x;
  std::array<Index, kMaxOperands> pitch;
  int repeated = -1;  ///< of two operands the one, 0 or 1, that has one element for each row; -1 if there is none
};
/// A loop that takes Cost::ns nanoseconds for a float (blocks.h); others take as long as a copy.
template <class Cost, class Loop> struct CostlyLoop : Loop { static constexpr double ns = Cost::ns; };
template <class Cost, class Loop> CostlyLoop<Cost, Loop> costing(Loop loop) { return {loop}; }

/// Refers to a loop: y = f(x...) for all elements of the rows. Their types are those that the loop was made for.
class DenseLoop {
 public:
  template <class Loop>
  requires(!std::same_as<Loop, DenseLoop>) DenseLoop(const Loop& loop) : loop_(&loop), kind_(&kKind<Loop>) {}

  void operator()(const ElementwiseRows& r) const { kind_->run(loop_, r); }
  /// What it takes for an element of y that has so many bytes, in nanoseconds.
  double ns(Index y_size) const { return y_size > 4 ? 2 * kind_->ns : kind_->ns; }

 private:
  struct Kind {
    void (*run)(const void* loop, const ElementwiseRows& r);
    double ns;  // for a float
  };
  template <class Loop> static constexpr double ns_of() {
    if constexpr (requires { Loop::ns; }) {
      return Loop::ns;
    } else {
      return cost::kCopy<float>;
    }
  }
  template <class Loop>
  static constexpr Kind kKind{[](const void* loop, const ElementwiseRows& r) { (*static_cast<const Loop*>(loop))(r); }, ns_of<Loop>()};

  const void* loop_;
  const Kind* kind_;
};

/// Makes what a DenseLoop refers to, of a loop over one row that is always inlined: line(n, to, from...).
template <class Y, class... X, class Line> auto dense_loop_of(Line line) {
  return [line](const ElementwiseRows& r) {
    constexpr Index kWorthIt = 64;
    const auto loop = [&]() __attribute__((always_inline)) {
      [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        for (Index row = 0; row < r.rows; ++row)
          line(r.n, static_cast<Y*>(r.y) + row * r.y_pitch, (static_cast<const X*>(r.x[k]) + row * r.pitch[k])...);
      }
      (std::index_sequence_for<X...>{});
    };
    run_elements<Y>(loop, r.rows * r.n >= kWorthIt);
  };
}

/// The same for the function of one element: y = f(x...).
template <class Y, class... X, class F>
requires(sizeof...(X) != 2) auto dense_loop(F f) {
  return dense_loop_of<Y, X...>([f](Index n, Y* __restrict to, const X*... from) __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] = static_cast<Y>(f(from[i]...));
  });
}
/// Of two operands, either of which may have one element for a row.
template <class Y, class A, class B, class F> auto dense_loop(F f) {
  const auto both = dense_loop_of<Y, A, B>([f](Index n, Y* __restrict to, const A* a, const B* b) __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] = static_cast<Y>(f(a[i], b[i]));
  });
  const auto left = dense_loop_of<Y, A, B>([f](Index n, Y* __restrict to, const A* a, const B* b) __attribute__((always_inline)) {
    const A v = *a;
    for (Index i = 0; i < n; ++i) to[i] = static_cast<Y>(f(v, b[i]));
  });
  const auto right = dense_loop_of<Y, A, B>([f](Index n, Y* __restrict to, const A* a, const B* b) __attribute__((always_inline)) {
    const B v = *b;
    for (Index i = 0; i < n; ++i) to[i] = static_cast<Y>(f(a[i], v));
  });
  return [both, left, right](const ElementwiseRows& r) {
    if (r.repeated < 0) return both(r);
    return r.repeated == 0 ? left(r) : right(r);
  };
}

/// The same, where the one element for a row is copied as often as a block has elements: for a function that the compiler does not turn
/// into vectors where an operand is constant, as it then branches on conditions that are constant, too.
template <class T, class F> auto dense_loop_of_copies(F f) {
  const auto both = dense_loop_of<T, T, T>([f](Index n, T* __restrict to, const T* a, const T* b) __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] = static_cast<T>(f(a[i], b[i]));
  });
  return [both](const ElementwiseRows& r) {
    if (r.repeated < 0) return both(r);
    constexpr Index kBlock = 512;
    const auto copied = static_cast<std::size_t>(r.repeated), other = 1 - copied;
    std::array<T, kBlock> copies;
    ElementwiseRows part;
    part.x[copied] = copies.data();
    for (Index row = 0; row < r.rows; ++row) {
      std::fill_n(copies.begin(), std::min(r.n, kBlock), static_cast<const T*>(r.x[copied])[row * r.pitch[copied]]);
      for (Index begin = 0; begin < r.n; begin += kBlock) {
        part.n = std::min(r.n - begin, kBlock);
        part.x[other] = static_cast<const T*>(r.x[other]) + row * r.pitch[other] + begin;
        part.y = static_cast<T*>(r.y) + row * r.y_pitch + begin;
        part.pitch[0] = part.pitch[1] = 0;
        both(part);
      }
    }
  };
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
/// Runs the loop for one row, in blocks over the pool. The elements of y have y_size bytes, those of the operands x_sizes[k], 1 to
/// kMaxOperands of them.
void elementwise_dense(const ElementwiseRows& row, std::span<const Index> x_sizes, Index y_size, DenseLoop loop);
/// The same for y, dense and of `shape`.
void elementwise_strided(const Shape& shape, std::span<const StridedOperand> x, void* y, Index y_size, DenseLoop loop);

}  // namespace wengert::kernels
