// A plane (one channel of an image) is padded, and split into phases: of every sh-th row and sw-th column of the padded plane, beginning
// with row a and column b, each combination (a, b) is a plane of its own, of `rows` x `columns` elements. There the windows of neighbouring
// outputs are neighbours whatever the stride is, and if y has rows of that length, too, each position (r, s) of the kernel is one loop over
// the whole plane, without a word about its borders:
//
//   y[i, j] += w[r, s] phase[i + r', j + s']     with the phase ((r dh) mod sh, (s dw) mod sw), r' = (r dh) / sh and s' = (s dw) / sw
//
// The elements of such a y beyond the width of an output are 0, or are not read. Both gradients are loops over the same places. All but the
// sums for weights are elementwise, and those have a fixed order, so the bits are the same on every processor.
#include "autodiff/kernels/grouped_convolution.h"

#include <algorithm>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/phases.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"

#define WENGERT_LOOP __attribute__((always_inline)) inline

namespace wengert::kernels {
namespace {

// So many elements of y at once, with their x they stay in the first-level cache.
constexpr Index kChunk = 2048;

struct Planes {
  explicit Planes(const Convolution& c)
      : height(c.height),
        width(c.width),
        channels(c.in_channels / c.groups),
        outputs(c.out_channels / c.groups),
        taps(c.height.kernel * c.width.kernel),
        image(c.height.in * c.width.in),
        output(c.height.out * c.width.out),
        pitch(width.size),
        plane(height.count * width.count * height.size * pitch),
        length((c.height.out - 1) * pitch + c.width.out) {}

  PhaseAxis height, width;
  Index channels, outputs;  // of a group
  Index taps;               // positions of the kernel
  Index image, output;      // elements of a plane of x, of y
  Index pitch;              // from row to row of a phase, and of y where it has rows of that length
  Index plane;              // elements of all phases of a plane
  Index length;             // of such a y, without what comes after its last element

  // Where the elements of kernel position (r, s) begin.
  Index offset(Index r, Index s) const {
    const Index phase = height.phase(r) * width.count + width.phase(s);
    return (phase * height.size + height.shift(r)) * pitch + width.shift(s);
  }
  // f(weight's position, offset) for all positions of the kernel.
  template <class F> WENGERT_LOOP void for_each_tap(const F& f) const {
    for (Index r = 0, t = 0; r < height.axis.kernel; ++r)
      for (Index s = 0; s < width.axis.kernel; ++s, ++t) f(t, offset(r, s));
  }
  // f(first, size) for parts of the length.
  template <class F> WENGERT_LOOP void for_each_chunk(const F& f) const {
    for (Index first = 0; first < length; first += kChunk) f(first, std::min(kChunk, length - first));
  }

  // f(row of the phases, row of the image) for all rows, and g(row of the phases) for those of padding. A row's phases begin `distance`
  // apart.
  template <class Phase, class Image, class F, class G>
  WENGERT_LOOP void for_each_row(Phase* phases, Image* x, const F& f, const G& g) const {
    for (Index a = 0; a < height.count; ++a, phases += width.count * distance()) {
      const Range rows = height.inputs(a);
      for (Index u = 0; u < height.size; ++u) {
        if (u >= rows.first && u < rows.last) {
          f(phases + u * pitch, x + height.input(a, u) * width.axis.in);
        } else {
          g(phases + u * pitch);
        }
      }
    }
  }
  Index distance() const { return height.size * pitch; }
  template <class T> WENGERT_LOOP void split(const T* x, T* phases) const {
    for_each_row(
        phases, x, [&](T * to, const T* from) __attribute__((always_inline)) { split_row(width, from, to, distance()); },
        [&](T * to) __attribute__((always_inline)) {
          for (Index b = 0; b < width.count; ++b, to += distance())
            for (Index i = 0; i < pitch; ++i) to[i] = 0;
        });
  }
  // The transposed map, where every element of x is in at most one phase. Elements in none stay.
  template <class T> WENGERT_LOOP void join(T* phases, T* x) const {
    for_each_row(
        phases, x, [&](T * from, T * to) __attribute__((always_inline)) { add_row(width, from, distance(), to); },
        [](T*) __attribute__((always_inline)){});
  }
  // y with rows of the pitch's length, 0 beyond.
  template <class T> WENGERT_LOOP void spread(const T* y, T* to) const {
    const Index columns = width.axis.out;
    for (Index i = 0; i < height.axis.out; ++i, y += columns, to += pitch) {
      for (Index j = 0; j < columns; ++j) to[j] = y[j];
      if (i + 1 < height.axis.out)
        for (Index j = columns; j < pitch; ++j) to[j] = 0;
    }
  }
};

// to += a from
template <class T> WENGERT_LOOP void add_multiple(Index n, T a, const T* from, T* __restrict to) {
  for (Index i = 0; i < n; ++i) to[i] += a * from[i];
}

// The sum of n terms, added to sums in double side by side. A chunk's terms are added in T.
constexpr Index kLanes = 8;
template <class T, class Term> WENGERT_LOOP void add_to_lanes(Index n, const Term& term, double* lanes) {
  constexpr Index kPartial = 4 * kLanes;
  T partial[kPartial] = {};
  Index i = 0;
  for (; i + kPartial <= n; i += kPartial)
    for (Index k = 0; k < kPartial; ++k) partial[k] += term(i + k);
  for (Index k = 0; i + k < n; ++k) partial[k] += term(i + k);
  for (Index k = 0; k < 2 * kLanes; ++k) partial[k] += partial[k + 2 * kLanes];
  for (Index k = 0; k < kLanes; ++k) lanes[k] += static_cast<double>(partial[k] + partial[k + kLanes]);
}

// What a group of an image takes, in nanoseconds (blocks.h).
template <class T> double time_of_group(const Planes& p) {
  constexpr double kMultiplyAdd = 0.06 * sizeof(T) / sizeof(float);
  return kMultiplyAdd * static_cast<double>(p.channels * p.outputs * p.taps) * static_cast<double>(p.length);
}

}  // namespace

bool has_small_groups(const Convolution& c) {
  constexpr Index kFew = 4;
  return c.batch > 0 && c.groups > 1 && c.in_channels / c.groups <= kFew && c.out_channels / c.groups <= kFew;
}

template <class T> void grouped_forward(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  const Planes p(c);
  for_blocks_of(c.batch * c.groups, time_of_group<T>(p), [&](Index first, Index last) {
    Scratch<T> phases(p.channels * p.plane), sums(p.length);
    const auto loop = [&]() __attribute__((always_inline)) {
      for (Index item = first; item < last; ++item) {
        const Index group = item % c.groups;
        for (Index k = 0; k < p.channels; ++k) p.split(x + (item * p.channels + k) * p.image, phases.data() + k * p.plane);
        for (Index o = 0; o < p.outputs; ++o) {
          const Index output = group * p.outputs + o;
          const T b = bias ? bias[output] : T(0);
          p.for_each_chunk([&](Index at, Index n) __attribute__((always_inline)) {
            T* const to = sums.data() + at;
            for (Index i = 0; i < n; ++i) to[i] = b;
            for (Index k = 0; k < p.channels; ++k)
              p.for_each_tap([&](Index t, Index offset) __attribute__((always_inline)) {
                add_multiple(n, weight[(output * p.channels + k) * p.taps + t], phases.data() + k * p.plane + offset + at, to);
              });
          });
          T* to = y + (item * p.outputs + o) * p.output;
          const T* from = sums.data();
          for (Index i = 0; i < c.height.out; ++i, from += p.pitch, to += c.width.out)
            for (Index j = 0; j < c.width.out; ++j) to[j] = from[j];
        }
      }
    };
    run_elements<T>(loop);
  });
}

template <class T> void grouped_data_gradient(const Convolution& c, const T* y, const T* weight, const T* bias, T* x) {
  const Planes p(c);
  for_blocks_of(c.batch * c.groups, time_of_group<T>(p), [&](Index first, Index last) {
    Scratch<T> phases(p.plane), ys(p.outputs * p.length);
    const auto loop = [&]() __attribute__((always_inline)) {
      for (Index item = first; item < last; ++item) {
        const Index group = item % c.groups;
        for (Index o = 0; o < p.outputs; ++o) p.spread(y + (item * p.outputs + o) * p.output, ys.data() + o * p.length);
        for (Index k = 0; k < p.channels; ++k) {
          for (Index i = 0; i < p.plane; ++i) phases.data()[i] = 0;
          for (Index o = 0; o < p.outputs; ++o)
            p.for_each_chunk([&](Index at, Index n) __attribute__((always_inline)) {
              p.for_each_tap([&](Index t, Index offset) __attribute__((always_inline)) {
                add_multiple(n, weight[((group * p.outputs + o) * p.channels + k) * p.taps + t], ys.data() + o * p.length + at,
                             phases.data() + offset + at);
              });
            });
          T* const to = x + (item * p.channels + k) * p.image;
          const T b = bias ? bias[group * p.channels + k] : T(0);
          for (Index i = 0; i < p.image; ++i) to[i] = b;
          p.join(phases.data(), to);
        }
      }
    };
    run_elements<T>(loop);
  });
}

template <class T> void grouped_weight_gradient(const Convolution& c, const T* x, const T* y, T* weight, T* bias) {
  // Parts of the batch, so that each reads neighbours, and of the groups where the batch is small.
  constexpr Index kParts = 8;
  const Planes p(c);
  const Index batch_parts = std::min(c.batch, kParts), group_parts = std::min(kParts / batch_parts, c.groups);
  const Index weights = p.outputs * p.channels * p.taps, width = weights + p.outputs;  // of a group
  Scratch<double> sums(batch_parts * c.groups * width * kLanes);
  parallel_blocks(batch_parts * group_parts, [&](Index block) {
    const Index part = block / group_parts, of_groups = block % group_parts;
    const Range groups{of_groups * c.groups / group_parts, (of_groups + 1) * c.groups / group_parts};
    double* const sums_of_part = sums.data() + part * c.groups * width * kLanes;
    std::fill_n(sums_of_part + groups.first * width * kLanes, groups.size() * width * kLanes, 0.0);
    Scratch<T> phases(p.plane), ys(p.outputs * p.length);
    const auto loop = [&]() __attribute__((always_inline)) {
      for (Index n = part * c.batch / batch_parts; n < (part + 1) * c.batch / batch_parts; ++n)
        for (Index group = groups.first; group < groups.last; ++group) {
          const Index item = n * c.groups + group;
          double* const of_group = sums_of_part + group * width * kLanes;
          for (Index o = 0; o < p.outputs; ++o) p.spread(y + (item * p.outputs + o) * p.output, ys.data() + o * p.length);
          for (Index k = 0; k < p.channels; ++k) {
            p.split(x + (item * p.channels + k) * p.image, phases.data());
            for (Index o = 0; o < p.outputs; ++o)
              p.for_each_chunk([&](Index at, Index count) __attribute__((always_inline)) {
                const T* const of_y = ys.data() + o * p.length + at;
                p.for_each_tap([&](Index t, Index offset) __attribute__((always_inline)) {
                  const T* const of_x = phases.data() + offset + at;
                  add_to_lanes<T>(
                      count, [ of_x, of_y ](Index i) __attribute__((always_inline)) { return of_x[i] * of_y[i]; },
                      of_group + ((o * p.channels + k) * p.taps + t) * kLanes);
                });
              });
          }
          for (Index o = 0; bias && o < p.outputs; ++o)
            p.for_each_chunk([&](Index at, Index count) __attribute__((always_inline)) {
              const T* const of_y = ys.data() + o * p.length + at;
              add_to_lanes<T>(
                  count, [of_y](Index i) __attribute__((always_inline)) { return of_y[i]; }, of_group + (weights + o) * kLanes);
            });
        }
    };
    run_elements<T>(loop);
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

#undef WENGERT_LOOP
