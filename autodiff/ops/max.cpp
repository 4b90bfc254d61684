// The largest and the smallest elements, and their positions.
//
//   y = max_d x:   x_bar = y_bar / (number of ties) where x = y, 0 elsewhere
#include <fmt/format.h>

#include <cmath>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

enum class Extreme { largest, smallest };
constexpr const char* adjective(Extreme e) { return e == Extreme::largest ? "largest" : "smallest"; }

// Whether the candidate is more extreme than the best so far; NaN counts as the most extreme.
template <class T> bool beats(Extreme e, T candidate, T best) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(candidate)) return !std::isnan(best);
  }
  return e == Extreme::largest ? candidate > best : candidate < best;
}

void check_not_empty(const char* name, Extreme e, const Tensor& x, const detail::Reduced& r) {
  if (r.count == 0 && r.dropped.size() > 0)
    throw ShapeError(fmt::format("{}: there is no {} element along a dimension of size 0 of {}", name, adjective(e), describe(x)));
}

class ExtremeOf : public detail::Reduction {
 public:
  ExtremeOf(Extreme extreme, const Dims& dims, const Shape& kept) : Reduction(dims, kept), extreme_(extreme) {}
  const char* name() const override { return extreme_ == Extreme::largest ? "max" : "min"; }
  const char* latex() const override { return extreme_ == Extreme::largest ? R"(\max #)" : R"(\min #)"; }
  ValueSet saved_for(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const auto lines = recording() ? std::nullopt : detail::lines_of(s.x(), kept_);
    x_bar[0] = lines && is_floating(s.x_dtype()) ? share_out(*lines, s.x(), s.y(), y_bar[0]) : share(s) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(share(s) * x_dot[0], dims_), s.y_shape());
  }

 private:
  // 1 / (number of ties) where x is the extreme: piecewise constant.
  Tensor share(const Saved& s) const {
    const Tensor best = (s.x().constant() == reshape(s.y().constant(), kept_)).to(s.x_dtype());
    return best / sum(best, dims_, {.keepdim = true});
  }
  // The same in two passes over the elements, not recorded. (Where y is NaN there are no ties, and so it is NaN.)
  static Tensor share_out(const kernels::Lines& l, const Tensor& x, const Tensor& y, const Tensor& y_bar) {
    const Tensor best = y.contiguous(), m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(x.shape(), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *in = x.data<T>(), *top = best.data<T>(), *from = m.data<T>();
      T* to = x_bar.mutable_data<T>();
      pool::Vector<T> shares(static_cast<std::size_t>(l.count()));
      T* share = shares.data();
      kernels::sum_all_lines(
          l, kernels::cost::kCopy<T>,
          [ in, top ](Index i, Index line) __attribute__((always_inline)) { return in[i] == top[line] ? 1.0 : 0.0; },
          [ share, from ](Index line, double ties) __attribute__((always_inline)) { share[line] = from[line] / static_cast<T>(ties); });
      kernels::for_each_in_all_lines(
          l, kernels::cost::kCopy<T>, to, top, share, [in](Index i, T t, T share) __attribute__((always_inline)) {
            return in[i] == t ? share : t == t ? T(0) : t;
          });
    });
    return x_bar;
  }
  Extreme extreme_;
};

// The extremes of each line.
template <class T> void extreme_of_lines(Extreme e, const kernels::Lines& l, const T* x, T* to) {
  const T sign = e == Extreme::largest ? 1 : -1;
  kernels::max_all_lines(
      l, kernels::cost::kCopy<T>, to, [ x, sign ](Index i) __attribute__((always_inline)) { return x[i] * sign; });
  for (Index i = 0; i < l.count(); ++i) to[i] *= sign;
}

Tensor extreme_over(const char* name, Extreme e, const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over(name, x, dims);
  check_not_empty(name, e, x, r);
  Tensor y = Tensor::uninitialized(options.keepdim ? r.kept : r.dropped, x.dtype(), site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    if constexpr (std::is_floating_point_v<T>) {
      if (const auto lines = detail::lines_of(x, r.kept); lines && y.size() > 0) return extreme_of_lines(e, *lines, x.data<T>(), out);
    }
    pool::Vector<char> seen(static_cast<std::size_t>(y.size()));
    detail::for_each_reduced<T>(x, r, [&](Index at, T v) {
      char& first = seen[static_cast<std::size_t>(at)];
      if (!first || beats(e, v, out[at])) out[at] = v;
      first = true;
    });
  });
  return record(ExtremeOf(e, dims, r.kept), site, {&x}, std::move(y));
}

Tensor position_of(const char* name, Extreme e, const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over(name, x, {dim});
  check_not_empty(name, e, x, r);
  const int d = checked_dim(name, dim, x);
  const Tensor along = transpose(x.constant(), d, -1, site);  // so that the dimension becomes the inner loop
  const Shape& shape = along.shape();
  const Index n = shape.back();
  const Shape outer(std::span<const Index>(shape).first(static_cast<std::size_t>(shape.rank() - 1)));
  const Shape outer_strides(std::span<const Index>(along.strides()).first(static_cast<std::size_t>(shape.rank() - 1)));
  Tensor y = Tensor::uninitialized(outer, int64, site);
  std::int64_t* out = y.mutable_data<std::int64_t>();
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* data = static_cast<const T*>(along.elements()->data);
    const Index step = along.strides().back();
    const double ns = kernels::cost::kScattered * static_cast<double>(n);
    kernels::Rows<1>(outer, {&outer_strides}).for_each_row(ns, [&](const auto& offset, Index rows, const auto& outer_step, Index at) {
      for (Index i = 0; i < rows; ++i) {
        const T* row = data + offset[0] + i * outer_step[0];
        Index best = 0;
        for (Index k = 1; k < n; ++k)
          if (beats(e, row[k * step], row[best * step])) best = k;
        out[at + i] = best;
      }
    });
  });
  // The last dimension of `along` has been reduced away; x's last dimension is now at position d, and moves back.
  const Tensor result = d == x.rank() - 1 ? y : transpose(unsqueeze(y, -1, site), d, -1, site);
  return reshape(result, options.keepdim ? r.kept : r.dropped, site);
}

Tensor extreme_of_all(const char* name, Extreme e, const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined(name, x);
  if (x.size() == 0) throw ShapeError(fmt::format("{}: {} has no elements", name, describe(x)));
  return extreme_over(name, e, x, detail::all_dims(name, x), {}, site);
}

Tensor position_in_all(const char* name, Extreme e, const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined(name, x);
  if (x.size() == 0) throw ShapeError(fmt::format("{}: {} has no elements", name, describe(x)));
  return position_of(name, e, reshape(x.constant(), {-1}, site), 0, {}, site);
}

// The first extreme element along a dimension, which takes the whole gradient.
ValuesAndIndices first_extreme(const char* name, Extreme e, const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  const Tensor at = position_of(name, e, x, dim, {.keepdim = true}, site);
  const Tensor values = gather(x, dim, at, site);
  if (options.keepdim) return {values, at};
  return {squeeze(values, dim, site), squeeze(at, dim, site)};
}

}  // namespace

Tensor max(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return extreme_over("max", Extreme::largest, x, dims, options, site);
}
Tensor min(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return extreme_over("min", Extreme::smallest, x, dims, options, site);
}
Tensor max(const Tensor& x, Location site) { return extreme_of_all("max", Extreme::largest, x, site); }
Tensor min(const Tensor& x, Location site) { return extreme_of_all("min", Extreme::smallest, x, site); }

Tensor argmax(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return position_of("argmax", Extreme::largest, x, dim, options, site);
}
Tensor argmin(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return position_of("argmin", Extreme::smallest, x, dim, options, site);
}
Tensor argmax(const Tensor& x, Location site) { return position_in_all("argmax", Extreme::largest, x, site); }
Tensor argmin(const Tensor& x, Location site) { return position_in_all("argmin", Extreme::smallest, x, site); }

ValuesAndIndices max_dim(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return first_extreme("max_dim", Extreme::largest, x, dim, options, site);
}
ValuesAndIndices min_dim(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return first_extreme("min_dim", Extreme::smallest, x, dim, options, site);
}

}  // namespace wengert
