// Normalisation: layer, group, instance, batch and root-mean-square.
//
// All but the last treat x as (outer, groups, inner) and take the statistics of each group over the other two dimensions. They are one
// operation for speed: composed, they would take ten passes over x. With n = outer inner and the mean over a group:
//
//   r = 1 / sqrt(variance + eps),  y = r (x - mean x):
//     x_bar = r (y_bar - mean y_bar - y mean(y y_bar)) - r_bar r^2 y / n          (the Jacobian of y is symmetric)
//     y_dot = r (x_dot - mean x_dot - y mean(y x_dot)),   r_dot = -r^2 mean(y x_dot)
//
//   z = weight y + bias:
//     y_bar = weight z_bar,   weight_bar = y z_bar,   bias_bar = z_bar            (summed over what shares a weight)
//
// Without weight and bias, the rules read y and r, so x is not saved; r has its own cotangent, for the next order. With them, y is not
// stored: the backward pass computes it again from x and the statistics of the groups. A recorded one, and forward mode, record y and r.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "autodiff/functions/element.h"
#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/partial_sums.h"
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
  Shape sizes() const { return {outer, groups, inner}; }
  double count() const { return static_cast<double>(outer * inner); }
  // f(run, group, offset of its `inner` elements) for each run, in a loop over elements of type T on the best instruction set; f must be
  // always inlined. Threads share the runs.
  template <class T, class F> void for_each_run(const F& f) const {
    kernels::for_blocks_of(outer * groups, 2 * kernels::cost::kCopy<T> * static_cast<double>(inner), [&](Index first, Index last) {
      kernels::run_elements<T>([&]() __attribute__((always_inline)) {
        for (Index run = first, g = first % groups; run < last; ++run) {
          f(run, g, run * inner);
          if (++g == groups) g = 0;
        }
      });
    });
  }
  // Whether each group is a column of a matrix: its runs have one element. Loops then go along the rows, over the columns side by side.
  bool of_columns() const { return outer > 1 && inner == 1; }
  // f(position, group) for each element; f must be always inlined, and captures by value.
  template <class T, class F> void for_each_in_columns(const F& f) const {
    kernels::for_blocks_of(outer, 2 * kernels::cost::kCopy<T> * static_cast<double>(groups), [&](Index first, Index last) {
      kernels::run_elements<T>([ f, first, last, n = groups ]() __attribute__((always_inline)) {
        for (Index row = first; row < last; ++row)
          for (Index g = 0; g < n; ++g) f(row * n + g, g);
      });
    });
  }
  // The sum over each column of term(position, group), which must be always inlined and captures by value.
  template <class T, class Term> void sum_columns(const Term& term, double* to) const {
    kernels::sum_all_lines<double>(
        {1, outer, groups}, kernels::cost::kCopy<T>, term, [to](Index g, double sum) __attribute__((always_inline)) { to[g] = sum; });
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

// v -> (v - center) scale, in float32 for floats: a large center is subtracted in two parts, so that it costs no digits, and what might
// leave the range is multiplied by a power of two before, and not after.
template <class T> class Standardizer {
 public:
  Standardizer(double center, double scale) : center_(center), scale_(scale) {}
  __attribute__((always_inline)) T operator()(T v) const { return (v - center_) * scale_; }

 private:
  T center_, scale_;
};
template <> class Standardizer<float> {
 public:
  Standardizer(double center, double scale) {
    constexpr double kUsual = 0x1p60;
    if (!(scale >= 1 / kUsual && scale <= kUsual) && std::isfinite(scale) && scale > 0)
      power_ = static_cast<float>(std::ldexp(1.0, std::clamp(std::ilogb(scale), -126, 120)));
    center *= static_cast<double>(power_);
    high_ = static_cast<float>(center);
    low_ = static_cast<float>(center - static_cast<double>(high_));
    scale_ = static_cast<float>(scale / static_cast<double>(power_));
  }
  __attribute__((always_inline)) float operator()(float v) const { return ((v * power_ - high_) - low_) * scale_; }

 private:
  float power_ = 1, high_, low_, scale_;
};

// The mean first, then the squares of the distances from it, so that a large common offset costs no digits.
template <class T> Moments moments(const T* x, const Layout& l, double eps) {
  Moments m(l.groups);
  const kernels::Scratch<double> sums(l.of_columns() ? 0 : l.outer * l.groups);
  // The means over each group of what term(group) makes of an element.
  const auto means_of = [&, to = sums.data()](const auto& term) {
    if (l.of_columns()) {
      PerGroup mean(static_cast<std::size_t>(l.groups));
      l.sum_columns<T>(
          [ x, term ](Index at, Index g) __attribute__((always_inline)) { return term(static_cast<std::size_t>(g))(x[at]); }, mean.data());
      for (double& v : mean) v /= l.count();
      return mean;
    }
    l.for_each_run<T>([&](Index run, Index g, Index at) __attribute__((always_inline)) {
      const T* from = x + at;
      const auto of = term(static_cast<std::size_t>(g));
      to[run] = kernels::sum_of_run<double>(
          0, l.inner, [ from, of ](Index i) __attribute__((always_inline)) { return of(from[i]); });
    });
    return means(l, to);
  };
  // The mean square distances from the means, in units; those of floats are squared in float32.
  const auto variances = [&] {
    if (l.of_columns()) {
      return means_of([&m](std::size_t g) __attribute__((always_inline)) {
        return [ mean = m.mean[g], per_unit = 1 / m.unit[g] ](T v) __attribute__((always_inline)) {
          const double distance = (static_cast<double>(v) - mean) * per_unit;
          return distance * distance;
        };
      });
    }
    return means_of([&m](std::size_t g) __attribute__((always_inline)) {
      return [to_units = Standardizer<T>(m.mean[g], 1 / m.unit[g])](T v) __attribute__((always_inline)) {
        const T distance = to_units(v);
        return distance * distance;
      };
    });
  };
  m.mean = means_of([](std::size_t) __attribute__((always_inline)) {
    return [](T v) __attribute__((always_inline)) { return static_cast<double>(v); };
  });
  m.variance = variances();
  constexpr double kLeast = sizeof(T) == 4 ? 0x1p-90 : 0x1p-900;  // below it squares have lost digits
  const auto is_extreme = [&](std::size_t g) { return !std::isfinite(m.variance[g]) || m.variance[g] + eps < kLeast; };
  bool any = false;
  for (std::size_t g = 0; g < m.mean.size(); ++g) any |= is_extreme(g);
  if (!any) return m;
  // Once more, in units of the largest magnitude.
  PerGroup largest(m.mean.size());
  for (Index run = 0; run < l.outer * l.groups; ++run) {
    double& size = largest[static_cast<std::size_t>(run % l.groups)];
    for (Index i = run * l.inner; i < (run + 1) * l.inner; ++i) size = std::max(size, static_cast<double>(std::abs(x[i])));
  }
  for (std::size_t g = 0; g < largest.size(); ++g)
    if (is_extreme(g) && largest[g] > 0 && std::isfinite(largest[g]))
      m.unit[g] = std::ldexp(1.0, std::clamp(std::ilogb(largest[g]), -1000, 1000));
  if constexpr (std::is_same_v<T, double>) {
    const auto in_units = [&](std::size_t g) __attribute__((always_inline)) {
      return [per_unit = 1 / m.unit[g]](double v) __attribute__((always_inline)) { return v * per_unit; };
    };
    m.mean = means_of(in_units);
    for (std::size_t g = 0; g < m.mean.size(); ++g) m.mean[g] *= m.unit[g];
  }
  m.variance = variances();
  return m;
}

Tensor group_mean(const Tensor& x) { return mean(x, Dims{0, 2}, {.keepdim = true}); }

// The statistics of a group: y = (x - center) scale.
struct Group {
  double center, scale, r;
  // Standardizes its elements, as the forward pass does.
  template <class T> Standardizer<T> standardizer() const { return {center, scale}; }
};
// What elements of type T are multiplied by: `count` weights, each for `each` neighbours, which then repeat. Null for 1.
template <class T> struct NormWeights {
  const T* weights;
  Index count, each;
  // Of the run of n elements from `at` on.
  __attribute__((always_inline)) Index first(Index at, Index n) const { return count * each == n ? 0 : at / each % count; }
};

// Backward passes. x_bar is null if it is not asked for; `of_group(g)` gives a Group and must be always inlined. With g = weight y_bar:
//
//   x_bar = r (g - mean g - y mean(y g))
//
// Products are rounded to T, sums are in double. Where neighbours share a weight, all follows from the sums of y_bar and y y_bar over
// these, which are stored in the order of the elements.
template <class T, class OfGroup> void pull_back_channels(const Layout& l, const T* x, const T* y_bar, const NormWeights<T>& w,
                                                          const OfGroup& of_group, double* sums, double* sums_y, T* x_bar) {
  l.for_blocks_of_groups<T>([&](Index first, const Layout& some) {
    const Index start = first * l.inner, each = w.each, parts = l.inner / each;
    some.for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
      const Standardizer<T> standardized = of_group(first + g).template standardizer<T>();
      for (Index p = (start + at) / each, end = p + parts; p < end; ++p) {
        const T *from = x + p * each, *bar = y_bar + p * each;
        const auto [sum, sum_y] = kernels::sums_of_run(
            each, [bar](Index i) __attribute__((always_inline)) { return bar[i]; },
            [ from, bar, standardized ](Index i) __attribute__((always_inline)) { return bar[i] * standardized(from[i]); });
        sums[p] = sum;
        sums_y[p] = sum_y;
      }
    });
    if (!x_bar) return;
    PerGroup mean(static_cast<std::size_t>(some.groups)), mean_y(mean.size());
    for (Index run = 0; run < some.outer * some.groups; ++run) {
      const auto g = static_cast<std::size_t>(run % some.groups);
      for (Index p = (start + run * l.inner) / each, end = p + parts; p < end; ++p) {
        const double weight = w.weights ? static_cast<double>(w.weights[p % w.count]) : 1;
        mean[g] += weight * sums[p];
        mean_y[g] += weight * sums_y[p];
      }
    }
    some.for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
      const Group group = of_group(first + g);
      const Standardizer<T> standardized = group.template standardizer<T>();
      const T a = static_cast<T>(mean[static_cast<std::size_t>(g)] / l.count()),
              b = static_cast<T>(mean_y[static_cast<std::size_t>(g)] / l.count()), r = static_cast<T>(group.r);
      for (Index p = (start + at) / each, end = p + parts; p < end; ++p) {
        const T *from = x + p * each, *bar = y_bar + p * each, weight = w.weights ? w.weights[p % w.count] : T(1);
        T* to = x_bar + p * each;
        for (Index i = 0; i < each; ++i) to[i] = r * (bar[i] * weight - a - standardized(from[i]) * b);
      }
    });
  });
}

// The same where each group is a column with one weight: two passes for the sums, and one for x_bar.
template <class T, class OfGroup> void pull_back_columns(const Layout& l, const T* x, const T* y_bar, const T* weights,
                                                         const OfGroup& of_group, double* sums, double* sums_y, T* x_bar) {
  pool::Vector<Standardizer<T>> standardizers;
  standardizers.reserve(static_cast<std::size_t>(l.groups));
  for (Index g = 0; g < l.groups; ++g) standardizers.push_back(of_group(g).template standardizer<T>());
  l.sum_columns<T>(
      [y_bar](Index at, Index) __attribute__((always_inline)) { return y_bar[at]; }, sums);
  l.sum_columns<T>(
      [ x, y_bar, standardized = standardizers.data() ](Index at, Index g)
          __attribute__((always_inline)) { return y_bar[at] * standardized[g](x[at]); },
      sums_y);
  if (!x_bar) return;
  const kernels::Scratch<T> of_columns(4 * l.groups);
  T *const w = of_columns.data(), *const r = w + l.groups, *const a = r + l.groups, *const b = a + l.groups;
  for (Index g = 0; g < l.groups; ++g) {
    w[g] = weights ? weights[g] : T(1);
    r[g] = static_cast<T>(of_group(g).r);
    a[g] = static_cast<T>(static_cast<double>(w[g]) * sums[g] / l.count());
    b[g] = static_cast<T>(static_cast<double>(w[g]) * sums_y[g] / l.count());
  }
  l.for_each_in_columns<T>([ =, standardized = standardizers.data() ](Index at, Index g) __attribute__((always_inline)) {
    x_bar[at] = r[g] * (y_bar[at] * w[g] - a[g] - standardized[g](x[at]) * b[g]);
  });
}

// The same where each element of a run has its own weight, and each group is one run. weight_bar and bias_bar are null, or added up in
// double, by blocks of runs that depend on the sizes alone.
template <class T, class OfGroup> void pull_back_rows(const Layout& l, const T* x, const T* y_bar, const NormWeights<T>& w,
                                                      const OfGroup& of_group, double* weight_bar, double* bias_bar, T* x_bar) {
  constexpr Index kRows = kernels::kGroup;  // whose terms are added before they are stored
  const Index n = l.inner, unit = std::clamp<Index>(l.groups / 16, kRows, 32);
  const double ns = 8 * kernels::cost::kCopy<T> * static_cast<double>(n);
  const Index size = kernels::block_size(l.groups, ns, unit), blocks = (l.groups + size - 1) / size;
  const kernels::Scratch<double> parts(weight_bar ? 2 * blocks * w.count : 0);
  // With `in_groups`, terms of float32 are added before they are converted (kernels/lines.h).
  const auto pull_back = [&](bool in_groups) {
    kernels::for_blocks_of(l.groups, ns, unit, [&, of = of_group](Index first, Index last) {
      double *const of_weight = parts.data() + first / size * w.count, *const of_bias = of_weight + blocks * w.count;
      if (weight_bar) std::fill_n(of_weight, w.count, 0.0), std::fill_n(of_bias, w.count, 0.0);
      const kernels::Scratch<T> standardized(kRows * n);
      T* const ys = standardized.data();
      const auto pull_back_row = [&](Index row, const T* y) __attribute__((always_inline)) {
        const T *bar = y_bar + row * n, *weight = w.weights + w.first(row * n, n);
        const auto g = [ bar, weight ](Index i) __attribute__((always_inline)) { return bar[i] * weight[i]; };
        const auto [sum, sum_y] = kernels::sums_of_run(
            n, g, [ g, y ](Index i) __attribute__((always_inline)) { return g(i) * y[i]; });
        const T a = static_cast<T>(sum / static_cast<double>(n)), b = static_cast<T>(sum_y / static_cast<double>(n)),
                r = static_cast<T>(of(row).r);
        T* to = x_bar + row * n;
        for (Index i = 0; i < n; ++i) to[i] = r * (g(i) - a - y[i] * b);
      };
      const auto add_row = [&](Index row) __attribute__((always_inline)) {
        const T *bar = y_bar + row * n, *y = ys;
        double *const to_weight = of_weight + w.first(row * n, n), *const to_bias = of_bias + w.first(row * n, n);
        for (Index i = 0; i < n; ++i) {
          to_weight[i] += static_cast<double>(bar[i] * y[i]);
          to_bias[i] += static_cast<double>(bar[i]);
        }
      };
      // kRows rows, which share the weights; their terms are added as numbers of the type of `zero` before they are stored.
      const auto add_rows = [&](Index row, auto zero) __attribute__((always_inline)) {
        using Sum = decltype(zero);
        const T *bar = y_bar + row * n, *y = ys;
        double *const to_weight = of_weight, *const to_bias = of_bias;
        for (Index i = 0; i < n; ++i) {
          to_weight[i] += kernels::sum_of_group(
              i, n, [ bar, y ](Index at) __attribute__((always_inline)) { return static_cast<Sum>(bar[at] * y[at]); });
          to_bias[i] += kernels::sum_of_group(
              i, n, [bar](Index at) __attribute__((always_inline)) { return static_cast<Sum>(bar[at]); });
        }
      };
      kernels::run_elements<T>([&]() __attribute__((always_inline)) {
        for (Index row = first, next; row < last; row = next) {
          const bool several = w.count == n && row + kRows <= last;
          next = row + (several ? kRows : 1);
          for (Index k = row; k < next; ++k) {
            const Standardizer<T> standardized = of(k).template standardizer<T>();
            const T* const from = x + k * n;
            T* const y = ys + (k - row) * n;
            for (Index i = 0; i < n; ++i) y[i] = standardized(from[i]);
            if (x_bar) pull_back_row(k, y);
          }
          if (!weight_bar) continue;
          if (!several) {
            add_row(row);
          } else if (in_groups) {
            add_rows(row, T(0));
          } else {
            add_rows(row, 0.0);
          }
        }
      });
    });
    if (!weight_bar) return;
    std::fill_n(weight_bar, w.count, 0.0), std::fill_n(bias_bar, w.count, 0.0);
    kernels::add_parts(parts.data(), blocks, w.count, w.count, weight_bar);
    kernels::add_parts(parts.data() + blocks * w.count, blocks, w.count, w.count, bias_bar);
  };
  const bool in_groups = std::is_same_v<T, float> && weight_bar && l.groups >= kernels::kMany;
  pull_back(in_groups);
  const auto are_finite = [n = w.count](const double* sums) {
    return std::all_of(sums, sums + n, [](double v) { return std::isfinite(v); });
  };
  if (in_groups && !(are_finite(weight_bar) && are_finite(bias_bar))) pull_back(false);  // a group may have overflowed
}

class Standardize : public OperationWithOptions {  // y: the standardized x, r of shape (1, groups, 1)
 public:
  Standardize(const Layout& layout, double eps) : l_(layout), eps_(eps) {}
  const char* name() const override { return "normalization"; }
  void options(OperationOptions& to) const override { to.set("eps", eps_), to.set("sizes", l_.sizes()); }
  const char* latex() const override { return R"(\frac{# - \overline{#}}{\sqrt{\operatorname{var} # + \varepsilon}})"; }
  ValueSet saved_for(int) const override { return output(0) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &y = s.y(0), &r = s.y(1);
    if (y_bar[0].defined()) x_bar[0] = recording() ? carry(y, r, y_bar[0]) : carry_now(l_, y, r, y_bar[0]);
    if (!y_bar[1].defined()) return;
    const Tensor through_r = y * (y_bar[1] * r * r / -l_.count());  // r^2 may overflow or vanish
    x_bar[0] = detail::plus(x_bar[0], through_r);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor &y = s.y(0), &r = s.y(1);
    y_dot[0] = carry(y, r, x_dot[0]);
    y_dot[1] = -(r * (r * group_mean(y * x_dot[0])));
  }

  // J m, where J is the Jacobian of y.
  static Tensor carry(const Tensor& y, const Tensor& r, const Tensor& m) { return r * (m - group_mean(m) - y * group_mean(y * m)); }

 private:
  // The same in two passes over the elements, not recorded.
  static Tensor carry_now(const Layout& l, const Tensor& y, const Tensor& r, const Tensor& y_bar) {
    const Tensor m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(y.shape(), y.dtype());
    detail::dispatch_floating(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const Index runs = l.outer * l.groups;
      const kernels::Scratch<double> sums(2 * runs);
      const auto of_group = [scale = r.data<T>()](Index g) __attribute__((always_inline)) {
        return Group{0, 1, static_cast<double>(scale[g])};
      };
      T* const to = x_bar.mutable_data<T>();
      if (l.of_columns()) return pull_back_columns<T>(l, y.data<T>(), m.data<T>(), nullptr, of_group, sums.data(), sums.data() + runs, to);
      pull_back_channels<T>(l, y.data<T>(), m.data<T>(), {nullptr, 1, l.inner}, of_group, sums.data(), sums.data() + runs, to);
    });
    return x_bar;
  }

  Layout l_;
  double eps_;
};

// Shifts and scales x to mean 0 and variance 1 in each group, and multiplies it by the weights and adds as many biases, if given. Then
// set(group, mean, scale) for each group; the moments are stored in `*statistics`, which has room for those of all groups, if given.
template <class T, class Set> void standardize_into(const Layout& l, double eps, const T* x, const NormWeights<T>& w, const T* biases, T* y,
                                                    Moments* statistics, const Set& set) {
  l.for_blocks_of_groups<T>([&](Index first, const Layout& some) {
    const Index start = first * l.inner;
    const Moments m = moments(x + start, some, eps);
    pool::Vector<Standardizer<T>> standardizers;
    standardizers.reserve(static_cast<std::size_t>(some.groups));
    for (Index g = 0; g < some.groups; ++g) {
      const double mean = m.mean[static_cast<std::size_t>(g)], scale = m.scale(g, eps);
      set(first + g, mean, scale);
      standardizers.emplace_back(mean, scale);
    }
    if (statistics) statistics->set(first, m);
    if (l.of_columns()) {
      const auto value = [ x, standardized = standardizers.data() ](Index at, Index g) __attribute__((always_inline)) {
        return standardized[g](x[at]);
      };
      if (!w.weights) return l.for_each_in_columns<T>([=](Index at, Index g) __attribute__((always_inline)) { y[at] = value(at, g); });
      return l.for_each_in_columns<T>([ value, y, biases, weights = w.weights ](Index at, Index g)
                                          __attribute__((always_inline)) { y[at] = value(at, g) * weights[g] + biases[g]; });
    }
    some.for_each_run<T>([&](Index, Index g, Index at) __attribute__((always_inline)) {
      const Standardizer<T> standardized = standardizers[static_cast<std::size_t>(g)];
      at += start;
      const T* const from = x + at;
      T* const to = y + at;
      const auto value = [ from, standardized ](Index i) __attribute__((always_inline)) { return standardized(from[i]); };
      if (!w.weights) {
        for (Index i = 0; i < l.inner; ++i) to[i] = value(i);
      } else if (w.each == 1) {
        const T *weight = w.weights + w.first(at, l.inner), *bias = biases + w.first(at, l.inner);
        for (Index i = 0; i < l.inner; ++i) to[i] = value(i) * weight[i] + bias[i];
      } else {
        for (Index begin = 0, channel = w.first(at, l.inner); begin < l.inner; begin += w.each, ++channel) {
          const T weight = w.weights[channel], bias = biases[channel];
          for (Index i = begin; i < begin + w.each; ++i) to[i] = value(i) * weight + bias;
        }
      }
    });
  });
}

struct Standardized {
  Tensor y, r;
};
// x, of shape (outer, groups, inner), without weights.
Standardized standardize(const Tensor& x, double eps, Moments* statistics = nullptr) {
  const Tensor dense = x.constant().contiguous();
  const Layout l(x.shape());
  Tensor y[2] = {Tensor::uninitialized(x.shape(), x.dtype()), Tensor::uninitialized({1, l.groups, 1}, x.dtype())};
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    standardize_into<T>(l, eps, dense.data<T>(), {}, nullptr, y[0].mutable_data<T>(), statistics,
                        [r = y[1].mutable_data<T>()](Index g, double, double scale) { r[g] = static_cast<T>(scale); });
  });
  const Tensor* inputs[] = {&x};
  detail::record_all(Standardize(l, eps), {}, inputs, y);
  return {std::move(y[0]), std::move(y[1])};
}

// x standardized in the groups of a layout, times a weight plus a bias. Both broadcast to x, so that `each` neighbours share one of
// `count`.
class Normalization : public OperationWithOptions {  // x, weight, bias, and as a constant the means and scales of the groups: (2, groups)
 public:
  Normalization(const Layout& layout, double eps, Index count, Index each) : l_(layout), eps_(eps), count_(count), each_(each) {}
  const char* name() const override { return "normalization"; }
  void options(OperationOptions& to) const override { to.set("eps", eps_), to.set("sizes", l_.sizes()); }
  const char* latex() const override { return R"(\frac{#1 - \overline{#1}}{\sqrt{\operatorname{var} #1 + \varepsilon}} \cdot #2 + #3)"; }
  ValueSet saved_for(int i) const override {
    if (i == 0) return input(0) | input(1) | input(3);
    return i == 1 ? input(0) | input(3) : kNoValues;
  }
  void vjp(const Saved& s, std::span<const Tensor> z_bar, Cotangents& x_bar) const override {
    if (x_bar.needs(2)) x_bar[2] = z_bar[0];
    if (!x_bar.needs(0) && !x_bar.needs(1)) return;
    if (!recording()) return vjp_now(s, z_bar[0], x_bar);
    const auto [y, r] = standardize(seen(s.x(0)), eps_);
    if (x_bar.needs(0)) x_bar[0] = reshape(Standardize::carry(y, r, seen(z_bar[0] * s.x(1))), s.x_shape(0));
    if (x_bar.needs(1)) x_bar[1] = z_bar[0] * reshape(y, s.y_shape());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> z_dot) const override {
    if (x_dot[0].defined() || x_dot[1].defined()) {
      const auto [y, r] = standardize(seen(s.x(0)), eps_);
      if (x_dot[0].defined()) z_dot[0] = reshape(Standardize::carry(y, r, seen(x_dot[0])), s.y_shape()) * s.x(1);
      if (x_dot[1].defined()) z_dot[0] = detail::plus(z_dot[0], reshape(y, s.y_shape()) * x_dot[1]);
    }
    if (x_dot[2].defined()) z_dot[0] = detail::plus(z_dot[0], expand(x_dot[2], s.y_shape()));
  }

 private:
  Tensor seen(const Tensor& t) const { return reshape(t, l_.sizes()); }
  void vjp_now(const Saved& s, const Tensor& z_bar, Cotangents& x_bar) const {
    const Tensor x = s.x(0).constant().contiguous(), m = z_bar.contiguous();
    const Tensor weight = x_bar.needs(0) ? s.x(1).constant().contiguous() : Tensor();
    if (x_bar.needs(0)) x_bar[0] = Tensor::uninitialized(x.shape(), x.dtype());
    for (const int i : {1, 2})
      if (x_bar.needs(i)) x_bar[i] = Tensor::uninitialized(s.x_shape(i), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto of_group = [ from = s.x(3).data<double>(), groups = l_.groups ](Index g) __attribute__((always_inline)) {
        return Group{from[g], from[groups + g], from[groups + g]};
      };
      const NormWeights<T> weights{weight.defined() ? weight.data<T>() : nullptr, count_, each_};
      T* const to = x_bar.needs(0) ? x_bar[0].template mutable_data<T>() : nullptr;
      const bool for_weights = x_bar.needs(1) || x_bar.needs(2);
      PerGroup sums_of[2];  // weight_bar and bias_bar
      if (l_.of_columns()) {
        for (PerGroup& sum : sums_of) sum.resize(static_cast<std::size_t>(count_));
        pull_back_columns<T>(l_, x.data<T>(), m.data<T>(), weights.weights, of_group, sums_of[1].data(), sums_of[0].data(), to);
      } else if (l_.outer == 1 && each_ == 1) {
        for (PerGroup& sum : sums_of) sum.resize(for_weights ? static_cast<std::size_t>(count_) : 0);
        pull_back_rows<T>(l_, x.data<T>(), m.data<T>(), weights, of_group, for_weights ? sums_of[0].data() : nullptr, sums_of[1].data(),
                          to);
      } else {
        const Index parts = x.size() / each_;
        const Layout channels(parts / count_, count_, each_);
        const kernels::Scratch<double> of_parts(2 * parts);
        double *const sums_m = of_parts.data(), *const sums_ym = sums_m + parts;
        pull_back_channels<T>(l_, x.data<T>(), m.data<T>(), weights, of_group, sums_m, sums_ym, to);
        if (for_weights) sums_of[0] = sums(channels, sums_ym), sums_of[1] = sums(channels, sums_m);
      }
      for (const int i : {1, 2})
        if (x_bar.needs(i))
          std::transform(sums_of[i - 1].begin(), sums_of[i - 1].end(), x_bar[i].template mutable_data<T>(),
                         [](double v) { return static_cast<T>(v); });
    });
  }

  Layout l_;
  double eps_;
  Index count_, each_;
};

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
    if constexpr (kCentered)
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
    const Tensor scales = s.x(1).constant().contiguous(), centers = s.x(3).constant().contiguous();
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
  const Tensor scales = weight.constant().contiguous(), shifts = bias.constant().contiguous(), centers = center.constant().contiguous();
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
  if (!center.defined()) {
    const auto value = [](auto x, auto w, auto b) __attribute__((always_inline)) { return x * w + b; };
    detail::floating_into(y, {&x, &weight, &bias}, kernels::dense_loop<float, float, float, float>(value),
                          kernels::dense_loop<double, double, double, double>(value));
    return record(ScaleAndShift<false>(), {}, {&x, &weight, &bias}, std::move(y));
  }
  const auto value = [](auto x, auto w, auto b, auto c) __attribute__((always_inline)) { return (x - c) * w + b; };
  if (!scale_channels(y, x, weight, bias, center))
    detail::floating_into(y, {&x, &weight, &bias, &center}, kernels::dense_loop<float, float, float, float, float>(value),
                          kernels::dense_loop<double, double, double, double, double>(value));
  return record(ScaleAndShift<true>(), {}, {&x, &weight, &bias, &center}, std::move(y));
}

// x, standardized in the groups of a layout, times the weight plus the bias; `each` neighbours share one of them.
Tensor standardize_and_scale(const Tensor& given, const Layout& l, double eps, const Tensor& weight, const Tensor& bias, Index each,
                             Moments* statistics = nullptr) {
  if (!weight.defined() || !bias.defined() || given.size() == 0)
    return scale_and_shift(reshape(standardize(reshape(given, l.sizes()), eps, statistics).y, given.shape()), weight, bias);
  const Tensor x = given.contiguous();
  const Tensor dense[] = {x.constant(), weight.constant().contiguous(), bias.constant().contiguous()};
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype()), of_groups = Tensor::uninitialized({2, l.groups}, float64);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    double* const means = of_groups.mutable_data<double>();
    standardize_into<T>(l, eps, dense[0].data<T>(), {dense[1].data<T>(), weight.size(), each}, dense[2].data<T>(), y.mutable_data<T>(),
                        statistics, [means, scales = means + l.groups](Index g, double mean, double scale) {
                          means[g] = mean;
                          scales[g] = scale;
                        });
  });
  return record(Normalization(l, eps, weight.size(), each), {}, {&x, &weight, &bias, &of_groups}, std::move(y));
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
  const Layout layout(1, all, all > 0 ? x.size() / all : 0);
  Tensor result = standardize_and_scale(x, layout, options.eps, detail::along_channels(options.weight, x),
                                        detail::along_channels(options.bias, x), x.shape().size(2, x.rank()));
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

// The same of what is not recorded, times a weight for each element of a row if there is one: in two passes, with the same bits.
// Undefined where squares may leave the range.
Tensor root_mean_square_now(const Tensor& x, double eps, const Tensor& weight) {
  const Tensor dense = x.contiguous(), scales = weight.defined() ? weight.contiguous() : weight;
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
  const Index n = x.shape().back(), rows = n > 0 ? x.size() / n : 0;
  std::atomic<bool> usual = rows > 0;
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    constexpr T kLeast = sizeof(T) == 4 ? T(0x1p-80) : T(0x1p-800), kMost = sizeof(T) == 4 ? T(0x1p120) : T(0x1p1000);
    const kernels::Scratch<T> inverse(rows);
    const T* const from = dense.data<T>();
    kernels::sum_all_lines<double>(
        {rows, n, 1}, kernels::cost::kCopy<T>, [from](Index at, Index) __attribute__((always_inline)) { return from[at] * from[at]; },
        [ to = inverse.data(), n, eps, all = &usual ](Index row, double sum) __attribute__((always_inline)) {
          const T square = static_cast<T>(sum / static_cast<double>(n)) + static_cast<T>(eps);
          if (!(square >= kLeast && square <= kMost)) all->store(false, std::memory_order_relaxed);
          to[row] = fn::Rsqrt{}.value(fn::Element<T>{square}).v;
        });
    if (!usual) return;
    kernels::for_blocks_of(rows, 2 * kernels::cost::kCopy<T> * static_cast<double>(n), [&](Index first, Index last) {
      const T *const r = inverse.data(), *const w = scales.defined() ? scales.data<T>() : nullptr;
      T* const to = detail::data<T>(y);
      kernels::run_elements<T>([=]() __attribute__((always_inline)) {
        for (Index row = first; row < last; ++row) {
          const T scale = r[row], *in = from + row * n;
          T* out = to + row * n;
          if (w) {
            for (Index i = 0; i < n; ++i) out[i] = in[i] * scale * w[i];
          } else {
            for (Index i = 0; i < n; ++i) out[i] = in[i] * scale;
          }
        }
      });
    });
  });
  return usual ? y : Tensor();
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
  Tensor result = standardize_and_scale(x, Layout(1, rows, inner), options.eps, options.weight, options.bias, 1);
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
  const Tensor* const operands[] = {&x, &options.weight};
  if (!options.bias.defined() && !detail::any_tracked(operands))
    if (Tensor y = root_mean_square_now(x, options.eps, options.weight); y.defined()) return y;
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
  Tensor y = standardize_and_scale(x, Layout(n, channels, values / n), options.eps, weight, bias, x.shape().size(2, x.rank()), &m);
  const double unbiased = static_cast<double>(values) / static_cast<double>(values - 1);
  return {std::move(y), updated_statistic(running_mean, m.mean, 1, options.momentum),
          updated_statistic(running_var, m.variances(), unbiased, options.momentum)};
}

}  // namespace wengert
