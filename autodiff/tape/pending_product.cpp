#include "autodiff/tape/pending_product.h"

#include <algorithm>

#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/parallel.h"

namespace wengert::detail {
namespace {

kernels::MatrixView<float> matrix(const Tensor& x) { return {x.data<float>(), x.shape()[1], 1}; }

/// Whether nobody but the tensor's handles can change its elements.
bool is_own(const Tensor& x) {
  const Elements& e = *x.elements();
  return !e.borrowed && !(e.base && e.base->borrowed);
}
bool is_factor(const Tensor& x) { return x.rank() == 2 && x.dtype() == float32 && x.is_row_major() && is_own(x); }

}  // namespace

bool PendingProduct::fits(const Tensor& left, const Tensor& right) {
  constexpr Index least = 32768;  // elements; less stays in the first two caches anyway
  if (!is_factor(left) || !is_factor(right)) return false;
  const Index m = left.shape()[1], n = right.shape()[1], k = left.shape()[0];
  return k > 0 && k <= kernels::most_descent_depth && m > 0 && n >= least / m;
}

Tensor PendingProduct::multiply() const {
  Tensor result = Tensor::uninitialized(shape(), float32, left_.made_at());
  kernels::gemm(m(), n(), terms(), matrix(left_).transposed(), matrix(right_), static_cast<float*>(result.elements()->data), n());
  return result;
}

void PendingProduct::subtract_from(float* to, float rate) const {
  kernels::gemm_descent(m(), n(), terms(), matrix(left_).transposed(), matrix(right_), rate, to, n());
}

bool PendingProduct::is_short() const {
  constexpr Index most_terms = 32;  // of an element; more take longer to multiply and add than the sum to write and read
  return terms() <= most_terms;
}

void PendingProduct::run_blocks(void (*use)(void* f, Index first, Index count, const float* elements), void* f) const {
  constexpr Index block_size = 8192, unit = 4;  // elements and rows: 32 KB, which the first cache holds
  constexpr Index task_blocks = 4;              // for a thread at once
  const Index rows = std::max(block_size / n() / unit, Index(1)) * unit, task_rows = task_blocks * rows;
  const kernels::MatrixView<float> left = matrix(left_).transposed(), right = matrix(right_);
  parallel_blocks((m() + task_rows - 1) / task_rows, [&](Index task) {
    const kernels::Scratch<float> elements(rows * n());
    const Index last = std::min(m(), (task + 1) * task_rows);
    for (Index first = task * task_rows; first < last; first += rows) {
      const Index count = std::min(rows, last - first);
      const kernels::MatrixView<float> part{left.data + first * left.row, left.row, left.column};
      kernels::gemm(count, n(), terms(), part, right, elements.data(), n());
      use(f, first * n(), count * n(), elements.data());
    }
  });
}

}  // namespace wengert::detail
