#pragma once
// Internal.
// A gradient in a Gradients: the cotangent of a source. A deferred product stays deferred until an optimizer reads it block by block;
// clipping multiplies it by a factor, which is kept with it and applied when the elements are computed.
#include <type_traits>
#include <utility>

#include "autodiff/tape/cotangent.h"

namespace wengert::detail {

class Gradient {
 public:
  Gradient(Cotangent cotangent) : cotangent_(std::move(cotangent)) {}
  Gradient(Tensor value) : cotangent_(std::move(value)) {}

  bool defined() const { return cotangent_.defined(); }
  bool is_product() const { return cotangent_.is_product(); }
  /// Whether it is a product, and multiplying it block by block is faster than multiplying it as a whole.
  bool is_short_product() const;
  bool is_scaled() const { return factor_ != 1; }
  Shape shape() const { return cotangent_.shape(); }
  Dtype dtype() const { return cotangent_.dtype(); }

  /// As a tensor. A product is multiplied on each call, so any number of threads may call this.
  Tensor value() const { return is_scaled() ? scaled() : cotangent_.value(); }
  /// The same in place: a product is multiplied and becomes a tensor.
  Tensor& tensor();

  /// Calls use(first, count, elements) for each block of the value, in elements of type T in row-major order, on the threads of the pool.
  /// A value that is a tensor must be row-major.
  template <class T, class F> void for_each_block(F&& use) const {
    using Callable = std::remove_reference_t<F>;
    const auto call = [](void* f, Index first, Index count, const void* elements) {
      (*static_cast<Callable*>(f))(first, count, static_cast<const T*>(elements));
    };
    run_blocks(call, const_cast<std::remove_const_t<Callable>*>(&use));
  }
  /// Of a product that was not scaled: to -= rate * value, where `to` has as many dense elements. The same bits as with value().
  void subtract_from(float* to, float rate) const { cotangent_.subtract_from(to, rate); }
  /// Of a short product: writes `count` elements of the value, from the one at `first` in row-major order.
  void copy_elements(Index first, Index count, float* to) const;
  /// Of a short product that was not scaled: multiplies the value by `factor`, as kernels::scale does.
  void scale(double factor) { factor_ = factor; }

 private:
  Tensor scaled() const;
  void copy_block(Index row, Index rows, Index column, Index columns, float* to) const;
  using Use = void (*)(void* f, Index first, Index count, const void* elements);
  void run_blocks(Use use, void* f) const;
  void run_product_blocks(Use use, void* f) const;

  Cotangent cotangent_;
  double factor_ = 1;  // of a product
};

}  // namespace wengert::detail
