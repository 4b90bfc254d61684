#include "autodiff/kernels/pooling.h"

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {
namespace {

// ---- positions of maxima -----------------------------------------------------------------------------------------------------------

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
  Index output = first * p.plane_out();
  for (Index n = first; n < last; ++n)
    for (Index i = 0; i < p.height.out; ++i) {
      const Index row = n * p.plane_in() + p.height.input(i, 0) * p.width.in + p.width.input(0, 0);
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

// Whether the only window is the whole plane.
bool is_global(const Pooling& p, const MeanWindows& rows, const MeanWindows& columns) {
  return p.plane_out() == 1 && rows[0].inputs.size() == p.height.in && columns[0].inputs.size() == p.width.in;
}

// to[i] += from[i]
template <class T> void add_row(Index n, const T* from, T* to) {
  run_on_best_target([=]() __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] += from[i];
  });
}

}  // namespace

template <class T, class Position> void take_pooled(const Pooling& p, const T* x, const Position* at, T* y) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    for_each_pooled(p, offsets, at, first, last, [&](Index output, Index input) { y[output] = x[input]; });
  });
}

template <class T, class Position> void put_pooled(const Pooling& p, const T* y, const Position* at, T* x) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    std::fill_n(x + first * p.plane_in(), (last - first) * p.plane_in(), T(0));
    for_each_pooled(p, offsets, at, first, last, [&](Index output, Index input) { x[input] += y[output]; });
  });
}

template <class Position> void pooled_indices(const Pooling& p, const Position* at, std::int64_t* index) {
  const WindowOffsets offsets(p);
  for_blocks_of_planes(p, [&](Index first, Index last) {
    for_each_pooled(p, offsets, at, first, last,
                    [&](Index output, Index input) { index[output] = input - output / p.plane_out() * p.plane_in(); });
  });
}

template <class T> void average_pool(const Pooling& p, Divisor divisor, const T* x, T* y) {
  const MeanWindows of_rows(p.height, divisor), of_columns(p.width, divisor);
  if (is_global(p, of_rows, of_columns)) {
    const auto size = static_cast<double>(of_rows[0].divisor * of_columns[0].divisor);
    for_blocks_of_planes(p, [&](Index first, Index last) {
      run_on_best_target([&]() __attribute__((always_inline)) {
        for (Index n = first; n < last; ++n) {
          const double sum = sum_of_run<double>(
              n * p.plane_in(), p.plane_in(), [x](Index i) __attribute__((always_inline)) { return x[i]; });
          y[n] = static_cast<T>(sum / size);
        }
      });
    });
    return;
  }
  for_blocks_of_planes(p, [&](Index first, Index last) {
    Scratch<T> row(p.width.in);  // the sum of the window's rows
    for (Index n = first; n < last; ++n) {
      const T* const plane = x + n * p.plane_in();
      T* to = y + n * p.plane_out();
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
  if (is_global(p, of_rows, of_columns)) {
    const T size = static_cast<T>(of_rows[0].divisor * of_columns[0].divisor);
    for_blocks_of_planes(p, [&](Index first, Index last) {
      for (Index n = first; n < last; ++n) std::fill_n(x + n * p.plane_in(), p.plane_in(), y[n] / size);
    });
    return;
  }
  for_blocks_of_planes(p, [&](Index first, Index last) {
    Scratch<T> row(p.width.in);  // what each of the window's rows gets
    for (Index n = first; n < last; ++n) {
      const T* from = y + n * p.plane_out();
      T* const plane = x + n * p.plane_in();
      std::fill_n(plane, p.plane_in(), T(0));
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
  template void take_pooled(const Pooling&, const T*, const Position*, T*); \
  template void put_pooled(const Pooling&, const T*, const Position*, T*);
WENGERT_POOLING(float, std::uint8_t)
WENGERT_POOLING(float, std::int32_t)
WENGERT_POOLING(double, std::uint8_t)
WENGERT_POOLING(double, std::int32_t)
#undef WENGERT_POOLING
template void pooled_indices(const Pooling&, const std::uint8_t*, std::int64_t*);
template void pooled_indices(const Pooling&, const std::int32_t*, std::int64_t*);
template void average_pool(const Pooling&, Divisor, const float*, float*);
template void average_pool(const Pooling&, Divisor, const double*, double*);
template void spread_average(const Pooling&, Divisor, const float*, float*);
template void spread_average(const Pooling&, Divisor, const double*, double*);

}  // namespace wengert::kernels
