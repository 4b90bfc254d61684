#include "autodiff/tape/cotangent.h"

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/parallel.h"

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

Tensor Cotangent::multiplied() const {
  Tensor result = Tensor::uninitialized(shape(), float32, value_.made_at());
  kernels::gemm(m(), n(), terms(), matrix(value_).transposed(), matrix(right_), static_cast<float*>(result.elements()->data), n());
  return result;
}

void Cotangent::subtract_from(float* to, float rate) const {
  kernels::gemm_descent(m(), n(), terms(), matrix(value_).transposed(), matrix(right_), rate, to, n());
}

bool Cotangent::is_short() const {
  constexpr Index kMaxTerms = 32;  // of an element; beyond this, multiplying costs more than writing and reading the result
  return terms() <= kMaxTerms;
}

void Cotangent::run_blocks(Use use, void* f) const {
  if (is_product() && is_short()) return run_product_blocks(use, f);
  constexpr Index kLine = 16;  // elements: a line of the cache has no more
  const Tensor whole = value();
  const auto element_bytes = static_cast<std::size_t>(bytes_of(whole.dtype()));
  const char* elements = static_cast<const char*>(whole.elements()->data);
  kernels::for_blocks_of(whole.size(), kernels::cost::kFormula<float>, kLine, [&](Index first, Index last) {
    use(f, first, last - first, elements + static_cast<std::size_t>(first) * element_bytes);
  });
}

void Cotangent::run_product_blocks(Use use, void* f) const {
  constexpr Index kBlock = 8192, kUnit = 4;  // elements and rows: 32 KB, which fit the L1 cache
  constexpr Index kTaskBlocks = 4;           // blocks in one task of a thread
  const Index rows = std::max(kBlock / n() / kUnit, Index(1)) * kUnit, task_rows = kTaskBlocks * rows;
  const kernels::MatrixView<float> left = matrix(value_).transposed(), right = matrix(right_);
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
