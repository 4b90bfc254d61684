// m f'(x) and m f''(x) as operations: the rules of tanh, sigmoid, silu and gelu in recorded sweeps.
//
//   r = m f'(x):     m_bar = r_bar f'(x),    x_bar = r_bar m f''(x),    r_dot = m_dot f'(x) + m x_dot f''(x)
//   r = m f''(x):    m_bar = r_bar f''(x),   x_bar = r_bar m f'''(x),   ...
//
// A rule that is recorded is the operation of the next order. From the third on it is recorded by its formula, which holds for any order.
#include "autodiff/ops/elementwise.h"
#include "autodiff/tape/records.h"

namespace wengert::detail {
namespace {

template <class F> constexpr bool kReadsY = (F::reads & fn::Reads::y);

// f', f'' or f''' from x, y and, if it reads it, the slope.
template <class F, int order, class X> WENGERT_INLINE auto derivative(const X& x, const X& y, const X& slope) {
  if constexpr (order == 1) {
    return slope;
  } else if constexpr (order == 2) {
    return fn::HigherDerivatives<F>::second(x, y, slope);
  } else {
    return fn::HigherDerivatives<F>::third(x, y, slope);
  }
}

// The loop of r = m... f^(order)(x) with one or two factors m.
template <class T, class F, int order, class... Factor> auto loop() {
  using E = fn::Element<T>;
  const auto rule = [](T x, T y, Factor... m) __attribute__((always_inline)) {
    E slope{};
    if constexpr (order == 1 || fn::HigherDerivatives<F>::kReadsSlope) slope = fn::pullback(F{}, E{1}, E{x}, E{y});
    return (derivative<F, order>(E{x}, E{y}, slope) * ... * E{m}).v;
  };
  if constexpr (kHasTail<F>) {
    const auto rare = [](T, T y, Factor...) __attribute__((always_inline)) { return F::needs_tail(E{y}); };
    const auto usual = [](T x, T y, Factor... m) __attribute__((always_inline)) {
      return (derivative<F, order>(E{x}, E{y}, F::slope_without_tail(E{y})) * ... * E{m}).v;
    };
    return kernels::dense_loop_by_blocks<T, T, T, Factor...>(rare, usual, rule);
  } else {
    return kernels::dense_loop<T, T, T, Factor...>(rule);
  }
}
template <class F, int order> Tensor product(const Tensor& m, const Tensor& x, const Tensor& y) {
  return apply_rule(m, {&x, &y, &m}, loop<float, F, order, float>(), loop<double, F, order, double>());
}
template <class F, int order> Tensor product(const Tensor& m, const Tensor& n, const Tensor& x, const Tensor& y) {
  return apply_rule(m, {&x, &y, &m, &n}, loop<float, F, order, float, float>(), loop<double, F, order, double, double>());
}

template <class F, int order> Tensor recorded(const Tensor& m, const Tensor& x, const Tensor& y);

template <class F, int order> class TimesDerivative : public Operation {  // inputs: m, x
 public:
  explicit TimesDerivative(const Tensor& y) : y_(y) {}
  const char* name() const override { return order == 1 ? fn::HigherDerivatives<F>::first_name : fn::HigherDerivatives<F>::second_name; }
  ValueSet saved_for(int i) const override { return i == 0 ? input(1) : input(0) | input(1); }
  void vjp(const Saved& s, std::span<const Tensor> r_bar, Cotangents& bar) const override {
    if (bar.needs(0)) bar[0] = carry<order>(r_bar[0], s.x(1));
    if (!bar.needs(1)) return;
    bar[1] = recording() ? recorded<F, order + 1>(r_bar[0] * s.x(0), s.x(1), y_) : product<F, order + 1>(r_bar[0], s.x(0), s.x(1), y_);
  }
  void jvp(const Saved& s, std::span<const Tensor> dot, std::span<Tensor> r_dot) const override {
    if (dot[0].defined()) r_dot[0] = carry<order>(dot[0], s.x(1));
    if (dot[1].defined()) r_dot[0] = plus(r_dot[0], carry<order + 1>(s.x(0) * dot[1], s.x(1)));
  }

 private:
  template <int n> Tensor carry(const Tensor& m, const Tensor& x) const {
    return recording() ? recorded<F, n>(m, x, y_) : product<F, n>(m, x, y_);
  }

  Tensor y_;  // of f, a constant; undefined if its rule does not read it
};

// m times f', f'' or f''', recorded.
template <class F, int order> Tensor recorded(const Tensor& m, const Tensor& x, const Tensor& y) {
  if constexpr (order <= 2) {
    return record(TimesDerivative<F, order>(y.constant()), {}, {&m, &x}, product<F, order>(m, x, y));
  } else {
    Tensor f, slope;
    if constexpr (kReadsY<F>) f = map(F{}, x, {});
    if constexpr (fn::HigherDerivatives<F>::kReadsSlope) slope = F{}.pullback(Tensor::ones({}, x.dtype()), x, f);
    return m * derivative<F, order>(x, f, slope);
  }
}

}  // namespace

template <class F> Tensor times_derivative(const Tensor& m, const Tensor& x, const Tensor& y) { return recorded<F, 1>(m, x, y); }
template Tensor times_derivative<fn::Tanh>(const Tensor&, const Tensor&, const Tensor&);
template Tensor times_derivative<fn::Sigmoid>(const Tensor&, const Tensor&, const Tensor&);
template Tensor times_derivative<fn::Silu>(const Tensor&, const Tensor&, const Tensor&);
template Tensor times_derivative<fn::Gelu>(const Tensor&, const Tensor&, const Tensor&);

}  // namespace wengert::detail
