#pragma once
// Internal.
// The operations that the sweeps use: the tape's only interface to ops/, which defines them. Those that return a tensor are recorded if a
// tape is active.
#include "autodiff/tape/operation.h"

namespace wengert {

Tensor expand(const Tensor& x, const Shape& shape, Location site);
Tensor sum_to(const Tensor& x, const Shape& shape, Location site);

namespace detail {

/// a + b.
Tensor add(const Tensor& a, const Tensor& b, Location site);
/// into += x, where x has the same shape and dtype. Requires into.may_write_in_place().
void add_in_place(Tensor& into, const Tensor& x);
/// The same, where x is summed over its broadcast dimensions.
void add_sum_in_place(Tensor& into, const Tensor& x, Location site);
/// The `flat`th element -> rank 0; and a rank-0 tensor -> zeros except for that element. Each is the other's transpose.
Tensor gather_element(const Tensor& x, Index flat, Location site);
Tensor scatter_element(const Tensor& x, const Shape& shape, Index flat, Location site);
/// left right, for matrices or batches of matrices.
Tensor multiply(const MatrixFactor& left, const MatrixFactor& right);
/// into += left right. Requires into.may_write_in_place(). Does nothing, returning false, unless both are matrices with dense rows or
/// columns.
bool add_product_in_place(Tensor& into, const MatrixFactor& left, const MatrixFactor& right);

}  // namespace detail
}  // namespace wengert
