// Transposition of matrices, for each SIMD target (see tile-inl.h about the guard).
#if defined(WENGERT_TRANSPOSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_TRANSPOSE_INL_H
#undef WENGERT_TRANSPOSE_INL_H
#else
#define WENGERT_TRANSPOSE_INL_H
#endif

#include <hwy/highway.h>

#include "autodiff/kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
/// Numbers of 16 bytes.
template <class T> constexpr Index kShortRow = 16 / sizeof(T);

/// So many numbers of each of the rows 0, n, 2 n, ... from p, one vector; n is their number.
template <class D> HWY_INLINE hn::Vec<D> load_rows(D d, const hn::TFromD<D>* p, Index row) {
  if constexpr (hn::MaxLanes(D()) == kShortRow<hn::TFromD<D>>) {
    return hn::LoadU(d, p);
  } else {
    const hn::Half<D> half;
    constexpr Index apart = hn::MaxLanes(D()) / 2;
    return hn::Combine(d, load_rows(half, p + apart * row, row), load_rows(half, p, row));
  }
}

/// to[k * to_row + j] = from[j * from_row + k] for as many j as a vector has lanes and 4 values of k.
HWY_INLINE void transpose_block(const float* from, Index from_row, float* to, Index to_row) {
  const Floats d;
  const hn::Repartition<double, Floats> pairs;
  const auto p = load_rows(d, from, from_row), q = load_rows(d, from + from_row, from_row);
  const auto r = load_rows(d, from + 2 * from_row, from_row), s = load_rows(d, from + 3 * from_row, from_row);
  const auto pq = hn::BitCast(pairs, hn::InterleaveLower(d, p, q)), rs = hn::BitCast(pairs, hn::InterleaveLower(d, r, s));
  const auto pq_up = hn::BitCast(pairs, hn::InterleaveUpper(d, p, q)), rs_up = hn::BitCast(pairs, hn::InterleaveUpper(d, r, s));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, pq, rs)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, pq, rs)), d, to + to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, pq_up, rs_up)), d, to + 2 * to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, pq_up, rs_up)), d, to + 3 * to_row);
}
/// The same for 2 values of k.
HWY_INLINE void transpose_block(const double* from, Index from_row, double* to, Index to_row) {
  const hn::ScalableTag<double> d;
  const auto p = load_rows(d, from, from_row), q = load_rows(d, from + from_row, from_row);
  hn::StoreU(hn::InterleaveLower(d, p, q), d, to);
  hn::StoreU(hn::InterleaveUpper(d, p, q), d, to + to_row);
}

/// The same for one to four rows and as many columns as fill vectors; the results lie without gaps. Returns how many columns.
template <int rows, class T> Index interleave_rows(const T* from, Index from_row, Index columns, T* to) {
  const hn::ScalableTag<T> d;
  constexpr Index kLanes = kLanesOf<T>;
  Index k = 0;
  for (; k + kLanes <= columns; k += kLanes) {
    const auto a = hn::LoadU(d, from + k);
    if constexpr (rows == 1) {
      hn::StoreU(a, d, to + k);
    } else {
      const auto b = hn::LoadU(d, from + from_row + k);
      if constexpr (rows == 2) {
        hn::StoreInterleaved2(a, b, d, to + 2 * k);
      } else {
        const auto c = hn::LoadU(d, from + 2 * from_row + k);
        if constexpr (rows == 3) {
          hn::StoreInterleaved3(a, b, c, d, to + 3 * k);
        } else {
          hn::StoreInterleaved4(a, b, c, hn::LoadU(d, from + 3 * from_row + k), d, to + 4 * k);
        }
      }
    }
  }
  return k;
}
template <class T> constexpr Index (*kInterleaveRows[4])(const T*, Index, Index, T*) = {interleave_rows<1, T>, interleave_rows<2, T>,
                                                                                        interleave_rows<3, T>, interleave_rows<4, T>};
#endif

/// to[k * to_row + j] = from[j * from_row + k] for j below `rows` and k below `columns`.
template <class T> void transpose(const T* from, Index from_row, Index rows, Index columns, T* to, Index to_row) {
  Index j = 0;
#if HWY_TARGET != HWY_SCALAR
  if (rows == to_row && rows > 0 && rows <= 4) {
    const Index done = kInterleaveRows<T>[rows - 1](from, from_row, columns, to);
    from += done;
    to += done * to_row;
    columns -= done;
  }
  constexpr Index kLanes = kLanesOf<T>;
  for (; j + kLanes <= rows; j += kLanes) {
    Index k = 0;
    for (; k + kShortRow<T> <= columns; k += kShortRow<T>) transpose_block(from + j * from_row + k, from_row, to + k * to_row + j, to_row);
    for (; k < columns; ++k)
      for (Index i = j; i < j + kLanes; ++i) to[k * to_row + i] = from[i * from_row + k];
  }
#endif
  for (; j < rows; ++j)
    for (Index k = 0; k < columns; ++k) to[k * to_row + j] = from[j * from_row + k];
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
