// Products of elements.
//
// A product is a binary tree: log2(n) recorded multiplications of one half by the other. Its derivatives of every order are products of the
// other elements. They are exact where elements are 0, because there is no division.
#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// (..., n) -> (...), n > 0.
Tensor product_of_last(Tensor x) {
  while (x.shape().back() > 1) {
    const Index n = x.shape().back(), even = n / 2 * 2;
    const Tensor halves = slice(x, -1, 0, even, 2) * slice(x, -1, 1, even, 2);
    x = even == n ? halves : concat({halves, slice(x, -1, even, n)}, -1);
  }
  return select(x, -1, 0);
}

}  // namespace

Tensor prod(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over("prod", x, dims);
  if (x.dtype() == boolean) return prod(x.to(int64, site), dims, options, site);
  if (r.count == 0) return sum(x, dims, options) + 1;  // the empty product
  Dims order;                                          // the kept dimensions, then the reduced ones
  for (int d = 0; d < x.rank(); ++d)
    if (r.strides[d] != 0) order.push_back(d);
  for (int d = 0; d < x.rank(); ++d)
    if (r.strides[d] == 0) order.push_back(d);
  Shape rows = r.dropped;
  rows.push_back(r.count);
  return reshape(product_of_last(reshape(permute(x, order), rows)), options.keepdim ? r.kept : r.dropped);
}
Tensor prod(const Tensor& x, Location site) { return prod(x, detail::all_dims("prod", x), {}, site); }

}  // namespace wengert
