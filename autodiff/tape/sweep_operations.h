#pragma once
// Internal.
// The operations that sweeps compute with, all that the tape knows of ops/, which defines them. Those that return a tensor are recorded
// where a tape records.
#include "autodiff/tape/operation.h"

namespace wengert {

Tensor expand(const Tensor& x, const Shape& shape, Location site);
Tensor sum_to(const Tensor& x, const Shape& shape, Location site);

namespace detail {

/// a + b.
Tensor add(const Tensor& a, const Tensor& b, Location site);
/// into += x, which has the same shape and dtype; into.may_write_in_place().
void add_in_place(Tensor& into, const Tensor& x);
/// The same, summed over the dimensions in which x has been broadcast.
void add_sum_in_place(Tensor& into, const Tensor& x, Location site);
/// The `flat`th element -> rank 0, and a rank-0 tensor -> zeros with that one element. Each is the other's rule.
Tensor pick(const Tensor& x, Index flat, Location site);
Tensor place(const Tensor& x, const Shape& shape, Index flat, Location site);
/// left right, of matrices or batches of them.
Tensor multiply(const MatrixFactor& left, const MatrixFactor& right);
/// into += left right; into.may_write_in_place(). False, and nothing done, unless both are matrices with dense rows or columns.
bool add_product_in_place(Tensor& into, const MatrixFactor& left, const MatrixFactor& right);

}  // namespace detail
}  // namespace wengert
