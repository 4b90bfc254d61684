#include "autodiff/tape/cotangent.h"

#include "autodiff/kernels/gemm.h"

namespace wengert::detail {
namespace {

kernels::MatrixView<float> matrix(const Tensor& x) { return {x.data<float>(), x.shape()[1], 1}; }

// Whether the elements are the library's: memory that the user lent might change while a product is deferred.
bool is_own(const Tensor& x) {
  const Elements& e = *x.elements();
  return !e.borrowed && !(e.base && e.base->borrowed);
}
bool is_factor(const Tensor& x) { return x.rank() == 2 && x.dtype() == float32 && x.is_row_major() && is_own(x); }

}  // namespace

bool Cotangent::can_be_deferred(const Tensor& left, const Tensor& right) {
  constexpr Index kMinElements = 32768;  // a smaller result stays in the L1 and L2 caches anyway
  if (!is_factor(left) || !is_factor(right)) return false;
  const Index m = left.shape()[1], n = right.shape()[1], k = left.shape()[0];
  return k > 0 && k <= kernels::kMaxDescentDepth && m > 0 && n >= kMinElements / m;
}

Cotangent Cotangent::product(const Tensor& left, const Tensor& right) {
  Cotangent c(left.constant());
  c.right_ = right.constant();
  return c;
}

void Cotangent::copy_block(Index row, Index rows, Index column, Index columns, float* to) const {
  kernels::MatrixView<float> left = matrix(value_).transposed(), right = matrix(right_);
  left.data += row * left.row;
  right.data += column;
  kernels::gemm(rows, columns, terms(), left, right, to, columns);
}

Tensor Cotangent::multiplied() const {
  Tensor result = Tensor::uninitialized(shape(), float32, value_.made_at());
  copy_block(0, m(), 0, n(), static_cast<float*>(result.elements()->data));
  return result;
}

void Cotangent::subtract_from(float* to, float rate) const {
  kernels::gemm_descent(m(), n(), terms(), matrix(value_).transposed(), matrix(right_), rate, to, n());
}

}  // namespace wengert::detail
