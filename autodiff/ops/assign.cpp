// Replaces the elements at given positions. Where a position occurs more than once, the last element counts.
//
//   y = x, except y[i_k] = s_k:   x_bar = y_bar, except x_bar[i_k] = 0,   s_bar_k = y_bar[i_k] if s_k is the last for its position, else 0
//                                 y_dot = x_dot, except y_dot[i_k] = s_dot_k
//
// No index is used before it is checked.
#include <fmt/format.h>

#include <utility>

#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/slices.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/index.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

using detail::Positions;

namespace {

Tensor put(const Tensor& x, int dim, const Tensor& index, Positions positions, const Tensor& source, Location site,
           detail::IndexCheck* check = nullptr);
Tensor take_last(const Tensor& x, int dim, const Tensor& index, Positions positions, const Shape& shape, Location site);

class PutAt : public Operation {  // x: the tensor, the index, the new elements
 public:
  PutAt(int dim, Positions positions, const Shape& source) : dim_(dim), positions_(positions), source_(source) {}
  const char* name() const override { return positions_ == Positions::list ? "index_put" : "scatter"; }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location site = y_bar[0].made_at();
    if (x_bar.needs(0)) x_bar[0] = put(y_bar[0], dim_, s.x(1), positions_, detail::repeated_zero(source_, y_bar[0].dtype(), site), site);
    if (x_bar.needs(2)) x_bar[2] = take_last(y_bar[0], dim_, s.x(1), positions_, source_, site);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor& given = x_dot[0].defined() ? x_dot[0] : x_dot[2];
    const Location site = given.made_at();
    const Tensor around = x_dot[0].defined() ? x_dot[0] : detail::repeated_zero(s.y_shape(), given.dtype(), site);
    y_dot[0] =
        put(around, dim_, s.x(1), positions_, x_dot[2].defined() ? x_dot[2] : detail::repeated_zero(source_, given.dtype(), site), site);
  }

 private:
  int dim_;
  Positions positions_;
  Shape source_;
};

// y_k = x[i_k] if the kth element is the last for its position, else 0: the transpose of what puts elements.
class TakeLast : public Operation {  // x: the tensor, the index
 public:
  TakeLast(int dim, Positions positions) : dim_(dim), positions_(positions) {}
  const char* name() const override { return "take_last"; }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location site = y_bar[0].made_at();
    x_bar[0] = put(detail::repeated_zero(s.x_shape(), y_bar[0].dtype(), site), dim_, s.x(1), positions_, y_bar[0], site);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = take_last(x_dot[0], dim_, s.x(1), positions_, s.y_shape(), x_dot[0].made_at());
  }

 private:
  int dim_;
  Positions positions_;
};

Tensor put(const Tensor& x, int dim, const Tensor& index, Positions positions, const Tensor& source, Location site,
           detail::IndexCheck* check) {
  Tensor y = x.clone(site);
  const bool one_number = detail::is_repeated_number(source);
  if (source.size() == 0) return record(PutAt(dim, positions, source.shape()), site, {&x, &index, &source}, std::move(y));
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = detail::data<T>(y);
    if (positions == Positions::list) {
      const kernels::Slices l = detail::slices_of(y.shape(), dim);
      const Tensor given = source.constant();
      const Tensor s = (one_number ? view(given, {l.inner}, {0}, 0, site) : given).contiguous(site);
      return kernels::put_slices(l, detail::list_of(index), s.data<T>(), one_number, sizeof(T), to);
    }
    const T* const from = detail::data<T>(source);
    detail::PositionsInX(y.strides(), dim, index, positions, source.shape(), source.strides()).for_each_strip(check, [=](auto l) {
      l.for_each([&](Index k, Index c) { to[l.at(k, c)] = from[l.from(k, c)]; });
    });
  });
  if (check) check->end();
  return record(PutAt(dim, positions, source.shape()), site, {&x, &index, &source}, std::move(y));
}

Tensor take_last(const Tensor& x, int dim, const Tensor& index, Positions positions, const Shape& shape, Location site) {
  Tensor y = Tensor::uninitialized(shape, x.dtype(), site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = y.mutable_data<T>();
    if (y.size() == 0) return;
    if (positions == Positions::list) {
      const Tensor dense = x.constant().contiguous(site);
      return kernels::gather_last_slices(detail::slices_of(x.shape(), dim), detail::list_of(index), dense.data<T>(), sizeof(T), to);
    }
    const T* const from = detail::data<T>(x);
    const Index n = x.shape()[dim];
    detail::PositionsInX(x.strides(), dim, index, positions, shape).for_each_strip(nullptr, [=](auto l) {
      const kernels::Scratch<Index> scratch(n * l.width());  // of each position that occurs, the last element for it
      Index* const last = scratch.data();
      l.for_each([&](Index k, Index c) { last[l.position(k, c) * l.width() + c] = k; });
      l.for_each([&](Index k, Index c) { to[l.from(k, c)] = last[l.position(k, c) * l.width() + c] == k ? from[l.at(k, c)] : T(0); });
    });
  });
  return record(TakeLast(dim, positions), site, {&x, &index}, std::move(y));
}

// The positions in the first dimensions of x as one list of row numbers, and the broadcast shape of the indices.
struct Rows {
  Tensor numbers;
  Shape shape;
};
Rows rows_of(const Tensor& x, std::span<const Tensor> indices, Location site) {
  if (indices.empty() || static_cast<int>(indices.size()) > x.rank())
    throw ShapeError(
        fmt::format("index_put: {} indices for {}, which takes one for each of its first dimensions, at least one and at most {}",
                    indices.size(), describe(x), x.rank()));
  Tensor numbers;
  for (std::size_t d = 0; d < indices.size(); ++d) {
    detail::check_defined("index_put", indices[d], "an index");
    if (indices[d].dtype() == boolean)
      throw DtypeError(fmt::format("index_put: the index {} is boolean; hint: masked_scatter takes masks", describe(indices[d])));
    const Tensor index = detail::checked_list("index_put", indices[d], x, static_cast<int>(d), site);
    if (d > 0) detail::broadcast_shape("index_put", numbers, index);
    numbers = d == 0 ? index : numbers * x.shape()[static_cast<int>(d)] + index;
  }
  return {reshape(numbers, {-1}), numbers.shape()};
}

}  // namespace

Tensor scatter(const Tensor& x, Index dim, const Tensor& index, const Tensor& source, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("scatter", dim, x);
  detail::check_each("scatter", x, d, index);
  detail::check_same_dtype("scatter", x, source);
  if (!(source.shape() == index.shape()))
    throw ShapeError(fmt::format("scatter: {} must have the shape of the index {}", describe(source), describe(index)));
  detail::IndexCheck check("scatter", index, x, d);
  return put(x, d, detail::index_of("scatter", index), Positions::each, source, site, &check);
}

Tensor index_put(const Tensor& x, std::span<const Tensor> indices, Operand&& values, const IndexPutOptions& options) {
  const CallSite scope(values.site);
  detail::check_defined("index_put", x);
  const Tensor& v = values.as(x.dtype(), "index_put");
  const Rows rows = rows_of(x, indices, values.site);
  detail::check_same_dtype("index_put", x, v);
  const auto indexed = static_cast<int>(indices.size());
  Shape shape = rows.shape, row;
  for (int d = indexed; d < x.rank(); ++d) row.push_back(x.shape()[d]);
  for (const Index size : row) shape.push_back(size);
  if (!detail::broadcasts_to(v, shape))
    throw ShapeError(
        fmt::format("index_put: the values {} do not broadcast to {}, the shape of the indices followed by the remaining dimensions of {}",
                    describe(v), to_string(shape), describe(x)));
  const Index outer = checked_size("index_put", x.shape(), 0, indexed);
  const Tensor source = reshape(expand(v, shape), {rows.numbers.size(), row.size()}), matrix = reshape(x, {outer, row.size()});
  const Tensor y =
      options.accumulate ? index_add(matrix, 0, rows.numbers, source) : put(matrix, 0, rows.numbers, Positions::list, source, values.site);
  return reshape(y, x.shape());
}

}  // namespace wengert
