#pragma once
// Internal.
// The cotangent of a recorded tensor: nothing yet, a tensor, or a matrix product that nobody has multiplied yet.
//
// With few rows in a batch, the gradient of a layer's weights takes longer to write and to read than to compute. So it may stay the product
// that it is until its elements are needed. An optimizer needs them block by block, in the cache, and never stores them (half of a step at
// batch 1). Everybody else asks for the value and cannot tell the difference: the bits are the same.
#include <type_traits>
#include <utility>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

class Cotangent {
 public:
  /// Nothing.
  Cotangent() = default;
  Cotangent(Tensor value) : value_(std::move(value)) {}
  /// left^T right, of matrices (k, m) and (k, n) that may wait.
  static Cotangent product(const Tensor& left, const Tensor& right);
  /// Whether the product is large enough to be worth it, and its factors stay as they are while it waits.
  static bool may_wait(const Tensor& left, const Tensor& right);

  bool defined() const { return value_.defined(); }
  bool is_product() const { return right_.defined(); }
  Shape shape() const { return is_product() ? Shape{m(), n()} : value_.shape(); }
  Dtype dtype() const { return value_.dtype(); }

  /// As a tensor. A product is multiplied anew each time, so that any number of threads may ask.
  Tensor value() const { return is_product() ? multiplied() : value_; }
  /// The tensor that it is from now on: a product is multiplied here. Undefined if it is nothing.
  Tensor& tensor() {
    if (is_product()) [[unlikely]]
      *this = multiplied();
    return value_;
  }

  /// Calls use(first, count, elements) for blocks of elements of type T that make up the value in row-major order, on the threads of the
  /// pool. A value that is a tensor must be row-major.
  template <class T, class F> void for_each_block(F&& use) const {
    using Callable = std::remove_reference_t<F>;
    const auto call = [](void* f, Index first, Index count, const void* elements) {
      (*static_cast<Callable*>(f))(first, count, static_cast<const T*>(elements));
    };
    run_blocks(call, const_cast<std::remove_const_t<Callable>*>(&use));
  }
  /// Of a product: to -= rate * value, for as many dense elements. The bits are those of value() and that formula.
  void subtract_from(float* to, float rate) const;
  /// Of a product: whether to multiply it block by block is faster than to multiply it as a whole.
  bool is_short() const;

 private:
  // Of a product: its size, and how many terms its elements have.
  Index m() const { return value_.shape()[1]; }
  Index n() const { return right_.shape()[1]; }
  Index terms() const { return value_.shape()[0]; }
  Tensor multiplied() const;
  using Use = void (*)(void* f, Index first, Index count, const void* elements);
  void run_blocks(Use use, void* f) const;
  void run_product_blocks(Use use, void* f) const;

  Tensor value_;  // of a product: the left factor
  Tensor right_;  // undefined unless it is a product
};

}  // namespace wengert::detail
