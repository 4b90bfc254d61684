// Joins tensors along a dimension.
//
//   y = concat(x_1, ..., x_n):   x_i_bar = the part of y_bar where x_i went,   y_dot = concat(x_1_dot, ..., x_n_dot)
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/copy_bytes.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class Concat : public OperationWithOptions {
 public:
  Concat(int dim, pool::Vector<Index> starts) : dim_(dim), starts_(std::move(starts)) {}
  const char* name() const override { return "concat"; }
  void options(OperationOptions& to) const override { to.set("dim", dim_); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    for (int i = 0; i < s.inputs(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      if (x_bar.needs(i)) x_bar[i] = slice(y_bar[0], dim_, starts_[k], starts_[k + 1]);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    pool::Vector<Tensor> parts(x_dot.begin(), x_dot.end());
    for (std::size_t k = 0; k < parts.size(); ++k) {
      if (parts[k].defined()) continue;
      Shape shape = s.y_shape();
      shape[dim_] = starts_[k + 1] - starts_[k];
      const Tensor* any = &x_dot[0];
      while (!any->defined()) ++any;
      parts[k] = Tensor::zeros(shape, any->dtype());
    }
    y_dot[0] = concat(parts, dim_);
  }

 private:
  int dim_;
  pool::Vector<Index> starts_;  // offsets of the inputs along dim_, and the total size
};

// How far apart the first elements are of x[i0, ..., i(d-1)], of which each is dense: nothing if that is no one distance, or one is not.
std::optional<Index> distance_of_parts(const Tensor& x, int d) {
  Index dense = 1, next = 0;
  for (int i = x.rank(); i-- > d; dense *= x.shape()[i])
    if (x.shape()[i] != 1 && x.strides()[i] != dense) return std::nullopt;
  std::optional<Index> distance;
  for (int i = d; i-- > 0;) {
    if (x.shape()[i] == 1) continue;
    if (distance && x.strides()[i] != next) return std::nullopt;
    if (!distance) distance = x.strides()[i];
    next = x.strides()[i] * x.shape()[i];
  }
  return distance.value_or(0);
}

// A tensor's share of each row of y: its elements [begin, end). Consecutive rows of `in` are `distance` elements apart.
struct JoinedPart {
  const std::byte* in;
  Index distance, begin, end;
};

// For rows whose parts are so short that it is faster to copy part by part, each over all rows.
template <class Unit> void join_short_rows(std::span<const JoinedPart> parts, Index rows, Index row, std::byte* out) {
  kernels::for_blocks_of(rows, kernels::cost::kScattered * static_cast<double>(row), [&](Index first, Index last) {
    for (const JoinedPart& part : parts)
      kernels::copy_rows(reinterpret_cast<const Unit*>(part.in) + first * part.distance, last - first, part.distance, part.end - part.begin,
                         1, reinterpret_cast<Unit*>(out) + first * row + part.begin, row);
  });
}

// y = the tensors one behind the other along dimension d, each from its start on.
void join(std::span<const Tensor> x, int d, std::span<const Index> starts, Tensor& y, Location site) {
  pool::Vector<Tensor> tensors(x.begin(), x.end());
  const Index inner = y.shape().size(d + 1, y.rank()), row = y.shape()[d] * inner;
  const Index bytes = bytes_of(y.dtype());
  pool::Vector<JoinedPart> parts;
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (starts[k] == starts[k + 1]) continue;
    std::optional<Index> distance = distance_of_parts(tensors[k], d);
    if (!distance) distance = distance_of_parts(tensors[k] = tensors[k].constant().clone(site), d);
    parts.push_back({static_cast<const std::byte*>(tensors[k].elements()->data), *distance, starts[k] * inner, starts[k + 1] * inner});
  }
  auto* const out = static_cast<std::byte*>(y.elements()->data);
  constexpr Index kShort = 4;  // elements of a part, on average
  if (const Index rows = y.size() / row; rows > 1 && row < kShort * static_cast<Index>(parts.size())) {
    if (bytes == 1) return join_short_rows<std::uint8_t>(parts, rows, row, out);
    if (bytes == 4) return join_short_rows<std::uint32_t>(parts, rows, row, out);
    return join_short_rows<std::uint64_t>(parts, rows, row, out);
  }
  kernels::for_blocks_of(y.size(), kernels::cost::kCopy<char> * static_cast<double>(bytes), [&](Index at, Index last) {
    Index o = at / row, in_row = at - o * row;
    auto part =
        std::upper_bound(parts.begin(), parts.end(), in_row, [](Index element, const JoinedPart& its) { return element < its.end; });
    while (at < last) {  // as far as the row o has elements of the part
      const Index count = std::min(part->end - in_row, last - at);
      kernels::copy_bytes(out + at * bytes, part->in + (o * part->distance + in_row - part->begin) * bytes,
                          static_cast<std::size_t>(count * bytes));
      at += count;
      in_row += count;
      ++part;
      if (in_row < row) continue;
      in_row = 0;
      part = parts.begin();
      ++o;
    }
  });
}

}  // namespace

Tensor concat(std::span<const Tensor> x, Index dim, Location site) {
  const CallSite scope(site);
  if (x.empty()) throw ShapeError("concat: there are no tensors to join");
  const Tensor& first = x[0];
  const int d = checked_dim("concat", dim, first);
  Shape shape = first.shape();
  pool::Vector<Index> starts{0};
  starts.reserve(x.size() + 1);
  for (const Tensor& t : x) {
    detail::check_same_dtype("concat", first, t, "first", "other");
    bool fits = t.rank() == first.rank();
    for (int i = 0; fits && i < t.rank(); ++i) fits = i == d || t.shape()[i] == first.shape()[i];
    if (!fits)
      throw ShapeError(
          detail::ErrorText("concat", "the shapes differ in a dimension other than {}", dim).operand("first", first).operand("other", t));
    Index end = 0;
    if (__builtin_add_overflow(starts.back(), t.shape()[d], &end))
      throw ShapeError(
          detail::ErrorText("concat", "together the sizes of dimension {} overflow", dim).operand("first", first).operand("other", t));
    starts.push_back(end);
  }
  shape[d] = starts.back();

  Tensor y = Tensor::uninitialized(shape, first.dtype(), site);
  if (y.size() > 0) join(x, d, starts, y, site);
  pool::Vector<const Tensor*> inputs(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) inputs[k] = &x[k];
  detail::record_all(Concat(d, std::move(starts)), site, inputs, {&y, 1});
  return y;
}

Tensor stack(std::span<const Tensor> x, Index dim, Location site) {
  const CallSite scope(site);
  if (x.empty()) throw ShapeError("stack: there are no tensors to join");
  const int d = checked_dim("stack", dim, x[0], 1);
  pool::Vector<Tensor> rows(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) {
    detail::check_same_dtype("stack", x[0], x[k], "first", "other");
    if (!(x[k].shape() == x[0].shape()))
      throw ShapeError(detail::ErrorText("stack", "the shapes differ").operand("first", x[0]).operand("other", x[k]));
    rows[k] = unsqueeze(x[k], d, site);
  }
  return concat(rows, d, site);
}

}  // namespace wengert
