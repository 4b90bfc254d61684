#pragma once
// Internal.
// The gradient of a layer's weights as the product that it is, before anybody has multiplied it. An optimizer multiplies it while it
// updates the weights, so that a large gradient never leaves the cache. (Half of a step at batch 1.)
#include <type_traits>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// left^T right, for dense float32 matrices (k, m) and (k, n).
class PendingProduct {
 public:
  /// Nothing.
  PendingProduct() = default;
  /// Of matrices that `fits`.
  PendingProduct(const Tensor& left, const Tensor& right) : left_(left.constant()), right_(right.constant()) {}
  /// Whether the product is large enough to be worth it, and its factors stay as they are while it waits.
  static bool fits(const Tensor& left, const Tensor& right);

  bool defined() const { return left_.defined(); }
  /// (m, n)
  Shape shape() const { return {m(), n()}; }

  Tensor multiply() const;
  /// to -= rate * the product, for (m, n) dense elements; with the bits that multiply() and that formula give.
  void subtract_from(float* to, float rate) const;
  /// Whether for_each_block is faster than multiply().
  bool is_short() const;
  /// Calls use(first, count, elements) for blocks that make up the product in row-major order, on the threads of the pool. The bits are
  /// those of multiply().
  template <class F> void for_each_block(F&& use) const {
    using Callable = std::remove_reference_t<F>;
    run_blocks([](void* f, Index first, Index count, const float* elements) { (*static_cast<Callable*>(f))(first, count, elements); },
               const_cast<std::remove_const_t<Callable>*>(&use));
  }

 private:
  // Of the product, and how many terms its elements have.
  Index m() const { return left_.shape()[1]; }
  Index n() const { return right_.shape()[1]; }
  Index terms() const { return left_.shape()[0]; }
  void run_blocks(void (*use)(void* f, Index first, Index count, const float* elements), void* f) const;

  Tensor left_, right_;
};

}  // namespace wengert::detail
