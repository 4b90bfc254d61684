// The maxima of windows. A vector of neighbouring outputs of a row is computed at a time, in registers, so what the vectors read must
// exist: a plane with padding, or with rows too short for a vector, is copied first, between columns of -inf, which are never larger.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/max_pool.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "autodiff/kernels/pooling.h"
#include "autodiff/kernels/scratch.h"

#ifndef WENGERT_MAX_POOL_ONCE
#define WENGERT_MAX_POOL_ONCE
namespace wengert::kernels {

// Lanes of the longest vector of any target, of float.
inline constexpr Index kMostLanes = 16;

// What is pooled, and what positions are written as; void: none are.
template <class T, class P> struct PooledTypes {
  using Element = T;
  using Position = P;
};

// How the planes of x are read.
struct PooledPlane {
  explicit PooledPlane(const WindowAxis& width) {
    // With stride 2, vectors of pairs are read; without a dilation, both elements of a pair belong to the window.
    const Index last = width.kernel - 1, in_window = width.stride != 2    ? last * width.dilation
                                                     : width.dilation > 1 ? last * width.dilation + 1
                                                                          : last | 1;
    const Index read = (std::max(width.out, kMostLanes) - 1) * width.stride + in_window + 1;
    is_copied = width.padding > 0 || read > width.in;
    pitch = is_copied ? std::max(read, width.padding + width.in) : width.in;
  }
  bool is_copied;
  Index pitch;  // from row to row
};

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The largest elements so far, and their positions in the windows; -1 where there is none.
template <class D> struct Running {
  using Positions = hn::RebindToSigned<D>;
  hn::Vec<D> best;
  hn::Vec<Positions> where;

  HWY_INLINE void take(hn::Vec<D> v, Index position) {
    const auto wins = hn::AndNot(hn::Le(v, best), hn::Eq(best, best));  // larger, or the first NaN
    best = hn::IfThenElse(wins, v, best);
    const Positions at;
    where = hn::IfThenElse(hn::RebindMask(at, wins), hn::Set(at, static_cast<hn::TFromD<Positions>>(position)), where);
  }
};

// The running maxima of a vector of outputs over a row of their windows, which begins at `row`.
template <int known_stride, class D, class T>
HWY_INLINE void take_row(D d, const WindowAxis& width, const T* row, Index position, Running<D>& running) {
  const Index kernel = width.kernel, dilation = width.dilation;
  if constexpr (known_stride == 1) {
    for (Index s = 0; s < kernel; ++s) running.take(hn::LoadU(d, row + s * dilation), position + s);
  } else if constexpr (known_stride == 2) {
    const bool are_pairs = dilation == 1;
    for (Index s = 0; s < kernel; ++s) {
      hn::Vec<D> even, odd;
      hn::LoadInterleaved2(d, row + s * dilation, even, odd);
      running.take(even, position + s);
      if (are_pairs && s + 1 < kernel) running.take(odd, position + ++s);
    }
  } else {
    const hn::RebindToSigned<D> integers;
    const auto steps = hn::Mul(hn::Iota(integers, 0), hn::Set(integers, static_cast<hn::TFromD<decltype(integers)>>(width.stride)));
    for (Index s = 0; s < kernel; ++s) running.take(hn::GatherIndex(d, row + s * dilation, steps), position + s);
  }
}

// Nothing is larger than -inf: where all elements of a window are that, the first one is the maximum.
template <class Where> HWY_INLINE void place_infinities(const WindowAxis& width, Index first_row, Index output, Where* where, Index n) {
  for (Index k = 0; k < n; ++k)
    if (where[k] < 0) where[k] = static_cast<Where>(first_row * width.kernel + unpadded(width, output + k).first);
}

template <int known_stride, class T, class Position>
HWY_INLINE void pool_rows(const Pooling& p, const T* plane, Index pitch, T* y, Position* at) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> integers;
  constexpr Index kLanes = hn::MaxLanes(d);
  const WindowAxis& width = p.width;
  for (Index i = 0; i < p.height.out; ++i, y += width.out) {
    const Range rows = unpadded(p.height, i);
    const T* const top = plane + p.height.input(i, rows.first) * pitch;
    for (Index next = 0; next < width.out; next += kLanes) {
      const Index j = HWY_MIN(next, HWY_MAX(width.out - kLanes, Index(0)));  // the last ones once more
      Running<decltype(hn::ScalableTag<T>())> running{hn::Set(d, -std::numeric_limits<T>::infinity()), hn::Set(integers, -1)};
      const T* row = top + j * width.stride;
      for (Index r = rows.first; r < rows.last; ++r, row += p.height.dilation * pitch)
        take_row<known_stride>(d, width, row, r * width.kernel, running);
      const Index n = HWY_MIN(kLanes, width.out - j);
      if (n == kLanes) {
        hn::StoreU(running.best, d, y + j);
      } else {
        T best[kLanes];
        hn::StoreU(running.best, d, best);
        for (Index k = 0; k < n; ++k) y[j + k] = best[k];
      }
      if constexpr (!std::is_void_v<Position>) {
        hn::TFromD<decltype(integers)> where[kLanes];
        hn::StoreU(running.where, integers, where);
        if (!hn::AllFalse(integers, hn::Lt(running.where, hn::Zero(integers)))) place_infinities(width, rows.first, j, where, n);
        if (n == kLanes) {
          for (Index k = 0; k < kLanes; ++k) at[i * width.out + j + k] = static_cast<Position>(where[k]);
        } else {
          for (Index k = 0; k < n; ++k) at[i * width.out + j + k] = static_cast<Position>(where[k]);
        }
      }
    }
  }
}

// y of a plane, and `at` if there are positions.
template <class Types, class T = typename Types::Element, class Position = typename Types::Position>
void pool_plane(const Pooling& p, const T* plane, Index pitch, T* y, Position* at) {
  switch (p.width.stride) {
    case 1:
      return pool_rows<1>(p, plane, pitch, y, at);
    case 2:
      return pool_rows<2>(p, plane, pitch, y, at);
    default:
      return pool_rows<0>(p, plane, pitch, y, at);
  }
}

template <class T> void copy_plane(const Pooling& p, const T* x, T* to, Index pitch) {
  const hn::ScalableTag<T> d;
  constexpr Index kLanes = hn::MaxLanes(d);
  const Index n = p.width.in;
  for (Index h = 0; h < p.height.in; ++h, x += n, to += pitch) {
    Index w = 0;
    for (; w + kLanes <= n; w += kLanes) hn::StoreU(hn::LoadU(d, x + w), d, to + w);
    for (; w < n; ++w) to[w] = x[w];
  }
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {

template <class T, class Position> static void pool_planes(const Pooling& p, const T* x, T* y, Position* at) {
  using Types = PooledTypes<T, Position>;
  const PooledPlane form(p.width);
  const auto copy = WENGERT_BEST_TARGET(copy_plane<T>);
  const auto pool = WENGERT_BEST_TARGET(pool_plane<Types>);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    const Index size = form.is_copied ? p.height.in * form.pitch : 0;
    const Scratch<T> plane(size);
    std::fill_n(plane.data(), size, -std::numeric_limits<T>::infinity());
    for (Index n = first; n < last; ++n) {
      const T* from = x + n * p.plane_in();
      if (form.is_copied) {
        copy(p, from, plane.data() + p.width.padding, form.pitch);
        from = plane.data();
      }
      if constexpr (std::is_void_v<Position>) {
        pool(p, from, form.pitch, y + n * p.plane_out(), nullptr);
      } else {
        pool(p, from, form.pitch, y + n * p.plane_out(), at + n * p.plane_out());
      }
    }
  });
}

template <class T, class Position> void max_pool(const Pooling& p, const T* x, T* y, Position* at) { pool_planes(p, x, y, at); }
template <class T> void max_pool(const Pooling& p, const T* x, T* y) { pool_planes<T, void>(p, x, y, nullptr); }

template void max_pool(const Pooling&, const float*, float*, std::uint8_t*);
template void max_pool(const Pooling&, const float*, float*, std::int32_t*);
template void max_pool(const Pooling&, const double*, double*, std::uint8_t*);
template void max_pool(const Pooling&, const double*, double*, std::int32_t*);
template void max_pool(const Pooling&, const float*, float*);
template void max_pool(const Pooling&, const double*, double*);

}  // namespace wengert::kernels
#endif
