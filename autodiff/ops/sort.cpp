// Sorting. The positions are computed without recording, and the values are gathered at them, so the rule is that of gather.
#include <fmt/format.h>

#include "autodiff/kernels/sort.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The positions of the first k elements along a dimension in ascending or descending order.
Tensor order_of(const Tensor& x, int dim, Index k, bool descending) {
  const Tensor rows = transpose(x.constant(), dim, -1).contiguous();
  const Index n = rows.shape().back();
  Shape shape = rows.shape();
  shape[shape.rank() - 1] = k;
  Tensor y = Tensor::uninitialized(shape, int64);
  if (rows.size() > 0) {
    detail::dispatch(x.dtype(), [&](auto zero) {
      kernels::positions_in_order(rows.data<decltype(zero)>(), rows.size() / n, n, k, descending, y.mutable_data<std::int64_t>());
    });
  }
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
