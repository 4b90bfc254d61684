#include "autodiff/ops/product_sum.h"

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

// The products are rounded to T.
template <class T> void sum_products(const Kept& k, const T* x, const T* y, T* to) {
  constexpr double kCost = 2 * kernels::cost::kCopy<T>;
  const auto product = [ x, y ](Index at) __attribute__((always_inline)) { return x[at] * y[at]; };
  if (k.outer == 1 || k.inner == 1) {
    const kernels::Lines lines = k.inner == 1 ? kernels::Lines{1, k.outer, k.kept} : kernels::Lines{k.kept, k.inner, 1};
    return kernels::sum_all_lines<double>(
        lines, kCost, [product](Index at, Index) __attribute__((always_inline)) { return product(at); },
        [to](Index line, double sum) __attribute__((always_inline)) { to[line] = static_cast<T>(sum); });
  }
  kernels::for_blocks_of(k.kept, kCost * static_cast<double>(k.outer * k.inner), [&](Index first, Index last) {
    kernels::run_elements<T>([&]() __attribute__((always_inline)) {
      for (Index group = first; group < last; ++group) {
        double sum = 0;
        for (Index o = 0; o < k.outer; ++o) sum += kernels::sum_of_run<double>((o * k.kept + group) * k.inner, k.inner, product);
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
