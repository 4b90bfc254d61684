// The logarithms of running sums of exponentials, along the last dimension.
//
//   y_i = ln sum_{j <= i} e^x_j = r_i + ln s_i,   s_i = sum_{j <= i} e^(x_j - r_i),   r_i an element near the largest one so far
//
// Its derivatives are averages with the weights p_ij = e^(x_j - y_i) for j <= i, which add up to 1 over j:
//
//   y_dot = M(x, x_dot),   x_bar = S(x, y_bar),   where   M(x, v)_i = sum_{j <= i} p_ij v_j   and   S(x, w)_j = sum_{i >= j} p_ij w_i
//
//   M(x, v):  v_bar = S(x, u),   x_bar = v S(x, u) - S(x, u M(x, v)),   dot = M(x, v_dot + v x_dot) - M(x, v) M(x, x_dot)
//   S(x, w):  w_bar = M(x, u),   x_bar = u S(x, w) - S(x, w M(x, u)),   dot = S(x, w_dot) + x_dot S(x, w) - S(x, w M(x, x_dot))
//
// No p is formed as e^(x_j - y_i), because y has lost the digits of its sum where x is large: all are e^(x_j - r_i) / s_i. (Composed of
// logaddexp the gradient lost half of float32's digits where |x| is 10^4.) Limits are those of logsumexp: where y is -inf, p is 0; where y
// is inf, the infinite elements have equal weights.
#include <cmath>

#include "autodiff/functions/straight.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"

namespace wengert {
namespace {

// e^(x - r), also of what rounding x - r takes away; 0 for x = -inf, and otherwise 1 for x = r.
__attribute__((always_inline)) inline double weight_of(double x, double r) {
  const double d = x - r, z = d - x, rest = (x - (d - z)) - (r + z), e = fn::straight::exp(d);
  const double weight = e > 0 ? e + e * rest : e;
  return x == -detail::kInfinity ? 0 : x == r ? 1 : weight;
}

// A sum with twice the digits: high + low (Knuth, The Art of Computer Programming, vol. 2, 4.2.2).
struct LongSum {
  double high = 0, low = 0;
  void add(double x) {
    const double sum = high + x, z = sum - high;
    low += (high - (sum - z)) + (x - z);
    high = sum;
  }
  void scale(double factor) { high *= factor, low *= factor; }
  double value() const { return high + low; }
};

// A line of n elements, with what belongs to the elements up to each of them.
class Line {
 public:
  explicit Line(Index n) : r_(n), weight_(n), sum_(n), more_(n) {}

  template <class T> void read(const T* x) {
    // r is replaced where an element exceeds it by more than 1. Then little is left of what has been rounded before, however often.
    double last = -detail::kInfinity;
    for (std::size_t i = 0; i < r_.size(); ++i) {
      const auto v = static_cast<double>(x[i]);
      if (v > last + 1 || std::isnan(v)) last = v;
      r_[i] = last;
    }
    kernels::run_elements<double>([ this, x ]() __attribute__((always_inline)) {
      for (std::size_t i = 0; i < r_.size(); ++i) weight_[i] = weight_of(static_cast<double>(x[i]), r_[i]);
    });
    LongSum s;
    for (std::size_t i = 0; i < r_.size(); ++i) {
      if (is_new(i)) s.scale(factor(i));
      s.add(weight_[i]);
      sum_[i] = s.value();
      more_[i] = (s.high - 1) + s.low;
    }
  }
  template <class T> void logarithms(T* y) const {
    kernels::run_elements<double>([ this, y ]() __attribute__((always_inline)) {
      for (std::size_t i = 0; i < r_.size(); ++i) {
        const double logarithm = r_[i] + fn::straight::log1p(more_[i]);
        y[i] = static_cast<T>(r_[i] < detail::kInfinity && r_[i] > -detail::kInfinity ? logarithm : r_[i]);
      }
    });
  }
  template <class T> void means(const T* v, T* y) const {
    LongSum sum;
    for (std::size_t i = 0; i < r_.size(); ++i) {
      if (is_new(i)) sum.scale(factor(i));
      sum.add(weighted(weight_[i], static_cast<double>(v[i])));
      y[i] = static_cast<T>(sum_[i] == 0 ? 0 : sum.value() / sum_[i]);
    }
  }
  template <class T> void shares(const T* w, T* y) const {
    LongSum sum;  // of w_i / s_i, i >= j, relative to r_j
    for (std::size_t j = r_.size(); j-- > 0;) {
      if (sum_[j] != 0) sum.add(static_cast<double>(w[j]) / sum_[j]);
      y[j] = static_cast<T>(weighted(weight_[j], sum.value()));
      if (is_new(j)) sum.scale(factor(j));
    }
  }

 private:
  // Whether sums before element i are relative to another r; and e^(that r - r).
  bool is_new(std::size_t i) const { return i > 0 && r_[i] != r_[i - 1]; }
  double factor(std::size_t i) const { return weight_of(r_[i - 1], r_[i]); }
  // A factor of weight 0 counts for nothing, whatever it is.
  static double weighted(double weight, double factor) { return weight == 0 ? 0 : weight * factor; }

  pool::Vector<double> r_;
  pool::Vector<double> weight_;  // e^(x - r)
  pool::Vector<double> sum_;     // s
  pool::Vector<double> more_;    // s - 1: r itself is in the sum
};

// M(x, v), or transposed S(x, v).
Tensor running_softmax(const Tensor& x, const Tensor& v, bool transposed);

class RunningSoftmax : public OperationWithOptions {
 public:
  explicit RunningSoftmax(bool transposed) : transposed_(transposed) {}
  const char* name() const override { return "running_softmax"; }
  void options(OperationOptions& to) const override { to.set("transposed", transposed_); }
  ValueSet saved_for(int i) const override { return i == 0 ? input(0) | input(1) | output() : input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &x = s.x(0), &u = y_bar[0], v_bar = running_softmax(x, u, !transposed_);
    if (x_bar.needs(0)) {
      const Tensor &v = s.x(1), &y = s.y();
      x_bar[0] = transposed_ ? u * y - running_softmax(x, v * v_bar, true) : v * v_bar - running_softmax(x, u * y, true);
    }
    if (x_bar.needs(1)) x_bar[1] = v_bar;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor& x = s.x(0);
    if (x_dot[1].defined()) y_dot[0] = running_softmax(x, x_dot[1], transposed_);
    if (!x_dot[0].defined()) return;
    const Tensor &v = s.x(1), &y = s.y(), mean = running_softmax(x, x_dot[0], false);
    const Tensor change =
        transposed_ ? x_dot[0] * y - running_softmax(x, v * mean, true) : running_softmax(x, v * x_dot[0], false) - y * mean;
    y_dot[0] = y_dot[0].defined() ? y_dot[0] + change : change;
  }

 private:
  bool transposed_;
};

class LogCumSumExp : public Operation {
 public:
  const char* name() const override { return "logcumsumexp"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = running_softmax(s.x(), y_bar[0], true);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = running_softmax(s.x(), x_dot[0], false);
  }
};

// Calls use(line, first) for each line of x, with the position of its first element.
template <class T, class F> void for_each_line(const Tensor& x, F&& use) {
  if (x.size() == 0) return;
  const Index n = x.shape().back();
  Line line(n);
  for (Index first = 0; first < x.size(); first += n) {
    line.read(x.data<T>() + first);
    use(line, first);
  }
}

Tensor running_softmax(const Tensor& x, const Tensor& v, bool transposed) {
  const Tensor dense = x.constant().contiguous(), values = v.constant().contiguous();
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = values.data<T>();
    T* to = y.mutable_data<T>();
    for_each_line<T>(dense, [&](const Line& line, Index first) {
      transposed ? line.shares(from + first, to + first) : line.means(from + first, to + first);
    });
  });
  return record(RunningSoftmax(transposed), {}, {&x, &v}, std::move(y));
}

Tensor along_last(const Tensor& x) {
  const Tensor dense = x.constant().contiguous();
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype());
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = y.mutable_data<T>();
    for_each_line<T>(dense, [&](const Line& line, Index first) { line.logarithms(to + first); });
  });
  return record(LogCumSumExp(), {}, {&x}, std::move(y));
}

}  // namespace

Tensor logcumsumexp(const Tensor& x, Index dim, Location site) {
  const CallSite scope(site);
  detail::check_floating("logcumsumexp", x);
  const int d = checked_dim("logcumsumexp", dim, x);
  return detail::along_last(x, d, along_last);
}

}  // namespace wengert
