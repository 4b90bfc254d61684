#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/extremes.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "autodiff/kernels/extremes.h"

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <Extreme kExtreme, class V> HWY_INLINE V extreme_of(V v, V best) {
  return kExtreme == Extreme::largest ? hn::Max(v, best) : hn::Min(v, best);  // either may lose a NaN
}
// 0 until an element of the lane is NaN or infinite, then NaN. (One instruction; to keep NaN in a mask would take two, and mask
// registers, which are few.)
template <class D, class V> HWY_INLINE V watch(D d, V v, V watched) { return hn::MulAdd(v, hn::Zero(d), watched); }

template <Extreme kExtreme, class T> constexpr T kExtremeZero = kExtreme == Extreme::largest ? T(0) : T(-0.0);

// What a second look is for: lanes with a NaN, and lanes with the sign of whichever of 0 and -0 is the extreme. (If the extreme is a zero,
// those are zeros, or denormal numbers that count as 0.)
template <Extreme kExtreme, class D> struct SecondLook {
  HWY_INLINE SecondLook(D d, hn::Vec<D> v) : nan(hn::IsNaN(v)), zero(has_sign(d, v)) {}
  HWY_INLINE void take(D d, hn::Vec<D> v) {
    nan = hn::Or(nan, hn::IsNaN(v));
    zero = hn::Or(zero, has_sign(d, v));
  }
  static HWY_INLINE hn::Mask<D> has_sign(D d, hn::Vec<D> v) {
    const hn::RebindToSigned<D> bits;
    const auto is_negative = hn::RebindMask(d, hn::Lt(hn::BitCast(bits, v), hn::Zero(bits)));
    return kExtreme == Extreme::largest ? hn::Not(is_negative) : is_negative;
  }
  hn::Mask<D> nan, zero;
};

// The extreme of n elements, at least a vector.
template <Extreme kExtreme, class D, class T> HWY_INLINE T extreme_of_row(D d, const T* x, Index n) {
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  constexpr Index kAtOnce = 4;
  auto best = hn::LoadU(d, x), watched = watch(d, best, hn::Zero(d));
  Index i = lanes;
  if (n >= kAtOnce * lanes) {
    hn::Vec<D> others[kAtOnce - 1], watched_others[kAtOnce - 1];
    for (Index v = 1; v < kAtOnce; ++v) {
      others[v - 1] = hn::LoadU(d, x + v * lanes);
      watched_others[v - 1] = watch(d, others[v - 1], hn::Zero(d));
    }
    for (i = kAtOnce * lanes; i + kAtOnce * lanes <= n; i += kAtOnce * lanes) {
      best = extreme_of<kExtreme>(hn::LoadU(d, x + i), best);
      watched = watch(d, hn::LoadU(d, x + i), watched);
      for (Index v = 1; v < kAtOnce; ++v) {
        const auto more = hn::LoadU(d, x + i + v * lanes);
        others[v - 1] = extreme_of<kExtreme>(more, others[v - 1]);
        watched_others[v - 1] = watch(d, more, watched_others[v - 1]);
      }
    }
    for (Index v = 1; v < kAtOnce; ++v) {
      best = extreme_of<kExtreme>(others[v - 1], best);
      watched = hn::Add(watched, watched_others[v - 1]);
    }
  }
  for (; i < n; i += lanes) {
    const auto more = hn::LoadU(d, x + std::min(i, n - lanes));  // the last vector may overlap the one before
    best = extreme_of<kExtreme>(more, best);
    watched = watch(d, more, watched);
  }
  const T extreme = hn::GetLane(kExtreme == Extreme::largest ? hn::MaxOfLanes(d, best) : hn::MinOfLanes(d, best));
  if (extreme != 0 && hn::AllFalse(d, hn::IsNaN(watched))) return extreme;
  SecondLook<kExtreme, D> look(d, hn::LoadU(d, x + n - lanes));
  for (i = 0; i + lanes <= n; i += lanes) look.take(d, hn::LoadU(d, x + i));
  if (!hn::AllFalse(d, look.nan)) return std::numeric_limits<T>::quiet_NaN();
  if (extreme != 0) return extreme;
  return hn::AllFalse(d, look.zero) ? -kExtremeZero<kExtreme, T> : kExtremeZero<kExtreme, T>;
}

// The extremes of rows of n elements, each of which begins `distance` behind the one before. Vectors have at most n lanes.
template <Extreme kExtreme, class D, class T> void extremes_of_rows(D d, const T* x, Index n, Index distance, Index rows, T* to) {
  if constexpr (hn::MaxLanes(d) > 1) {
    if (n < static_cast<Index>(hn::Lanes(d))) return extremes_of_rows<kExtreme>(hn::Half<D>(), x, n, distance, rows, to);
  }
  for (Index r = 0; r < rows; ++r) to[r] = extreme_of_row<kExtreme>(d, x + r * distance, n);
}

// Corrects `best`, the extremes of a vector of columns, where one is a zero (of which sign?) or a column holds a NaN.
template <Extreme kExtreme, class D, class T> hn::Vec<D> with_zeros_and_nan(D d, hn::Vec<D> best, const T* x, Index n, Index distance) {
  SecondLook<kExtreme, D> look(d, hn::LoadU(d, x));
  for (Index k = 1; k < n; ++k) look.take(d, hn::LoadU(d, x + k * distance));
  const auto zero = hn::Set(d, kExtremeZero<kExtreme, T>);
  best = hn::IfThenElse(hn::Eq(best, hn::Zero(d)), hn::IfThenElse(look.zero, zero, hn::Neg(zero)), best);
  return hn::IfThenElse(look.nan, hn::Set(d, std::numeric_limits<T>::quiet_NaN()), best);
}

// The extremes of kVectors vectors of columns.
template <Extreme kExtreme, Index kVectors, class D, class T>
HWY_INLINE void extremes_of_vectors(D d, const T* x, Index n, Index distance, T* to) {
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  constexpr Index kWatched = (kVectors + 1) / 2;  // one for each two vectors
  hn::Vec<D> best[kVectors], watched[kWatched];
  for (Index v = 0; v < kVectors; ++v) {
    best[v] = hn::LoadU(d, x + v * lanes);
    watched[v / 2] = watch(d, best[v], v % 2 == 0 ? hn::Zero(d) : watched[v / 2]);
  }
  const T* row = x;
  for (Index k = 1; k < n; ++k) {
    row += distance;
    for (Index v = 0; v < kVectors; ++v) {
      const auto more = hn::LoadU(d, row + v * lanes);
      best[v] = extreme_of<kExtreme>(more, best[v]);
      watched[v / 2] = watch(d, more, watched[v / 2]);
    }
  }
  for (Index v = 0; v < kVectors; ++v) {
    const bool usual = hn::AllFalse(d, hn::Or(hn::IsNaN(watched[v / 2]), hn::Eq(best[v], hn::Zero(d))));
    hn::StoreU(usual ? best[v] : with_zeros_and_nan<kExtreme>(d, best[v], x + v * lanes, n, distance), d, to + v * lanes);
  }
}

// The extremes of columns of n elements that lie `distance` apart. Vectors have at most as many lanes as there are columns.
template <Extreme kExtreme, class D, class T> void extremes_of_columns(D d, const T* x, Index n, Index distance, Index columns, T* to) {
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  if constexpr (hn::MaxLanes(d) > 1) {
    if (columns < lanes) return extremes_of_columns<kExtreme>(hn::Half<D>(), x, n, distance, columns, to);
  }
  constexpr Index kAtOnce =
      std::clamp<Index>(kLinesAbreast<float> / static_cast<Index>(hn::MaxLanes(d)), 2, 8);  // a block of lines is as wide
  Index c = 0;
  for (; c + kAtOnce * lanes <= columns; c += kAtOnce * lanes) extremes_of_vectors<kExtreme, kAtOnce>(d, x + c, n, distance, to + c);
  for (; c + 2 * lanes <= columns; c += 2 * lanes) extremes_of_vectors<kExtreme, 2>(d, x + c, n, distance, to + c);
  for (; c < columns; c += lanes) {
    c = std::min(c, columns - lanes);  // the last vector may overlap the one before
    extremes_of_vectors<kExtreme, 1>(d, x + c, n, distance, to + c);
  }
}

template <Extreme kExtreme, class T> void extremes_of(const SomeLines& l, const T* x, T* to) {
  const hn::ScalableTag<T> d;
  const Index n = l.end - l.begin;
  if (l.inner == 1) return extremes_of_rows<kExtreme>(d, x + l.first * l.n + l.begin, n, l.n, l.last - l.first, to + l.first);
  for (Index line = l.first; line < l.last;) {
    const Index o = line / l.inner, i = line - o * l.inner, columns = std::min(l.inner - i, l.last - line);
    extremes_of_columns<kExtreme>(d, x + (o * l.n + l.begin) * l.inner + i, n, l.inner, columns, to + line);
    line += columns;
  }
}

void extremes_of_floats(Extreme extreme, const SomeLines& l, const float* x, float* to) {
  extreme == Extreme::largest ? extremes_of<Extreme::largest>(l, x, to) : extremes_of<Extreme::smallest>(l, x, to);
}
void extremes_of_doubles(Extreme extreme, const SomeLines& l, const double* x, double* to) {
  extreme == Extreme::largest ? extremes_of<Extreme::largest>(l, x, to) : extremes_of<Extreme::smallest>(l, x, to);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

template <class T> void in_blocks(Extreme extreme, const Lines& l, const T* x, T* to) {
  if (const auto [folds, rows] = FoldedRows(l); folds > 1) {
    const Index width = folds * l.inner, whole = rows * width, rest = l.n * l.inner - whole;
    const Scratch<T> columns(width + rest);
    for (Index o = 0; o < l.outer; ++o, x += l.n * l.inner, to += l.inner) {
      in_blocks(extreme, {1, rows, width}, x, columns.data());
      std::copy_n(x + whole, rest, columns.data() + width);
      extremes_of_lines(extreme, Lines{1, (width + rest) / l.inner, l.inner}, columns.data(), to);
    }
    return;
  }
  const Index count = l.count(), parts = PartsOfLines(l).count;
  const Scratch<T> of_parts(parts > 1 ? parts * count : 0);
  T* const extremes = parts > 1 ? of_parts.data() : to;
  for_blocks_of_parts(l, cost::kCopy<T>,
                      [&](const SomeLines& some, Index p) { extremes_of_lines(extreme, some, x, extremes + p * count); });
  if (parts > 1) extremes_of_lines(extreme, Lines{1, parts, count}, extremes, to);
}

}  // namespace

void extremes_of_lines(Extreme extreme, const SomeLines& lines, const float* x, float* to) {
  WENGERT_BEST_TARGET(extremes_of_floats)(extreme, lines, x, to);
}
void extremes_of_lines(Extreme extreme, const SomeLines& lines, const double* x, double* to) {
  WENGERT_BEST_TARGET(extremes_of_doubles)(extreme, lines, x, to);
}
void extremes_of_all_lines(Extreme extreme, const Lines& lines, const float* x, float* to) { in_blocks(extreme, lines, x, to); }
void extremes_of_all_lines(Extreme extreme, const Lines& lines, const double* x, double* to) { in_blocks(extreme, lines, x, to); }

}  // namespace wengert::kernels
#endif
