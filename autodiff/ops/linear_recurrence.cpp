// y_i = a_i y_{i-1} + b_i along a dimension.
//
//   s_i = y_bar_i + a_{i+1} s_{i+1}:   b_bar = s,   a_bar_i = s_i y_{i-1}
//   y_dot_i = a_i y_dot_{i-1} + a_dot_i y_{i-1} + b_dot_i
//
// The sums s are a recurrence in the other direction, whose coefficients lag behind if those of y do not, and do not if they do.
#include "autodiff/ops/linear_recurrence.h"

#include "autodiff/kernels/scan.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

using detail::linear_recurrence;
using detail::LinearRecurrence;

namespace {

// Each element is the one before it, in the order of the recurrence.
Tensor shifted(const Tensor& t, const LinearRecurrence& r, bool backwards, double first) {
  const Index n = t.shape()[r.dim];
  Shape shape = t.shape();
  shape[r.dim] = 1;
  const Tensor fill = expand(Tensor::full({}, first, t.dtype()), shape);
  if (backwards) return concat({slice(t, r.dim, 1, n), fill}, r.dim);
  return concat({fill, slice(t, r.dim, 0, n - 1)}, r.dim);
}

class Recurrence : public OperationWithOptions {  // x: the coefficients, the terms (if there are any)
 public:
  Recurrence(const LinearRecurrence& r, bool has_terms) : r_(r), has_terms_(has_terms) {}
  const char* name() const override { return is_running_product() ? "cumprod" : "linear_recurrence"; }
  void options(OperationOptions& to) const override {
    to.set("dim", r_.dim);
    if (!is_running_product()) to.set("backwards", r_.backwards), to.set("lagging", r_.lagging), to.set("initial", r_.initial);
  }
  ValueSet saved_for(int i) const override { return i == 0 ? input(0) | output() : input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor sums = linear_recurrence(s.x(0), y_bar[0], {r_.dim, !r_.backwards, !r_.lagging}, y_bar[0].made_at());
    if (x_bar.needs(0))
      x_bar[0] = r_.lagging ? shifted(sums, r_, !r_.backwards, 0) * s.y() : sums * shifted(s.y(), r_, r_.backwards, r_.initial);
    if (has_terms_ && x_bar.needs(1)) x_bar[1] = sums;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Tensor terms;
    if (x_dot[0].defined())
      terms = r_.lagging ? shifted(x_dot[0] * s.y(), r_, r_.backwards, 0) : x_dot[0] * shifted(s.y(), r_, r_.backwards, r_.initial);
    if (has_terms_) terms = detail::plus(terms, x_dot[1]);
    y_dot[0] = linear_recurrence(s.x(0), terms, {r_.dim, r_.backwards, r_.lagging}, terms.made_at());
  }

 private:
  bool is_running_product() const { return !has_terms_ && !r_.backwards && !r_.lagging && r_.initial == 1; }

  LinearRecurrence r_;
  bool has_terms_;
};

}  // namespace

Tensor detail::linear_recurrence(const Tensor& a, const Tensor& b, const LinearRecurrence& r, Location site) {
  const Tensor coefficients = a.constant().contiguous(site), terms = b.defined() ? b.constant().contiguous(site) : b;
  Tensor y = Tensor::uninitialized(a.shape(), a.dtype(), site);
  const kernels::Lines lines = lines_along(a.shape(), r.dim);
  dispatch(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using State = Wide<T>;
    if (y.size() == 0) return;
    const auto run = [&](const auto& plus_term) {
      // A lagging coefficient lies one element back; the first element has none.
      const Index back = r.lagging ? (r.backwards ? -lines.inner : lines.inner) : 0;
      kernels::scan_lines(lines, 3 * kernels::cost::kCopy<T>, r.backwards, static_cast<State>(r.initial), y.mutable_data<T>(),
                          [=, from = coefficients.data<T>()](State state, Index at, Index k) {
                            return plus_term(back != 0 && k == 0 ? state : state * static_cast<State>(from[at - back]), at);
                          });
    };
    if (terms.defined()) {
      run([t = terms.data<T>()](State scaled, Index at) { return scaled + static_cast<State>(t[at]); });
    } else {
      run([](State scaled, Index) { return scaled; });
    }
  });
  if (terms.defined()) return record(Recurrence(r, true), site, {&a, &b}, std::move(y));
  return record(Recurrence(r, false), site, {&a}, std::move(y));
}

}  // namespace wengert
