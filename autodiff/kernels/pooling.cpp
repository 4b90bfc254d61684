#include "autodiff/kernels/pooling.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {
namespace {

// f(first plane, last plane) for blocks of planes, over the thread pool.
template <class F> void for_blocks_of_planes(const Pooling& p, F&& f) {
  for_blocks_of(p.planes, cost::kCopy<double> * static_cast<double>(p.height.in * p.width.in), f);
}

Index plane_in(const Pooling& p) { return p.height.in * p.width.in; }
Index plane_out(const Pooling& p) { return p.height.out * p.width.out; }

// ---- maxima ------------------------------------------------------------------------------------------------------------------------

// The maxima of some neighbouring outputs of a row. They are kept apart from the results, so that the loops over outputs become vectors.
class Maxima {
 public:
  static constexpr Index most = 64;  // outputs at once
  explicit Maxima(const Pooling& p) : height_(p.height), width_(p.width), inside_(width_.kernel) {
    Range without_padding{0, width_.out};
    for (Index s = 0; s < width_.kernel; ++s) {
      inside_.data()[s] = inside(width_, s, {0, width_.out});
      without_padding = common(without_padding, inside_.data()[s]);
    }
    if (width_.kernel == 2 && width_.stride == 2 && width_.dilation == 1) pairs_ = without_padding;
  }

  // y of these outputs in row i of a plane x.
  template <class T> [[gnu::always_inline]] void values(Range outputs, Index i, const T* x, T* y) const {
    T best[most];
    for (T& b : best) b = -std::numeric_limits<T>::infinity();
    const Range rows = unpadded(height_, i);
    const bool in_pairs = common(pairs_, outputs).size() == outputs.size();
    for (Index r = rows.first; r < rows.last; ++r) {
      const T* const row = x + height_.input(i, r) * width_.in;
      if (in_pairs) {
        const T* const from = row + width_.input(outputs.first, 0);
        for (Index j = 0; j < outputs.size(); ++j) best[j] = larger(larger(best[j], from[2 * j]), from[2 * j + 1]);
        continue;
      }
      for (Index s = 0; s < width_.kernel; ++s) {
        const Range some = common(inside_.data()[s], outputs);
        const Index first = some.first - outputs.first, last = some.last - outputs.first;
        const T* const from = row + width_.input(outputs.first, s);
        const auto take = [&](auto step) __attribute__((always_inline)) {
          for (Index j = first; j < last; ++j) best[j] = larger(best[j], from[j * step]);
        };
        if (width_.stride == 2) {  // known to the compiler, it reads vectors
          take(std::integral_constant<Index, 2>());
        } else {
          take(width_.stride);
        }
      }
    }
    std::copy_n(best, outputs.size(), y);
  }
  // y and `at` of these outputs in row i of a plane x.
  template <class T, class Position>
  [[gnu::always_inline]] void values_and_positions(Range outputs, Index i, const T* x, T* y, Position* at) const {
    T best[most];
    std::int32_t where[most];
    const Index n = outputs.size(), step = width_.stride;
    for (Index j = 0; j < n; ++j) {
      best[j] = -std::numeric_limits<T>::infinity();
      where[j] = nowhere;
    }
    const Range rows = unpadded(height_, i);
    for (Index r = rows.first; r < rows.last; ++r) {
      const T* const row = x + height_.input(i, r) * width_.in;
      for (Index s = 0; s < width_.kernel; ++s) {
        const Range some = common(inside_.data()[s], outputs);
        const Index first = some.first - outputs.first, last = some.last - outputs.first, offset = width_.input(outputs.first, s);
        const auto position = static_cast<std::int32_t>(r * width_.kernel + s);
        for (Index j = first; j < last; ++j) {
          const T v = row[offset + j * step], b = best[j];
          const bool wins = !(v <= b) & (b == b);  // larger, or the first NaN
          best[j] = wins ? v : b;
          where[j] = wins ? position : where[j];
        }
      }
    }
    std::int32_t least = 0;
    for (Index j = 0; j < n; ++j) least = std::min(least, where[j]);
    if (least == nowhere) place_infinities(rows.first, outputs, where);
    for (Index j = 0; j < n; ++j) y[j] = best[j];
    for (Index j = 0; j < n; ++j) at[j] = static_cast<Position>(where[j]);
  }

 private:
  static constexpr std::int32_t nowhere = -1;

  static Range common(Range a, Range b) {
    const Index first = std::max(a.first, b.first);
    return {first, std::max(first, std::min(a.last, b.last))};
  }

  // The larger one, or the first NaN.
  template <class T> [[gnu::always_inline]] static T larger(T best, T v) {
    const T more = v > best ? v : best;  // a NaN in `best` stays
    return v == v ? more : v;
  }

  // Nothing is larger than -inf: where all elements are that, the first one is the maximum.
  void place_infinities(Index row, Range outputs, std::int32_t* where) const {
    for (Index j = 0; j < outputs.size(); ++j)
      if (where[j] == nowhere) where[j] = static_cast<std::int32_t>(row * width_.kernel + unpadded(width_, outputs.first + j).first);
  }

  const WindowAxis &height_, &width_;
  Scratch<Range> inside_;  // for every column of the window, the outputs for which it is not padding
  Range pairs_{0, 0};      // the outputs whose windows are pairs of neighbours without padding: the usual ones, in one pass
};

// f(some outputs, plane, their row i, position of the first of them) for all outputs, in a loop on the best instruction set.
template <class F> void for_each_row_of_outputs(const Pooling& p, const F& f) {
  for_blocks_of_planes(p, [&](Index first, Index last) {
    run_on_best_target([&]() __attribute__((always_inline)) {
      for (Index n = first; n < last; ++n)
        for (Index i = 0; i < p.height.out; ++i)
          for (Index j = 0; j < p.width.out; j += Maxima::most)
            f(Range{j, std::min(j + Maxima::most, p.width.out)}, n, i, n * plane_out(p) + i * p.width.out + j);
    });
  });
}

// How far the positions of a window are from its first one, in a plane of x.
class WindowOffsets {
 public:
  explicit WindowOffsets(const Pooling& p) : offsets_(p.height.kernel * p.width.kernel) {
    Index* to = offsets_.data();
    for (Index r = 0; r < p.height.kernel; ++r)
      for (Index s = 0; s < p.width.kernel; ++s) *to++ = r * p.height.dilation * p.width.in + s * p.width.dilation;
  }
  template <class Position> Index operator[](Position at) const { return offsets_.data()[at]; }

 private:
  Scratch<Index> offsets_;
};

// f(position in y, position in x that `at` means) for every output of the planes [first, last).
template <class Position, class F>
void for_each_pooled(const Pooling& p, const WindowOffsets& offsets, const Position* at, Index first, Index last, F&& f) {
  Index output = first * plane_out(p);
  for (Index n = first; n < last; ++n)
    for (Index i = 0; i < p.height.out; ++i) {
      const Index row = n * plane_in(p) + p.height.input(i, 0) * p.width.in + p.width.input(0, 0);
      for (Index j = 0; j < p.width.out; ++j, ++output) f(output, row + j * p.width.stride + offsets[at[output]]);
    }
}

// ---- means -------------------------------------------------------------------------------------------------------------------------

// The inputs of a window along one dimension, and what its sum is divided by there.
struct MeanWindow {
  Range inputs;
  Index divisor;
};

MeanWindow mean_window(const WindowAxis& axis, Divisor divisor, Index i) {
  if (divisor == Divisor::adaptive) {  // [floor(i in / out), ceil((i + 1) in / out))
    const Index whole = axis.in / axis.out, rest = axis.in % axis.out;
    const Range inputs{i * whole + i * rest / axis.out, (i + 1) * whole + divided_up((i + 1) * rest, axis.out)};
    return {inputs, inputs.size()};
  }
  const Index begin = axis.input(i, 0), end = std::min(begin + axis.kernel, axis.in + axis.padding);
  const Range inputs{std::max<Index>(begin, 0), std::min(end, axis.in)};
  return {inputs, divisor == Divisor::padded ? end - begin : inputs.size()};
}

// The windows of all outputs along one dimension.
class MeanWindows {
 public:
  MeanWindows(const WindowAxis& axis, Divisor divisor) : windows_(axis.out) {
    for (Index i = 0; i < axis.out; ++i) windows_.data()[i] = mean_window(axis, divisor, i);
  }
  const MeanWindow& operator[](Index i) const { return windows_.data()[i]; }

 private:
  Scratch<MeanWindow> windows_;
};

// to[i] += from[i]
template <class T> void add_row(Index n, const T* from, T* to) {
  run_on_best_target([=]() __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] += from[i];
  });
}

}  // namespace

template <class T, class Position> void max_pool(const Pooling& p, const T* x, T* y, Position* at) {
  const Maxima maxima(p);
  for_each_row_of_outputs(
      p, [&](Range outputs, Index plane, Index i, Index first)
             __attribute__((always_inline)) { maxima.values_and_positions(outputs, i, x + plane * plane_in(p), y + first, at + first); });
}
template <class T> void max_pool(const Pooling& p, const T* x, T* y) {
  const Maxima maxima(p);
  for_each_row_of_outputs(
      p, [&](Range outputs, Index plane, Index i, Index first)
             __attribute__((always_inline)) { maxima.values(outputs, i, x + plane * plane_in(p), y + first); });
}

template <class T, class Position> void take_pooled(const Pooling& p, const T* x, const Position* at, T* y) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    for_each_pooled(p, offsets, at, first, last, [&](Index output, Index input) { y[output] = x[input]; });
  });
}

template <class T, class Position> void put_pooled(const Pooling& p, const T* y, const Position* at, T* x) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    std::fill_n(x + first * plane_in(p), (last - first) * plane_in(p), T(0));
    for_each_pooled(p, offsets, at, first, last, [&](Index output, Index input) { x[input] += y[output]; });
  });
}

template <class Position> void pooled_indices(const Pooling& p, const Position* at, std::int64_t* index) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    for_each_pooled(p, offsets, at, first, last,
                    [&](Index output, Index input) { index[output] = input - output / plane_out(p) * plane_in(p); });
  });
}

template <class T> void average_pool(const Pooling& p, Divisor divisor, const T* x, T* y) {
  const MeanWindows of_rows(p.height, divisor), of_columns(p.width, divisor);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    Scratch<T> row(p.width.in);  // the sum of the window's rows
    for (Index n = first; n < last; ++n) {
      const T* const plane = x + n * plane_in(p);
      T* to = y + n * plane_out(p);
      for (Index i = 0; i < p.height.out; ++i) {
        const MeanWindow& rows = of_rows[i];
        std::fill_n(row.data(), p.width.in, T(0));
        for (Index h = rows.inputs.first; h < rows.inputs.last; ++h) add_row(p.width.in, plane + h * p.width.in, row.data());
        for (Index j = 0; j < p.width.out; ++j) {
          const MeanWindow& columns = of_columns[j];
          T total = 0;
          for (Index w = columns.inputs.first; w < columns.inputs.last; ++w) total += row.data()[w];
          *to++ = total / static_cast<T>(rows.divisor * columns.divisor);
        }
      }
    }
  });
}

template <class T> void spread_average(const Pooling& p, Divisor divisor, const T* y, T* x) {
  const MeanWindows of_rows(p.height, divisor), of_columns(p.width, divisor);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    Scratch<T> row(p.width.in);  // what each of the window's rows gets
    for (Index n = first; n < last; ++n) {
      const T* from = y + n * plane_out(p);
      T* const plane = x + n * plane_in(p);
      std::fill_n(plane, plane_in(p), T(0));
      for (Index i = 0; i < p.height.out; ++i) {
        const MeanWindow& rows = of_rows[i];
        std::fill_n(row.data(), p.width.in, T(0));
        for (Index j = 0; j < p.width.out; ++j) {
          const MeanWindow& columns = of_columns[j];
          const T share = *from++ / static_cast<T>(rows.divisor * columns.divisor);
          for (Index w = columns.inputs.first; w < columns.inputs.last; ++w) row.data()[w] += share;
        }
        for (Index h = rows.inputs.first; h < rows.inputs.last; ++h) add_row(p.width.in, row.data(), plane + h * p.width.in);
      }
    }
  });
}

#define WENGERT_POOLING(T, Position)                                        \
  template void max_pool(const Pooling&, const T*, T*, Position*);          \
  template void take_pooled(const Pooling&, const T*, const Position*, T*); \
  template void put_pooled(const Pooling&, const T*, const Position*, T*);
WENGERT_POOLING(float, std::uint8_t)
WENGERT_POOLING(float, std::int32_t)
WENGERT_POOLING(double, std::uint8_t)
WENGERT_POOLING(double, std::int32_t)
#undef WENGERT_POOLING
template void max_pool(const Pooling&, const float*, float*);
template void max_pool(const Pooling&, const double*, double*);
template void pooled_indices(const Pooling&, const std::uint8_t*, std::int64_t*);
template void pooled_indices(const Pooling&, const std::int32_t*, std::int64_t*);
template void average_pool(const Pooling&, Divisor, const float*, float*);
template void average_pool(const Pooling&, Divisor, const double*, double*);
template void spread_average(const Pooling&, Divisor, const float*, float*);
template void spread_average(const Pooling&, Divisor, const double*, double*);

}  // namespace wengert::kernels
