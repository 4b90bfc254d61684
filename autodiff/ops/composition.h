#pragma once
// Shared by operations that are composed of other operations.
#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

/// sqrt(x); where x is 0, the value and all derivatives are 0.
Tensor sqrt_or_zero(const Tensor& x);
/// x, and 0 with all derivatives where an x that is not finite has the weight 0, as ln 0 has with the probability 0. The weight broadcasts.
Tensor without_ignored(const Tensor& x, const Tensor& weight);
/// The same, times the weight.
Tensor weighted(const Tensor& x, const Tensor& weight);
/// The largest magnitude of each group of elements that a reduction over the dimensions takes together, 0 if there are none. With size 1 in
/// those dimensions, and constant.
Tensor largest_of(const Tensor& x, const Dims& dims);
/// A power of two near the largest magnitude or `least`, the larger of both; 1 where that is 0 or not finite. Dividing by it rounds
/// nothing, and squares of quotients neither overflow nor all vanish.
Tensor scale_of(const Tensor& largest, double least = 0);

/// f(x), for a function of the last dimension that is to go along `dim`.
inline Tensor along_last(const Tensor& x, int dim, Tensor (*f)(const Tensor&)) {
  return dim == x.rank() - 1 ? f(x) : transpose(f(transpose(x, dim, -1)), dim, -1).contiguous();
}

}  // namespace wengert::detail
