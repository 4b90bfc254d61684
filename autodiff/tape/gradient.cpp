#include "autodiff/tape/gradient.h"

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/norms.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/scratch.h"

namespace wengert::detail {

bool Gradient::is_short_product() const {
  constexpr Index kMaxTerms = 32;  // of an element; beyond this, multiplying costs more than writing and reading the result
  return is_product() && cotangent_.terms() <= kMaxTerms;
}

Tensor Gradient::scaled() const {
  Tensor result = cotangent_.value();
  kernels::scale(result.mutable_data<float>(), result.size(), factor_);
  return result;
}

Tensor& Gradient::tensor() {
  if (is_scaled()) *this = Gradient(scaled());
  return cotangent_.tensor();
}

void Gradient::copy_block(Index row, Index rows, Index column, Index columns, float* to) const {
  cotangent_.copy_block(row, rows, column, columns, to);
  if (is_scaled()) kernels::scale(to, rows * columns, factor_);
}

// The rest of a row, whole rows, and the beginning of a row.
void Gradient::copy_elements(Index first, Index count, float* to) const {
  const Index width = cotangent_.n();
  const auto copy = [&](Index rows, Index columns) {
    if (rows > 0 && columns > 0) copy_block(first / width, rows, first % width, columns, to);
    first += rows * columns;
    count -= rows * columns;
    to += rows * columns;
  };
  if (first % width != 0) copy(1, std::min(count, width - first % width));
  copy(count / width, width);
  copy(1, count);
}

void Gradient::run_blocks(Use use, void* f) const {
  if (is_short_product()) return run_product_blocks(use, f);
  constexpr Index kLine = 16;  // elements: a line of the cache has no more
  const Tensor whole = value();
  const auto element_bytes = static_cast<std::size_t>(bytes_of(whole.dtype()));
  const char* elements = static_cast<const char*>(whole.elements()->data);
  kernels::for_blocks_of(whole.size(), kernels::cost::kFormula<float>, kLine, [&](Index first, Index last) {
    use(f, first, last - first, elements + static_cast<std::size_t>(first) * element_bytes);
  });
}

void Gradient::run_product_blocks(Use use, void* f) const {
  constexpr Index kBlock = 8192, kUnit = 4;  // elements and rows: 32 KB, which fit the L1 cache
  constexpr Index kTaskBlocks = 4;           // blocks in one task of a thread
  const Index m = cotangent_.m(), n = cotangent_.n();
  const Index rows = std::max(kBlock / n / kUnit, Index(1)) * kUnit, task_rows = kTaskBlocks * rows;
  parallel_blocks((m + task_rows - 1) / task_rows, [&](Index task) {
    const kernels::Scratch<float> elements(rows * n);
    const Index last = std::min(m, (task + 1) * task_rows);
    for (Index first = task * task_rows; first < last; first += rows) {
      const Index count = std::min(rows, last - first);
      copy_block(first, count, 0, n, elements.data());
      use(f, first * n, count * n, elements.data());
    }
  });
}

}  // namespace wengert::detail
