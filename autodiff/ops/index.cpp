// Selects elements at given positions, or adds to them.
//
//   y = index_select(x, d, i):        x_bar = index_add(0, d, i, y_bar),            y_dot = index_select(x_dot, d, i)
//   y = index_add(x, d, i, s):        x_bar = y_bar,  s_bar = index_select(y_bar, d, i)
//   y = gather(x, d, i):              x_bar = scatter_add(0, d, i, y_bar),          y_dot = gather(x_dot, d, i)
//   y = scatter_add(x, d, i, s):      x_bar = y_bar,  s_bar = gather(y_bar, d, i)
//
// Each is linear in x and s, and the functions of each pair are each other's transpose. The sweep adds in place where possible, so that a
// loop over parts of a tensor takes linear time. No index is used before it is checked.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/slices.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/composition_scope.h"
#include "autodiff/ops/index.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace detail {

Tensor index_of(const char* name, const Tensor& index) {
  check_defined(name, index, "the index");
  if (index.dtype() != int64)
    throw DtypeError(detail::ErrorText(name, "the index {} is not int64", describe(index)).hint("convert it with .to(int64)"));
  return index.constant();
}

Tensor checked_list(const char* name, const Tensor& index, const Tensor& x, int dim, Location site) {
  Tensor dense = index_of(name, index).contiguous(site);
  const std::int64_t* const at = dense.data<std::int64_t>();
  IndexCheck check(name, index, x, dim);
  kernels::for_blocks_of(dense.size(), kernels::cost::kCopy<std::int64_t>,
                         [&](Index first, Index last) { check.fit(at + first, last - first, 1); });
  check.end();
  return dense;
}

void IndexCheck::end() const {
  if (!failed_) return;
  const std::vector<std::int64_t> all = index_.to_vector<std::int64_t>();
  const Index n = x_.shape()[dim_];
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] < 0 || all[i] >= n)
      throw ShapeError(fmt::format("{}: index {} at position {} of {} is not in [0, {}), the size of dimension {} of {}", name_, all[i], i,
                                   describe(index_), n, dim_, describe(x_)));
}

void check_each(const char* name, const Tensor& x, int dim, const Tensor& index) {
  check_defined(name, index, "the index");
  bool fits = index.rank() == x.rank();
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == dim || index.shape()[d] <= x.shape()[d];
  if (!fits)
    throw ShapeError(
        fmt::format("{}: the index {} does not fit {}: it must have as many dimensions, and may be larger only in dimension {}", name,
                    describe(index), describe(x), dim));
}

}  // namespace detail

using detail::check_each;
using detail::checked_list;
using detail::index_of;
using detail::IndexCheck;
using detail::list_of;
using detail::Positions;
using detail::PositionsInX;
using detail::slices_of;

namespace {

// y[position] += s for the lines of a strip. Terms for the same position are added in double, so that a float32 sum of very many of them
// keeps its digits. n is the size of y along these lines.
template <class Strip> void add_strip(Strip l, Index n, const float* s, float* y) {
  if (n <= 4 * l.count) {
    constexpr Index kFew = 256;
    double few[kFew];
    std::optional<kernels::Scratch<double>> many;
    double* const sums = n * l.width() <= kFew ? few : many.emplace(n * l.width()).data();
    const auto for_each_in_y = [&](const auto& f) {
      for (Index i = 0; i < n; ++i)
        for (Index c = 0; c < l.width(); ++c) f(y[l.in_x(i, c)], sums[i * l.width() + c]);
    };
    for_each_in_y([](float v, double& sum) { sum = static_cast<double>(v); });
    l.for_each([=](Index k, Index c) { sums[l.position(k, c) * l.width() + c] += static_cast<double>(s[l.from(k, c)]); });
    for_each_in_y([](float& v, double sum) { v = static_cast<float>(sum); });
    return;
  }
  pool::Vector<Index> order(static_cast<std::size_t>(l.count));  // far fewer terms than elements
  for (Index c = 0; c < l.width(); ++c) {
    std::iota(order.begin(), order.end(), Index(0));
    std::sort(order.begin(), order.end(),
              [&](Index p, Index q) { return std::pair(l.position(p, c), p) < std::pair(l.position(q, c), q); });
    for (std::size_t k = 0; k < order.size();) {
      float& to = y[l.at(order[k], c)];
      auto sum = static_cast<double>(to);
      for (const Index at = l.position(order[k], c); k < order.size() && l.position(order[k], c) == at; ++k)
        sum += static_cast<double>(s[l.from(order[k], c)]);
      to = static_cast<float>(sum);
    }
  }
}

// y[position] += s, for a dense y. Positions in y are checked on the way, if there is a check.
void add_at(Tensor& y, int dim, const Tensor& index, Positions positions, const Tensor& source, IndexCheck* check = nullptr) {
  const Tensor s = source.constant().contiguous();
  if (s.size() == 0) return;
  detail::dispatch(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = detail::data<T>(y);
    const T* const from = s.data<T>();
    if constexpr (std::is_floating_point_v<T>)
      if (positions == Positions::list) return kernels::add_slices(slices_of(y.shape(), dim), list_of(index), from, to);
    const PositionsInX in_y(y.strides(), dim, index, positions, s.shape());
    if (s.shape()[dim] == 1)  // no element of y has more than one term
      return in_y.for_each(check, [=](Index at, Index k) { to[at] = static_cast<T>(to[at] + from[k]); });
    in_y.for_each_strip(check, [=, n = y.shape()[dim]](auto l) {
      if constexpr (std::is_same_v<T, float>) {
        add_strip(l, n, from, to);
      } else {
        l.for_each([&](Index k, Index c) { to[l.at(k, c)] = static_cast<T>(to[l.at(k, c)] + from[l.from(k, c)]); });
      }
    });
  });
}

Tensor gather_along(const Tensor& x, int dim, const Tensor& index, Positions positions, Location site = {}, IndexCheck* check = nullptr);
Tensor add_along(const Tensor& x, int dim, const Tensor& index, Positions positions, const Tensor& source, Location site = {},
                 IndexCheck* check = nullptr);

class Take : public OperationWithOptions {  // x: the tensor, the index
 public:
  Take(int dim, Positions positions) : dim_(dim), positions_(positions) {}
  const char* name() const override { return positions_ == Positions::list ? "index_select" : "gather"; }
  const char* latex() const override { return "{#1}_{#2}"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_); }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (Tensor* sum = x_bar.accumulator(0)) return add_at(*sum, dim_, s.x(1), positions_, y_bar[0]);
    x_bar[0] = add_along(detail::repeated_zero(s.x_shape(), y_bar[0].dtype()), dim_, s.x(1), positions_, y_bar[0]);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = gather_along(x_dot[0], dim_, s.x(1), positions_);
  }

 private:
  int dim_;
  Positions positions_;
};

class AddAt : public Operation {  // x: the tensor, the index, the terms
 public:
  AddAt(int dim, Positions positions) : dim_(dim), positions_(positions) {}
  const char* name() const override { return positions_ == Positions::list ? "index_add" : "scatter_add"; }
  ValueSet saved_for(int i) const override { return i == 2 ? input(1) : kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (x_bar.needs(0)) x_bar[0] = y_bar[0];
    if (x_bar.needs(2)) x_bar[2] = gather_along(y_bar[0], dim_, s.x(1), positions_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    if (!x_dot[2].defined()) {
      y_dot[0] = x_dot[0];
      return;
    }
    const Tensor start = x_dot[0].defined() ? x_dot[0] : detail::repeated_zero(s.y_shape(), x_dot[2].dtype());
    y_dot[0] = add_along(start, dim_, s.x(1), positions_, x_dot[2]);
  }

 private:
  int dim_;
  Positions positions_;
};

Tensor gather_along(const Tensor& x, int dim, const Tensor& index, Positions positions, Location site, IndexCheck* check) {
  Shape shape = index.shape();
  if (positions == Positions::list) {
    shape = x.shape();
    shape[dim] = index.size();
  }
  Tensor y = Tensor::uninitialized(shape, x.dtype(), site);
  if (positions == Positions::list && x.is_row_major() && y.size() > 0) {
    kernels::gather_slices(slices_of(x.shape(), dim), list_of(index), x.elements()->data, bytes_of(x.dtype()), y.elements()->data);
    return record(Take(dim, positions), site, {&x, &index}, std::move(y));
  }
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = static_cast<const T*>(x.elements()->data);
    T* to = y.mutable_data<T>();
    PositionsInX(x.strides(), dim, index, positions, shape).for_each(check, [=](Index at, Index flat) { to[flat] = from[at]; });
  });
  if (check) check->end();
  return record(Take(dim, positions), site, {&x, &index}, std::move(y));
}

Tensor add_along(const Tensor& x, int dim, const Tensor& index, Positions positions, const Tensor& source, Location site,
                 IndexCheck* check) {
  Tensor y = x.clone(site);
  add_at(y, dim, index, positions, source, check);
  if (check) check->end();
  return record(AddAt(dim, positions), site, {&x, &index, &source}, std::move(y));
}

void check_list(const char* name, const Tensor& index) {
  detail::check_defined(name, index, "the index");
  if (index.rank() != 1) throw ShapeError(fmt::format("{}: the index {} must have one dimension", name, describe(index)));
}

void check_adds(const char* name, const Tensor& x) {
  if (x.dtype() == boolean) throw DtypeError(detail::ErrorText(name, "cannot add to {}", describe(x)).hint("convert it with .to(int64)"));
}

}  // namespace

Tensor index_select(const Tensor& x, Index dim, const Tensor& index, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("index_select", dim, x);
  check_list("index_select", index);
  return gather_along(x, d, checked_list("index_select", index, x, d, site), Positions::list, site);
}

Tensor gather(const Tensor& x, Index dim, const Tensor& index, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("gather", dim, x);
  check_each("gather", x, d, index);
  IndexCheck check("gather", index, x, d);
  return gather_along(x, d, index_of("gather", index), Positions::each, site, &check);
}

Tensor index_add(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("index_add", dim, x);
  check_adds("index_add", x);
  check_list("index_add", index);
  detail::check_same_dtype("index_add", x, source, "x", "source");
  Shape wanted = x.shape();
  wanted[d] = index.size();
  if (!(source.shape() == wanted))
    throw ShapeError(fmt::format("index_add: {} cannot be added to {} at {} positions of dimension {}: it must have the shape {}",
                                 describe(source), describe(x), index.size(), dim, to_string(wanted)));
  return add_along(x, d, checked_list("index_add", index, x, d, site), Positions::list, source, site);
}

Tensor scatter_add(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("scatter_add", dim, x);
  check_adds("scatter_add", x);
  check_each("scatter_add", x, d, index);
  detail::check_same_dtype("scatter_add", x, source, "x", "source");
  if (!(source.shape() == index.shape()))
    throw ShapeError(fmt::format("scatter_add: {} must have the shape of the index {}", describe(source), describe(index)));
  IndexCheck check("scatter_add", index, x, d);
  return add_along(x, d, index_of("scatter_add", index), Positions::each, source, site, &check);
}

Tensor embedding(const Tensor& index, const Tensor& weight, std::optional<Integer> padding, Location site) {
  const CallSite scope(site);
  detail::check_defined("embedding", index, "the index");
  detail::check_defined("embedding", weight, "the weight");
  if (weight.rank() != 2) throw ShapeError(fmt::format("embedding: the weight {} must be (rows, features)", describe(weight)));
  if (padding && (*padding < 0 || *padding >= weight.size(0)))
    throw ShapeError(
        fmt::format("embedding: the padding row {} is not in [0, {}), the rows of {}", padding->value, weight.size(0), describe(weight)));
  const Tensor positions = checked_list("embedding", index, weight, 0, site);
  detail::CompositionScope whole("embedding", {&index, &weight},
                                 [&](OperationOptions& to) { to.set("padding", padding ? padding->value : -1); });
  Shape shape = index.shape();
  shape.push_back(weight.size(1));
  Tensor y = reshape(gather_along(weight, 0, reshape(positions, {positions.size()}), Positions::list, site), shape);
  if (padding) y = where(unsqueeze(positions, -1) == padding->value, y.constant(), y);
  whole.end({&y});
  return y;
}

}  // namespace wengert
