// Products of elements.
//
//   y = prod_d x:   x_bar_i = y_bar p_i,   y_dot = sum_d p x_dot,   where p_i = prod_{j != i} x_j
//
// p_i is what stands before i times what stands after it, so derivatives of every order are exact where elements are 0.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "autodiff/kernels/lines.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/linear_recurrence.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

Tensor product_along(const Tensor& x, int dim, Location site);

class Product : public OperationWithOptions {  // along a dimension that is not empty
 public:
  explicit Product(int dim) : dim_(dim) {}
  const char* name() const override { return "prod"; }
  const char* latex() const override { return R"(\prod #)"; }
  void options(OperationOptions& to) const override { to.set("dims", Dims{dim_}); }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = others(s.x(), y_bar[0].made_at()) * unsqueeze(y_bar[0], dim_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = sum(others(s.x(), x_dot[0].made_at()) * x_dot[0], {dim_});
  }

 private:
  // p
  Tensor others(const Tensor& x, Location site) const {
    const auto before = [&](bool backwards) {
      return detail::linear_recurrence(x, {}, {.dim = dim_, .backwards = backwards, .lagging = true, .initial = 1}, site);
    };
    return before(false) * before(true);
  }

  int dim_;
};

// Multiplies n numbers in pairs, these in pairs, ..., into the first one. False if one on the way may have lost digits or left the range.
template <Index n, class T> __attribute__((always_inline)) inline bool multiply_in_pairs(T* x) {
  bool exact = true;
  if constexpr (std::is_floating_point_v<T>) {
    static_assert(std::is_same_v<T, double>);
    constexpr auto kBits = [](double v) { return std::bit_cast<std::int64_t>(v); };  // of magnitudes, in their order
    std::int64_t least = kBits(std::numeric_limits<double>::infinity()), largest = 0;
    for (Index k = 0; k < n; ++k) {
      const std::int64_t size = kBits(x[k]) & std::numeric_limits<std::int64_t>::max();  // without the sign
      least = size < least ? size : least;
      largest = size > largest ? size : largest;
    }
    exact = least >= kBits(std::numeric_limits<double>::min()) && largest <= kBits(std::numeric_limits<double>::max());
  }
  for (Index k = 0; k < n / 2; ++k) x[k] *= x[k + n / 2];
  if constexpr (n > 2) exact &= multiply_in_pairs<n / 2>(x);
  return exact;
}

constexpr Index kLong = 128;  // of shorter lines each is multiplied in the order of its elements

// The product of n >= kLong numbers: by several side by side, unless one of these may have lost digits or left the range. Then one by one:
// large and small numbers in turns have a product, though not all the large ones among them do.
template <class T> detail::Wide<T> product_of_run(const T* x, Index n) {
  using kernels::kAbreast;
  detail::Wide<T> all = 1;
  bool exact = true;
  kernels::run_on_best_target([&]() __attribute__((always_inline)) {
    detail::Wide<T> partial[kAbreast];
    std::fill_n(partial, kAbreast, detail::Wide<T>(1));
    Index i = 0;
    for (; i + kAbreast <= n; i += kAbreast)
      for (Index k = 0; k < kAbreast; ++k) partial[k] *= static_cast<detail::Wide<T>>(x[i + k]);
    for (Index k = 0; i + k < n; ++k) partial[k] *= static_cast<detail::Wide<T>>(x[i + k]);
    exact = multiply_in_pairs<kAbreast>(partial);
    all = partial[0];
  });
  if (exact) return all;
  all = 1;
  for (Index i = 0; i < n; ++i) all *= static_cast<detail::Wide<T>>(x[i]);
  return all;
}

template <class T> void product_lines(const kernels::Lines& l, const T* x, T* y) {
  if (l.inner == 1 && l.n < kLong) {
    return kernels::for_blocks_of_lines(l, kernels::cost::kCopy<T>, [=](const kernels::SomeLines& some) {
      kernels::run_on_best_target([=]() __attribute__((always_inline)) {
        kernels::for_each_short_lines(
            some, [=](Index first, Index lines) __attribute__((always_inline)) {
              detail::Wide<T> products[kernels::kShortAbreast];
              for (detail::Wide<T>& p : products) p = 1;
              for (Index k = 0; k < l.n; ++k)
                for (Index i = 0; i < lines; ++i) products[i] *= static_cast<detail::Wide<T>>(x[(first + i) * l.n + k]);
              for (Index i = 0; i < lines; ++i) y[first + i] = static_cast<T>(products[i]);
            });
      });
    });
  }
  if (l.inner == 1) {
    return kernels::for_blocks_of(l.outer, kernels::cost::kCopy<T> * static_cast<double>(l.n), [=](Index first, Index last) {
      for (Index o = first; o < last; ++o) y[o] = static_cast<T>(product_of_run(x + o * l.n, l.n));
    });
  }
  constexpr Index kMost = kernels::kLinesAbreast<T>;
  kernels::for_blocks_of_lines(l, kernels::cost::kCopy<T>, [=](const kernels::SomeLines& some) {
    kernels::run_on_best_target([=]() __attribute__((always_inline)) {
      for_each_strip(
          some, kMost, [=](Index line, Index first, Index columns) __attribute__((always_inline)) {
            detail::Wide<T> products[kMost];
            for (detail::Wide<T>& p : products) p = 1;
            const auto multiply = [&](Index columns) __attribute__((always_inline)) {
              for (Index k = 0; k < l.n; ++k)
                for (Index i = 0; i < columns; ++i) products[i] *= static_cast<detail::Wide<T>>(x[first + k * l.inner + i]);
            };
            columns == kMost ? multiply(kMost) : multiply(columns);
            for (Index i = 0; i < columns; ++i) y[line + i] = static_cast<T>(products[i]);
          });
    });
  });
}

Tensor product_along(const Tensor& x, int dim, Location site) {
  const Tensor dense = x.constant().contiguous(site);
  Shape shape;
  for (int d = 0; d < x.rank(); ++d)
    if (d != dim) shape.push_back(x.shape()[d]);
  Tensor y = Tensor::uninitialized(shape, x.dtype(), site);
  const kernels::Lines lines = detail::lines_along(x.shape(), dim);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (y.size() > 0) product_lines(lines, dense.data<T>(), y.mutable_data<T>());
  });
  return record(Product(dim), site, {&x}, std::move(y));
}

}  // namespace

Tensor prod(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over("prod", x, dims);
  if (x.dtype() == boolean) return prod(x.to(int64, site), dims, options, site);
  if (r.count == 0) return sum(x, dims, options) + 1;  // the empty product
  Tensor y;
  if (dims.rank() == 1) {
    y = product_along(x, checked_dim("prod", dims[0], x), site);
  } else if (const auto lines = detail::lines_of(x, r.kept)) {
    y = product_along(reshape(x, {lines->outer, lines->n, lines->inner}), 1, site);
  } else {
    Dims order;  // the kept dimensions, then the reduced ones
    for (int d = 0; d < x.rank(); ++d)
      if (r.strides[d] != 0) order.push_back(d);
    for (int d = 0; d < x.rank(); ++d)
      if (r.strides[d] == 0) order.push_back(d);
    Shape rows = r.dropped;
    rows.push_back(r.count);
    y = product_along(reshape(permute(x, order), rows), rows.rank() - 1, site);
  }
  return reshape(y, options.keepdim ? r.kept : r.dropped);
}
Tensor prod(const Tensor& x, Location site) { return prod(x, detail::all_dims("prod", x), {}, site); }

}  // namespace wengert
