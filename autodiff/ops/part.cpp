// Parts of a tensor, selected by lists of indices, and tensors with such a part replaced.
//
//   y = x(index):                       slices and selections
//   y = x, except y(index) = v:         x_bar = y_bar, except x_bar(index) = 0,   v_bar = y_bar(index)
//                                       y_dot = x_dot, except y_dot(index) = v_dot
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// One dimension of x under an index: `count` positions start, start + step, ...; an integer drops the dimension.
struct Positions {
  Index start, step, count;
  bool dropped;
};

// A part of a tensor: the selected positions in each dimension.
class Part {
 public:
  // A ShapeError of `operation` if the indices do not fit x.
  Part(const char* operation, const Tensor& x, std::span<const Subscript> index) {
    detail::check_defined(operation, x);
    const auto given = static_cast<int>(index.size());
    int ellipses = 0;
    for (const Subscript& s : index) ellipses += s.kind == Subscript::Kind::ellipsis;
    if (ellipses > 1) throw ShapeError(fmt::format("{}: {} Ellipses for {}, but at most one is allowed", operation, ellipses, describe(x)));
    if (given - ellipses > x.rank())
      throw ShapeError(fmt::format("{}: {} indices for the {} dimensions of {}", operation, given - ellipses, x.rank(), describe(x)));
    for (const Subscript& s : index) {
      if (s.kind == Subscript::Kind::ellipsis) {
        for (int k = given - 1; k < x.rank(); ++k) add(operation, x, All);
      } else {
        add(operation, x, s);
      }
    }
    while (static_cast<int>(positions_.size()) < x.rank()) add(operation, x, All);
  }

  // The part as a view, by recorded operations. Works from the last dimension to the first, so that dropping one does not renumber those
  // still to come.
  Tensor of(const Tensor& x, Location site) const {
    Tensor y = x;
    for (int d = x.rank(); d-- > 0;) {
      const Positions& p = at(d);
      if (p.dropped) {
        y = select(y, d, p.start, site);
      } else if (p.count != x.shape()[d] || p.step != 1) {
        y = slice(y, d, p.start, p.count > 0 ? p.start + (p.count - 1) * p.step + 1 : p.start, p.step, site);
      }
    }
    return y;
  }

  Shape shape() const {
    Shape shape;
    for (const Positions& p : positions_)
      if (!p.dropped) shape.push_back(p.count);
    return shape;
  }
  // Strides of the part within a tensor of the given strides.
  Shape strides(const Shape& whole) const {
    Shape strides;
    for (int d = 0; d < whole.rank(); ++d)
      if (!at(d).dropped) strides.push_back(whole[d] * at(d).step);
    return strides;
  }
  // Offset of the part's first element within a tensor of the given strides.
  Index offset(const Shape& whole) const {
    Index offset = 0;
    for (int d = 0; d < whole.rank(); ++d) offset += whole[d] * at(d).start;
    return offset;
  }

 private:
  const Positions& at(int d) const { return positions_[static_cast<std::size_t>(d)]; }

  // Appends the next dimension.
  void add(const char* operation, const Tensor& x, const Subscript& s) {
    const auto d = static_cast<int>(positions_.size());
    const Index n = x.shape()[d];
    const auto from_front = [n](Index i) { return i < 0 ? i + n : i; };
    if (s.kind == Subscript::Kind::integer) {
      const Index given = s.range.start, i = from_front(given);
      if (i < 0 || i >= n)
        throw ShapeError(
            fmt::format("{}: index {} of dimension {} is outside [{}, {}] of {}", operation, given, d, -n, n - 1, describe(x)));
      positions_.push_back({i, 1, 1, true});
    } else {
      if (s.range.step < 1)
        throw ShapeError(fmt::format("{}: the step {} of dimension {} must be at least 1; hint: flip(x, {{{}}}) reverses {}", operation,
                                     s.range.step, d, d, describe(x)));
      const auto clip = [&](Index i) { return std::clamp<Index>(from_front(i), 0, n); };
      const Index start = clip(s.range.start), stop = std::max(start, clip(s.range.stop));
      const Index step = std::min(s.range.step, std::max<Index>(n, 1));  // a larger one selects no other element, and might overflow
      positions_.push_back({start, step, (stop - start + step - 1) / step, false});
    }
  }

  pool::Vector<Positions> positions_;
};

Tensor update_part(const Tensor& x, const Part& part, const Tensor& value, Location site);

class SliceUpdate : public Operation {  // x: the tensor, the value
 public:
  explicit SliceUpdate(const Part& part) : part_(part) {}
  const char* name() const override { return "slice_update"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location site = y_bar[0].made_at();
    if (x_bar.needs(0)) x_bar[0] = update_part(y_bar[0], part_, Tensor::zeros({}, y_bar[0].dtype(), site), site);
    if (x_bar.needs(1)) x_bar[1] = part_.of(y_bar[0], site);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Dtype dtype = (x_dot[0].defined() ? x_dot[0] : x_dot[1]).dtype();
    const Tensor around = x_dot[0].defined() ? x_dot[0] : detail::repeated_zero(s.y_shape(), dtype);
    y_dot[0] = update_part(around, part_, x_dot[1].defined() ? x_dot[1] : Tensor::zeros({}, dtype), around.made_at());
  }

 private:
  Part part_;
};

Tensor update_part(const Tensor& x, const Part& part, const Tensor& value, Location site) {
  const CallSite scope(site);
  Tensor y = x.clone(site);
  const Shape shape = part.shape(), to = part.strides(y.strides()), from = detail::broadcast_strides(value, shape);
  if (shape.size() > 0) {
    detail::dispatch(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      T* out = detail::data<T>(y) + part.offset(y.strides());
      const T* in = detail::data<T>(value);
      kernels::Rows<2>(shape, {&to, &from}).for_each_row(kernels::cost::kCopy<T>, [&](const auto& at, Index n, const auto& step, Index) {
        kernels::copy_row(in + at[1], step[1], n, out + at[0], step[0]);
      });
    });
  }
  return record(SliceUpdate(part), site, {&x, &value}, std::move(y));
}

}  // namespace

Tensor Tensor::part(Subscripts index) const {
  const std::span<const Subscript> list = index.list();
  const Location site = list.empty() ? made_at() : list[0].site;
  const CallSite scope(site);
  return Part("x(...)", *this, list).of(*this, site);
}

RowIterator Tensor::begin(Location site) const {
  const CallSite scope(site);
  if (rank() == 0) throw ShapeError(fmt::format("rows: {} has rank 0, so it has no rows; hint: item() is its value", describe(*this)));
  return {*this, 0, site};
}

void Tensor::set(std::initializer_list<Integer> position, ExactNumber value, Location site) {
  const CallSite scope(site);
  detail::check_defined("set", *this);
  const Tensor* self[] = {this};
  if (detail::any_tracked(self))
    throw TapeError(
        fmt::format("set: {} is recorded on a tape, where values never change; hint: slice_update(x, {{i, j}}, value) returns a "
                    "tensor with that element replaced, and is differentiable",
                    describe(*this)));
  const Index flat = checked_position("set", Shape(position));
  if (dtype() == int64 && !value.integer())
    throw DtypeError(fmt::format("set: the number {} is not an int64, as are the elements of {}", value.value(), describe(*this)));
  make_own();
  detail::dispatch(dtype(), [&](auto zero) {
    using T = decltype(zero);
    detail::data<T>(*this)[flat] = std::is_same_v<T, std::int64_t> ? static_cast<T>(*value.integer()) : static_cast<T>(value.value());
  });
}

Tensor slice_update(const Tensor& x, Subscripts index, Operand value) {
  const CallSite scope(value.site);
  const Part part("slice_update", x, index.list());
  const Tensor& v = value.as(x.dtype(), "slice_update");
  detail::check_same_dtype("slice_update", x, v);
  if (!detail::broadcasts_to(v, part.shape()))
    throw ShapeError(fmt::format("slice_update: the value {} does not broadcast to {}, the shape of the part of {}", describe(v),
                                 to_string(part.shape()), describe(x)));
  return update_part(x, part, v, value.site);
}

}  // namespace wengert
