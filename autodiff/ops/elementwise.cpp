// Elementwise operations, all from the structs of functions.h.
//
//   y = f(x):      x_bar = f.pullback(y_bar, x, y),       y_dot = f.pullback(x_dot, x, y)
//   y = f(a, b):   a_bar = f.left(y_bar, a, b, y),     y_dot = f.left(a_dot, a, b, y) + f.right(b_dot, a, b, y)
//                  b_bar = f.right(y_bar, a, b, y)
//
// Outside recording a rule is one fused loop; while a sweep is recorded, the same formula runs on tensors.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

// The functions that the formulas of functions.h call, for recorded tensors.
template <class F, class B> Tensor where_lazy(const Tensor& condition, F&& f, const B& otherwise) {
  return where(condition, f(), otherwise);
}
template <class F> Tensor evaluate(const F& f, const Tensor& x) { return detail::map(f, x, {}); }
inline Tensor zero_like(const Tensor& x) { return Tensor::zeros(x.shape(), x.dtype()); }

namespace detail {
namespace {

constexpr ValueSet values(fn::Reads reads) {
  return (reads & fn::Reads::a ? input(0) : kNoValues) | (reads & fn::Reads::b ? input(1) : kNoValues) |
         (reads & fn::Reads::y ? output() : kNoValues);
}

template <class F> constexpr bool kHasTail = requires(double y) { F::slope_without_tail(y); };

template <class F> class Map : public Operation {
 public:
  constexpr Map() = default;
  constexpr explicit Map(const F& f) : f_(f) {}
  const char* name() const override { return F::name; }
  const char* latex() const override { return F::latex; }
  ValueSet saved_for(int) const override { return values(F::reads); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = carry(s, y_bar[0]); }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = carry(s, x_dot[0]); }

 private:
  Tensor carry(const Saved& s, const Tensor& m) const {
    if (recording()) return f_.pullback(m, s.x(), s.y());
    const Tensor &x = s.x().defined() ? s.x() : m, &y = s.y().defined() ? s.y() : m;  // stands in for a value that the rule does not read
    Tensor r = Tensor::uninitialized(m.shape(), m.dtype());
    dispatch_floating(m.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto rule = [f = f_](T m, T x, T y) { return f.pullback(m, x, y); };
      if constexpr (kHasTail<F>) {
        if (are_flat(r, m, x, y)) {
          const auto rare = [](T, T, T y) { return F::needs_tail(y); };
          const auto usual = [](T m, T, T y) { return m * F::slope_without_tail(y); };
          return kernels::elementwise_by_blocks(r.size(), data<T>(r), rare, usual, rule, data<T>(m), data<T>(x), data<T>(y));
        }
      }
      elementwise_into<T, T>(r, rule, m, x, y);
    });
    return r;
  }
  [[no_unique_address]] F f_;
};

template <class F> class Zip : public Operation {
 public:
  constexpr Zip() = default;
  constexpr explicit Zip(const F& f) : f_(f) {}
  const char* name() const override { return F::name; }
  const char* latex() const override { return F::latex; }
  ValueSet saved_for(int i) const override { return values(i == 0 ? F::reads_left : F::reads_right); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (x_bar.needs(0)) x_bar[0] = left(s, y_bar[0]);
    if (x_bar.needs(1)) x_bar[1] = right(s, y_bar[0]);
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

 private:
  /// m and the results have the shape of y.
  Tensor left(const Saved& s, const Tensor& m) const {
    if (recording() || F::reads_left == fn::Reads::nothing) return f_.left(m, s.x(0), s.x(1), s.y());
    return carry(s, m, [f = f_](auto m, auto a, auto b, auto y) { return f.left(m, a, b, y); });
  }
  Tensor right(const Saved& s, const Tensor& m) const {
    if (recording() || F::reads_right == fn::Reads::nothing) return f_.right(m, s.x(0), s.x(1), s.y());
    return carry(s, m, [f = f_](auto m, auto a, auto b, auto y) { return f.right(m, a, b, y); });
  }
  template <class Rule> static Tensor carry(const Saved& s, const Tensor& m, Rule&& rule) {
    const auto or_any = [&](const Tensor& t) -> const Tensor& { return t.defined() ? t : m; };
    Tensor r = Tensor::uninitialized(m.shape(), m.dtype());
    dispatch_floating(m.dtype(), [&](auto zero) {
      using T = decltype(zero);
      elementwise_into<T, T>(
          r, [&](T m, T a, T b, T y) { return rule(m, a, b, y); }, m, or_any(s.x(0)), or_any(s.x(1)), or_any(s.y()));
    });
    return r;
  }
  [[no_unique_address]] F f_;
};

/// Whether the function takes int64.
template <class F> constexpr bool kIntegers = requires { F::integers; };

}  // namespace

template <class F> Tensor map(const F& f, const Tensor& x, Location site) {
  if (!(kIntegers<F> && x.dtype() == int64)) check_floating(F::name, x);
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  if constexpr (kIntegers<F>) {
    if (x.dtype() == int64) {
      elementwise_into<std::int64_t, std::int64_t>(
          y, [f](std::int64_t x) { return f.value(x); }, x);
      return y;
    }
  }
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    elementwise_into<T, T>(
        y, [f](T x) { return f.value(x); }, x);
  });
  return record(Map<F>(f), site, {&x}, std::move(y));
}

template <class F> Tensor zip(const F& f, const Tensor& a, const Tensor& b, Location site) {
  check_same_dtype(F::name, a, b);
  if (!(kIntegers<F> && a.dtype() == int64)) check_floating(F::name, a);
  Tensor y = Tensor::uninitialized(broadcast_shape(F::name, a, b), a.dtype(), site);
  if constexpr (kIntegers<F>) {
    if (a.dtype() == int64) {
      elementwise_into<std::int64_t, std::int64_t>(
          y, [f](std::int64_t a, std::int64_t b) { return f.value(a, b); }, a, b);
      return y;
    }
  }
  dispatch_floating(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    elementwise_into<T, T>(
        y, [f](T a, T b) { return f.value(a, b); }, a, b);
  });
  return record(Zip<F>(f), site, {&a, &b}, std::move(y));
}

#define WENGERT_FUNCTION(F, ...) template Tensor map(const fn::F&, const Tensor&, Location);
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, ...) template Tensor zip(const fn::F&, const Tensor&, const Tensor&, Location);
WENGERT_ARITHMETIC(WENGERT_FUNCTION)
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

Tensor add(const Tensor& a, const Tensor& b, Location site) { return zip(fn::Add{}, a, b, site); }

void add_in_place(Tensor& into, const Tensor& x) {
  dispatch_floating(into.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* p = static_cast<T*>(into.elements()->data);
    const T* q = static_cast<const T*>(x.elements()->data);
    if (x.is_row_major()) {
      for (Index i = 0, n = into.size(); i < n; ++i) p[i] += q[i];
    } else {
      kernels::Rows<1>(x.shape(), {&x.strides()}).for_each([&](const auto& offset, Index n, const auto& step) {
        for (Index i = 0; i < n; ++i) *p++ += q[offset[0] + i * step[0]];
      });
    }
  });
}

}  // namespace detail

const Tensor& Operand::as(Dtype dtype) {
  if (tensor_) return *tensor_;
  if (!is_floating(dtype) && value_ != std::trunc(value_))
    throw DtypeError(fmt::format(
        "at {}: the number {} cannot be combined with a tensor of {}; hint: convert the tensor with .to(float32) or .to(float64)",
        to_string(CallSite::of(site)), value_, to_string(dtype)));
  own_ = number_ ? detail::scalar_to_tensor(value_, number_, dtype, site) : Tensor::full({}, value_, dtype, site);
  tensor_ = &own_;
  return own_;
}

namespace {

Dtype common_dtype(const Operand& a, const Operand& b) { return a.is_tensor() ? a.dtype() : b.is_tensor() ? b.dtype() : float64; }

template <class F> Tensor zip(Operand& a, Operand& b) {
  const Dtype dtype = common_dtype(a, b);
  return detail::zip(F{}, a.as(dtype), b.as(dtype), a.site);
}

}  // namespace

#define WENGERT_OPERATOR(F, op)                                         \
  Tensor operator op(Operand a, Operand b) { return zip<fn::F>(a, b); } \
  Tensor& operator op##=(Tensor& a, Operand b) {                        \
    Operand left(a, b.site);                                            \
    return a = zip<fn::F>(left, b);                                     \
  }
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR
#define WENGERT_FUNCTION(F, name) \
  Tensor name(Operand a, Operand b) { return zip<fn::F>(a, b); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert
