// Normalisation: layer, group, instance, batch and root-mean-square.
//
// All but the last share one operation, which treats x as (outer, groups, inner) and takes the statistics of each group over the other two
// dimensions. It is one operation for speed: composed, it would take ten passes over x. With n = outer inner and the mean over a group:
//
//
//   r = 1 / sqrt(variance + eps),  y = r (x - mean x):
//     x_bar = r (y_bar - mean y_bar - y mean(y y_bar)) - r_bar r^2 y / n          (the Jacobian of y is symmetric)
//     y_dot = r (x_dot - mean x_dot - y mean(y x_dot)),   r_dot = -r^2 mean(y x_dot)
//
// The rules read only the outputs y and r, so x is not saved; r has its own cotangent, for the next order. Scaling and shifting by a
// weight and a bias are a second one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/composition_scope.h"
#include "autodiff/ops/product_sum.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The sizes (outer, groups, inner), and loops over the runs of inner elements.
struct Layout {
  Layout(Index outer, Index groups, Index inner) : outer(outer), groups(groups), inner(inner) {}
  explicit Layout(const Shape& s) : Layout(s[0], s[1], s[2]) {}
  Index outer, groups, inner;
  double count() const { return static_cast<double>(outer * inner); }
  // f(run, group, offset of its `inner` elements) for each run, in a loop over elements of type T on the best instruction set; f must be
  // always inlined. Threads share the runs.
  template <class T, class F> void for_each_run(const F& f) const {
    kernels::for_blocks_of(outer * groups, 2 * kernels::cost::kCopy<T> * static_cast<double>(inner), [&](Index first, Index last) {
      kernels::run_elements<T>([&]() __attribute__((always_inline)) {
        for (Index run = first; run < last; ++run) f(run, run % groups, run * inner);
      });
    });
  }
  // f(first group, layout of some groups) for blocks of groups over the pool, so small that their elements stay in the cache from one loop
  // to the next; for all groups at once if they have several runs.
  template <class T, class F> void for_blocks_of_groups(const F& f) const {
    const auto some = [&](Index first, Index last) { f(first, Layout(outer, last - first, inner)); };
    if (outer > 1) return some(0, groups);
    kernels::for_blocks_of(groups, 6 * kernels::cost::kCopy<T> * static_cast<double>(inner), some);
  }
};

// One number for each group.
using PerGroup = pool::Vector<double>;

// The sum over each group from those over its runs, which are added in their order, over the divisor.
PerGroup sums(const Layout& l, const double* sums_of_runs, double divisor = 1) {
  PerGroup sum(static_cast<std::size_t>(l.groups));
  double* const to = sum.data();
  kernels::for_blocks_of(l.groups, kernels::cost::kCopy<double> * static_cast<double>(l.outer), kernels::kElementsTogether,
                         [&](Index first, Index last) {
                           for (Index o = 0; o < l.outer; ++o)
                             for (Index g = first; g < last; ++g) to[g] += sums_of_runs[o * l.groups + g];
                           for (Index g = first; g < last; ++g) to[g] /= divisor;
                         });
  return sum;
}
PerGroup means(const Layout& l, const double* sums_of_runs) { return sums(l, sums_of_runs, l.count()); }

struct Moments {
  explicit Moments(Index groups) : mean(static_cast<std::size_t>(groups)), variance(mean.size()), unit(mean.size(), 1.0) {}
  PerGroup mean;
  PerGroup variance, unit;  // the biased variance in units of unit^2, a power of two: 1 unless squares would overflow or vanish

  // 1 / sqrt(variance + eps)
  double scale(Index group, double eps) const {
    const auto g = static_cast<std::size_t>(group);
    return 1 / std::sqrt(variance[g] + eps / unit[g] / unit[g]) / unit[g];
  }
  // Those of some groups.
  void set(Index first, const Moments& some) {
    std::copy(some.mean.begin(), some.mean.end(), mean.begin() + first);
    std::copy(some.variance.begin(), some.variance.end(), variance.begin() + first);
    std::copy(some.unit.begin(), some.unit.end(), unit.begin() + first);
  }
  // Of all groups, in units of 1.
  PerGroup variances() const {
    PerGroup v = variance;
    for (std::size_t g = 0; g < v.size(); ++g) v[g] *= unit[g] * unit[g];
    return v;
  }
};

// The mean first, then the squares of the distances from it, so that a large common offset costs no digits.
template <class T> Moments moments(const T* x, const Layout& l, double eps) {
  Moments m(l.groups);
  const kernels::Scratch<double> sums(l.outer * l.groups);
  // The means over each group of what term(group) makes of an element.
  const auto means_of = [&, to = sums.data()](const auto& term) {
    l.for_each_run<T>([&](Index run, Index g, Index at) __attribute__((always_inline)) {
      const T* from = x + at;
      const auto of = term(static_cast<std::size_t>(g));
      to[run] = kernels::sum_of_run(
          0, l.inner, [ from, of ](Index i) __attribute__((always_inline)) { return of(static_cast<double>(from[i])); });
    });
    return means(l, to);
  };
  const auto square_distance = [&](std::size_t g) __attribute__((always_inline)) {
    return [ mean = m.mean[g], per_unit = 1 / m.unit[g] ](double v) __attribute__((always_inline)) {  // exact: the unit is a power of two
      const double distance = (v - mean) * per_unit;
      return distance * distance;
    };
  };
  m.mean = means_of([](std::size_t) __attribute__((always_inline)) {
    return [](double v) __attribute__((always_inline)) { return v; };
  });
  m.variance = means_of(square_distance);
  if constexpr (std::is_same_v<T, double>) {
    constexpr double kLeast = 0x1p-900;  // below it squares have lost digits
    const auto is_extreme = [&](std::size_t g) { return !std::isfinite(m.variance[g]) || m.variance[g] + eps < kLeast; };
    bool any = false;
    for (std::size_t g = 0; g < m.mean.size(); ++g) any |= is_extreme(g);
    if (!any) return m;
    // Once more, in units of the largest magnitude.
    PerGroup largest(m.mean.size());
    for (Index run = 0; run < l.outer * l.groups; ++run) {
      double& size = largest[static_cast<std::size_t>(run % l.groups)];
      for (Index i = run * l.inner; i < (run + 1) * l.inner; ++i) size = std::max(size, std::abs(x[i]));
    }
    for (std::size_t g = 0; g < largest.size(); ++g)
      if (is_extreme(g) && largest[g] > 0 && std::isfinite(largest[g]))
        m.unit[g] = std::ldexp(1.0, std::clamp(std::ilogb(largest[g]), -1000, 1000));
    const auto in_units = [&](std::size_t g) __attribute__((always_inline)) {
      return [per_unit = 1 / m.unit[g]](double v) __attribute__((always_inline)) { return v * per_unit; };
    };
    m.mean = means_of(in_units);
    for (std::size_t g = 0; g < m.mean.size(); ++g) m.mean[g] *= m.unit[g];
    m.variance = means_of(square_distance);
  }
  return m;
}

Tensor group_mean(const Tensor& x) { return mean(x, Dims{0, 2}, {.keepdim = true}); }

class Standardize : public OperationWithOptions {  // y: the standardized x, r of shape (1, groups, 1)
 public:
  explicit Standardize(double eps) : eps_(eps) {}
  const char* name() const override { return "normalization"; }
  void options(OperationOptions& to) const override { to.set("eps", eps_); }
  const char* latex() const override { return R"(\frac{# - \overline{#}}{\sqrt{\operatorname{var} # + \varepsilon}})"; }
  ValueSet saved_for(int) const override { return output(0) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &y = s.y(0), &r = s.y(1);
    if (y_bar[0].defined()) x_bar[0] = recording() ? carry(y, r, y_bar[0]) : carry_now(y, r, y_bar[0]);
    if (!y_bar[1].defined()) return;
    const Tensor through_r = y * (y_bar[1] * r * r / -Layout(y.shape()).count());  // r^2 may overflow or vanish
    x_bar[0] = detail::plus(x_bar[0], through_r);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor &y = s.y(0), &r = s.y(1);
    y_dot[0] = carry(y, r, x_dot[0]);
    y_dot[1] = -(r * (r * group_mean(y * x_dot[0])));
  }

 private:
  static Tensor carry(const Tensor& y, const Tensor& r, const Tensor& m) { return r * (m - group_mean(m) - y * group_mean(y * m)); }
  // The same rule in two passes over the elements, not recorded.
  static Tensor carry_now(const Tensor& y, const Tensor& r, const Tensor& y_bar) {
    const Tensor m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(y.shape(), y.dtype());
    const Layout l(y.shape());
    detail::dispatch_floating(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *p = y.data<T>(), *q = m.data<T>(), *scale = r.data<T>();
      T* out = x_bar.mutable_data<T>();
      l.for_blocks_of_groups<T>([&](Index first, const Layout& some) {
        const kernels::Scratch<double> sums_m(some.outer * some.groups), sums_ym(some.outer * some.groups);
        double *const to_m = sums_m.data(), *const to_ym = sums_ym.data();
        const Index start = first * l.inner;
        some.for_each_run<T>([&](Index run, Index, Index at) __attribute__((always_inline)) {
          const T *y = p + start + at, *bar = q + start + at;
          to_m[run] = kernels::sum_of_run(
              0, l.inner, [bar](Index i) __attribute__((always_inline)) { return static_cast<double>(bar[i]); });
          to_ym[run] = kernels::sum_of_run(
              0, l.inner,
              [ y, bar ](Index i) __attribute__((always_inline)) { return static_cast<double>(bar[i]) * static_cast<double>(y[i]); });
        });
        const PerGroup mean_m = means(some, to_m), mean_ym = means(some, to_ym);
        some.for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
          const T a = static_cast<T>(mean_m[static_cast<std::size_t>(g)]), b = static_cast<T>(mean_ym[static_cast<std::size_t>(g)]);
          const T *y = p + start + at, *bar = q + start + at, by = scale[first + g];
          T* to = out + start + at;
          for (Index i = 0; i < some.inner; ++i) to[i] = by * (bar[i] - a - y[i] * b);
        });
      });
    });
    return x_bar;
  }

  double eps_;
};

// A weight and a bias for elements of a dense tensor: one for each of `count` channels, which are runs of `each` elements; or, where that
// is 0, for each element of a run.
struct Affine {
  // In place, for the n elements at position `at`.
  template <class T> __attribute__((always_inline)) void apply(T* to, Index at, Index n) const {
    const T *w = weight.data<T>(), *b = bias.data<T>();
    if (each == 0) {
      for (Index i = 0; i < n; ++i) to[i] = to[i] * w[i] + b[i];
      return;
    }
    for (T* const end = to + n; to < end; to += each, at += each) {
      const Index channel = at / each % weight.size(), m = each;
      const T scale = w[channel], shift = b[channel];
      for (Index i = 0; i < m; ++i) to[i] = to[i] * scale + shift;
    }
  }
  Tensor weight, bias;
  Index each;
};

// Shifts and scales x, of shape (outer, groups, inner), to mean 0 and variance 1 in each group. Stores the moments in `*statistics`,
// which has room for those of all groups, if given. An affine map of what is not recorded follows.
Tensor standardize(const Tensor& x, double eps, Moments* statistics = nullptr, const Affine* affine = nullptr) {
  const Tensor dense = x.constant().contiguous();
  const Layout l(x.shape());
  Tensor y[2] = {Tensor::uninitialized(x.shape(), x.dtype()), Tensor::uninitialized({1, l.groups, 1}, x.dtype())};
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = dense.data<T>();
    T *out = y[0].mutable_data<T>(), *r = y[1].mutable_data<T>();
    l.for_blocks_of_groups<T>([&](Index first, const Layout& some) {
      const Index start = first * l.inner;
      const Moments m = moments(in + start, some, eps);
      for (Index g = 0; g < some.groups; ++g) r[first + g] = static_cast<T>(m.scale(g, eps));
      some.for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
        const double mean = m.mean[static_cast<std::size_t>(g)], scale = m.scale(g, eps);
        const T* from = in + start + at;
        T* to = out + start + at;
        for (Index i = 0; i < some.inner; ++i) to[i] = static_cast<T>((static_cast<double>(from[i]) - mean) * scale);
        if (affine) affine->apply(to, start + at, some.inner);
      });
      if (statistics) statistics->set(first, m);
    });
  });
  const Tensor* inputs[] = {&x};
  detail::record_all(Standardize(eps), {}, inputs, y);
  return y[0];
}

// The elements of each channel, if the weights are (c, 1, ...) and so one for each channel of x; 0 otherwise.
Index channel_size(const Tensor& x, const Tensor& weight) {
  if (weight.rank() < 2 || weight.size() != weight.size(0)) return 0;
  return x.shape().size(x.rank() - weight.rank() + 1, x.rank());
}

// x as (outer, channels, inner), if the weights are one for each channel and x is dense.
std::optional<Layout> channels_of(const Tensor& x, const Tensor& weight) {
  const Index each = channel_size(x, weight);
  if (each == 0 || weight.size() == 0 || !x.is_row_major()) return std::nullopt;
  return Layout(x.size() / (weight.size() * each), weight.size(), each);
}

// y = (x - center) weight + bias, or without the center, in one pass:
//
//   x_bar = y_bar weight,   weight_bar = y_bar (x - center),   bias_bar = y_bar
template <bool kCentered> class ScaleAndShift : public Operation {  // x: the tensor, weight, bias, the center, which is a constant
 public:
  const char* name() const override { return "scale_and_shift"; }
  const char* latex() const override { return kCentered ? R"((#1 - #4) \cdot #2 + #3)" : R"(#1 \cdot #2 + #3)"; }
  ValueSet saved_for(int i) const override {
    if (i == 1) return kCentered ? input(0) | input(3) : input(0);
    return i == 0 ? input(1) : kNoValues;
  }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (!recording() && x_bar.needs(0) && x_bar.needs(1) && x_bar.needs(2) && of_channels(s, y_bar[0], x_bar)) return;
    if (x_bar.needs(0)) x_bar[0] = y_bar[0] * s.x(1);
    if (x_bar.needs(1)) {
      const Tensor from_center = centered(s);
      if (!recording()) x_bar[1] = detail::sum_of_products(y_bar[0], from_center, s.x_shape(1));
      if (!x_bar[1].defined()) x_bar[1] = y_bar[0] * from_center;
    }
    if (x_bar.needs(2)) x_bar[2] = y_bar[0];
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    if (x_dot[0].defined()) y_dot[0] = x_dot[0] * s.x(1);
    if (x_dot[1].defined()) y_dot[0] = detail::plus(y_dot[0], centered(s) * x_dot[1]);
    if (x_dot[2].defined()) y_dot[0] = detail::plus(y_dot[0], expand(x_dot[2], s.y_shape()));
  }

 private:
  // All of them in one pass, if there is one weight for each channel; false if not.
  static bool of_channels(const Saved& s, const Tensor& y_bar, Cotangents& x_bar) {
    const Tensor& x = s.x(0);
    const std::optional<Layout> l = channels_of(x, s.x(1));
    if (!l || !y_bar.is_row_major()) return false;
    const Tensor scales = s.x(1).constant().contiguous();
    const Tensor centers = kCentered ? s.x(3).constant().contiguous() : Tensor::zeros(scales.shape(), x.dtype());
    x_bar[0] = Tensor::uninitialized(x.shape(), x.dtype());
    for (const int i : {1, 2}) x_bar[i] = Tensor::uninitialized(s.x_shape(i), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *in = x.data<T>(), *m = y_bar.data<T>(), *w = scales.data<T>(), *c = centers.data<T>();
      T* out = x_bar[0].template mutable_data<T>();
      const kernels::Scratch<double> products(l->outer * l->groups), numbers(l->outer * l->groups);
      double *const to_products = products.data(), *const to_numbers = numbers.data();
      l->for_each_run<T>([&](Index run, Index g, Index at) __attribute__((always_inline)) {
        const T scale = w[g], middle = c[g], *from = in + at, *bar = m + at;
        T* to = out + at;
        const Index n = l->inner;
        for (Index i = 0; i < n; ++i) to[i] = bar[i] * scale;
        to_products[run] = kernels::sum_of_run(
            0, n,
            [ bar, from, middle ](Index i) __attribute__((always_inline)) { return static_cast<double>(bar[i] * (from[i] - middle)); });
        to_numbers[run] = kernels::sum_of_run(
            0, n, [bar](Index i) __attribute__((always_inline)) { return static_cast<double>(bar[i]); });
      });
      for (const int i : {1, 2}) {
        const PerGroup sum = sums(*l, i == 1 ? to_products : to_numbers);
        std::transform(sum.begin(), sum.end(), x_bar[i].template mutable_data<T>(), [](double v) { return static_cast<T>(v); });
      }
    });
    return true;
  }
  static Tensor centered(const Saved& s) { return kCentered ? s.x(0) - s.x(3) : s.x(0); }
};

// result = (x - center) weight + bias, where all but x have one number for each channel, (c, 1, ...): false if they have not, or x is not
// dense.
bool scale_channels(Tensor& result, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& center) {
  const std::optional<Layout> l = channels_of(x, weight);
  if (!l) return false;
  const Tensor scales = weight.constant().contiguous(), shifts = bias.constant().contiguous(),
               centers = center.defined() ? center.constant().contiguous() : Tensor::zeros(weight.shape(), x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *in = x.data<T>(), *w = scales.data<T>(), *b = shifts.data<T>(), *c = centers.data<T>();
    T* out = result.mutable_data<T>();
    l->for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
      const T scale = w[g], shift = b[g], middle = c[g], *from = in + at;
      const Index n = l->inner;
      T* to = out + at;
      for (Index i = 0; i < n; ++i) to[i] = (from[i] - middle) * scale + shift;
    });
  });
  return true;
}

// (x - center) weight + bias. The others broadcast to x's shape, or are undefined.
Tensor scale_and_shift(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& center = {}) {
  if (!weight.defined() || !bias.defined()) {
    const Tensor from_center = center.defined() ? x - center : x, product = weight.defined() ? from_center * weight : from_center;
    return bias.defined() ? product + bias : product;
  }
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
  const bool done = scale_channels(y, x, weight, bias, center);
  if (!center.defined()) {
    const auto value = [](auto x, auto w, auto b) __attribute__((always_inline)) { return x * w + b; };
    if (!done)
      detail::floating_into(y, {&x, &weight, &bias}, kernels::dense_loop<float, float, float, float>(value),
                            kernels::dense_loop<double, double, double, double>(value));
    return record(ScaleAndShift<false>(), {}, {&x, &weight, &bias}, std::move(y));
  }
  const auto value = [](auto x, auto w, auto b, auto c) __attribute__((always_inline)) { return (x - c) * w + b; };
  if (!done)
    detail::floating_into(y, {&x, &weight, &bias, &center}, kernels::dense_loop<float, float, float, float, float>(value),
                          kernels::dense_loop<double, double, double, double, double>(value));
  return record(ScaleAndShift<true>(), {}, {&x, &weight, &bias, &center}, std::move(y));
}

// x, seen in the shape (outer, groups, inner), standardized, times the weight plus the bias.
Tensor standardize_and_scale(const Tensor& x, const Shape& groups, double eps, const Tensor& weight, const Tensor& bias,
                             Moments* statistics = nullptr) {
  const Tensor seen = reshape(x, groups);
  if (weight.defined() && bias.defined()) {
    const Tensor* const inputs[] = {&x, &weight, &bias};
    const Index each = channel_size(x, weight);
    if ((each > 0 || weight.size() == groups[2]) && !detail::any_tracked(inputs)) {
      const Affine affine{weight.constant().contiguous(), bias.constant().contiguous(), each};
      return reshape(standardize(seen, eps, statistics, &affine), x.shape());
    }
  }
  return scale_and_shift(reshape(standardize(seen, eps, statistics), x.shape()), weight, bias);
}

// An error unless t is undefined, or has the dtype of x and the given shape.
void check_companion(const char* name, const char* what, const Tensor& t, const Shape& shape, const Tensor& x) {
  if (!t.defined()) return;
  detail::check_same_dtype(name, x, t, "input", what);
  if (!(t.shape() == shape))
    throw ShapeError(detail::ErrorText(name, "the {} must have the shape {}", what, to_string(shape)).operand(what, t).operand("input", x));
}

// A ValueError unless eps is finite and not negative.
void check_eps(const char* name, double eps, const Tensor& x) {
  if (!(eps >= 0 && std::isfinite(eps)))
    throw ValueError(detail::ErrorText(name, "eps must be finite and not negative, but it is {}", eps).operand("input", x));
}

void check_affine(const char* name, const Tensor& weight, const Tensor& bias, const Shape& shape, const Tensor& x) {
  check_companion(name, "weight", weight, shape, x);
  check_companion(name, "bias", bias, shape, x);
}

void check_channels(const char* name, const Tensor& x) {
  detail::check_floating(name, x);
  if (x.rank() < 2) throw ShapeError(fmt::format("{}: the input {} must be (n, channels, ...)", name, describe(x)));
}

Tensor normalized_groups(const char* name, const Tensor& x, Index groups, const NormalizationOptions& options) {
  check_eps(name, options.eps, x);
  const Index n = x.size(0), channels = x.size(1);
  if (groups < 1 || channels % groups != 0)
    throw ShapeError(detail::ErrorText(name, "{} channels cannot be divided into {} groups", channels, groups).operand("input", x));
  check_affine(name, options.weight, options.bias, {channels}, x);
  detail::CompositionScope whole(name, {&x, &options.weight, &options.bias},
                                 [&](OperationOptions& to) { to.set("eps", options.eps), to.set("groups", groups); });
  const Index all = n * groups;
  Tensor result = standardize_and_scale(x, {1, all, all > 0 ? x.size() / all : 0}, options.eps, detail::along_channels(options.weight, x),
                                        detail::along_channels(options.bias, x));
  whole.end({&result});
  return result;
}

// x / sqrt(mean of x^2 + eps) over the last dimension. Where squares overflow, or vanish beside eps, x is divided by a power of two first,
// which rounds nothing and cancels out of the value and of every derivative.
Tensor over_root_mean_square(const Tensor& x, double eps) {
  const Tensor scale = detail::scale_of(detail::largest_of(x, {-1}), std::sqrt(eps));
  const auto [least, most] = x.dtype() == float32 ? std::pair(0x1p-40, 0x1p60) : std::pair(0x1p-400, 0x1p500);
  const auto usual = [&, least = least, most = most](double s) { return s >= least && s <= most; };
  const std::vector<double> scales = scale.to_vector<double>();
  if (std::all_of(scales.begin(), scales.end(), usual)) return x * rsqrt(mean(square(x), -1, {.keepdim = true}) + eps);
  const Tensor z = x / scale;
  return z * rsqrt(mean(square(z), -1, {.keepdim = true}) + eps / scale / scale);
}

// (1 - momentum) running + momentum batch, or undefined if the statistic is.
Tensor updated_statistic(const Tensor& running, const PerGroup& batch, double factor, double momentum) {
  if (!running.defined()) return running;
  PerGroup next(batch.size());
  for (std::size_t i = 0; i < next.size(); ++i)
    next[i] = (1 - momentum) * running.element(static_cast<Index>(i)) + momentum * factor * batch[i];
  return Tensor::from(std::span<const double>(next), running.shape()).to(running.dtype());
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized, const NormalizationOptions& options, Location site) {
  const CallSite scope(site);
  detail::check_floating("layer_norm", x);
  check_eps("layer_norm", options.eps, x);
  bool fits = normalized.rank() > 0 && normalized.rank() <= x.rank();
  for (int d = 1; fits && d <= normalized.rank(); ++d) fits = normalized[normalized.rank() - d] == x.shape()[x.rank() - d];
  if (!fits)
    throw ShapeError(fmt::format("layer_norm: the input {} does not end in the dimensions {}", describe(x), to_string(normalized)));
  check_affine("layer_norm", options.weight, options.bias, normalized, x);
  detail::CompositionScope whole("layer_norm", {&x, &options.weight, &options.bias},
                                 [&](OperationOptions& to) { to.set("eps", options.eps), to.set("normalized", normalized); });
  const Index inner = normalized.size(), rows = inner > 0 ? x.size() / inner : 0;
  Tensor result = standardize_and_scale(x, {1, rows, inner}, options.eps, options.weight, options.bias);
  whole.end({&result});
  return result;
}

Tensor group_norm(const Tensor& x, Index groups, const NormalizationOptions& options, Location site) {
  const CallSite scope(site);
  check_channels("group_norm", x);
  return normalized_groups("group_norm", x, groups, options);
}

Tensor instance_norm(const Tensor& x, const NormalizationOptions& options, Location site) {
  const CallSite scope(site);
  check_channels("instance_norm", x);
  return normalized_groups("instance_norm", x, std::max<Index>(x.size(1), 1), options);
}

Tensor rms_norm(const Tensor& x, const NormalizationOptions& options, Location site) {
  const CallSite scope(site);
  detail::check_floating("rms_norm", x);
  check_eps("rms_norm", options.eps, x);
  if (x.rank() == 0) throw ShapeError(fmt::format("rms_norm: the input {} has no last dimension", describe(x)));
  check_affine("rms_norm", options.weight, options.bias, {x.shape().back()}, x);
  return scale_and_shift(over_root_mean_square(x, options.eps), options.weight, options.bias);
}

BatchNormResult batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const BatchNormOptions& options,
                           Location site) {
  const CallSite scope(site);
  check_channels("batch_norm", x);
  check_eps("batch_norm", options.eps, x);
  if (!(options.momentum >= 0 && options.momentum <= 1))
    throw ValueError(detail::ErrorText("batch_norm", "momentum must be in [0, 1], but it is {}", options.momentum).operand("input", x));
  const Index channels = x.size(1), values = channels > 0 ? x.size() / channels : 0;
  check_affine("batch_norm", options.weight, options.bias, {channels}, x);
  check_companion("batch_norm", "running mean", running_mean, {channels}, x);
  check_companion("batch_norm", "running variance", running_var, {channels}, x);
  detail::CompositionScope whole(options.training ? "batch_norm in training" : "batch_norm",
                                 {&x, &options.weight, &options.bias, &running_mean, &running_var},
                                 [&](OperationOptions& to) { to.set("eps", options.eps), to.set("momentum", options.momentum); });
  const Tensor weight = detail::along_channels(options.weight, x), bias = detail::along_channels(options.bias, x);
  if (!options.training) {
    if (!running_mean.defined() || !running_var.defined())
      throw ValueError(
          detail::ErrorText("batch_norm", "evaluation needs the running mean and variance").operand("input", x).hint(".training = true"));
    const Tensor scale = rsqrt(detail::along_channels(running_var.constant(), x) + options.eps);
    Tensor result = scale_and_shift(x, weight.defined() ? weight * scale : scale, bias, detail::along_channels(running_mean.constant(), x));
    whole.end({&result});
    return {result, running_mean, running_var};
  }
  if (values < 2)
    throw ShapeError(detail::ErrorText("batch_norm", "training needs more than one value for each channel, and there {} {}",
                                       values == 1 ? "is" : "are", values)
                         .operand("input", x)
                         .hint("use a larger batch, or evaluate with the running statistics: eval()"));
  Moments m(channels);
  const Index n = x.size(0);
  Tensor y = standardize_and_scale(x, {n, channels, values / n}, options.eps, weight, bias, &m);
  const double unbiased = static_cast<double>(values) / static_cast<double>(values - 1);
  return {std::move(y), updated_statistic(running_mean, m.mean, 1, options.momentum),
          updated_statistic(running_var, m.variances(), unbiased, options.momentum)};
}

}  // namespace wengert
