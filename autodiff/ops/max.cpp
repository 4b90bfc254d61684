// The largest elements and where they are.
//
//   y = max_d x:   x_bar = y_bar / (number of ties) where x = y, 0 elsewhere
#include <fmt/format.h>

#include <cmath>

#include "autodiff/ops/reduction.h"

namespace wengert {
namespace {

/// The larger one; a NaN wins.
template <class T> bool exceeds(T candidate, T best) {
  if constexpr (std::is_floating_point_v<T>) return candidate > best || (std::isnan(candidate) && !std::isnan(best));
  return candidate > best;
}

void check_not_empty(const char* name, const Tensor& x, const detail::Reduced& r) {
  if (r.count == 0 && r.dropped.size() > 0)
    throw ShapeError(fmt::format("{}: no largest element over a dimension of size 0 of {}", name, describe(x)));
}

class Max : public Operation {
 public:
  Max(const Dims& dims, const Shape& kept) : dims_(dims), kept_(kept) {}
  const char* name() const override { return "max"; }
  const char* latex() const override { return R"(\max #)"; }
  ValueSet reads(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = share(s) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(share(s) * x_dot[0], dims_), s.y_shape());
  }

 private:
  /// 1 / (number of ties) where x is the largest: piecewise constant.
  Tensor share(const Saved& s) const {
    const Tensor best = (s.x().constant() == reshape(s.y().constant(), kept_)).to(s.x_dtype());
    return best / sum(best, dims_, true);
  }
  Dims dims_;
  Shape kept_;
};

}  // namespace

Tensor max(const Tensor& x, const Dims& dims, bool keep, Location where) {
  const detail::Reduced r = detail::reduce_over("max", x, dims);
  check_not_empty("max", x, r);
  Tensor y = Tensor::uninitialized(keep ? r.kept : r.dropped, x.dtype(), where);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(x.elements()->data);
    T* out = y.mutable_data<T>();
    pool::Vector<char> seen(static_cast<std::size_t>(y.size()));
    kernels::Rows<2>(x.shape(), {&x.strides(), &r.strides}).for_each([&](const auto& offset, Index n, const auto& step) {
      for (Index i = 0; i < n; ++i) {
        const T v = data[offset[0] + i * step[0]];
        const Index at = offset[1] + i * step[1];
        char& first = seen[static_cast<std::size_t>(at)];
        if (!first || exceeds(v, out[at])) out[at] = v;
        first = true;
      }
    });
  });
  return record(Max(dims, r.kept), where, {&x}, std::move(y));
}
Tensor max(const Tensor& x, Location where) {
  if (x.size() == 0) throw ShapeError(fmt::format("max: {} has no elements", describe(x)));
  return max(x, detail::all_dims(x), false, where);
}

Tensor argmax(const Tensor& x, Index dim, bool keep, Location where) {
  const detail::Reduced r = detail::reduce_over("argmax", x, {dim});
  check_not_empty("argmax", x, r);
  const int d = checked_dim("argmax", dim, x);
  const Tensor along = transpose(x.constant(), d, -1, where);  // the dimension is the inner loop
  const Shape& shape = along.shape();
  const Index n = shape.back();
  Shape outer(std::span<const Index>(shape).first(static_cast<std::size_t>(shape.rank() - 1)));
  Shape outer_strides(std::span<const Index>(along.strides()).first(static_cast<std::size_t>(shape.rank() - 1)));
  Tensor y = Tensor::uninitialized(outer, int64, where);
  std::int64_t* out = y.mutable_data<std::int64_t>();
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(along.elements()->data);
    const Index step = along.strides().back();
    kernels::Rows<1>(outer, {&outer_strides}).for_each([&](const auto& offset, Index rows, const auto& outer_step) {
      for (Index i = 0; i < rows; ++i) {
        const T* row = data + offset[0] + i * outer_step[0];
        Index best = 0;
        for (Index k = 1; k < n; ++k)
          if (exceeds(row[k * step], row[best * step])) best = k;
        *out++ = best;
      }
    });
  });
  // The last dimension of `along` is gone; what stood there before stands at position d.
  Tensor result = d == x.rank() - 1 ? y : transpose(unsqueeze(y, -1, where), d, -1, where);
  result = reshape(result, keep ? r.kept : r.dropped, where);
  return result;
}

}  // namespace wengert
