// Slices: views of a part of a tensor. Where possible, their rules add to a part of the cotangent in place, so that a loop over all parts
// of a tensor takes linear time; otherwise they pad the part's cotangent with zeros.
//
//   y = x[a:b:s]:   x_bar = 0, x_bar[a:b:s] = y_bar,   y_dot = x_dot[a:b:s]
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/strided.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// Positions start, start + step, ... along one dimension.
struct StridedPart {
  int dim;
  Index start, step;
};

Tensor part_of(const Tensor& x, const StridedPart& p, Index count, Location site) {
  Shape shape = x.shape(), strides = x.strides();
  shape[p.dim] = count;
  strides[p.dim] *= p.step;
  return view(x, shape, strides, count > 0 ? p.start * x.strides()[p.dim] : 0, site);
}

// whole[part] += g.
void add_to_part(Tensor& whole, const StridedPart& p, const Tensor& g) {
  const Tensor to = part_of(whole, p, g.shape()[p.dim], g.made_at());  // for its strides only; the elements written are those of `whole`
  const Shape shape = g.shape(), to_strides = to.strides(), g_strides = g.strides();
  const Index offset = p.start * whole.strides()[p.dim];
  detail::dispatch_floating(whole.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = static_cast<T*>(whole.elements()->data) + offset;
    const T* in = static_cast<const T*>(g.elements()->data);
    kernels::Rows<2>(shape, {&to_strides, &g_strides})
        .for_each_row(kernels::cost::kCopy<T>, [&](const auto& at, Index n, const auto& step, Index) {
          for (Index i = 0; i < n; ++i) out[at[0] + i * step[0]] += in[at[1] + i * step[1]];
        });
  });
}

Tensor pad_slice(const Tensor& g, const Shape& shape, const StridedPart& p, Location site);
Tensor slice_part(const Tensor& x, const StridedPart& p, Index count, Location site);

void pull_back_part(const Tensor& g, const Shape& shape, const StridedPart& p, Cotangents& x_bar) {
  if (Tensor* sum = x_bar.accumulator(0)) {
    add_to_part(*sum, p, g);
  } else {
    x_bar[0] = pad_slice(g, shape, p, g.made_at());
  }
}

class Slice : public OperationWithOptions {
 public:
  explicit Slice(const StridedPart& part) : part_(part) {}
  const char* name() const override { return "slice"; }
  void options(OperationOptions& to) const override { to.set("dim", part_.dim), to.set("start", part_.start), to.set("step", part_.step); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    pull_back_part(y_bar[0], s.x_shape(), part_, x_bar);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = slice_part(x_dot[0], part_, s.y_shape()[part_.dim], x_dot[0].made_at());
  }

 private:
  StridedPart part_;
};

// The transpose of Slice: zeros, with g in the part.
class PadSlice : public Operation {
 public:
  explicit PadSlice(const StridedPart& part) : part_(part) {}
  const char* name() const override { return "pad_slice"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = slice_part(y_bar[0], part_, s.x_shape()[part_.dim], y_bar[0].made_at());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = pad_slice(x_dot[0], s.y_shape(), part_, x_dot[0].made_at());
  }

 private:
  StridedPart part_;
};

class Select : public OperationWithOptions {
 public:
  Select(int dim, Index index) : part_{dim, index, 1} {}
  const char* name() const override { return "select"; }
  void options(OperationOptions& to) const override { to.set("dim", part_.dim), to.set("index", part_.start); }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    pull_back_part(unsqueeze(y_bar[0], part_.dim), s.x_shape(), part_, x_bar);
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = select(x_dot[0], part_.dim, part_.start, x_dot[0].made_at());
  }

 private:
  StridedPart part_;
};

Tensor slice_part(const Tensor& x, const StridedPart& p, Index count, Location site) {
  return record(Slice(p), site, {&x}, part_of(x, p, count, site));
}

Tensor pad_slice(const Tensor& g, const Shape& shape, const StridedPart& p, Location site) {
  Tensor y = Tensor::zeros(shape, g.dtype(), site);
  if (g.size() > 0) add_to_part(y, p, g);
  return record(PadSlice(p), site, {&g}, std::move(y));
}

}  // namespace

Tensor slice(const Tensor& x, Index dim, Index start, Index stop, Index step, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("slice", dim, x);
  if (step < 1) throw ValueError(detail::ErrorText("slice", "the step must be at least 1, not {}", step).operand("input", x));
  const Index n = x.shape()[d];
  const auto clip = [n](Index i) { return std::clamp<Index>(i < 0 ? i + n : i, 0, n); };
  const Index from = clip(start), to = std::max(from, clip(stop));
  step = std::min(step, std::max<Index>(n, 1));  // a larger one selects no other element, and might overflow
  return slice_part(x, {d, from, step}, (to - from + step - 1) / step, site);
}

Tensor narrow(const Tensor& x, Index dim, Index start, Index length, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("narrow", dim, x);
  const Index n = x.shape()[d], from = start < 0 ? start + n : start;
  if (from < 0 || from > n || length < 0 || length > n - from)
    throw ShapeError(
        fmt::format("narrow: {} positions from {} on exceed dimension {} of {}, which has {}", length, start, dim, describe(x), n));
  return slice_part(x, {d, from, 1}, length, site);
}

std::vector<Tensor> split(const Tensor& x, const Shape& sizes, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("split", dim, x);
  Index total = 0;
  bool fits = true;
  for (const Index size : sizes) fits = fits && size >= 0 && !__builtin_add_overflow(total, size, &total);
  if (!fits || total != x.shape()[d])
    throw ShapeError(fmt::format("split: the sizes {} do not sum to {}, the size of dimension {} of {}", to_string(sizes), x.shape()[d],
                                 dim, describe(x)));
  std::vector<Tensor> parts;
  Index start = 0;
  for (const Index size : sizes) {
    parts.push_back(slice_part(x, {d, start, 1}, size, site));
    start += size;
  }
  return parts;
}

std::vector<Tensor> chunk(const Tensor& x, Index chunks, Index dim, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("chunk", dim, x);
  if (chunks < 1)
    throw ValueError(detail::ErrorText("chunk", "the number of parts must be at least 1, not {}", chunks).operand("input", x));
  const Index n = x.shape()[d], size = std::max<Index>(1, (n + chunks - 1) / chunks);
  std::vector<Tensor> parts;
  for (Index start = 0; start == 0 || start < n; start += size)
    parts.push_back(slice_part(x, {d, start, 1}, std::min(size, n - start), site));
  return parts;
}

Tensor select(const Tensor& x, Index dim, Index index, Location site) {
  const CallSite scope(site);
  const int d = checked_dim("select", dim, x);
  const Index n = x.shape()[d], i = index < 0 ? index + n : index;
  if (i < 0 || i >= n)
    throw ShapeError(fmt::format("select: index {} of dimension {} is outside [{}, {}] of {}", index, dim, -n, n - 1, describe(x)));
  Shape shape, strides;
  for (int k = 0; k < x.rank(); ++k) {
    if (k == d) continue;
    shape.push_back(x.shape()[k]);
    strides.push_back(x.strides()[k]);
  }
  return record(Select(d, i), site, {&x}, view(x, shape, strides, i * x.strides()[d], site));
}

}  // namespace wengert
