// Every row of the lists of functions.h, on scalars and tensors in both dtypes: values against the references in long double, slopes
// against differences of values, reverse against forward mode, second and third orders, and the operands that a rule declares to read. Then
// the points at which a function has a kink, a pole or a corner, by the numbers of the project's table of edge cases.
#include <autodiff/autodiff.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "tests/support/accuracy.h"
#include "tests/support/reference_functions.h"

using namespace wengert;
using fn::Reads;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ---- dual numbers: a second value type for the formulas --------------------------------------------------------------------------------

struct Dual {
  Dual(double v, double d = 0) : v(v), d(d) {}
  double v, d;
};
Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }
Dual operator-(Dual a) { return {-a.v, -a.d}; }
bool operator<(Dual a, Dual b) { return a.v < b.v; }
bool operator<=(Dual a, Dual b) { return a.v <= b.v; }
bool operator>(Dual a, Dual b) { return a.v > b.v; }
bool operator>=(Dual a, Dual b) { return a.v >= b.v; }
bool operator==(Dual a, Dual b) { return a.v == b.v; }
Dual zero_like(Dual) { return 0; }
template <class F> Dual evaluate(const F& f, Dual x) {
  const double y = f.value(x.v);
  return {y, f.pullback(x.d, x.v, y)};
}
template <class F> Dual evaluate(const F& f, Dual a, Dual b) {
  const double y = f.value(a.v, b.v);
  return {y, f.left(a.d, a.v, b.v, y) + f.right(b.d, a.v, b.v, y)};
}
#define WENGERT_FUNCTION(F, name, ...) \
  [[maybe_unused]] Dual name(Dual x) { return evaluate(fn::F{}, x); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) \
  [[maybe_unused]] Dual name(Dual a, Dual b) { return evaluate(fn::F{}, a, b); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

// ---- the rows, their types erased ------------------------------------------------------------------------------------------------------

struct UnaryRow {
  const char* name;
  fn::Interval smooth;
  Reads reads;
  double (*value)(double x);
  double (*pullback)(double m, double x, double y);
  float (*pullback_in_float)(float m, float x, float y);
  Dual (*pullback_of_dual)(Dual m, Dual x, Dual y);
  Tensor (*on_tensor)(const Tensor& x);
  Scalar (*on_scalar)(const Scalar& x);
};
template <class F> UnaryRow unary_row(Tensor (*on_tensor)(const Tensor&), Scalar (*on_scalar)(const Scalar&)) {
  return {F::name,
          F::smooth,
          F::reads,
          [](double x) { return static_cast<double>(F{}.value(x)); },
          [](double m, double x, double y) { return static_cast<double>(F{}.pullback(m, x, y)); },
          [](float m, float x, float y) { return static_cast<float>(F{}.pullback(m, x, y)); },
          [](Dual m, Dual x, Dual y) -> Dual { return F{}.pullback(m, x, y); },
          on_tensor,
          on_scalar};
}

struct BinaryRow {
  const char* name;
  fn::Interval smooth;
  Reads reads_left, reads_right;
  double (*value)(double a, double b);
  double (*left)(double m, double a, double b, double y);
  double (*right)(double m, double a, double b, double y);
  Dual (*left_of_dual)(Dual m, Dual a, Dual b, Dual y);
  Tensor (*on_tensors)(const Tensor& a, const Tensor& b);
  Scalar (*on_scalars)(const Scalar& a, const Scalar& b);
  Scalar (*with_number)(const Scalar& a, double b);
};
template <class F> BinaryRow binary_row(Tensor (*on_tensors)(const Tensor&, const Tensor&),
                                        Scalar (*on_scalars)(const Scalar&, const Scalar&), Scalar (*with_number)(const Scalar&, double)) {
  return {F::name,
          F::smooth,
          F::reads_left,
          F::reads_right,
          [](double a, double b) { return static_cast<double>(F{}.value(a, b)); },
          [](double m, double a, double b, double y) { return static_cast<double>(F{}.left(m, a, b, y)); },
          [](double m, double a, double b, double y) { return static_cast<double>(F{}.right(m, a, b, y)); },
          [](Dual m, Dual a, Dual b, Dual y) -> Dual { return F{}.left(m, a, b, y); },
          on_tensors,
          on_scalars,
          with_number};
}

// ---- helpers ---------------------------------------------------------------------------------------------------------------------------

std::vector<double> draw(std::size_t n, double low, double high, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> x(n);
  for (double& v : x) v = uniform(random);
  return x;
}
Tensor vector_of(const std::vector<double>& x, Dtype dtype = float64) { return Tensor::from(x).to(dtype); }

// |a - e| <= tolerance (1 + |e|), and both NaN or the same infinity otherwise; in every element.
void check_close(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance, const char* what) {
  BOOST_REQUIRE_EQUAL(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i], e = expected[i];
    const bool close = std::isfinite(e) ? std::abs(a - e) <= tolerance * (1 + std::abs(e)) : (a == e || (std::isnan(a) && std::isnan(e)));
    BOOST_CHECK_MESSAGE(close, fmt::format("{} [{}]: got {}, expected {}", what, i, a, e));
  }
}
void check_close(const Tensor& actual, const std::vector<double>& expected, double tolerance, const char* what) {
  check_close(actual.to_vector<double>(), expected, tolerance, what);
}
// The same to the bit, but for the sign of a zero and a NaN's payload.
void check_same(const std::vector<double>& actual, const std::vector<double>& expected, const char* what) {
  check_close(actual, expected, 0, what);
}
void check_same(const Tensor& actual, const std::vector<double>& expected, const char* what) {
  check_same(actual.to_vector<double>(), expected, what);
}
double inner(const Tensor& a, const Tensor& b) { return sum(a.to(float64) * b.to(float64)).item(); }

// The recorded gradient; 0 if the target is a constant.
Tensor recorded_gradient(Tape& tape, const Tensor& target, const Tensor& source) {
  if (target.number() == 0) return Tensor::zeros(source.shape(), source.dtype());
  return tape.gradient(target, std::span(&source, 1), {.differentiable = true, .unreached = Unreached::zero})[0];
}

// The first three derivatives of an elementwise function.
std::vector<Tensor> derivatives(const UnaryRow& f, const std::vector<double>& at) {
  Tape tape;
  const Tensor x = tape.variable(vector_of(at));
  std::vector<Tensor> d;
  Tensor y = f.on_tensor(x);
  for (int k = 0; k < 3; ++k) d.push_back(y = recorded_gradient(tape, sum(y), x));
  for (Tensor& t : d) t = t.constant();
  return d;
}

std::vector<double> shifted(std::vector<double> x, double by) {
  for (double& v : x) v += by;
  return x;
}
// (g(x + h) - g(x - h)) / 2h to the fourth order.
std::vector<double> differences(const std::vector<double>& x, const std::function<std::vector<double>(const std::vector<double>&)>& g) {
  constexpr double h = 2e-3;
  const auto quotient = [&](double step) {
    auto up = g(shifted(x, step));
    const auto down = g(shifted(x, -step));
    for (std::size_t i = 0; i < up.size(); ++i) up[i] = (up[i] - down[i]) / (2 * step);
    return up;
  };
  auto fine = quotient(h / 2);
  const auto coarse = quotient(h);
  for (std::size_t i = 0; i < fine.size(); ++i) fine[i] = (4 * fine[i] - coarse[i]) / 3;
  return fine;
}

// ---- functions of one operand ----------------------------------------------------------------------------------------------------------

void check_values(const UnaryRow& f, const std::vector<double>& x) {
  const auto* reference = reference::find(reference::unary(), f.name);
  BOOST_REQUIRE_MESSAGE(reference, f.name << " has no row in tests/support/reference_functions.h");
  std::vector<double> y, expected, on_scalars;
  for (double v : x) {
    y.push_back(f.value(v));
    expected.push_back(static_cast<double>(reference->value(v)));
    on_scalars.push_back(f.on_scalar(Scalar(v)).value());
  }
  check_close(y, expected, 4e-15, "value");
  check_close(f.on_tensor(vector_of(x)), expected, 4e-15, "value on tensors");
  check_same(on_scalars, y, "value on scalars");
}

std::vector<double> slopes(const UnaryRow& f, const std::vector<double>& x, const std::vector<double>& m) {
  std::vector<double> s;
  for (std::size_t i = 0; i < x.size(); ++i) s.push_back(f.pullback(m[i], x[i], f.value(x[i])));
  return s;
}

void check_slopes(const UnaryRow& f, const std::vector<double>& x, const std::vector<double>& w) {
  const auto* reference = reference::find(reference::unary(), f.name);
  std::vector<double> by_differences, on_scalars;
  for (std::size_t i = 0; i < x.size(); ++i) {
    by_differences.push_back(w[i] * static_cast<double>(reference::slope(reference->value, x[i])));
    Tape tape;
    const Scalar v = tape.variable(x[i]);
    on_scalars.push_back(tape.gradient(Scalar(w[i] * f.on_scalar(v)), wrt(v), {.unreached = Unreached::zero}));
  }
  check_close(slopes(f, x, w), by_differences, 1e-9, "slope");
  check_close(on_scalars, by_differences, 1e-9, "slope on scalars");
}

// Reverse and forward mode: both are the slope, and <w, J v> = <J^T w, v>.
void check_both_modes(const UnaryRow& f, const std::vector<double>& at, Dtype dtype) {
  const Tensor w = vector_of(draw(at.size(), -2, 2, 5), dtype), v = vector_of(draw(at.size(), -2, 2, 6), dtype);
  Tape tape;
  const Tensor x = tape.variable(vector_of(at, dtype));
  const Tensor y = f.on_tensor(x);
  BOOST_CHECK(y.dtype() == dtype);
  const Tensor forward = tape.jvp(y, wrt(x), {v});
  const Tensor reverse = tape.gradient(y, wrt(x), {.seed = w, .unreached = Unreached::zero});
  const double tolerance = dtype == float64 ? 1e-13 : 1e-5;
  const auto rounded = x.to_vector<double>();
  check_close(forward, slopes(f, rounded, v.to_vector<double>()), tolerance, "forward mode");
  check_close(reverse, slopes(f, rounded, w.to_vector<double>()), tolerance, "reverse mode");
  BOOST_CHECK_SMALL(inner(w, forward) - inner(reverse, v), tolerance * (1 + std::abs(inner(w, forward))) * static_cast<double>(at.size()));
}

void check_float32(const UnaryRow& f, const std::vector<double>& at) {
  const Tensor x = vector_of(at, float32);
  const auto rounded = x.to_vector<double>();
  std::vector<double> y;
  for (double v : rounded) y.push_back(f.value(v));
  check_close(f.on_tensor(x), y, 1e-6, "value in float32");
  for (std::size_t i = 0; i < rounded.size(); ++i) {
    const auto narrow = f.pullback_in_float(1.0f, static_cast<float>(rounded[i]), static_cast<float>(y[i]));
    check_close(std::vector<double>{narrow}, {f.pullback(1, rounded[i], y[i])}, 1e-5, "slope in float32");
  }
}

void check_higher_orders(const UnaryRow& f, const std::vector<double>& x) {
  const std::vector<double> ones(x.size(), 1.0);
  const auto d = derivatives(f, x);
  check_close(d[0], slopes(f, x, ones), 1e-13, "recorded slope");
  check_close(d[1], differences(x, [&](const auto& at) { return slopes(f, at, ones); }), 1e-7, "second derivative");
  check_close(d[2], differences(x, [&](const auto& at) { return derivatives(f, at)[1].template to_vector<double>(); }), 1e-6,
              "third derivative");
  std::vector<double> by_duals, by_scalars;
  for (double v : x) {
    const double y = f.value(v);
    by_duals.push_back(f.pullback_of_dual(1, {v, 1}, {y, f.pullback(1, v, y)}).d);
    Tape tape({.higher_order = true});
    const Scalar s = tape.variable(v);
    const Scalar slope = tape.differentiable_gradient(Scalar(f.on_scalar(s) + s * s), s);
    by_scalars.push_back(tape.gradient(slope, s) - 2);
  }
  check_close(by_duals, d[1].to_vector<double>(), 1e-12, "second derivative by dual numbers");
  check_close(by_scalars, d[1].to_vector<double>(), 1e-12, "second derivative on scalars");
}

// The result must not depend on values that the rule declares not to read.
void check_reads(const UnaryRow& f, const std::vector<double>& at) {
  for (double x : at) {
    const double y = f.value(x), expected = f.pullback(1.5, x, y);
    BOOST_CHECK_EQUAL(f.pullback(1.5, f.reads & Reads::x ? x : kNaN, f.reads & Reads::y ? y : kNaN), expected);
    BOOST_CHECK_EQUAL(f.pullback(0, x, y), 0);
  }
}

void check_special_inputs(const UnaryRow& f, const std::vector<double>& at) {
  BOOST_CHECK(std::isnan(f.value(kNaN)));
  BOOST_CHECK(std::isnan(f.on_tensor(vector_of({kNaN}, float32)).item()));
  BOOST_CHECK(f.on_tensor(Tensor::zeros({0, 3}, float64)).shape() == Shape({0, 3}));
  const Tensor x = reshape(vector_of(at), {2, -1});
  check_same(transpose(f.on_tensor(transpose(x))).contiguous(), f.on_tensor(x).to_vector<double>(), "not contiguous");
  BOOST_CHECK_EQUAL(f.on_tensor(select(vector_of(at), 0, 1)).item(), f.on_tensor(vector_of(at)).element(1));
  BOOST_CHECK_THROW(f.on_tensor(Tensor::zeros({2}, boolean)), DtypeError);
}

void check(const UnaryRow& f) {
  BOOST_TEST_INFO_SCOPE(f.name);
  const auto x = draw(12, f.smooth.low, f.smooth.high, 1), w = draw(12, -2, 2, 2);
  check_values(f, x);
  check_slopes(f, x, w);
  check_both_modes(f, x, float64);
  check_both_modes(f, x, float32);
  check_float32(f, x);
  check_higher_orders(f, x);
  check_reads(f, x);
  check_special_inputs(f, x);
}

// ---- functions of two operands ---------------------------------------------------------------------------------------------------------

void check_scalars_and_tensors(const BinaryRow& f, const std::vector<double>& a, const std::vector<double>& b) {
  const auto* reference = reference::find(reference::binary(), f.name);
  BOOST_REQUIRE_MESSAGE(reference, f.name << " has no row in tests/support/reference_functions.h");
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double y = f.value(a[i], b[i]);
    check_close({y}, {static_cast<double>(reference->value(a[i], b[i]))}, 4e-15, "value");
    check_close(f.on_tensors(vector_of({a[i]}), vector_of({b[i]})), {static_cast<double>(reference->value(a[i], b[i]))}, 4e-15,
                "value on tensors");
    const std::vector<double> expected{
        static_cast<double>(reference::slope([&](reference::Real t) { return reference->value(t, b[i]); }, a[i])),
        static_cast<double>(reference::slope([&](reference::Real t) { return reference->value(a[i], t); }, b[i]))};
    check_close({f.left(1, a[i], b[i], y), f.right(1, a[i], b[i], y)}, expected, 1e-9, "slope");
    Tape tape;
    const Scalar s = tape.variable(a[i]), t = tape.variable(b[i]);
    const Scalar on_scalars = f.on_scalars(s, t), with_number = f.with_number(s, b[i]);
    check_same({on_scalars.value(), with_number.value()}, {y, y}, "value on scalars");
    const auto [by_a, by_b] = tape.gradient(on_scalars, wrt(s, t), {.retain = true, .unreached = Unreached::zero});
    check_close({by_a, by_b}, expected, 1e-9, "slope on scalars");
    check_close({tape.gradient(with_number, wrt(s), {.unreached = Unreached::zero})}, {expected[0]}, 1e-9, "slope beside a number");
  }
}

// (4, 1) with (3): the sweep sums over the repetitions.
void check_both_modes(const BinaryRow& f, Dtype dtype) {
  const auto tensor = [&](const Shape& shape, double low, double high, unsigned seed) {
    return reshape(vector_of(draw(static_cast<std::size_t>(shape.rank() == 1 ? shape[0] : shape[0] * shape[1]), low, high, seed), dtype),
                   shape);
  };
  Tape tape;
  const Tensor a = tape.variable(tensor({4, 1}, f.smooth.low, f.smooth.high, 1)),
               b = tape.variable(tensor({3}, f.smooth.low, f.smooth.high, 2));
  const Tensor a_dot = tensor({4, 1}, -1, 1, 3), b_dot = tensor({3}, -1, 1, 4), w = tensor({4, 3}, -1, 1, 5);
  const Tensor y = f.on_tensors(a, b);
  BOOST_CHECK(y.shape() == Shape({4, 3}));
  const double forward = inner(w, tape.jvp(y, wrt(a, b), {a_dot, b_dot}));
  const double by_a = inner(w, tape.jvp(y, wrt(a), {a_dot})), by_b = inner(w, tape.jvp(y, wrt(b), {b_dot}));
  const auto [a_bar, b_bar] = tape.gradient(y, wrt(a, b), {.seed = w});
  const double tolerance = dtype == float64 ? 1e-12 : 1e-4;
  BOOST_CHECK_CLOSE_FRACTION(1 + forward, 1 + inner(a_bar, a_dot) + inner(b_bar, b_dot), tolerance);
  BOOST_CHECK_CLOSE_FRACTION(1 + by_a, 1 + inner(a_bar, a_dot), tolerance);
  BOOST_CHECK_CLOSE_FRACTION(1 + by_b, 1 + inner(b_bar, b_dot), tolerance);
}

// The derivatives of both slopes along a direction, against differences of the slopes.
void check_second_order(const BinaryRow& f, const std::vector<double>& a, const std::vector<double>& b) {
  const double va = 0.7, vb = -0.4;
  for (std::size_t i = 0; i < a.size(); ++i) {
    Tape tape;
    const Tensor s = tape.variable(vector_of({a[i]})), t = tape.variable(vector_of({b[i]}));
    const Tensor sources[] = {s, t};
    const auto first = tape.gradient(sum(f.on_tensors(s, t)), sources, {.differentiable = true});
    std::vector<double> hv{0, 0};
    const Tensor along = va * first[0] + vb * first[1];
    if (along.number() != 0) {
      const auto second = tape.gradient(sum(along), sources, {.unreached = Unreached::zero});
      hv = {second[0].item(), second[1].item()};
    }
    const auto slopes_at = [&](const std::vector<double>& step) {
      const double p = a[i] + va * step[0], q = b[i] + vb * step[0], y = f.value(p, q);
      return std::vector<double>{f.left(1, p, q, y), f.right(1, p, q, y)};
    };
    check_close(hv, differences({0}, slopes_at), 1e-7, "second order");
    const double y = f.value(a[i], b[i]);
    const Dual left = f.left_of_dual(1, {a[i], va}, {b[i], vb}, {y, f.left(va, a[i], b[i], y) + f.right(vb, a[i], b[i], y)});
    check_close({left.d}, {hv[0]}, 1e-12, "second order by dual numbers");
  }
}

void check_reads(const BinaryRow& f, const std::vector<double>& p, const std::vector<double>& q) {
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double a = p[i], b = q[i], y = f.value(a, b);
    const auto or_nan = [](Reads reads, Reads which, double v) { return reads & which ? v : kNaN; };
    const Reads l = f.reads_left, r = f.reads_right;
    BOOST_CHECK_EQUAL(f.left(1.5, or_nan(l, Reads::a, a), or_nan(l, Reads::b, b), or_nan(l, Reads::y, y)), f.left(1.5, a, b, y));
    BOOST_CHECK_EQUAL(f.right(1.5, or_nan(r, Reads::a, a), or_nan(r, Reads::b, b), or_nan(r, Reads::y, y)), f.right(1.5, a, b, y));
    BOOST_CHECK_EQUAL(f.left(0, a, b, y), 0);
    BOOST_CHECK_EQUAL(f.right(0, a, b, y), 0);
  }
}

void check(const BinaryRow& f) {
  BOOST_TEST_INFO_SCOPE(f.name);
  const auto a = draw(10, f.smooth.low, f.smooth.high, 1), b = draw(10, f.smooth.low, f.smooth.high, 2);
  check_scalars_and_tensors(f, a, b);
  check_both_modes(f, float64);
  check_both_modes(f, float32);
  check_second_order(f, a, b);
  check_reads(f, a, b);
  BOOST_CHECK(std::isnan(f.value(kNaN, 2)));
  BOOST_CHECK(std::isnan(f.value(2, kNaN)));
  BOOST_CHECK_THROW(f.on_tensors(Tensor::zeros({2, 3}), Tensor::zeros({2, 4})), ShapeError);
  BOOST_CHECK_THROW(f.on_tensors(Tensor::zeros({2}, float32), Tensor::zeros({2}, float64)), DtypeError);
  BOOST_CHECK_THROW(f.on_tensors(Tensor::zeros({2}, boolean), Tensor::zeros({2}, boolean)), DtypeError);
}

// ---- single points ---------------------------------------------------------------------------------------------------------------------

// Value and slope of f at x, on tensors and on scalars, up to a relative error.
template <class F> void check_point(F&& f, double x, double value, double slope, double tolerance = 0) {
  BOOST_TEST_INFO_SCOPE("at " << x);
  Tape tape;
  const Tensor t = tape.variable(vector_of({x}));
  const Tensor y = f(t);
  check_close({y.item(), tape.gradient(y, wrt(t), {.retain = true, .unreached = Unreached::zero}).item()}, {value, slope}, tolerance,
              "on tensors: value, slope");
  const Scalar s = tape.variable(x), z = f(s);
  check_close({z.value(), tape.gradient(z, wrt(s), {.unreached = Unreached::zero})}, {value, slope}, tolerance, "on scalars: value, slope");
}
// The same for f(a, b).
template <class F> void check_point(F&& f, double a, double b, double value, double by_a, double by_b, double tolerance = 0) {
  BOOST_TEST_INFO_SCOPE("at " << a << ", " << b);
  Tape tape;
  const Tensor p = tape.variable(vector_of({a})), q = tape.variable(vector_of({b}));
  const Tensor y = f(p, q);
  const auto [p_bar, q_bar] = tape.gradient(y, wrt(p, q), {.retain = true, .unreached = Unreached::zero});
  check_close({y.item(), p_bar.item(), q_bar.item()}, {value, by_a, by_b}, tolerance, "on tensors: value, slopes");
  const Scalar s = tape.variable(a), t = tape.variable(b), z = f(s, t);
  const auto [by_s, by_t] = tape.gradient(z, wrt(s, t), {.unreached = Unreached::zero});
  check_close({z.value(), by_s, by_t}, {value, by_a, by_b}, tolerance, "on scalars: value, slopes");
}
// The second derivative at x.
template <class F> double second_derivative(F&& f, double x) {
  Tape tape;
  const Tensor t = tape.variable(vector_of({x}));
  return recorded_gradient(tape, recorded_gradient(tape, f(t), t), t).item();
}

// Functions by name, for tensors and scalars alike.
#define WENGERT_CALL(name) [](const auto&... x) { return wengert::name(x...); }

}  // namespace

// ---- every row of the lists ------------------------------------------------------------------------------------------------------------

#define WENGERT_FUNCTION(F, name, ...)                                                                                                     \
  BOOST_AUTO_TEST_CASE(unary_##name) {                                                                                                     \
    check(unary_row<fn::F>([](const Tensor& x) { return wengert::name(x); }, [](const Scalar& x) -> Scalar { return wengert::name(x); })); \
  }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

#define WENGERT_FUNCTION(F, name)                                                                           \
  BOOST_AUTO_TEST_CASE(binary_##name) {                                                                     \
    check(binary_row<fn::F>([](const Tensor& a, const Tensor& b) { return wengert::name(a, b); },           \
                            [](const Scalar& a, const Scalar& b) -> Scalar { return wengert::name(a, b); }, \
                            [](const Scalar& a, double b) -> Scalar { return wengert::name(a, b); }));      \
  }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

#define WENGERT_OPERATOR(F, op)                                                                \
  BOOST_AUTO_TEST_CASE(arithmetic_##F) {                                                       \
    check(binary_row<fn::F>([](const Tensor& a, const Tensor& b) { return a op b; },           \
                            [](const Scalar& a, const Scalar& b) -> Scalar { return a op b; }, \
                            [](const Scalar& a, double b) -> Scalar { return a op b; }));      \
  }
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR

BOOST_AUTO_TEST_CASE(no_reference_is_left_over) {
  std::vector<std::string_view> names;
#define WENGERT_FUNCTION(F, ...) names.push_back(fn::F::name);
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_ARITHMETIC(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  const auto listed = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  for (const auto& f : reference::unary()) BOOST_CHECK_MESSAGE(listed(f.name), f.name);
  for (const auto& f : reference::binary()) BOOST_CHECK_MESSAGE(listed(f.name), f.name);
}

// ---- accuracy over the whole range -----------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(errors_are_within_what_is_promised) {
  if (std::numeric_limits<long double>::digits < 64) return;  // nothing to measure with
#define WENGERT_FUNCTION(F, name, ...)                                                                                                  \
  {                                                                                                                                     \
    const auto row = accuracy::measure<fn::F>(reference::unary_named(#name), 300);                                                      \
    const auto &value = row.value, &slope = row.slope;                                                                                  \
    BOOST_CHECK_MESSAGE(value.ulps <= value.allowed, fmt::format("{}: {} ULP of {} at {}", #name, value.ulps, value.allowed, value.x)); \
    BOOST_CHECK_MESSAGE(slope.ulps <= 3 * slope.allowed,                                                                                \
                        fmt::format("{}'s slope: {} ULP of {} at {}", #name, slope.ulps, 3 * slope.allowed, slope.x));                  \
  }
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}

namespace {

// The function's line of docs/functions.md must have its formula and range, and an error that is at most the allowed one and not much
// smaller than the one measured here at other points (by a quarter of the allowed error).
void check_line(const std::string& page, const accuracy::Row& row, const reference::Unary& reference) {
  const std::string head = "\n" + accuracy::head_of_line(row, reference) + " ";
  const std::size_t at = page.find(head);
  BOOST_REQUIRE_MESSAGE(at != page.npos,
                        row.name << ": no line of docs/functions.md begins with" << head << "; ./dev tables writes it anew");
  double worst = -1, allowed = 4.05;
  std::sscanf(page.c_str() + at + head.size(), "%lf of %lf", &worst, &allowed);
  BOOST_CHECK_MESSAGE(worst >= 0 && worst <= allowed, row.name << ": the table says " << worst << " ULP of " << allowed);
  const double measured = row.value.ulps / row.value.allowed;
  const std::string found = fmt::format("{} of {} at {}", row.value.ulps, row.value.allowed, row.value.x);
  BOOST_CHECK_MESSAGE(measured <= worst / allowed + 0.25,
                      row.name << ": the table says " << worst << " ULP of " << allowed << ", but it is " << found << "; ./dev tables");
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_table_of_the_documentation_is_up_to_date) {
  if (std::numeric_limits<long double>::digits < 64) return;  // nothing to measure with
  std::ifstream in("docs/functions.md");
  BOOST_REQUIRE_MESSAGE(in, "run the tests in the project's root: cannot read docs/functions.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  std::size_t functions = 0;
#define WENGERT_FUNCTION(F, name, ...)                                     \
  {                                                                        \
    const reference::Unary& reference = reference::unary_named(#name);     \
    check_line(page, accuracy::measure<fn::F>(reference, 300), reference); \
    ++functions;                                                           \
  }
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = page.find("\n| `", at)) != page.npos; ++at) ++lines;
  BOOST_TEST(lines == functions);
}

// ---- parameters, dtypes ----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(parameters_reach_the_function) {
  check_point([](const auto& x) { return leaky_relu(x, 0.3); }, -2, -0.6, 0.3, 1e-15);
  check_point([](const auto& x) { return elu(x, 0.5); }, -1, 0.5 * std::expm1(-1), 0.5 * std::exp(-1), 1e-15);
  check_point([](const auto& x) { return softplus(x, 2); }, 0.5, std::log1p(std::exp(1)) / 2, 1 / (1 + std::exp(-1)), 1e-15);
  check_point([](const auto& x) { return softshrink(x, 0.3); }, -1, -0.7, 1, 1e-15);
  check_point([](const auto& x) { return clamp(x, -2, 5); }, -3, -2, 0);
  check_point([](const auto& x) { return clamp(x, -2); }, 1e300, 1e300, 1);
  check_point([](const auto& x) { return hardtanh(x, 0, 4); }, 5, 4, 0);
  check_point([](const auto& x) { return polygamma(x, 0); }, 1, -0.57721566490153286, 1.6449340668482264, 1e-15);
  check_point([](const auto& x) { return polygamma(x, 2); }, 1, -2.4041138063191886, 6.4939394022668291, 1e-15);
}

BOOST_AUTO_TEST_CASE(a_second_order_with_parameters) {
  BOOST_CHECK_CLOSE_FRACTION(second_derivative([](const Tensor& x) { return softplus(x, 2); }, 0.5), 2 * 0.19661193324148185, 1e-14);
  BOOST_CHECK_CLOSE_FRACTION(second_derivative([](const Tensor& x) { return elu(x, 0.5); }, -1), 0.5 * std::exp(-1), 1e-14);
}

BOOST_AUTO_TEST_CASE(integers_where_the_values_are_integers) {
  const Tensor x = Tensor::from({-3, 0, 5}, int64);
  const auto check_integers = [](const Tensor& y, const std::vector<std::int64_t>& expected) {
    BOOST_CHECK(y.dtype() == int64);
    BOOST_TEST(y.to_vector<std::int64_t>() == expected, boost::test_tools::per_element());
  };
  check_integers(abs(x), {3, 0, 5});
  check_integers(-x, {3, 0, -5});
  check_integers(sign(x), {-1, 0, 1});
  check_integers(square(x), {9, 0, 25});
  check_integers(relu(x), {0, 0, 5});
  check_integers(maximum(x, 1), {1, 1, 5});
  check_integers(minimum(x, Tensor::from({0, 0, 0}, int64)), {-3, 0, 0});
  BOOST_CHECK_THROW(exp(x), DtypeError);
  BOOST_CHECK_THROW(pow(x, 2), DtypeError);
  BOOST_CHECK_THROW(maximum(x, 0.5), DtypeError);
}

BOOST_AUTO_TEST_CASE(a_message_names_the_operation_and_the_remedy) {
  try {
    gelu(Tensor::zeros({2}, int64));
    BOOST_ERROR("no exception");
  } catch (const DtypeError& e) {
    const std::string_view message = e.text();
    BOOST_TEST_INFO(message);
    BOOST_CHECK(message.starts_with("gelu: (2,) int64 made at test_functions.cpp:"));
    BOOST_CHECK(message.find(".to(float32)") != message.npos);
  }
}

// The branch that a selection does not take must not turn the next order into NaN.
BOOST_AUTO_TEST_CASE(second_derivatives_far_out_are_numbers) {
#define WENGERT_FUNCTION(F, name, ...)                                                                  \
  for (const double x : {-800.0, 800.0, 1e5}) {                                                         \
    const double value = fn::F{}.value(x);                                                              \
    if (!std::isfinite(value) || !std::isfinite(fn::F{}.pullback(1.0, x, value))) continue;             \
    BOOST_CHECK_MESSAGE(std::isfinite(second_derivative(WENGERT_CALL(name), x)), #name << " at " << x); \
  }
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}

// ---- kinks -----------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(edge_1_abs_at_zero) {
  check_point(WENGERT_CALL(abs), 0, 0, 0);
  check_point(WENGERT_CALL(abs), -0.0, 0, 0);
  check_point(WENGERT_CALL(abs), kNaN, kNaN, 0);
}
BOOST_AUTO_TEST_CASE(edge_2_relu_at_zero) {
  check_point(WENGERT_CALL(relu), 0, 0, 0);
  check_point(WENGERT_CALL(relu), -0.0, 0, 0);
}
BOOST_AUTO_TEST_CASE(edge_3_relu_of_nan) { check_point(WENGERT_CALL(relu), kNaN, kNaN, 1); }
BOOST_AUTO_TEST_CASE(edge_4_leaky_relu_at_zero) { check_point(WENGERT_CALL(leaky_relu), 0, 0, 0.01); }
BOOST_AUTO_TEST_CASE(edge_5_elu_and_selu_at_zero) {
  check_point([](const auto& x) { return elu(x, 0.7); }, 0, 0, 0.7);
  check_point(WENGERT_CALL(selu), 0, 0, 1.7580993408473766, 1e-15);
}
BOOST_AUTO_TEST_CASE(edge_6_hardtanh_at_its_edges) {
  check_point(WENGERT_CALL(hardtanh), -1, -1, 0);
  check_point(WENGERT_CALL(hardtanh), 1, 1, 0);
}
BOOST_AUTO_TEST_CASE(edge_7_clamp_at_its_edges) {
  const auto f = [](const auto& x) { return clamp(x, -1, 1); };
  check_point(f, -1, -1, 1);
  check_point(f, 1, 1, 1);
  check_point(f, kNaN, kNaN, 0);
}
BOOST_AUTO_TEST_CASE(edge_8_relu6_at_its_edges) {
  check_point(WENGERT_CALL(relu6), 0, 0, 0);
  check_point(WENGERT_CALL(relu6), 6, 6, 0);
}
BOOST_AUTO_TEST_CASE(edge_9_maximum_of_a_tie) {
  check_point(WENGERT_CALL(maximum), 1, 1, 1, 0.5, 0.5);
  check_point(WENGERT_CALL(minimum), 1, 1, 1, 0.5, 0.5);
}
BOOST_AUTO_TEST_CASE(edge_10_maximum_of_one_variable_twice) {
  check_point([](const auto& x) { return maximum(x, x); }, 3, 3, 1);
  check_point([](const auto& x) { return minimum(x, x); }, 3, 3, 1);
}
BOOST_AUTO_TEST_CASE(edge_17_rounding_has_slope_zero_everywhere) {
  for (const double x : {-1.5, 0.0, 0.5, 2.0, 2.5}) {
    check_point(WENGERT_CALL(sign), x, (x > 0) - (x < 0), 0);
    check_point(WENGERT_CALL(floor), x, std::floor(x), 0);
    check_point(WENGERT_CALL(ceil), x, std::ceil(x), 0);
    // Tensors round halves to even; numbers do as <cmath> does, whose name for that is rint.
    const auto to_even = [](const auto& v) {
      if constexpr (std::is_same_v<decltype(v), const Tensor&>) {
        return wengert::round(v);
      } else {
        return wengert::rint(v);
      }
    };
    check_point(to_even, x, std::nearbyint(x), 0);
    BOOST_TEST(wengert::round(Scalar(x)).value() == std::round(x));
  }
  Tape tape;
  const Tensor x = tape.variable(vector_of({0.0, 1.5}));
  check_same(tape.gradient(floor(x), wrt(x), {.seed = vector_of({kInf, kNaN})}), {0, 0}, "even for an infinite cotangent");
}
BOOST_AUTO_TEST_CASE(edge_18_softsign_and_the_cube_of_the_size_at_zero) {
  check_point(WENGERT_CALL(softsign), 0, 0, 1);
  const auto cube = [](const auto& x) { return abs(x) * square(x); };
  check_point(cube, 0, 0, 0);
  BOOST_CHECK_EQUAL(second_derivative(cube, 0), 0);
}

// ---- powers, roots, logarithms ---------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(edge_19_sqrt_at_zero) {
  check_point(WENGERT_CALL(sqrt), 0, 0, kInf);
  Tape tape;
  const Tensor x = tape.variable(vector_of({0}));
  BOOST_CHECK(std::isnan(tape.gradient(sqrt(x), wrt(x), {.seed = vector_of({0})}).item()));
}
BOOST_AUTO_TEST_CASE(edge_20_sqrt_of_a_negative_number) { check_point(WENGERT_CALL(sqrt), -1, kNaN, kNaN); }
BOOST_AUTO_TEST_CASE(edge_21_poles_of_rsqrt_and_reciprocal) {
  check_point(WENGERT_CALL(rsqrt), 0, kInf, -kInf);
  check_point(WENGERT_CALL(reciprocal), 0, kInf, -kInf);
  check_point(WENGERT_CALL(reciprocal), -0.0, -kInf, -kInf);
  check_point([](const auto& x) { return 1 / x; }, 0, kInf, -kInf);
}
BOOST_AUTO_TEST_CASE(edge_22_log_at_zero_and_below) {
  check_point(WENGERT_CALL(log), 0, -kInf, kInf);
  check_point(WENGERT_CALL(log), -1, kNaN, -1);
}
BOOST_AUTO_TEST_CASE(edge_23_log1p_at_minus_one) { check_point(WENGERT_CALL(log1p), -1, -kInf, kInf); }
BOOST_AUTO_TEST_CASE(edge_24_log1p_near_minus_one) {
  check_point(WENGERT_CALL(log1p), -1 + 0x1p-53, -36.736800569677101, 9007199254740992, 1e-15);
}
BOOST_AUTO_TEST_CASE(edge_25_tiny_arguments) {
  check_point(WENGERT_CALL(log1p), 1e-17, 1e-17, 1);
  check_point(WENGERT_CALL(expm1), 1e-300, 1e-300, 1);
}
BOOST_AUTO_TEST_CASE(edge_26_zero_to_the_zero) { check_point(WENGERT_CALL(pow), 0, 0, 1, 0, 0); }
BOOST_AUTO_TEST_CASE(edge_27_zero_to_one_and_two) {
  check_point(WENGERT_CALL(pow), 0, 1, 0, 1, 0);
  check_point(WENGERT_CALL(pow), 0, 2, 0, 0, 0);
}
BOOST_AUTO_TEST_CASE(edge_28_zero_to_a_half) { check_point(WENGERT_CALL(pow), 0, 0.5, 0, kInf, 0); }
BOOST_AUTO_TEST_CASE(edge_29_zero_to_minus_one) { check_point(WENGERT_CALL(pow), 0, -1, kInf, -kInf, -kInf); }
BOOST_AUTO_TEST_CASE(edge_30_a_negative_base) {
  check_point(WENGERT_CALL(pow), -2, 3, -8, 12, kNaN);
  check_point([](const auto& x) { return pow(x, 3); }, -2, -8, 12);
  BOOST_CHECK_EQUAL(second_derivative([](const Tensor& x) { return pow(x, 3); }, -2), -12);
  Tape tape;
  const Tensor x = tape.variable(vector_of({-2}));
  BOOST_CHECK_EQUAL(tape.gradient(pow(x, vector_of({3})), x).item(), 12);
}
BOOST_AUTO_TEST_CASE(edge_31_the_root_of_a_negative_number) { check_point(WENGERT_CALL(pow), -2, 0.5, kNaN, kNaN, kNaN); }
BOOST_AUTO_TEST_CASE(edge_32_a_literal_exponent_zero) {
  const auto f = [](const auto& x) { return pow(x, 0); };
  for (const double x : {0.0, -2.0, kInf}) check_point(f, x, 1, 0);
  for (const double x : {0.0, -2.0, 3.0}) BOOST_CHECK_EQUAL(second_derivative(f, x), 0);
}
BOOST_AUTO_TEST_CASE(edge_33_literal_exponents) {
  check_point([](const auto& x) { return pow(x, 1); }, 0, 0, 1);
  check_point([](const auto& x) { return pow(x, 2); }, 0, 0, 0);
  check_point([](const auto& x) { return pow(x, 3); }, 0, 0, 0);
  check_point([](const auto& x) { return pow(x, 1); }, -2, -2, 1);
  check_point([](const auto& x) { return pow(x, 2); }, -2, 4, -4);
  check_point([](const auto& x) { return pow(x, 3); }, -2, -8, 12);
  for (const double x : {0.0, -2.0}) {
    BOOST_CHECK_EQUAL(second_derivative([](const Tensor& t) { return pow(t, 1); }, x), 0);
    BOOST_CHECK_EQUAL(second_derivative([](const Tensor& t) { return pow(t, 2); }, x), 2);
    BOOST_CHECK_EQUAL(second_derivative([](const Tensor& t) { return pow(t, 3); }, x), 6 * x);
  }
}
BOOST_AUTO_TEST_CASE(edge_34_a_literal_base_zero) {
  const auto f = [](const auto& x) { return pow(0.0, x); };
  check_point(f, 0, 1, 0);
  check_point(f, 1, 0, 0);
  check_point(f, -1, kInf, -kInf);
}
BOOST_AUTO_TEST_CASE(edge_35_a_negative_literal_base) {
  const auto f = [](const auto& x) { return pow(-2.0, x); };
  check_point(f, 0, 1, kNaN);
  check_point(f, 1, -2, kNaN);
  check_point(f, 2, 4, kNaN);
}
BOOST_AUTO_TEST_CASE(edge_36_x_to_the_x) {
  check_point([](const auto& x) { return pow(x, x); }, 2, 4, 6.7725887222397812, 1e-15);
}
BOOST_AUTO_TEST_CASE(edge_37_xlogy_at_the_origin) {
  const auto f = WENGERT_CALL(xlogy);
  check_point([&](const auto& x) { return f(x, 0.0); }, 0, 0, 0);
  check_point([&](const auto& x) { return f(x, 2.0); }, 0, 0, std::log(2.0));
  check_point(f, 0, kNaN, kNaN, kNaN, kNaN);
}
BOOST_AUTO_TEST_CASE(edge_38_asin_and_acos_at_their_ends) {
  const double half_pi = 1.5707963267948966;
  check_point(WENGERT_CALL(asin), 1, half_pi, kInf);
  check_point(WENGERT_CALL(asin), -1, -half_pi, kInf);
  check_point(WENGERT_CALL(acos), 1, 0, -kInf);
  check_point(WENGERT_CALL(acos), -1, 2 * half_pi, -kInf);
}
BOOST_AUTO_TEST_CASE(edge_39_atanh_and_acosh_at_their_ends) {
  check_point(WENGERT_CALL(atanh), 1, kInf, kInf);
  check_point(WENGERT_CALL(atanh), -1, -kInf, kInf);
  check_point(WENGERT_CALL(acosh), 1, 0, kInf);
}
BOOST_AUTO_TEST_CASE(edge_40_acosh_near_one) {
  check_point(WENGERT_CALL(acosh), 1 + 1e-8, 1.4142135568971628e-4, 7071.0678156749106, 1e-15);
}
BOOST_AUTO_TEST_CASE(edge_41_atan2_on_the_axes) {
  const double pi = 3.1415926535897932;
  check_point(WENGERT_CALL(atan2), 0, 1, 0, 1, 0);
  check_point(WENGERT_CALL(atan2), 0, -1, pi, -1, 0);
  check_point(WENGERT_CALL(atan2), 1, 0, pi / 2, 0, -1);
  check_point(WENGERT_CALL(atan2), -1, 0, -pi / 2, 0, 1);
  check_point(WENGERT_CALL(atan2), -0.0, -1, -pi, -1, 0);
}
BOOST_AUTO_TEST_CASE(edge_42_atan2_at_the_origin) { check_point(WENGERT_CALL(atan2), 0, 0, 0, 0, 0); }
BOOST_AUTO_TEST_CASE(edge_43_hypot_at_the_origin_and_far_out) {
  check_point(WENGERT_CALL(hypot), 0, 0, 0, 0, 0);
  check_point(WENGERT_CALL(hypot), 3e200, 4e200, 5e200, 0.6, 0.8, 1e-15);
}

// ---- sums of exponentials, saturation --------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(edge_58_logaddexp_of_infinities) {
  check_point(WENGERT_CALL(logaddexp), -kInf, -kInf, -kInf, 0.5, 0.5);
  check_point(WENGERT_CALL(logaddexp), kInf, kInf, kInf, 0.5, 0.5);
  check_point(WENGERT_CALL(logaddexp), kInf, 0, kInf, 1, 0);
  check_point(WENGERT_CALL(logaddexp), 1000, 1000, 1000.6931471805599, 0.5, 0.5);
}
BOOST_AUTO_TEST_CASE(edge_67_slopes_of_saturated_sigmoids) {
  const auto relative = [](const char* what, double actual, double expected) {
    BOOST_TEST_INFO_SCOPE(what);
    BOOST_CHECK_CLOSE_FRACTION(actual, expected, 1e-15);
  };
  const auto slope = [](auto&& f, double x) {
    Tape tape;
    const Scalar s = tape.variable(x);
    return tape.gradient(Scalar(f(s)), s);
  };
  relative("sigmoid", slope(WENGERT_CALL(sigmoid), 40), 4.248354255291589e-18);
  relative("tanh", slope(WENGERT_CALL(tanh), 20), 1.6993417021166356e-17);
  relative("expm1", slope(WENGERT_CALL(expm1), -40), 4.248354255291589e-18);
}
BOOST_AUTO_TEST_CASE(edge_68_softplus_has_no_threshold) {
  check_point(WENGERT_CALL(softplus), -40, 4.248354255291589e-18, 4.248354255291589e-18, 1e-30);
  check_point(WENGERT_CALL(softplus), 800, 800, 1);
  check_point(WENGERT_CALL(softplus), 20.5, 20.500000001250153, 0.99999999874984, 1e-14);
}
BOOST_AUTO_TEST_CASE(edge_69_tails_of_log_sigmoid_and_gelu) {
  check_point(WENGERT_CALL(log_sigmoid), -800, -800, 1);
  check_point(WENGERT_CALL(gelu), -10, -7.6198530241605261e-23, -7.6184000964648141e-22, 1e-36);
}
BOOST_AUTO_TEST_CASE(edge_70_gelu_and_silu_at_minus_infinity) {
  check_point(WENGERT_CALL(gelu), -kInf, 0, 0);
  check_point(WENGERT_CALL(silu), -kInf, 0, 0);
}

// ---- structure of the graph ------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(edge_90_one_variable_as_both_operands) {
  check_point([](const auto& x) { return x * x; }, 3, 9, 6);
  check_point([](const auto& x) { return x + x; }, 3, 6, 2);
  check_point([](const auto& x) { return x - x; }, 3, 0, 0);
  check_point([](const auto& x) { return x / x; }, 3, 1, 0);
}
BOOST_AUTO_TEST_CASE(edge_92_one_variable_broadcast_along_both_axes) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 2, 3}, {3, 1}, float64));
  check_same(tape.gradient(sum(x + transpose(x)), x), {6, 6, 6}, "gradient");
}
BOOST_AUTO_TEST_CASE(edge_93_an_intermediate_used_again) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({3}));
  const Tensor y = x * x, z = y * y + x + x;
  BOOST_CHECK_EQUAL(tape.gradient(z, x).item(), 110);
}
BOOST_AUTO_TEST_CASE(edge_94_sixty_doublings) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({1}));
  Tensor y = x;
  for (int k = 0; k < 60; ++k) y = y + y;
  BOOST_CHECK_EQUAL(tape.gradient(y, x).item(), 0x1p60);
}
BOOST_AUTO_TEST_CASE(edge_95_fibonacci_numbers) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({1}));
  Tensor a = x, b = x;
  for (int k = 0; k < 70; ++k) b = std::exchange(a, b) + b;
  BOOST_CHECK_EQUAL(tape.gradient(a, x).item(), 308061521170129);
}
BOOST_AUTO_TEST_CASE(edge_99_a_constant_copy) {
  check_point([](const auto& x) { return x * x.constant(); }, 2, 4, 2);
  check_point([](const auto& x) { return x * exp(x.constant()); }, 2, 2 * std::exp(2), std::exp(2), 1e-15);
}
BOOST_AUTO_TEST_CASE(edge_109_where_isolates_a_nan_only_if_its_argument_is_safe) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({-1, 0, 4}));
  const Tensor naive = where(x > 0, sqrt(x), 0), safe = where(x > 0, sqrt(where(x > 0, x, 1)), 0);
  check_same(naive, {0, 0, 2}, "value");
  check_same(tape.gradient(naive, wrt(x), {.seed = vector_of({1, 1, 1}), .retain = true}), {kNaN, kNaN, 0.25}, "composed as written");
  check_same(tape.gradient(safe, wrt(x), {.seed = vector_of({1, 1, 1})}), {0, 0, 0.25}, "with a safe argument");
}
BOOST_AUTO_TEST_CASE(edge_110_a_zero_cotangent_meets_an_infinite_slope) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({0, 4}));
  check_same(tape.gradient(log(x), wrt(x), {.seed = vector_of({0, 1})}), {kNaN, 0.25}, "gradient");
}
BOOST_AUTO_TEST_CASE(edge_111_a_nan_stays_in_its_element) {
  Tape tape;
  const Tensor x = tape.variable(vector_of({kNaN, 2}));
  const Tensor y = exp(x) * x;
  BOOST_CHECK_EQUAL(y.at({1}), std::exp(2.0) * 2);
  check_close(tape.gradient(y, wrt(x), {.seed = vector_of({1, 1})}), {kNaN, 3 * std::exp(2.0)}, 1e-15, "gradient");
}

// ---- parameters and orders that once went wrong -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(softplus_of_a_negative_beta) {
  const double value = -std::log1p(std::exp(-2.0)), slope = 1 / (1 + std::exp(2.0));
  check_point([](const auto& x) { return softplus(x, -1); }, 2, value, slope, 1e-14);
  check_point([](const auto& x) { return softplus(x, -2); }, -1, (-2 - std::log1p(std::exp(-2.0))) / 2, 1 / (1 + std::exp(-2.0)), 1e-14);
  BOOST_CHECK_CLOSE_FRACTION(second_derivative([](const Tensor& x) { return softplus(x, -1); }, 2), -slope * (1 - slope), 1e-13);
  check_point([](const auto& x) { return softplus(x, -1); }, -800, -800, 1);
}

BOOST_AUTO_TEST_CASE(clamp_with_low_above_high_is_high) {
  for (const double x : {-1.0, 2.0, 4.0}) check_point([](const auto& v) { return clamp(v, 3, 0); }, x, 0, 0);
}

BOOST_AUTO_TEST_CASE(asinh_of_every_order_near_zero_and_far_out) {
  const auto f = [](const Tensor& x) { return asinh(x); };
  const Tensor one = Tensor::ones({1}, float64);
  const auto forward = [&](const Tensor& x) { return jvp(f, x, one); };
  const auto reverse = [&](const Tensor& x) { return vjp(f, x, one); };
  const auto reverse_twice = [&](const Tensor& x) { return vjp(reverse, x, one); };
  const auto at = [](double x) { return Tensor::from({x}, float64); };
  // the second derivative is -x / (1 + x^2)^(3/2), the third (2 x^2 - 1) / (1 + x^2)^(5/2)
  for (const double x : {0.0, 1e-310, 1e-170, 1e-20, 0.5}) {
    const double second = -x / std::pow(1 + x * x, 1.5), third = (2 * x * x - 1) / std::pow(1 + x * x, 2.5);
    BOOST_TEST(jvp(forward, at(x), one).item() == second, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(vjp(reverse, at(x), one).item() == second, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(vjp(reverse_twice, at(x), one).item() == third, boost::test_tools::tolerance(1e-14));
  }
  BOOST_TEST(vjp(reverse, at(1e10), one).item() == -1e-20, boost::test_tools::tolerance(1e-14));
}
