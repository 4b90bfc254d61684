// Sorting. The positions are computed without recording, and the values are gathered at them, so the rule is that of gather.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// NaN counts as larger than every number.
template <class T> bool precedes(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return a < b || (std::isnan(b) && !std::isnan(a));
  return a < b;
}

// The positions of the first k elements along a dimension in ascending or descending order; equal elements keep their order.
Tensor order_of(const Tensor& x, int dim, Index k, bool descending) {
  const Tensor rows = transpose(x.constant(), dim, -1).contiguous();
  const Index n = rows.shape().back();
  Shape shape = rows.shape();
  shape[shape.rank() - 1] = k;
  Tensor y = Tensor::uninitialized(shape, int64);
  if (rows.size() == 0) return transpose(y, dim, -1).contiguous();
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const elements = rows.data<T>();
    std::int64_t* const out = y.mutable_data<std::int64_t>();
    kernels::for_blocks_of(rows.size() / n, kernels::cost::kScalarCall * static_cast<double>(n), [=](Index first, Index last) {
      const kernels::Scratch<std::int64_t> order(n);
      std::int64_t *const begin = order.data(), *const end = begin + n;
      for (Index r = first; r < last; ++r) {
        const T* const row = elements + r * n;
        const auto before = [=](std::int64_t a, std::int64_t b) {
          if (precedes(row[a], row[b])) return !descending;
          if (precedes(row[b], row[a])) return descending;
          return a < b;
        };
        std::iota(begin, end, 0);
        std::partial_sort(begin, begin + k, end, before);
        std::copy_n(begin, k, out + r * k);
      }
    });
  });
  return transpose(y, dim, -1).contiguous();
}

ValuesAndIndices in_order(const Tensor& x, int dim, Index k, bool descending, Location site) {
  const CallSite scope(site);
  const Tensor order = order_of(x, dim, k, descending);
  return {gather(x, dim, order), order};
}

}  // namespace

ValuesAndIndices sort(const Tensor& x, Index dim, bool descending, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("sort", dim, x);
  return in_order(x, d, x.shape()[d], descending, site);
}

ValuesAndIndices topk(const Tensor& x, Index k, Index dim, bool largest, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("topk", dim, x);
  if (k < 0 || k > x.shape()[d])
    throw ShapeError(fmt::format("topk: cannot take {} elements of dimension {} of {}, which has {}", k, dim, describe(x), x.shape()[d]));
  return in_order(x, d, k, largest, site);
}

}  // namespace wengert
