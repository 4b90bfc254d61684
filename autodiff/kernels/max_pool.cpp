// The maxima of windows. A vector of neighbouring outputs of a row is computed at a time, in registers, so what the vectors read must
// exist: a plane with padding, with rows too short for a vector, or with a large stride is copied first, between columns of -inf, which are
// never larger.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/max_pool.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "autodiff/kernels/phases.h"
#include "autodiff/kernels/pooling.h"
#include "autodiff/kernels/scratch.h"

#ifndef WENGERT_MAX_POOL_ONCE
#define WENGERT_MAX_POOL_ONCE
namespace wengert::kernels {

// What is pooled, and what positions are written as; void: none are.
template <class T, class P> struct PooledTypes {
  using Element = T;
  using Position = P;
};

// Lanes of the longest vector of any target, of float.
inline constexpr Index kMostLanes = 16;
// Up to this stride, vectors are split when they are read; with a larger one, a row is copied to phases (phases.h).
inline constexpr Index kMostSplit = 4;

// How the planes of x are read.
struct PooledPlane {
  explicit PooledPlane(const WindowAxis& width) : width(width), phases(filled(width)), has_phases(width.stride > kMostSplit) {
    if (has_phases) {
      pitch = phases.count * phases.size;
      is_copied = true;
      return;
    }
    const Index last = width.kernel - 1;
    // So many neighbours are read at once; without a dilation, all of them may belong to the window.
    const Index together = width.stride;
    const Index in_window = (width.dilation == 1 ? last / together * together : last * width.dilation) + together;
    const Index read = (filled(width).out - 1) * width.stride + in_window;
    is_copied = width.padding > 0 || read > width.in;
    pitch = is_copied ? std::max(read, width.padding + width.in) : width.in;
  }
  // Where the elements at position s of the windows begin in a row of phases.
  Index offset(Index s) const { return phases.phase(s) * phases.size + phases.shift(s); }

  WindowAxis width;
  PhaseAxis phases;
  bool has_phases, is_copied = false;
  Index pitch = 0;  // from row to row

 private:
  // With results enough for a vector.
  static WindowAxis filled(WindowAxis width) {
    width.out = std::max(width.out, kMostLanes);
    return width;
  }
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

// Vectors of the elements that lie kStride apart from p, p + 1, ...
template <int kStride, class D> HWY_INLINE void load_split(D d, const hn::TFromD<D>* p, hn::Vec<D>* v) {
  if constexpr (kStride == 2) {
    hn::LoadInterleaved2(d, p, v[0], v[1]);
  } else if constexpr (kStride == 3) {
    hn::LoadInterleaved3(d, p, v[0], v[1], v[2]);
  } else {
    hn::LoadInterleaved4(d, p, v[0], v[1], v[2], v[3]);
  }
}

// The running maxima of a vector of outputs over a row of their windows, which begins at `row`. kStride is 0 for phases, which begin at
// the offsets.
template <int kStride, class D, class T>
HWY_INLINE void take_row(D d, const WindowAxis& width, const Index* offsets, const T* row, Index position, Running<D>& running) {
  const Index kernel = width.kernel, dilation = width.dilation;
  if constexpr (kStride == 0) {
    for (Index s = 0; s < kernel; ++s) running.take(hn::LoadU(d, row + offsets[s]), position + s);
  } else if constexpr (kStride == 1) {
    for (Index s = 0; s < kernel; ++s) running.take(hn::LoadU(d, row + s * dilation), position + s);
  } else {
    const Index step = dilation == 1 ? kStride : 1;
    for (Index s = 0; s < kernel; s += step) {
      hn::Vec<D> v[kStride];
      load_split<kStride>(d, row + s * dilation, v);
      running.take(v[0], position + s);
      HWY_UNROLL(4)
      for (int k = 1; k < kStride; ++k)
        if (k < step && s + k < kernel) running.take(v[k], position + s + k);
    }
  }
}

// Nothing is larger than -inf: where all elements of a window are that, the first one is the maximum.
template <class Where> HWY_INLINE void place_infinities(const WindowAxis& width, Index first_row, Index output, Where* where, Index n) {
  for (Index k = 0; k < n; ++k)
    if (where[k] < 0) where[k] = static_cast<Where>(first_row * width.kernel + unpadded(width, output + k).first);
}

template <int kStride, class T, class Position>
HWY_INLINE void pool_rows(const Pooling& p, const PooledPlane& form, const Index* offsets, const T* plane, T* y, Position* at) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> integers;
  constexpr Index kLanes = hn::MaxLanes(d), kStep = HWY_MAX(kStride, 1);
  const WindowAxis& width = form.width;
  const Index pitch = form.pitch;
  for (Index i = 0; i < p.height.out; ++i, y += width.out) {
    const Range rows = unpadded(p.height, i);
    const T* const top = plane + p.height.input(i, rows.first) * pitch;
    for (Index next = 0; next < width.out; next += kLanes) {
      const Index j = HWY_MIN(next, HWY_MAX(width.out - kLanes, Index(0)));  // the last ones once more
      Running<hn::ScalableTag<T>> running{hn::Set(d, -std::numeric_limits<T>::infinity()), hn::Set(integers, -1)};
      const T* row = top + j * kStep;
      for (Index r = rows.first; r < rows.last; ++r, row += p.height.dilation * pitch)
        take_row<kStride>(d, width, offsets, row, r * width.kernel, running);
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
        if (n == kLanes) {  // a loop of known length
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
void pool_plane(const Pooling& p, const PooledPlane& form, const Index* offsets, const T* plane, T* y, Position* at) {
  switch (form.width.stride) {
    case 1:
      return pool_rows<1>(p, form, offsets, plane, y, at);
    case 2:
      return pool_rows<2>(p, form, offsets, plane, y, at);
    case 3:
      return pool_rows<3>(p, form, offsets, plane, y, at);
    case 4:
      return pool_rows<4>(p, form, offsets, plane, y, at);
    default:
      return pool_rows<0>(p, form, offsets, plane, y, at);
  }
}

// Copies the elements of a plane to where they are read; what is padding there is not written.
template <class T> void copy_plane(const Pooling& p, const PooledPlane& form, const T* x, T* to) {
  const hn::ScalableTag<T> d;
  constexpr Index kLanes = hn::MaxLanes(d);
  const Index n = p.width.in, padding = form.width.padding;
  for (Index h = 0; h < p.height.in; ++h, x += n, to += form.pitch) {
    if (form.has_phases) {
      for (Index a = 0; a < form.phases.count; ++a) {
        const Range valid = form.phases.inputs(a);
        for (Index i = valid.first; i < valid.last; ++i) to[a * form.phases.size + i] = x[form.phases.input(a, i)];
      }
      continue;
    }
    Index w = 0;
    for (; w + kLanes <= n; w += kLanes) hn::StoreU(hn::LoadU(d, x + w), d, to + padding + w);
    for (; w < n; ++w) to[padding + w] = x[w];
  }
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {

template <class T, class Position> static void pool_planes(const Pooling& p, const T* x, T* y, Position* at) {
  using Types = PooledTypes<T, Position>;
  const PooledPlane form(simplified(p.width));
  const Scratch<Index> offsets(form.has_phases ? p.width.kernel : 0);
  for (Index s = 0; form.has_phases && s < p.width.kernel; ++s) offsets.data()[s] = form.offset(s);
  const auto copy = WENGERT_BEST_TARGET(copy_plane<T>);
  const auto pool = WENGERT_BEST_TARGET(pool_plane<Types>);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    const Index size = form.is_copied ? p.height.in * form.pitch : 0;
    const Scratch<T> plane(size);
    std::fill_n(plane.data(), size, -std::numeric_limits<T>::infinity());
    for (Index n = first; n < last; ++n) {
      const T* from = x + n * p.plane_in();
      if (form.is_copied) {
        copy(p, form, from, plane.data());
        from = plane.data();
      }
      Position* positions = at;
      if constexpr (!std::is_void_v<Position>) positions += n * p.plane_out();
      pool(p, form, offsets.data(), from, y + n * p.plane_out(), positions);
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
