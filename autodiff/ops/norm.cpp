// Norms, with gradient 0 at the zero vector.
//
//   y = |x|_2:   x_bar = y_bar x / y,   y_dot = sum_d x_dot x / y
//
// where the squares and their sum, in double, stay in range. Otherwise, and for other p, norms are composed:
//
//   |x|_p = s (sum_d |x / s|^p)^(1/p), where s is a power of two near the largest |x|, so that no |x|^p overflows and they do not all
//   underflow. s cancels out of the value and of every derivative, so it is a constant, and dividing by it is exact.
//
//   Where k of the elements are infinite, so is the norm. Its derivative is the limit as they grow together: u . x_dot with
//   u_d = sign(x_d) k^(1/p - 1) where x_d is infinite, and 0 elsewhere; the second derivative is 0.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "autodiff/kernels/lines.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

class EuclideanNorm : public detail::Reduction {
 public:
  using Reduction::Reduction;
  const char* name() const override { return "norm"; }
  const char* latex() const override { return R"(\lVert#\rVert_2)"; }
  ValueSet saved_for(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = direction(s) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(direction(s) * x_dot[0], dims_), s.y_shape());
  }

 private:
  // x / y, and 0 with all derivatives at the zero vector.
  Tensor direction(const Saved& s) const {
    const Tensor y = reshape(s.y(), kept_), zero = y == 0;
    if (any(zero).element(0) == 0) return s.x() / y;
    return where(zero, 0 * s.x(), s.x() / where(zero, 1, y));
  }
};

// The norm of the lines of a dense x from the sums of their squares in double; nothing if one of these may have lost digits: if it has left
// double's range, or an infinity is among the elements.
std::optional<Tensor> euclidean_norm(const Tensor& x, const Dims& dims, const detail::Reduced& r, const Shape& shape, Location site) {
  const auto lines = detail::lines_of(x, r.kept);
  if (!lines) return std::nullopt;
  Tensor y = Tensor::uninitialized(shape, x.dtype(), site);
  const bool exact = detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return detail::roots_of_sums(
        *lines,
        [from = x.data<T>()](Index at, Index) __attribute__((always_inline)) {
          const auto v = static_cast<double>(from[at]);
          return v * v;
        },
        y.mutable_data<T>());
  });
  if (!exact) return std::nullopt;
  return record(EuclideanNorm(dims, r.kept), site, {&x}, std::move(y));
}

// x^p where x > 0, and 0 (with all derivatives) where x = 0.
Tensor power_or_zero(const Tensor& x, double p) {
  const Tensor zero = x == 0;
  return where(zero, 0 * x, pow(where(zero, 1, x), p));
}

// u . x for vectors that have infinite elements.
Tensor norm_of_infinite(const Tensor& x, double p, const Dims& dims) {
  const Tensor far = isinf(x), number = sum(far.to(x.dtype()), dims, {.keepdim = true});
  return sum(x * where(far, sign(x.constant()) * pow(where(number == 0, 1, number), 1 / p - 1), 0), dims, {.keepdim = true});
}

// The norm of what is not infinite in each of its vectors.
Tensor norm_of_finite(const Tensor& x, double p, const Dims& dims, const Tensor& largest) {
  const Tensor scale = detail::scale_of(largest);
  const Tensor scaled = x / scale;
  const Tensor y = p == 2 ? detail::sqrt_or_zero(sum(square(scaled), dims, {.keepdim = true}))
                          : power_or_zero(sum(power_or_zero(abs(scaled), p), dims, {.keepdim = true}), 1 / p);
  return scale * y;
}

}  // namespace

namespace detail {

Tensor largest_of(const Tensor& x, const Dims& dims) {
  const Reduced r = reduce_over("norm", x, dims);
  return r.count == 0 ? Tensor::zeros(r.kept, x.dtype()) : max(abs(x.constant()), dims, {.keepdim = true});
}

Tensor scale_of(const Tensor& largest, double least) {
  Tensor scale = ones_like(largest);
  dispatch_floating(largest.dtype(), [&](auto zero) {
    using T = decltype(zero);
    constexpr int kMost = std::numeric_limits<T>::max_exponent - 4;  // 1 / s is normal, too
    const T* from = largest.data<T>();
    T* to = scale.mutable_data<T>();
    for (Index i = 0; i < scale.size(); ++i) {
      const T size = std::max(from[i], static_cast<T>(least));
      if (size > 0 && std::isfinite(size)) to[i] = std::ldexp(T(1), std::clamp(std::ilogb(size), -kMost, kMost));
    }
  });
  return scale;
}

Tensor without_ignored(const Tensor& x, const Tensor& weight) {
  const Tensor ignored = weight == 0 && !isfinite(x);
  return any(ignored).element(0) != 0 ? where(ignored, 0, x) : x;
}

Tensor weighted(const Tensor& x, const Tensor& weight) { return without_ignored(x, weight) * weight; }

Tensor sqrt_or_zero(const Tensor& x) {
  const Tensor zero = x == 0;
  return where(zero, 0 * x, sqrt(where(zero, 1, x)));  // 0 * x keeps a NaN cotangent NaN
}

}  // namespace detail

Tensor norm(const Tensor& x, double p, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  detail::check_floating("norm", x);
  const detail::Reduced r = detail::reduce_over("norm", x, dims);
  if (!(p >= 1)) throw ValueError(detail::ErrorText("norm", "p must be at least 1 (or infinity), not {}", p).operand("input", x));
  if (p == 1) return sum(abs(x), dims, options);
  if (std::isinf(p)) return r.count == 0 ? sum(x, dims, options) : max(abs(x), dims, options);
  if (p == 2)
    if (const auto y = euclidean_norm(x, dims, r, options.keepdim ? r.kept : r.dropped, site)) return *y;
  const Tensor largest = detail::largest_of(x, dims), infinite = isinf(largest);
  Tensor y;
  if (any(infinite).element(0) != 0) [[unlikely]] {
    const Tensor finite = where(infinite, 1, x);
    y = where(infinite, norm_of_infinite(where(infinite, x, 0), p, dims), norm_of_finite(finite, p, dims, where(infinite, 1, largest)));
  } else {
    y = norm_of_finite(x, p, dims, largest);
  }
  return reshape(y, options.keepdim ? r.kept : r.dropped);
}
Tensor norm(const Tensor& x, double p, Location site) { return norm(x, p, detail::all_dims("norm", x), {}, site); }

}  // namespace wengert
