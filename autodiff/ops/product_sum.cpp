#include "autodiff/ops/product_sum.h"

#include <algorithm>
#include <optional>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::detail {
namespace {

// An array as (outer, kept, inner), which is summed over outer and inner.
struct Kept {
  Index outer, kept, inner;
};

// How `shape` is repeated to the sizes `full`, if its dimensions that are not repeated are neighbours.
std::optional<Kept> kept_of(const Shape& shape, const Shape& full) {
  const int added = full.rank() - shape.rank();
  const auto repeated = [&](int d) { return d < added || (shape[d - added] == 1 && full[d] != 1); };
  int first = 0, last = full.rank();
  while (first < last && repeated(first)) ++first;
  while (first < last && repeated(last - 1)) --last;
  for (int d = first; d < last; ++d)
    if (repeated(d)) return std::nullopt;
  return Kept{full.size(0, first), full.size(first, last), full.size(last, full.rank())};
}

// The products are rounded to T, their sums are in double.
template <class T> void sum_products(const Kept& k, const T* x, const T* y, T* to) {
  constexpr double kCost = 2 * kernels::cost::kCopy<T>;
  if (k.inner == 1) {  // rows
    constexpr Index kStrip = 256;
    const double ns = kCost * static_cast<double>(k.outer * kStrip);
    kernels::for_blocks_of((k.kept + kStrip - 1) / kStrip, ns, [&](Index first, Index last) {
      kernels::run_elements<T>([&]() __attribute__((always_inline)) {
        for (Index column = first * kStrip; column < std::min(last * kStrip, k.kept); column += kStrip) {
          const Index columns = std::min(kStrip, k.kept - column);
          double sums[kStrip] = {};
          const T *a = x + column, *b = y + column;
          Index row = 0;
          const auto product = [&](Index r, Index i) __attribute__((always_inline)) {
            return static_cast<double>(a[r * k.kept + i] * b[r * k.kept + i]);
          };
          for (; row + 4 <= k.outer; row += 4, a += 4 * k.kept, b += 4 * k.kept)
            for (Index i = 0; i < columns; ++i) sums[i] = sums[i] + product(0, i) + product(1, i) + product(2, i) + product(3, i);
          for (; row < k.outer; ++row, a += k.kept, b += k.kept)
            for (Index i = 0; i < columns; ++i) sums[i] += product(0, i);
          for (Index i = 0; i < columns; ++i) to[column + i] = static_cast<T>(sums[i]);
        }
      });
    });
    return;
  }
  kernels::for_blocks_of(k.kept, kCost * static_cast<double>(k.outer * k.inner), [&](Index first, Index last) {
    kernels::run_elements<T>([&]() __attribute__((always_inline)) {
      for (Index group = first; group < last; ++group) {
        double sum = 0;
        for (Index o = 0; o < k.outer; ++o) {
          const Index at = (o * k.kept + group) * k.inner;
          sum += kernels::sum_of_run(
              at, k.inner, [ x, y ](Index i) __attribute__((always_inline)) { return static_cast<double>(x[i] * y[i]); });
        }
        to[group] = static_cast<T>(sum);
      }
    });
  });
}

}  // namespace

Tensor sum_of_products(const Tensor& x, const Tensor& y, const Shape& shape) {
  if (!(x.shape() == y.shape()) || x.size() == 0 || !x.is_row_major() || !y.is_row_major()) return {};
  const std::optional<Kept> kept = kept_of(shape, x.shape());
  if (!kept) return {};
  Tensor sums = Tensor::uninitialized(shape, x.dtype());
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_products(*kept, x.data<T>(), y.data<T>(), sums.mutable_data<T>());
  });
  return sums;
}

}  // namespace wengert::detail
