#include "autodiff/tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/tensor/storage.h"

namespace wengert {

void Shape::resize_long(int rank) {
  if (rank > kInline) {
    Shape longer;
    longer.long_ = static_cast<Index*>(pool::allocate(static_cast<std::size_t>(rank) * sizeof(Index)));
    longer.rank_ = rank;
    std::copy_n(begin(), std::min(rank, rank_), longer.long_);
    swap(longer);
  } else {
    Shape shorter;
    shorter.rank_ = rank;
    std::copy_n(begin(), rank, shorter.inline_);
    swap(shorter);
  }
}

void Shape::copy_long(const Shape& o) {
  long_ = static_cast<Index*>(pool::allocate(static_cast<std::size_t>(o.rank_) * sizeof(Index)));
  rank_ = o.rank_;
  std::copy_n(o.long_, rank_, long_);
}

void Shape::release_long() noexcept { pool::release(long_, static_cast<std::size_t>(rank_) * sizeof(Index)); }

std::string to_string(const Shape& shape) { return fmt::format("({}{})", fmt::join(shape, ", "), shape.rank() == 1 ? "," : ""); }

Index checked_size(const char* operation, const Shape& shape) { return checked_size(operation, shape, 0, shape.rank()); }

Index checked_size(const char* operation, const Shape& shape, int first, int last) {
  constexpr Index kMaxElements = Index(1) << 59;  // their bytes fit an Index, too
  Index n = 1;
  bool empty = false, overflows = false;
  for (int i = first; i < last; ++i) {
    const Index d = shape[i];
    if (d < 0) throw ShapeError(fmt::format("{}: shape {} has the negative size {}", operation, to_string(shape), d));
    empty |= d == 0;
    overflows |= __builtin_mul_overflow(n, d, &n);
  }
  if (!empty && (overflows || n > kMaxElements))
    throw ShapeError(fmt::format("{}: shape {} has more elements than memory can hold", operation, to_string(shape)));
  return empty ? 0 : n;
}

Shape row_major_strides(const Shape& shape) {
  Shape strides;
  strides.resize(shape.rank());
  std::uint64_t step = 1;  // unsigned: may wrap if another size is 0
  for (int i = shape.rank(); i-- > 0; step *= static_cast<std::uint64_t>(shape[i])) strides[i] = static_cast<Index>(step);
  return strides;
}

}  // namespace wengert
