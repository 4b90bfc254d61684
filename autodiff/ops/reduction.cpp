#include "autodiff/ops/reduction.h"

#include <fmt/format.h>

namespace wengert::detail {

Reduced reduce_over(const char* operation, const Tensor& x, const Dims& dims) {
  check_defined(operation, x);
  Reduced r{x.shape(), {}, {}, 1};
  pool::Vector<char> reduced(static_cast<std::size_t>(x.rank()));
  for (const Index given : dims) {
    const int d = checked_dim(operation, given, x);
    if (reduced[static_cast<std::size_t>(d)])
      throw ShapeError(fmt::format("{}: dimension {} of {} is named twice in {}", operation, given, describe(x), to_string(dims)));
    reduced[static_cast<std::size_t>(d)] = true;
    __builtin_mul_overflow(r.count, x.shape()[d], &r.count);  // may wrap if another size is 0
    r.kept[d] = 1;
  }
  r.strides = row_major_strides(r.kept);
  for (int d = 0; d < x.rank(); ++d) {
    if (reduced[static_cast<std::size_t>(d)]) {
      r.strides[d] = 0;
    } else {
      r.dropped.push_back(x.shape()[d]);
    }
  }
  return r;
}

std::optional<kernels::Lines> lines_of(const Tensor& x, const Shape& kept) {
  if (!x.is_row_major() || x.size() == 0) return std::nullopt;  // beside a 0 the other sizes may be of any product
  kernels::Lines l{1, 1, 1};
  for (int d = 0; d < x.rank(); ++d) {
    const Index size = x.shape()[d];
    if (kept[d] != size) {
      if (l.inner != 1) return std::nullopt;
      l.n *= size;
    } else {
      (l.n == 1 ? l.outer : l.inner) *= size;
    }
  }
  if (l.n == 1) return kernels::Lines{1, 1, x.size()};  // lines of one element are done side by side
  return l;
}

Dims all_dims(const char* operation, const Tensor& x) {
  check_defined(operation, x);
  Dims dims;
  dims.resize(x.rank());
  for (int d = 0; d < x.rank(); ++d) dims[d] = d;
  return dims;
}

}  // namespace wengert::detail
