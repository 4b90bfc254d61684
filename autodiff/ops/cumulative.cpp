// Running sums and products.
//
//   y = cumsum(x):   x_bar_j = sum_{i >= j} y_bar_i, the running sum from the other end,   y_dot = cumsum(x_dot)
//
// A running product multiplies neighbours, scans the pairs recursively, and fills in the positions between: about 2n recorded products in
// 2 log2(n) steps. Its derivatives follow from those of the parts, and are exact where elements are 0, to every order.
#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/lines.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

Tensor running_sum(const Tensor& x, int dim, bool backwards, Location site = {});

class RunningSum : public OperationWithOptions {
 public:
  RunningSum(int dim, bool backwards) : dim_(dim), backwards_(backwards) {}
  const char* name() const override { return "cumsum"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_), to.set("backwards", backwards_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = running_sum(y_bar[0], dim_, !backwards_);
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = running_sum(x_dot[0], dim_, backwards_);
  }

 private:
  int dim_;
  bool backwards_;
};

// Along some rows of (outer, n): several at a time, because each addition waits for the one before.
constexpr Index kAbreast = 8;

template <class Wide, class T> void sum_lines_abreast(const T* x, T* y, Index outer, Index n, bool backwards) {
  const Index first = backwards ? n - 1 : 0, step = backwards ? -1 : 1;
  Index o = 0;
  for (; o + kAbreast <= outer; o += kAbreast, x += kAbreast * n, y += kAbreast * n) {
    Wide sums[kAbreast] = {};
    for (Index k = 0, at = first; k < n; ++k, at += step)
      for (Index r = 0; r < kAbreast; ++r) y[r * n + at] = static_cast<T>(sums[r] += static_cast<Wide>(x[r * n + at]));
  }
  for (; o < outer; ++o, x += n, y += n) {
    Wide sum = 0;
    for (Index k = 0, at = first; k < n; ++k, at += step) y[at] = static_cast<T>(sum += static_cast<Wide>(x[at]));
  }
}

// Along the middle of (outer, n, inner), where threads share the lines; float32 is summed in double.
template <class T> void sum_lines(const T* x, T* y, const kernels::Lines& l, bool backwards) {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
  constexpr double kCost = 2 * kernels::cost::kCopy<T>;
  if (l.inner == 1) {
    return kernels::for_blocks_of(l.outer, kCost * static_cast<double>(l.n), kAbreast, [&](Index first, Index last) {
      sum_lines_abreast<Wide>(x + first * l.n, y + first * l.n, last - first, l.n, backwards);
    });
  }
  kernels::for_blocks_of_lines(l, kCost, [&](const kernels::SomeLines& some) {
    constexpr Index kColumns = kernels::kElementsTogether;
    for_each_strip(some, kColumns, [&](Index, Index first, Index columns) {
      Wide sums[kColumns] = {};
      for (Index k = 0; k < l.n; ++k) {
        const Index row = first + (backwards ? l.n - 1 - k : k) * l.inner;
        for (Index i = 0; i < columns; ++i) y[row + i] = static_cast<T>(sums[i] += static_cast<Wide>(x[row + i]));
      }
    });
  });
}

// [running_sum]
Tensor running_sum(const Tensor& x, int dim, bool backwards, Location site) {
  const Tensor dense = x.constant().contiguous(site);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  const kernels::Lines lines{x.shape().size(0, dim), x.shape()[dim], x.shape().size(dim + 1, x.rank())};
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (y.size() > 0) sum_lines<T>(dense.data<T>(), y.mutable_data<T>(), lines, backwards);
  });
  return record(RunningSum(dim, backwards), site, {&x}, std::move(y));
}
// [running_sum]

// y_i = x_1 ... x_i along the last dimension.
Tensor running_product(const Tensor& x) {
  const Index n = x.shape().back();
  if (n < 2) return x;
  const Index even = n / 2 * 2, later = (n - 1) / 2;
  const Tensor pairs = running_product(slice(x, -1, 0, even, 2) * slice(x, -1, 1, even, 2));  // y_2, y_4, ...
  const Tensor first = slice(x, -1, 0, 1);
  if (later == 0) return concat({first, pairs}, -1);
  const Tensor between = slice(pairs, -1, 0, later) * slice(x, -1, 2, n, 2);  // y_3, y_5, ...
  Shape shape = x.shape();
  shape[x.rank() - 1] = 2 * later;
  const Tensor mixed = reshape(stack({slice(pairs, -1, 0, later), between}, -1), shape);
  return n % 2 ? concat({first, mixed}, -1) : concat({first, mixed, slice(pairs, -1, later, n / 2)}, -1);
}

}  // namespace

Tensor cumsum(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("cumsum", dim, x);
  return running_sum(x.dtype() == boolean ? x.to(int64, site) : x, d, false, site);
}

Tensor cumprod(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("cumprod", dim, x);
  return detail::along_last(x.dtype() == boolean ? x.to(int64) : x, d, running_product);
}

}  // namespace wengert
