#pragma once
// Slices of a dense array (outer, n, inner) at positions along its middle dimension: the rows of a table, if outer is 1.
#include <cstdint>
#include <span>

#include "autodiff/tensor/shape.h"

namespace wengert::kernels {

struct Slices {
  Index outer, n, inner;
};

/// y[o, k, :] = x[o, index[k], :], for elements of `size` bytes.
void gather_slices(const Slices& l, std::span<const std::int64_t> index, const void* x, Index size, void* y);

/// The same, but 0 for each k of which another one that follows has the same position: the transpose of put_slices.
void gather_last_slices(const Slices& l, std::span<const std::int64_t> index, const void* x, Index size, void* y);

/// y[o, index[k], :] = s[o, k, :], or s[:] if that is `one_slice`. Where a position occurs more than once, its last slice counts.
void put_slices(const Slices& l, std::span<const std::int64_t> index, const void* s, bool one_slice, Index size, void* y);

/// y[o, index[k], :] += s[o, k, :]. The terms for a position are added in the order of k, and in double where there are several, so that
/// a float32 sum of very many of them keeps its digits. T is float or double.
template <class T> void add_slices(const Slices& l, std::span<const std::int64_t> index, const T* s, T* y);

}  // namespace wengert::kernels
