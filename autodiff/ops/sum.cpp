// Sums and means.
//
//   y = sum_d x:        x_bar = y_bar, repeated along d,       y_dot = sum_d x_dot
//   y = sum_d x / n:    x_bar = y_bar / n, repeated along d,   y_dot = sum_d x_dot / n
//
// A mean is divided while it is still in double: a float32 sum may overflow where the mean does not.
#include <fmt/format.h>

#include <type_traits>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The sum of n numbers that lie `step` apart.
template <class T> detail::Wide<T> sum_row(const T* x, Index n, Index step) {
  if (step == 1 && n >= 64) {
    detail::Wide<T> sum = 0;
    kernels::run_on_best_target([&]() __attribute__((always_inline)) {
      sum = kernels::sum_of_run<detail::Wide<T>>(
          0, n, [x](Index i) __attribute__((always_inline)) { return x[i]; });
    });
    return sum;
  }
  return kernels::sum_of_run<8>(
      0, n, [ x, step ](Index i) __attribute__((always_inline)) { return static_cast<detail::Wide<T>>(x[i * step]); });
}

// finish(i, sum) for each of the lines.
template <class T, class Finish> void sum_each_line(const kernels::Lines& lines, const T* x, const Finish& finish) {
  kernels::sum_all_lines<detail::Wide<T>>(
      lines, kernels::cost::kCopy<T>, [x](Index at, Index) __attribute__((always_inline)) { return x[at]; }, finish);
}

// The same, where there may be few of them side by side.
template <class T, class Finish> void sum_all_lines(const kernels::Lines& lines, const T* x, const Finish& finish) {
  using Wide = detail::Wide<T>;
  const auto [folds, rows] = kernels::FoldedRows(lines);
  if (folds == 1) return sum_each_line(lines, x, finish);
  const Index width = folds * lines.inner;
  const kernels::Scratch<Wide> columns(width);
  for (Index o = 0; o < lines.outer; ++o, x += lines.n * lines.inner) {
    sum_each_line(
        kernels::Lines{1, rows, width}, x, [to = columns.data()](Index i, Wide sum) __attribute__((always_inline)) { to[i] = sum; });
    for (Index i = 0; i < lines.inner; ++i) {
      Wide sum = 0;
      for (Index at = i; at < width; at += lines.inner) sum += columns.data()[at];
      for (Index at = rows * width + i; at < lines.n * lines.inner; at += lines.inner) sum += static_cast<Wide>(x[at]);
      finish(o * lines.inner + i, sum);
    }
  }
}

// The dimensions of a dense tensor that are summed, by groups of neighbours, from the last group to the first.
class SummedGroups {
 public:
  SummedGroups(const Shape& shape, const Shape& kept) : shape_(shape), kept_(kept), d_(shape.rank()), outer_(shape.size()) {}

  // The lines of the next group, in what the groups before have left.
  kernels::Lines next() {
    for (; !is_summed(d_ - 1); --d_) inner_ *= shape_[d_ - 1], outer_ /= shape_[d_ - 1];
    kernels::Lines lines{outer_, 1, inner_};
    for (; d_ > 0 && (is_summed(d_ - 1) || shape_[d_ - 1] == 1); --d_) lines.n *= shape_[d_ - 1];
    lines.outer = outer_ /= lines.n;
    return lines;
  }
  bool is_done() const {
    for (int d = 0; d < d_; ++d)
      if (is_summed(d)) return false;
    return true;
  }

 private:
  bool is_summed(int d) const { return kept_[d] != shape_[d]; }

  const Shape &shape_, &kept_;
  int d_;  // the dimensions from here on are done
  Index outer_, inner_ = 1;
};

// The sums of all groups, in double, as what a group leaves for the next one.
template <class T> void sum_groups(const T* x, SummedGroups groups, double* sums) {
  const auto into = [](double* to) {
    return [to](Index i, double sum) __attribute__((always_inline)) { to[i] = sum; };
  };
  const kernels::Lines lines = groups.next();
  if (groups.is_done()) return sum_all_lines(lines, x, into(sums));
  const kernels::Scratch<double> left(lines.count());
  sum_all_lines(lines, x, into(left.data()));
  sum_groups<double>(left.data(), groups, sums);
}

enum class Result { sum, mean };

// y = the sums or the means of x. (A sum is not divided by 1: the division would take longer than the additions where they are few.)
template <Result kResult, class T, class R> void sum_into(const Tensor& x, const detail::Reduced& r, Tensor& y) {
  R* const out = y.mutable_data<R>();
  const auto finish = [ out, count = static_cast<detail::Wide<T>>(r.count) ](Index i, detail::Wide<T> sum) __attribute__((always_inline)) {
    out[i] = static_cast<R>(kResult == Result::mean ? sum / count : sum);
  };
  if (const auto lines = detail::lines_of(x, r.kept)) return sum_all_lines(*lines, x.data<T>(), finish);
  pool::Vector<detail::Wide<T>> sums(static_cast<std::size_t>(y.size()), detail::Wide<T>(0));
  if (std::is_floating_point_v<T> && x.is_row_major() && x.size() > 0) {
    if constexpr (std::is_floating_point_v<T>) sum_groups(x.data<T>(), SummedGroups(x.shape(), r.kept), sums.data());
  } else {
    detail::for_each_reduced_row<T>(x, r, [&](const T* row, Index at, Index n, Index x_step, Index y_step) {
      detail::Wide<T>* const to = sums.data() + at;
      if (y_step == 0) {
        *to += sum_row(row, n, x_step);
      } else {
        for (Index i = 0; i < n; ++i) to[i * y_step] += static_cast<detail::Wide<T>>(row[i * x_step]);
      }
    });
  }
  for (Index i = 0; i < y.size(); ++i) finish(i, sums[static_cast<std::size_t>(i)]);
}

class Sum : public detail::Reduction {
 public:
  using Reduction::Reduction;
  const char* name() const override { return "sum"; }
  const char* latex() const override { return R"(\sum #)"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = expand(reshape(y_bar[0], kept_), s.x_shape());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(x_dot[0], dims_), s.y_shape());
  }
};

class Mean : public detail::Reduction {
 public:
  Mean(const Dims& dims, const Shape& kept, Index count) : Reduction(dims, kept), count_(count) {}
  const char* name() const override { return "mean"; }
  const char* latex() const override { return R"(\overline{#})"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = expand(reshape(y_bar[0] / count_, kept_), s.x_shape());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(mean(x_dot[0], dims_), s.y_shape());
  }

 private:
  Index count_;
};

}  // namespace

Tensor sum(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over("sum", x, dims);
  const Dtype dtype = x.dtype() == boolean ? int64 : x.dtype();  // booleans are counted
  Tensor y = Tensor::uninitialized(options.keepdim ? r.kept : r.dropped, dtype, site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_into<Result::sum, T, std::conditional_t<std::is_same_v<T, bool>, std::int64_t, T>>(x, r, y);
  });
  return record(Sum(dims, r.kept), site, {&x}, std::move(y));
}
Tensor sum(const Tensor& x, Location site) { return sum(x, detail::all_dims("sum", x), {}, site); }

Tensor mean(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  detail::check_floating("mean", x);
  const detail::Reduced r = detail::reduce_over("mean", x, dims);
  Tensor y = Tensor::uninitialized(options.keepdim ? r.kept : r.dropped, x.dtype(), site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    sum_into<Result::mean, T, T>(x, r, y);
  });
  return record(Mean(dims, r.kept, r.count), site, {&x}, std::move(y));
}
Tensor mean(const Tensor& x, Location site) { return mean(x, detail::all_dims("mean", x), {}, site); }

Tensor sum_to(const Tensor& x, const Shape& shape, Location site) {
  const CallSite scope(site);
  detail::check_defined("sum_to", x);
  const int added = x.rank() - shape.rank();
  if (added < 0) throw ShapeError(fmt::format("sum_to: {} has fewer dimensions than the shape {}", describe(x), to_string(shape)));
  Dims dims;
  for (int d = 0; d < x.rank(); ++d) {
    if (d < added || (shape[d - added] == 1 && x.shape()[d] != 1)) {
      dims.push_back(d);
    } else if (shape[d - added] != x.shape()[d]) {
      throw ShapeError(fmt::format("sum_to: {} is not a broadcast of the shape {}", describe(x), to_string(shape)));
    }
  }
  if (dims.rank() == 0) return x;
  const Tensor y = sum(x, dims, {}, site);
  return y.shape() == shape ? y : reshape(y, shape, site);
}

namespace {

// Whether summing x to `shape` sums rows: without its leading sizes of 1, the shape is the end of x's.
bool sums_rows(const Tensor& x, const Shape& shape) {
  int d = shape.rank(), e = x.rank();
  while (d > 0 && e > 0 && shape[d - 1] == x.shape()[e - 1]) --d, --e;
  while (d > 0 && shape[d - 1] == 1) --d;
  return d == 0 && x.is_row_major();
}

}  // namespace

void detail::add_sum_in_place(Tensor& into, const Tensor& x, Location site) {
  if (into.size() == 0 || !sums_rows(x, into.shape())) return add_in_place(into, sum_to(x, into.shape(), site));
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = static_cast<T*>(into.elements()->data);
    sum_all_lines(
        {1, x.size() / into.size(), into.size()},
        x.data<T>(), [to](Index i, double sum) __attribute__((always_inline)) { to[i] += static_cast<T>(sum); });
  });
}

}  // namespace wengert
