// A plane (one channel of an image) is padded, and split into phases: of every sh-th row and sw-th column of the padded plane, beginning
// with row a and column b, each combination (a, b) is a plane of its own, of `rows` x `columns` elements. There the windows of neighbouring
// outputs are neighbours whatever the stride is, and if y has rows of that length, too, each position (r, s) of the kernel is one loop over
// the whole plane, without a word about its borders:
//
//   y[i, j] += w[r, s] phase[i + r', j + s']     with the phase ((r dh) mod sh, (s dw) mod sw), r' = (r dh) / sh and s' = (s dw) / sw
//
// The elements of such a y beyond the width of an output are 0, or are not read. All positions of the kernel are added up in registers,
// some vectors of y at a time. Both gradients are loops over the same places:
//
//   phase_bar[i, j] = sum of w[r, s] y_bar[i - r', j - s'] over the (r, s) of the phase
//   w_bar[r, s] = sum of phase[i + r', j + s'] y_bar[i, j]
//
// Products are not fused, and sums have a fixed order, so the bits are the same on every processor.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/grouped_convolution.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/grouped_convolution.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/phases.h"
#include "autodiff/kernels/scratch.h"

#ifndef WENGERT_GROUPED_CONVOLUTION_ONCE
#define WENGERT_GROUPED_CONVOLUTION_ONCE
namespace wengert::kernels {

// Loops over planes read and write up to so many elements more: they know whole blocks of vectors alone.
inline constexpr Index kPlaneSlack = 64;
// A sum for a weight is one of so many sums side by side, in double.
inline constexpr Index kWeightLanes = 8;

struct GroupPlanes {
  explicit GroupPlanes(const Convolution& c)
      : height(c.height),
        width(c.width),
        channels(c.in_channels / c.groups),
        outputs(c.out_channels / c.groups),
        taps(c.height.kernel * c.width.kernel),
        image(c.height.in * c.width.in),
        output(c.height.out * c.width.out),
        pitch(width.size),
        phase(height.size * pitch),
        plane(height.count * width.count * phase),
        length((c.height.out - 1) * pitch + c.width.out),
        lead(height.shift(c.height.kernel - 1) * pitch + width.shift(c.width.kernel - 1)) {}

  PhaseAxis height, width;
  Index channels, outputs;  // of a group
  Index taps;               // positions of the kernel
  Index image, output;      // elements of a plane of x, of y
  Index pitch;              // from row to row of a phase, and of y where it has rows of that length
  Index phase;              // elements of a phase
  Index plane;              // of all phases of a plane
  Index length;             // of such a y, without what comes after its last element
  Index lead;               // the largest shift

  Index phase_of(Index r, Index s) const { return height.phase(r) * width.count + width.phase(s); }
  Index shift(Index r, Index s) const { return height.shift(r) * pitch + width.shift(s); }
  // Elements of y with zeros on both sides, as many as the gradient of x reads.
  Index padded_y() const { return lead + phase + kPlaneSlack; }
};

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- rows: every element that is not among the n stays as it is ---------------------------------------------------------------------

template <class D, class T> HWY_INLINE void copy_run(D d, const T* from, T* to, Index n) {
  constexpr Index lanes = hn::MaxLanes(d);
  if (n >= lanes) {
    for (Index i = 0; i + lanes <= n; i += lanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
    hn::StoreU(hn::LoadU(d, from + n - lanes), d, to + n - lanes);
  } else if constexpr (lanes > 1) {
    copy_run(hn::Half<D>(), from, to, n);
  }
}
// to[i] = start + from[i]
template <class D, class T> HWY_INLINE void add_start(D d, T start, const T* from, T* to, Index n) {
  constexpr Index lanes = hn::MaxLanes(d);
  if (n >= lanes) {
    const auto first = hn::Set(d, start);
    for (Index i = 0; i + lanes <= n; i += lanes) hn::StoreU(hn::Add(first, hn::LoadU(d, from + i)), d, to + i);
    hn::StoreU(hn::Add(first, hn::LoadU(d, from + n - lanes)), d, to + n - lanes);
  } else if constexpr (lanes > 1) {
    add_start(hn::Half<D>(), start, from, to, n);
  }
}
// even[i] = from[2 i], odd[i] = from[2 i + 1]
template <class D, class T> HWY_INLINE void split_pair(D d, const T* from, T* even, T* odd, Index i) {
  hn::Vec<D> a, b;
  hn::LoadInterleaved2(d, from + 2 * i, a, b);
  hn::StoreU(a, d, even + i);
  hn::StoreU(b, d, odd + i);
}
template <class D, class T> HWY_INLINE void split_pairs(D d, const T* from, T* even, T* odd, Index n) {
  constexpr Index lanes = hn::MaxLanes(d);
  if (n >= lanes) {
    for (Index i = 0; i + lanes <= n; i += lanes) split_pair(d, from, even, odd, i);
    split_pair(d, from, even, odd, n - lanes);
  } else if constexpr (lanes > 1) {
    split_pairs(hn::Half<D>(), from, even, odd, n);
  }
}
// to[2 i] = start + even[i], to[2 i + 1] = start + odd[i]
template <class D, class T> HWY_INLINE void join_pair(D d, hn::Vec<D> start, const T* even, const T* odd, T* to, Index i) {
  hn::StoreInterleaved2(hn::Add(start, hn::LoadU(d, even + i)), hn::Add(start, hn::LoadU(d, odd + i)), d, to + 2 * i);
}
template <class D, class T> HWY_INLINE void join_pairs(D d, T start, const T* even, const T* odd, T* to, Index n) {
  constexpr Index lanes = hn::MaxLanes(d);
  if (n >= lanes) {
    for (Index i = 0; i + lanes <= n; i += lanes) join_pair(d, hn::Set(d, start), even, odd, to, i);
    join_pair(d, hn::Set(d, start), even, odd, to, n - lanes);
  } else if constexpr (lanes > 1) {
    join_pairs(hn::Half<D>(), start, even, odd, to, n);
  }
}

// ---- planes ---------------------------------------------------------------------------------------------------------------------------

// Writes the elements of x to its phases, whose padding is 0 already.
template <class T> void split_plane(const GroupPlanes& p, const T* x, T* phases) {
  const hn::ScalableTag<T> d;
  for (Index a = 0; a < p.height.count; ++a, phases += p.width.count * p.phase) {
    const Range rows = p.height.inputs(a);
    for (Index u = rows.first; u < rows.last; ++u) {
      const T* const from = x + p.height.input(a, u) * p.width.axis.in;
      T* to = phases + u * p.pitch;
      if (p.width.pairs > 0) {
        const Pairs<T> pairs(p.width, to, p.phase);
        split_pairs(d, from, pairs.even, pairs.odd, p.width.pairs);
      }
      for (Index b = 0; b < p.width.count; ++b, to += p.phase) {
        const Range valid = p.width.inputs(b);
        if (p.width.axis.stride == 1) {
          copy_run(d, from + p.width.input(b, valid.first), to + valid.first, valid.size());
        } else {
          for (Index i = valid.first + p.width.pairs; i < valid.last; ++i) to[i] = from[p.width.input(b, i)];
        }
      }
    }
  }
}
// The transposed map, where every element of x is in at most one phase: x = start + what is in the phases.
template <class T> void join_plane(const GroupPlanes& p, const T* phases, T start, T* x) {
  const hn::ScalableTag<T> d;
  std::fill_n(x, p.image, start);
  for (Index a = 0; a < p.height.count; ++a, phases += p.width.count * p.phase) {
    const Range rows = p.height.inputs(a);
    for (Index u = rows.first; u < rows.last; ++u) {
      const T* from = phases + u * p.pitch;
      T* const to = x + p.height.input(a, u) * p.width.axis.in;
      if (p.width.pairs > 0) {
        const Pairs<const T> pairs(p.width, from, p.phase);
        join_pairs(d, start, pairs.even, pairs.odd, to, p.width.pairs);
      }
      for (Index b = 0; b < p.width.count; ++b, from += p.phase) {
        const Range valid = p.width.inputs(b);
        if (p.width.axis.stride == 1) {
          add_start(d, start, from + valid.first, to + p.width.input(b, valid.first), valid.size());
        } else {
          for (Index i = valid.first + p.width.pairs; i < valid.last; ++i) to[p.width.input(b, i)] = start + from[i];
        }
      }
    }
  }
}
// Rows of y with other distances.
template <class T> void copy_rows_of_y(const GroupPlanes& p, const T* from, Index from_row, T* to, Index to_row) {
  const hn::ScalableTag<T> d;
  for (Index i = 0; i < p.height.axis.out; ++i) copy_run(d, from + i * from_row, to + i * to_row, p.width.axis.out);
}

// to[i] = start + sum_t weights[t] from[offsets[t] + i] for i below n, and for the rest of a block.
template <class T> void add_weighted(const T* from, const Index* offsets, const T* weights, Index terms, T start, Index n, T* to) {
  const hn::ScalableTag<T> d;
  constexpr Index lanes = hn::MaxLanes(d);
  static_assert(4 * lanes <= kPlaneSlack);
  for (Index at = 0; at < n; at += 4 * lanes) {
    auto a = hn::Set(d, start), b = a, c = a, e = a;
    for (Index t = 0; t < terms; ++t) {
      const T* const x = from + offsets[t] + at;
      const auto w = hn::Set(d, weights[t]);
      a = hn::Add(a, hn::Mul(w, hn::LoadU(d, x)));
      b = hn::Add(b, hn::Mul(w, hn::LoadU(d, x + lanes)));
      c = hn::Add(c, hn::Mul(w, hn::LoadU(d, x + 2 * lanes)));
      e = hn::Add(e, hn::Mul(w, hn::LoadU(d, x + 3 * lanes)));
    }
    hn::StoreU(a, d, to + at);
    hn::StoreU(b, d, to + at + lanes);
    hn::StoreU(c, d, to + at + 2 * lanes);
    hn::StoreU(e, d, to + at + 3 * lanes);
  }
}

// Sums of terms in T, side by side, before they are added in double.
template <class T> constexpr Index kPartial = 128 / sizeof(T);
constexpr Index kTermsInT = 2048;

// lanes[t][...] += the sums of `count` neighbouring taps over n terms; without x, those of y alone.
template <class T, int count, bool has_x> HWY_INLINE void add_sums(const T* x, const Index* offsets, const T* y, Index n, double* lanes) {
  const hn::ScalableTag<T> d;
  constexpr Index kLanes = hn::MaxLanes(d);
  constexpr int kVectors = kPartial<T> / kLanes;
  hn::Vec<decltype(d)> sums[count][kVectors];
  for (int t = 0; t < count; ++t)
    for (int v = 0; v < kVectors; ++v) sums[t][v] = hn::Zero(d);
  for (Index i = 0; i < n; i += kPartial<T>) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      const auto right = hn::LoadU(d, y + i + v * kLanes);
      HWY_UNROLL(4)
      for (int t = 0; t < count; ++t) {
        if constexpr (has_x) {
          sums[t][v] = hn::Add(sums[t][v], hn::Mul(hn::LoadU(d, x + offsets[t] + i + v * kLanes), right));
        } else {
          sums[t][v] = hn::Add(sums[t][v], right);
        }
      }
    }
  }
  for (int t = 0; t < count; ++t, lanes += kWeightLanes) {
    T partial[kPartial<T>];
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[t][v], d, partial + v * kLanes);
    for (Index size = kPartial<T> / 2; size >= kWeightLanes; size /= 2)
      for (Index k = 0; k < size; ++k) partial[k] += partial[k + size];
    for (Index k = 0; k < kWeightLanes; ++k) lanes[k] += static_cast<double>(partial[k]);
  }
}
// lanes[t][...] += sums of x[offsets[t] + i] y[i] for i below n and the rest of a block, where y is 0.
template <class T> void add_products(const T* x, const Index* offsets, Index taps, const T* y, Index n, double* lanes) {
  constexpr int kVectors = static_cast<int>(kPartial<T>) / hn::MaxLanes(hn::ScalableTag<T>());
  constexpr Index kTogether = kVectors <= 2 ? 4 : kVectors <= 4 ? 2 : 1;
  for (Index at = 0; at < n; at += kTermsInT) {
    const Index count = HWY_MIN(kTermsInT, n - at);
    Index t = 0;
    for (; t + kTogether <= taps; t += kTogether)
      add_sums<T, kTogether, true>(x + at, offsets + t, y + at, count, lanes + t * kWeightLanes);
    for (; t < taps; ++t) add_sums<T, 1, true>(x + at, offsets + t, y + at, count, lanes + t * kWeightLanes);
  }
}
// The same for y alone.
template <class T> void add_terms(const T* y, Index n, double* lanes) {
  for (Index at = 0; at < n; at += kTermsInT) add_sums<T, 1, false>(nullptr, nullptr, y + at, HWY_MIN(kTermsInT, n - at), lanes);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

// What a group of an image takes, in nanoseconds (blocks.h).
template <class T> double time_of_group(const GroupPlanes& p) {
  constexpr double kMultiplyAdd = 0.02 * sizeof(T) / sizeof(float);
  return kMultiplyAdd * static_cast<double>(p.channels * p.outputs * p.taps) * static_cast<double>(p.length);
}

// Where the elements of each position of the kernel begin in the phases of a group's channels, as many of them as asked for.
pool::Vector<Index> offsets_of(const GroupPlanes& p, Index channels) {
  pool::Vector<Index> offsets;
  for (Index k = 0; k < channels; ++k)
    for (Index r = 0; r < p.height.axis.kernel; ++r)
      for (Index s = 0; s < p.width.axis.kernel; ++s) offsets.push_back(k * p.plane + p.phase_of(r, s) * p.phase + p.shift(r, s));
  return offsets;
}

// The products that a phase of the gradient of x adds up, of all outputs of a group.
struct PhaseTerms {
  PhaseTerms(const GroupPlanes& p, Index phase) {
    for (Index o = 0; o < p.outputs; ++o)
      for (Index r = 0, t = 0; r < p.height.axis.kernel; ++r)
        for (Index s = 0; s < p.width.axis.kernel; ++s, ++t)
          if (p.phase_of(r, s) == phase) {
            offsets.push_back(o * p.padded_y() + p.lead - p.shift(r, s));
            weights.push_back(o * p.channels * p.taps + t);
          }
  }
  pool::Vector<Index> offsets, weights;  // in y, and among the weights of a group's first channel
};

}  // namespace

bool has_small_groups(const Convolution& c) {
  constexpr Index kFew = 4;
  return c.batch > 0 && c.groups > 1 && c.in_channels / c.groups <= kFew && c.out_channels / c.groups <= kFew;
}

template <class T> void grouped_forward(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  const GroupPlanes p(c);
  const pool::Vector<Index> offsets = offsets_of(p, p.channels);
  const auto split = WENGERT_BEST_TARGET(split_plane<T>);
  const auto add = WENGERT_BEST_TARGET(add_weighted<T>);
  const auto copy_rows = WENGERT_BEST_TARGET(copy_rows_of_y<T>);
  for_blocks_of(c.batch * c.groups, time_of_group<T>(p), [&](Index first, Index last) {
    const Scratch<T> phases(p.channels * p.plane + kPlaneSlack), sums(p.length + kPlaneSlack);
    std::fill_n(phases.data(), p.channels * p.plane + kPlaneSlack, T(0));
    for (Index item = first; item < last; ++item) {
      for (Index k = 0; k < p.channels; ++k) split(p, x + (item * p.channels + k) * p.image, phases.data() + k * p.plane);
      for (Index o = 0; o < p.outputs; ++o) {
        const Index output = item % c.groups * p.outputs + o, terms = p.channels * p.taps;
        add(phases.data(), offsets.data(), weight + output * terms, terms, bias ? bias[output] : T(0), p.length, sums.data());
        copy_rows(p, sums.data(), p.pitch, y + (item * p.outputs + o) * p.output, c.width.out);
      }
    }
  });
}

template <class T> void grouped_data_gradient(const Convolution& c, const T* y, const T* weight, const T* bias, T* x) {
  const GroupPlanes p(c);
  const Index phase_count = p.height.count * p.width.count;
  pool::Vector<PhaseTerms> terms;
  for (Index phase = 0; phase < phase_count; ++phase) terms.emplace_back(p, phase);
  const auto copy_rows = WENGERT_BEST_TARGET(copy_rows_of_y<T>);
  const auto add = WENGERT_BEST_TARGET(add_weighted<T>);
  const auto join = WENGERT_BEST_TARGET(join_plane<T>);
  for_blocks_of(c.batch * c.groups, time_of_group<T>(p), [&](Index first, Index last) {
    const Scratch<T> phases(p.plane + kPlaneSlack), ys(p.outputs * p.padded_y()), weights(p.outputs * p.taps);
    std::fill_n(ys.data(), p.outputs * p.padded_y(), T(0));
    for (Index item = first; item < last; ++item) {
      const Index group = item % c.groups;
      for (Index o = 0; o < p.outputs; ++o)
        copy_rows(p, y + (item * p.outputs + o) * p.output, c.width.out, ys.data() + o * p.padded_y() + p.lead, p.pitch);
      for (Index k = 0; k < p.channels; ++k) {
        const T* const from = weight + (group * p.outputs * p.channels + k) * p.taps;
        for (Index phase = 0; phase < phase_count; ++phase) {
          const PhaseTerms& of_phase = terms[static_cast<std::size_t>(phase)];
          const auto count = static_cast<Index>(of_phase.weights.size());
          for (Index t = 0; t < count; ++t) weights.data()[t] = from[of_phase.weights[static_cast<std::size_t>(t)]];
          add(ys.data(), of_phase.offsets.data(), weights.data(), count, T(0), p.phase, phases.data() + phase * p.phase);
        }
        join(p, phases.data(), bias ? bias[group * p.channels + k] : T(0), x + (item * p.channels + k) * p.image);
      }
    }
  });
}

template <class T> void grouped_weight_gradient(const Convolution& c, const T* x, const T* y, T* weight, T* bias) {
  // Parts of the batch, so that each reads neighbours, and of the groups where the batch is small.
  constexpr Index kParts = 8, kLanes = kWeightLanes;
  const GroupPlanes p(c);
  const Index batch_parts = std::min(c.batch, kParts), group_parts = std::min(kParts / batch_parts, c.groups);
  const Index weights = p.outputs * p.channels * p.taps, width = weights + p.outputs;  // of a group
  const pool::Vector<Index> offsets = offsets_of(p, 1);
  const auto split = WENGERT_BEST_TARGET(split_plane<T>);
  const auto copy_rows = WENGERT_BEST_TARGET(copy_rows_of_y<T>);
  const auto add_taps = WENGERT_BEST_TARGET(add_products<T>);
  const auto add_ys = WENGERT_BEST_TARGET(add_terms<T>);
  Scratch<double> sums(batch_parts * c.groups * width * kLanes);
  parallel_blocks(batch_parts * group_parts, [&](Index block) {
    const Index part = block / group_parts, of_groups = block % group_parts;
    const Range groups{of_groups * c.groups / group_parts, (of_groups + 1) * c.groups / group_parts};
    double* const sums_of_part = sums.data() + part * c.groups * width * kLanes;
    std::fill_n(sums_of_part + groups.first * width * kLanes, groups.size() * width * kLanes, 0.0);
    const Scratch<T> phases(p.plane + kPlaneSlack), ys(p.outputs * p.padded_y());
    std::fill_n(phases.data(), p.plane + kPlaneSlack, T(0));
    std::fill_n(ys.data(), p.outputs * p.padded_y(), T(0));
    for (Index n = part * c.batch / batch_parts; n < (part + 1) * c.batch / batch_parts; ++n)
      for (Index group = groups.first; group < groups.last; ++group) {
        const Index item = n * c.groups + group;
        double* const of_group = sums_of_part + group * width * kLanes;
        for (Index o = 0; o < p.outputs; ++o)
          copy_rows(p, y + (item * p.outputs + o) * p.output, c.width.out, ys.data() + o * p.padded_y(), p.pitch);
        for (Index k = 0; k < p.channels; ++k) {
          split(p, x + (item * p.channels + k) * p.image, phases.data());
          for (Index o = 0; o < p.outputs; ++o)
            add_taps(phases.data(), offsets.data(), p.taps, ys.data() + o * p.padded_y(), p.length,
                     of_group + (o * p.channels + k) * p.taps * kLanes);
        }
        for (Index o = 0; bias && o < p.outputs; ++o) add_ys(ys.data() + o * p.padded_y(), p.length, of_group + (weights + o) * kLanes);
      }
  });
  for (Index group = 0; group < c.groups; ++group)
    for (Index i = 0; i < width; ++i) {
      double sum = 0;
      for (Index part = 0; part < batch_parts; ++part) {
        const double* const lanes = sums.data() + ((part * c.groups + group) * width + i) * kLanes;
        sum += sum_of_run<kLanes>(0, kLanes, [lanes](Index k) { return lanes[k]; });
      }
      if (i < weights)
        weight[group * weights + i] = static_cast<T>(sum);
      else if (bias)
        bias[group * p.outputs + (i - weights)] = static_cast<T>(sum);
    }
}

template void grouped_forward(const Convolution&, const float*, const float*, const float*, float*);
template void grouped_forward(const Convolution&, const double*, const double*, const double*, double*);
template void grouped_data_gradient(const Convolution&, const float*, const float*, const float*, float*);
template void grouped_data_gradient(const Convolution&, const double*, const double*, const double*, double*);
template void grouped_weight_gradient(const Convolution&, const float*, const float*, float*, float*);
template void grouped_weight_gradient(const Convolution&, const double*, const double*, double*, double*);

}  // namespace wengert::kernels
#endif
