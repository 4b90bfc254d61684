#pragma once
// Internal.
// The cotangent of a recorded tensor: nothing yet, a tensor, or a deferred product: two matrices that have not been multiplied yet.
//
// With few rows in a batch, the gradient of a layer's weights takes longer to write and to read than to compute. So the multiplication may
// be deferred until the elements are needed. An optimizer needs them block by block, in the cache, and never stores them (which saves half
// of a step at batch 1; gradient.h). All other readers get the value; its bits are the same either way.
#include <utility>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

class Cotangent {
 public:
  /// Nothing.
  Cotangent() = default;
  Cotangent(Tensor value) : value_(std::move(value)) {}
  /// left^T right, deferred: matrices (k, m) and (k, n) that can be deferred.
  static Cotangent product(const Tensor& left, const Tensor& right);
  /// Whether the product is large enough to be worth deferring, and its factors cannot change in the meantime.
  static bool can_be_deferred(const Tensor& left, const Tensor& right);

  bool defined() const { return value_.defined(); }
  bool is_product() const { return right_.defined(); }
  Shape shape() const { return is_product() ? Shape{m(), n()} : value_.shape(); }
  Dtype dtype() const { return value_.dtype(); }

  /// As a tensor. A product is multiplied on each call, so any number of threads may call this.
  Tensor value() const { return is_product() ? multiplied() : value_; }
  /// The same in place: a product is multiplied and becomes a tensor. Undefined if there is no cotangent yet.
  Tensor& tensor() {
    if (is_product()) [[unlikely]]
      *this = multiplied();
    return value_;
  }

  /// Of a product: the size of the result, and the number of terms in each element.
  Index m() const { return value_.shape()[1]; }
  Index n() const { return right_.shape()[1]; }
  Index terms() const { return value_.shape()[0]; }
  /// Of a product: writes `rows` rows of the value from the one at `row`, of each the `columns` elements from the one at `column`.
  void copy_block(Index row, Index rows, Index column, Index columns, float* to) const;
  /// Of a product: to -= rate * value, where `to` has as many dense elements. The same bits as with value().
  void subtract_from(float* to, float rate) const;

 private:
  Tensor multiplied() const;

  Tensor value_;  // of a product: the left factor
  Tensor right_;  // undefined unless it is a product
};

}  // namespace wengert::detail
