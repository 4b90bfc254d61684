#pragma once
// Elementwise operations, all from the structs of functions.h.
//
//   y = f(x):      x_bar = f.pullback(y_bar, x, y),       y_dot = f.pullback(x_dot, x, y)
//   y = f(a, b):   a_bar = f.left(y_bar, a, b, y),     y_dot = f.left(a_dot, a, b, y) + f.right(b_dot, a, b, y)
//                  b_bar = f.right(y_bar, a, b, y)
//
// Outside recording a rule is one fused loop; while a sweep is recorded, the same formula runs on tensors, or is one operation if the
// function has higher derivatives (functions/higher_derivatives.h). The functions of each list of functions.h are instantiated in a file of
// their own (elementwise_*.cpp).
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "autodiff/functions/element.h"
#include "autodiff/functions/higher_derivatives.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/elementwise_operation.h"
#include "autodiff/ops/product_sum.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

// What the formulas of functions.h call, while a sweep is recorded.
template <class F, class B> Tensor where_lazy(const Tensor& condition, F&& f, const B& otherwise) {
  return where(condition, f(), otherwise);
}
template <class F> Tensor evaluate(const F& f, const Tensor& x) { return detail::map(f, x, {}); }
inline Tensor zero_like(const Tensor& x) { return Tensor::zeros(x.shape(), x.dtype()); }

namespace detail {

constexpr ValueSet values(fn::Reads reads) {
  return (reads & fn::Reads::a ? input(0) : kNoValues) | (reads & fn::Reads::b ? input(1) : kNoValues) |
         (reads & fn::Reads::y ? output() : kNoValues);
}

/// Whether the function takes int64.
template <class F> constexpr bool kIntegers = requires { F::integers; };

/// What a loop over the function or one of its rules takes for a float, in nanoseconds (kernels/blocks.h).
template <class F> struct Cost {
  static constexpr double ns = kIntegers<F> ? kernels::cost::kCopy<float> : kernels::cost::kFormula<float>;
};
#define WENGERT_COST(F, NS) \
  template <> struct Cost<fn::F> { static constexpr double ns = kernels::cost::NS; };
WENGERT_COST(Sqrt, kCopy<float>)
WENGERT_COST(Rsqrt, kCopy<float>)
WENGERT_COST(Reciprocal, kCopy<float>)
WENGERT_COST(Floor, kCopy<float>)
WENGERT_COST(Ceil, kCopy<float>)
WENGERT_COST(Round, kCopy<float>)
WENGERT_COST(Step, kCopy<float>)
WENGERT_COST(Softsign, kCopy<float>)
WENGERT_COST(HardSigmoid, kCopy<float>)
WENGERT_COST(HardSwish, kCopy<float>)
WENGERT_COST(Relu6, kCopy<float>)
WENGERT_COST(LeakyRelu, kCopy<float>)
WENGERT_COST(Clamp, kCopy<float>)
WENGERT_COST(Hardtanh, kCopy<float>)
WENGERT_COST(Softshrink, kCopy<float>)
WENGERT_COST(Divide, kCopy<float>)
WENGERT_COST(Pow, kScalarCall)
WENGERT_COST(Lgamma, kScalarCall)
WENGERT_COST(Digamma, kScalarCall)
WENGERT_COST(Polygamma, kScalarCall)
#undef WENGERT_COST

template <class F> constexpr bool kHasTail = requires(double y) { F::slope_without_tail(y); };

/// The function of T's that a formula on elements stands for.
template <class T, class Formula> auto on_elements(Formula formula) {
  return [formula](auto... x) __attribute__((always_inline))->T { return formula(fn::Element<T>{x}...).v; };
}

/// The loop of y = f(x) for floating T.
template <class T, class F> auto value_loop(const F& f) {
  const auto value = on_elements<T>([f](auto x) __attribute__((always_inline)) { return f.value(x); });
  if constexpr (fn::kHoldsInPart<F>) {
    const auto far = [](T x) __attribute__((always_inline)) { return fn::is_beyond<F>(x); };
    const auto anywhere = [ f, value ](T x) __attribute__((always_inline)) { return fn::is_beyond<F>(x) ? f.value(x) : value(x); };
    return kernels::costing<Cost<F>>(kernels::dense_loop_by_blocks<T, T>(far, value, anywhere));
  } else {
    return kernels::costing<Cost<F>>(kernels::dense_loop<T, T>(value));
  }
}

/// The loop that `make` makes of a Polygamma, from orders that the compiler knows if there is a formula.
template <class Make> auto loop_of_order(const fn::Polygamma& f, Make make) {
  const auto zero = make(fn::PolygammaOfOrder<0>{0});
  const auto one = make(fn::PolygammaOfOrder<1>{1});
  const auto two = make(fn::PolygammaOfOrder<2>{2});
  const auto any = make(f);
  return kernels::costing<Cost<fn::Polygamma>>([n = f.n, zero, one, two, any](const kernels::ElementwiseRows& r) {
    if (n == 0) return zero(r);
    if (n == 1) return one(r);
    return n == 2 ? two(r) : any(r);
  });
}

/// The numbers that the object of a function holds, and the object again.
template <class F> std::array<double, 2> numbers_of(const F& f) {
  if constexpr (std::is_empty_v<F>) {
    return {};
  } else if constexpr (sizeof(F) == sizeof(double)) {
    return {std::bit_cast<double>(f), 0};
  } else {
    return std::bit_cast<std::array<double, 2>>(f);
  }
}
template <class F> F function_of(const std::array<double, 2>& numbers) {
  if constexpr (std::is_empty_v<F>) {
    return F{};
  } else if constexpr (sizeof(F) == sizeof(double)) {
    return std::bit_cast<F>(numbers[0]);
  } else {
    return std::bit_cast<F>(numbers);
  }
}

/// y = f(x...) on the best instruction set however few the elements are, for calls that are made again and again.
template <class F, class... X> void call_function(const F& f, Index n, float* __restrict y, const X*... x) {
  const auto value = on_elements<float>([f](auto... v) __attribute__((always_inline)) { return f.value(v...); });
  kernels::run_elements<float>([&]() __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) {
      if constexpr (fn::kHoldsInPart<F>) {
        y[i] = (fn::is_beyond<F>(x[i]) || ...) ? f.value(x[i]...) : value(x[i]...);
      } else {
        y[i] = value(x[i]...);
      }
    }
  });
}

/// The loop of a rule of one operand, r = f.pullback(m, x, y).
template <class T, class F> auto pullback_loop(const F& f) {
  const auto rule = on_elements<T>([f](auto m, auto x, auto y) __attribute__((always_inline)) { return fn::pullback(f, m, x, y); });
  if constexpr (kHasTail<F>) {
    const auto rare = [](T, T, T y) __attribute__((always_inline)) { return F::needs_tail(fn::Element<T>{y}); };
    const auto usual = on_elements<T>([](auto m, auto, auto y) __attribute__((always_inline)) { return m * F::slope_without_tail(y); });
    return kernels::costing<Cost<F>>(kernels::dense_loop_by_blocks<T, T, T, T>(rare, usual, rule));
  } else if constexpr (fn::kHoldsInPart<F> && (F::reads & fn::Reads::x)) {
    const auto far = [](T, T x, T) __attribute__((always_inline)) { return fn::is_beyond<F>(x); };
    const auto anywhere = [ f, rule ](T m, T x, T y) __attribute__((always_inline)) {
      return fn::is_beyond<F>(x) ? f.pullback(m, x, y) : rule(m, x, y);
    };
    return kernels::costing<Cost<F>>(kernels::dense_loop_by_blocks<T, T, T, T>(far, rule, anywhere));
  } else {
    return kernels::costing<Cost<F>>(kernels::dense_loop<T, T, T, T>(rule));
  }
}

/// m f'(x), where y = f(x) if the rule reads it: one operation, whose rules of the next two orders are single loops as well
/// (times_derivative.cpp).
template <class F> Tensor times_derivative(const Tensor& m, const Tensor& x, const Tensor& y);

template <class F> class Map : public ElementwiseOperation {
 public:
  constexpr Map() = default;
  constexpr explicit Map(const F& f) : f_(f) {}
  const char* name() const override { return F::name; }
  const char* latex() const override { return F::latex; }
  ValueSet saved_for(int) const override { return values(F::reads); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = carry(s, y_bar[0]); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = carry(s, x_dot[0]); }
  bool recompute(std::span<const Tensor> x, std::span<Tensor> y) const override {
    y[0] = map(f_, x[0], {});
    return true;
  }
  ElementwiseCall call() const override {
    return [](const std::array<double, 2>& numbers, Index n, const float* const* x, float* y) {
      call_function(function_of<F>(numbers), n, y, x[0]);
    };
  }
  std::array<double, 2> numbers() const override { return numbers_of(f_); }

 private:
  Tensor carry(const Saved& s, const Tensor& m) const {
    if (recording()) {
      if constexpr (fn::kHasHigherDerivatives<F>) {
        return times_derivative<F>(m, s.x(), s.y());
      } else {
        return f_.pullback(m, s.x(), s.y());
      }
    }
    if constexpr (std::is_same_v<F, fn::Polygamma>) {
      return apply_rule(m, {&m, &s.x(), &s.y()}, loop_of_order(f_, [](const auto& f) { return pullback_loop<float>(f); }),
                        loop_of_order(f_, [](const auto& f) { return pullback_loop<double>(f); }));
    } else {
      return apply_rule(m, {&m, &s.x(), &s.y()}, pullback_loop<float>(f_), pullback_loop<double>(f_));
    }
  }
  [[no_unique_address]] F f_;
};

/// The exponent of a power if it is one number for which straight::pow is a product or the inverse; else 0.
inline int small_exponent(const Tensor& b) {
  if (b.size() != 1) return 0;
  const double exponent = b.element(0);
  return exponent >= -1 && exponent <= 4 && exponent == std::floor(exponent) ? static_cast<int>(exponent) : 0;
}
/// with(k) for the exponent as a constant, of which the compiler makes a product in the formulas of Pow.
template <class With> auto with_exponent(int exponent, const With& with) {
  switch (exponent) {
    case -1:
      return with(std::integral_constant<int, -1>());
    case 1:
      return with(std::integral_constant<int, 1>());
    case 2:
      return with(std::integral_constant<int, 2>());
    case 3:
      return with(std::integral_constant<int, 3>());
    default:
      return with(std::integral_constant<int, 4>());
  }
}
/// y = a^exponent
inline void write_small_powers(int exponent, const Tensor& a, Tensor& y) {
  with_exponent(exponent, [&](auto k) {
    const auto value = [](auto a) __attribute__((always_inline)) { return fn::Pow().value(a, decltype(a){decltype(k)::value}); };
    floating_into(y, {&a}, kernels::dense_loop<float, float>(on_elements<float>(value)),
                  kernels::dense_loop<double, double>(on_elements<double>(value)));
  });
}
/// The left rule of Pow.
inline Tensor slope_of_small_power(int exponent, const Tensor& m, const Tensor& a) {
  return with_exponent(exponent, [&](auto k) {
    const auto rule = [](auto m, auto a) __attribute__((always_inline)) {
      return fn::Pow().left(m, a, decltype(a){decltype(k)::value}, a);  // reads no y
    };
    return apply_rule(m, {&m, &a}, kernels::dense_loop<float, float, float>(on_elements<float>(rule)),
                      kernels::dense_loop<double, double, double>(on_elements<double>(rule)));
  });
}

/// The loop of a rule of F, which has two operands.
template <class T, class F, class Rule> auto partial_loop(Rule rule) {
  return kernels::costing<Cost<F>>(kernels::dense_loop<T, T, T, T, T>(on_elements<T>(rule)));
}

template <class F> class Zip : public ElementwiseOperation {
 public:
  constexpr Zip() = default;
  constexpr explicit Zip(const F& f) : f_(f) {}
  const char* name() const override { return F::name; }
  const char* latex() const override { return F::latex; }
  ValueSet saved_for(int i) const override { return values(i == 0 ? F::reads_left : F::reads_right); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    for (int i = 0; i < 2; ++i) {
      if (!x_bar.needs(i)) continue;
      if constexpr (std::is_same_v<F, fn::Multiply>) {
        if (!recording() && s.x_shape(i).size() < y_bar[0].size()) x_bar[i] = sum_of_products(y_bar[0], s.x(1 - i), s.x_shape(i));
      }
      if (!x_bar[i].defined()) x_bar[i] = i == 0 ? left(s, y_bar[0]) : right(s, y_bar[0]);
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const auto whole = [&](const Tensor& dot) { return expand(dot, s.y_shape()); };
    if (!x_dot[1].defined()) {
      y_dot[0] = left(s, whole(x_dot[0]));
    } else if (!x_dot[0].defined()) {
      y_dot[0] = right(s, whole(x_dot[1]));
    } else {
      y_dot[0] = left(s, whole(x_dot[0])) + right(s, whole(x_dot[1]));
    }
  }
  bool recompute(std::span<const Tensor> x, std::span<Tensor> y) const override {
    y[0] = zip(f_, x[0], x[1], {});
    return true;
  }
  ElementwiseCall call() const override {
    return [](const std::array<double, 2>& numbers, Index n, const float* const* x, float* y) {
      call_function(function_of<F>(numbers), n, y, x[0], x[1]);
    };
  }
  std::array<double, 2> numbers() const override { return numbers_of(f_); }

 private:
  /// m has the shape of the result; so has what these return.
  Tensor left(const Saved& s, const Tensor& m) const {
    if constexpr (std::is_same_v<F, fn::Pow>) {
      if (const int exponent = small_exponent(s.x(1)); exponent != 0 && s.x_shape(0) == s.y_shape()) {
        if (!recording()) return slope_of_small_power(exponent, m, s.x(0));
        if (s.x(1).number() == 0) return m * exponent * pow(s.x(0), exponent - 1);
      }
    }
    if (F::reads_left == fn::Reads::nothing || recording()) return f_.left(m, s.x(0), s.x(1), s.y());
    const auto rule = [f = f_](auto m, auto a, auto b, auto y) __attribute__((always_inline)) { return fn::left(f, m, a, b, y); };
    return apply_rule(m, {&m, &s.x(0), &s.x(1), &s.y()}, partial_loop<float, F>(rule), partial_loop<double, F>(rule));
  }
  Tensor right(const Saved& s, const Tensor& m) const {
    if (F::reads_right == fn::Reads::nothing || recording()) return f_.right(m, s.x(0), s.x(1), s.y());
    const auto rule = [f = f_](auto m, auto a, auto b, auto y) __attribute__((always_inline)) { return fn::right(f, m, a, b, y); };
    return apply_rule(m, {&m, &s.x(0), &s.x(1), &s.y()}, partial_loop<float, F>(rule), partial_loop<double, F>(rule));
  }
  [[no_unique_address]] F f_;
};

template <class F> Tensor map(const F& f, const Tensor& x, Location site) {
  const CallSite scope(site);
  if (!(kIntegers<F> && x.dtype() == int64)) check_floating(F::name, x);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  if constexpr (kIntegers<F>) {
    if (x.dtype() == int64) {
      elementwise_into<std::int64_t, std::int64_t>(
          y, [f](std::int64_t x) { return f.value(x); }, x);
      return y;
    }
  }
  if constexpr (std::is_same_v<F, fn::Polygamma>) {
    floating_into(y, {&x}, loop_of_order(f, [](const auto& g) { return value_loop<float>(g); }),
                  loop_of_order(f, [](const auto& g) { return value_loop<double>(g); }));
  } else {
    floating_into(y, {&x}, value_loop<float>(f), value_loop<double>(f));
  }
  return record(Map<F>(f), site, {&x}, std::move(y));
}

/// The loop of a function of two operands.
template <class F, class T, class Value> auto zip_loop(const Value& value) {
  if constexpr (std::is_same_v<F, fn::Pow>) {
    return kernels::dense_loop_of_copies<T>(on_elements<T>(value));
  } else {
    return kernels::dense_loop<T, T, T>(on_elements<T>(value));
  }
}

template <class F> Tensor zip(const F& f, const Tensor& a, const Tensor& b, Location site) {
  check_same_dtype(F::name, a, b);
  if (!(kIntegers<F> && a.dtype() == int64)) check_floating(F::name, a);
  Tensor y = Tensor::uninitialized(broadcast_shape(F::name, a, b), a.dtype(), site);
  const auto value = [f](auto a, auto b) __attribute__((always_inline)) { return f.value(a, b); };
  if constexpr (kIntegers<F>) {
    if (a.dtype() == int64) {
      elementwise_into<std::int64_t, std::int64_t>(y, value, a, b);
      return y;
    }
  }
  if constexpr (std::is_same_v<F, fn::Pow>) {
    if (const int exponent = small_exponent(b); exponent != 0 && y.shape() == a.shape()) {
      write_small_powers(exponent, a, y);
      return record(Zip<F>(f), site, {&a, &b}, std::move(y));
    }
  }
  floating_into(y, {&a, &b}, kernels::costing<Cost<F>>(zip_loop<F, float>(value)), kernels::costing<Cost<F>>(zip_loop<F, double>(value)));
  return record(Zip<F>(f), site, {&a, &b}, std::move(y));
}

// Each is instantiated in one file, with the macro that is left defined.
#define WENGERT_MAP(F, ...) template Tensor map(const fn::F&, const Tensor&, Location);
#define WENGERT_ZIP(F, ...) template Tensor zip(const fn::F&, const Tensor&, const Tensor&, Location);
#define WENGERT_EXTERN_MAP(F, ...) extern WENGERT_MAP(F)
#define WENGERT_EXTERN_ZIP(F, ...) extern WENGERT_ZIP(F)
WENGERT_UNARY_FUNCTIONS(WENGERT_EXTERN_MAP)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_EXTERN_MAP)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_EXTERN_MAP)
WENGERT_ARITHMETIC(WENGERT_EXTERN_ZIP)
WENGERT_BINARY_FUNCTIONS(WENGERT_EXTERN_ZIP)
#undef WENGERT_EXTERN_MAP
#undef WENGERT_EXTERN_ZIP

}  // namespace detail
}  // namespace wengert
