// Every row of the lists of functions.h at zeros of both signs, denormal numbers, the ends of the range and the infinities: value, first
// and second derivative against formulas in long double and against their limits. On tensors of both dtypes and on scalars, in forward and
// reverse mode and in every mixture of them.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace wengert;

namespace {

using Real = long double;

constexpr Real kInf = std::numeric_limits<Real>::infinity(), kPi = 3.14159265358979323846264338327950288L;
// As a value: it must be NaN, and no derivative is checked. As a derivative: it has no limit, and is not checked.
constexpr Real kNone = std::numeric_limits<Real>::quiet_NaN();

// f, f' and f''.
using Jet = std::array<Real, 3>;
constexpr Jet kOutside{kNone, kNone, kNone};

struct Expected {
  const char* name;
  Jet (*finite)(Real x);
  Jet at_minus_infinity, at_infinity;
};

Jet times(Real c, Jet f) { return {c * f[0], c * f[1], c * f[2]}; }
Real sign_of(Real x) { return static_cast<Real>((x > 0) - (x < 0)); }
Real logistic(Real x) { return 1 / (1 + std::exp(-x)); }
Real logistic_slope(Real x) { return logistic(x) * logistic(-x); }
Real logistic_curvature(Real x) { return logistic_slope(x) * (1 - 2 * logistic(x)); }
Real soft_plus(Real x) { return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::abs(x))); }

Jet logarithm(Real x) {
  if (x < 0) return kOutside;
  return {std::log(std::abs(x)), 1 / x, -1 / x / x};  // at -0 the pole of the slope has the sign of 1 / x
}
constexpr Jet kLogarithmAtInfinity{kInf, 0, 0};

// Constants, because a compiler takes minutes for a function that fills a map with them.
constexpr Expected kTable[] = {
    {"exp",
     [](Real x) {
       const Real e = std::exp(x);
       return Jet{e, e, e};
     },
     {0, 0, 0},
     {kInf, kInf, kInf}},
    {"exp2",
     [](Real x) {
       const Real e = std::exp2(x), c = std::log(2.0L);
       return Jet{e, c * e, c * c * e};
     },
     {0, 0, 0},
     {kInf, kInf, kInf}},
    {"expm1",
     [](Real x) {
       return Jet{std::expm1(x), std::exp(x), std::exp(x)};
     },
     {-1, 0, 0},
     {kInf, kInf, kInf}},
    {"log", logarithm, kOutside, kLogarithmAtInfinity},
    {"log2", [](Real x) { return times(1 / std::log(2.0L), logarithm(x)); }, kOutside, kLogarithmAtInfinity},
    {"log10", [](Real x) { return times(1 / std::log(10.0L), logarithm(x)); }, kOutside, kLogarithmAtInfinity},
    {"log1p",
     [](Real x) {
       return x < -1 ? kOutside : Jet{std::log1p(x), 1 / (1 + x), -1 / (1 + x) / (1 + x)};
     },
     kOutside, kLogarithmAtInfinity},
    {"sqrt",
     [](Real x) {
       if (x < 0) return kOutside;
       const Real r = std::sqrt(x);
       return Jet{r, 1 / (2 * r), -1 / (4 * r * r * r)};
     },
     kOutside,
     {kInf, 0, 0}},
    {"rsqrt",
     [](Real x) {
       if (x < 0) return kOutside;
       if (x == 0) return Jet{std::copysign(kInf, x), -kInf, std::signbit(x) ? kNone : kInf};  // -infinity at -0, as in IEEE 754
       const Real r = std::sqrt(x);
       return Jet{1 / r, -1 / (2 * r * r * r), 3 / (4 * r * r * r * r * r)};
     },
     kOutside,
     {0, 0, 0}},
    {"reciprocal",
     [](Real x) {
       return Jet{1 / x, -1 / x / x, 2 / x / x / x};
     },
     {0, 0, 0},
     {0, 0, 0}},
    {"square",
     [](Real x) {
       return Jet{x * x, 2 * x, 2};
     },
     {kInf, -kInf, 2},
     {kInf, kInf, 2}},
    {"abs",
     [](Real x) {
       return Jet{std::abs(x), sign_of(x), 0};
     },
     {kInf, -1, 0},
     {kInf, 1, 0}},
    {"negative",
     [](Real x) {
       return Jet{-x, -1, 0};
     },
     {kInf, -1, 0},
     {-kInf, -1, 0}},
    {"sign",
     [](Real x) {
       return Jet{sign_of(x), 0, 0};
     },
     {-1, 0, 0},
     {1, 0, 0}},
    {"floor",
     [](Real x) {
       return Jet{std::floor(x), 0, 0};
     },
     {-kInf, 0, 0},
     {kInf, 0, 0}},
    {"ceil",
     [](Real x) {
       return Jet{std::ceil(x), 0, 0};
     },
     {-kInf, 0, 0},
     {kInf, 0, 0}},
    {"round",
     [](Real x) {
       return Jet{std::rint(x), 0, 0};
     },
     {-kInf, 0, 0},
     {kInf, 0, 0}},
    {"step",
     [](Real x) {
       return Jet{x >= 0 ? 1.0L : 0.0L, 0, 0};
     },
     {0, 0, 0},
     {1, 0, 0}},
    {"sin",
     [](Real x) {
       return Jet{std::sin(x), std::cos(x), -std::sin(x)};
     },
     kOutside, kOutside},
    {"cos",
     [](Real x) {
       return Jet{std::cos(x), -std::sin(x), -std::cos(x)};
     },
     kOutside, kOutside},
    {"tan",
     [](Real x) {
       const Real t = std::tan(x);
       return Jet{t, 1 + t * t, 2 * t * (1 + t * t)};
     },
     kOutside, kOutside},
    {"asin",
     [](Real x) {
       return std::abs(x) > 1 ? kOutside : Jet{std::asin(x), 1, x};
     },
     kOutside, kOutside},
    {"acos",
     [](Real x) {
       return std::abs(x) > 1 ? kOutside : Jet{std::acos(x), -1, -x};
     },
     kOutside, kOutside},
    {"atan",
     [](Real x) {
       const Real d = 1 + x * x;
       return Jet{std::atan(x), 1 / d, -2 * x / d / d};
     },
     {-kPi / 2, 0, 0},
     {kPi / 2, 0, 0}},
    {"sinh",
     [](Real x) {
       return Jet{std::sinh(x), std::cosh(x), std::sinh(x)};
     },
     {-kInf, kInf, -kInf},
     {kInf, kInf, kInf}},
    {"cosh",
     [](Real x) {
       return Jet{std::cosh(x), std::sinh(x), std::cosh(x)};
     },
     {kInf, -kInf, kInf},
     {kInf, kInf, kInf}},
    {"tanh",
     [](Real x) {
       const Real t = std::tanh(x), s = 1 / std::cosh(x) / std::cosh(x);
       return Jet{t, s, -2 * t * s};
     },
     {-1, 0, 0},
     {1, 0, 0}},
    {"asinh",
     [](Real x) {
       const Real r = std::sqrt(1 + x * x);
       return Jet{std::asinh(x), 1 / r, -x / r / r / r};
     },
     {-kInf, 0, 0},
     {kInf, 0, 0}},
    {"acosh",
     [](Real x) {
       if (x < 1) return kOutside;
       const Real r = std::sqrt(x - 1) * std::sqrt(x + 1);
       return Jet{std::acosh(x), 1 / r, -x / r / r / r};
     },
     kOutside,
     {kInf, 0, 0}},
    {"atanh",
     [](Real x) {
       const Real d = 1 - x * x;
       return std::abs(x) > 1 ? kOutside : Jet{std::atanh(x), 1 / d, 2 * x / d / d};
     },
     kOutside, kOutside},
    {"sigmoid",
     [](Real x) {
       return Jet{logistic(x), logistic_slope(x), logistic_curvature(x)};
     },
     {0, 0, 0},
     {1, 0, 0}},
    {"log_sigmoid",
     [](Real x) {
       return Jet{-soft_plus(-x), logistic(-x), -logistic_slope(x)};
     },
     {-kInf, 1, 0},
     {0, 0, 0}},
    {"logit",
     [](Real x) {
       if (x < 0 || x > 1) return kOutside;
       const Real s = x * (1 - x);
       return Jet{std::log(std::abs(x)) - std::log1p(-x), 1 / s, (2 * x - 1) / s / s};
     },
     kOutside, kOutside},
    {"softsign",
     [](Real x) {
       const Real d = 1 + std::abs(x);
       return Jet{x / d, 1 / d / d, -2 * sign_of(x) / d / d / d};
     },
     {-1, 0, 0},
     {1, 0, 0}},
    {"hardsigmoid",
     [](Real x) {
       if (std::abs(x) >= 3) return Jet{x > 0 ? 1.0L : 0.0L, 0, 0};
       return Jet{(x + 3) / 6, 1 / 6.0L, 0};
     },
     {0, 0, 0},
     {1, 0, 0}},
    {"relu",
     [](Real x) {
       return x > 0 ? Jet{x, 1, 0} : Jet{};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"relu6",
     [](Real x) {
       if (x >= 6) return Jet{6, 0, 0};
       return x > 0 ? Jet{x, 1, 0} : Jet{};
     },
     {0, 0, 0},
     {6, 0, 0}},
    {"selu",
     [](Real x) {
       constexpr Real kScale = 1.0507009873554804934L, kAlpha = 1.6732632423543772848L;
       const Real e = kScale * kAlpha * std::exp(x);
       return x > 0 ? Jet{kScale * x, kScale, 0} : Jet{kScale * kAlpha * std::expm1(x), e, e};
     },
     {-1.7580993408473768600L, 0, 0},
     {kInf, 1.0507009873554804934L, 0}},
    {"gelu",
     [](Real x) {
       const Real p = std::erfc(-x / std::sqrt(2.0L)) / 2, density = std::exp(-x * x / 2) / std::sqrt(2 * kPi);
       return Jet{x * p, p + x * density, density * (2 - x * x)};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"gelu_tanh",
     [](Real x) {
       if (std::abs(x) > 1) return x > 0 ? Jet{x, 1, 0} : Jet{};
       return Jet{x / 2, 1 / 2.0L, std::sqrt(2 / kPi)};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"silu",
     [](Real x) {
       const Real s = logistic(x), d = logistic_slope(x);
       return Jet{x * s, s + x * d, 2 * d + x * logistic_curvature(x)};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"hardswish",
     [](Real x) {
       if (std::abs(x) >= 3) return x > 0 ? Jet{x, 1, 0} : Jet{};
       return Jet{x * (x + 3) / 6, (2 * x + 3) / 6, 1 / 3.0L};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"mish",
     [](Real x) {
       if (std::abs(x) > 1) return x > 0 ? Jet{x, 1, 0} : Jet{};
       return Jet{0.6L * x, 0.6L, 0.64L};  // tanh(ln 2) = 3/5
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"erf",
     [](Real x) {
       const Real slope = 2 / std::sqrt(kPi) * std::exp(-x * x);
       return Jet{std::erf(x), slope, -2 * x * slope};
     },
     {-1, 0, 0},
     {1, 0, 0}},
    {"erfc",
     [](Real x) {
       const Real slope = -2 / std::sqrt(kPi) * std::exp(-x * x);
       return Jet{std::erfc(x), slope, -2 * x * slope};
     },
     {2, 0, 0},
     {0, 0, 0}},
    // Near 0, psi(x) = -1/x and its derivatives; at a large x, ln x and its derivatives. The least number is an integer, at which they
    // have poles.
    {"lgamma",
     [](Real x) {
       if (std::abs(x) < 1) return Jet{-std::log(std::abs(x)), -1 / x, 1 / x / x};
       return x > 0 ? Jet{x * (std::log(x) - 1), std::log(x), 1 / x} : Jet{kInf, kNone, kNone};
     },
     {kInf, kNone, kNone},
     {kInf, kInf, 0}},
    {"digamma",
     [](Real x) {
       if (std::abs(x) < 1) return Jet{-1 / x, 1 / x / x, -2 / x / x / x};
       return x > 0 ? Jet{std::log(x), 1 / x, -1 / x / x} : kOutside;
     },
     kOutside,
     {kInf, 0, 0}},
    {"polygamma",
     [](Real x) {
       if (std::abs(x) < 1) return Jet{1 / x / x, -2 / x / x / x, 6 / x / x / x / x};
       return x > 0 ? Jet{1 / x, -1 / x / x, 2 / x / x / x} : Jet{kInf, kNone, kNone};
     },
     kOutside,
     {0, 0, 0}},
    {"leaky_relu",
     [](Real x) {
       return x > 0 ? Jet{x, 1, 0} : Jet{0.01L * x, 0.01L, 0};
     },
     {-kInf, 0.01L, 0},
     {kInf, 1, 0}},
    {"elu",
     [](Real x) {
       return x > 0 ? Jet{x, 1, 0} : Jet{std::expm1(x), std::exp(x), std::exp(x)};
     },
     {-1, 0, 0},
     {kInf, 1, 0}},
    {"softplus",
     [](Real x) {
       return Jet{soft_plus(x), logistic(x), logistic_slope(x)};
     },
     {0, 0, 0},
     {kInf, 1, 0}},
    {"softshrink",
     [](Real x) {
       return std::abs(x) > 0.5L ? Jet{x - sign_of(x) / 2, 1, 0} : Jet{};
     },
     {-kInf, 1, 0},
     {kInf, 1, 0}},
    {"clamp",
     [](Real x) {
       return Jet{x, 1, 0};
     },
     {-kInf, 1, 0},
     {kInf, 1, 0}},
    {"hardtanh",
     [](Real x) {
       return std::abs(x) >= 1 ? Jet{sign_of(x), 0, 0} : Jet{x, 1, 0};
     },
     {-1, 0, 0},
     {1, 0, 0}},
};

template <class T> constexpr T kDenormal = std::numeric_limits<T>::min() / 16;

// Equal up to rounding in T; infinities of the same sign.
template <class T> bool agree(double found, Real expected) {
  const T e = static_cast<T>(expected), f = static_cast<T>(found);
  if (std::isinf(e) || std::isinf(f)) return e == f;
  constexpr Real kTolerance = sizeof(T) == 4 ? 1e-5L : 1e-12L;
  return std::abs(static_cast<Real>(f) - e) <= kTolerance * std::abs(static_cast<Real>(e)) + 4 * std::numeric_limits<T>::denorm_min();
}

template <class T> void check_jet(const std::string& what, Real x, double found, Real expected, int order, const Jet& jet) {
  if (std::isnan(jet[0])) {
    if (order == 0) BOOST_CHECK_MESSAGE(std::isnan(found), what << " at " << x << " is " << found << " instead of NaN");
  } else if (!std::isnan(expected)) {
    BOOST_CHECK_MESSAGE(agree<T>(found, expected),
                        what << ", derivative " << order << " at " << x << ": " << found << " instead of " << expected);
  }
}

using DualScalar = BasicScalar<Dual<1>>;

// A function for each type of number. (Templates of its type would compile everything below once for each function.)
struct Function {
  const char* name;
  Tensor (*of_tensor)(const Tensor&);
  Scalar (*of_scalar)(const Scalar&);
  Dual<1> (*of_dual)(const Dual<1>&);
  DualScalar (*of_dual_scalar)(const DualScalar&);
};

template <class T> void check_tensors(const Function& f, T x, const Jet& jet) {
  const Dtype dtype = sizeof(T) == 4 ? float32 : float64;
  // One element, and many: loops over blocks have code of their own.
  for (const Index n : {1, 21}) {
    const Tensor at = Tensor::full({n}, static_cast<double>(x), dtype), one = Tensor::ones({n}, dtype);
    const auto& function = f.of_tensor;
    const auto forward = [&](const Tensor& v) { return jvp(function, v, one); };
    const auto reverse = [&](const Tensor& v) { return vjp(function, v, one); };
    const std::string what = f.name + std::string(sizeof(T) == 4 ? " in float32" : " in float64");
    const auto last = [n](const Tensor& t) { return t.at({n - 1}); };
    check_jet<T>(what, x, last(function(at)), jet[0], 0, jet);
    check_jet<T>(what + " forward", x, last(forward(at)), jet[1], 1, jet);
    check_jet<T>(what + " reverse", x, last(reverse(at)), jet[1], 1, jet);
    check_jet<T>(what + " forward over forward", x, last(jvp(forward, at, one)), jet[2], 2, jet);
    check_jet<T>(what + " forward over reverse", x, last(jvp(reverse, at, one)), jet[2], 2, jet);
    check_jet<T>(what + " reverse over forward", x, last(vjp(forward, at, one)), jet[2], 2, jet);
    check_jet<T>(what + " reverse over reverse", x, last(vjp(reverse, at, one)), jet[2], 2, jet);
  }
}

void check_scalars(const Function& f, double x, const Jet& jet) {
  const std::string name = f.name;
  {
    Tape tape;
    const Scalar s = tape.variable(x), y = f.of_scalar(s);
    check_jet<double>(name + " of Scalar", x, y.value(), jet[0], 0, jet);
    check_jet<double>(name + " of Scalar", x, tape.gradient(y, wrt(s), {.unreached = Unreached::zero}), jet[1], 1, jet);
  }
  const Dual<1> y = f.of_dual(Dual<1>(x, {1}));
  check_jet<double>(name + " of Dual", x, y.v, jet[0], 0, jet);
  check_jet<double>(name + " of Dual", x, y.d[0], jet[1], 1, jet);
  const std::array<double, 1> at{x}, one{1};
  const auto program = [&](std::span<const DualScalar> v) { return f.of_dual_scalar(v[0]); };
  check_jet<double>(name + " of Dual over Scalar", x, hvp(program, at, std::span<const double>(one))[0], jet[2], 2, jet);
  Tape tape({.higher_order = true});
  const Scalar s = tape.variable(x);
  const Scalar slope = tape.differentiable_gradient(Scalar(f.of_scalar(s) + s), s);  // + s: recorded, even if f has slope 0
  check_jet<double>(name + " of Scalar, twice", x, tape.gradient(slope, wrt(s), {.unreached = Unreached::zero}), jet[2], 2, jet);
}

void check_function(const Function& f) {
  const auto* expected =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Expected& e) { return e.name == std::string_view(f.name); });
  BOOST_REQUIRE_MESSAGE(expected != std::end(kTable), f.name << " has no row in kTable of tests/functions/test_ends_of_range.cpp");
  const auto jet_at = [&](Real x) {
    if (std::isinf(x)) return x > 0 ? expected->at_infinity : expected->at_minus_infinity;
    return expected->finite(x);
  };
  const auto points = [](auto zero) {
    using T = decltype(zero);
    constexpr T kLargestOfT = std::numeric_limits<T>::max(), kInfinity = std::numeric_limits<T>::infinity();
    return std::array<T, 8>{-kInfinity, -kLargestOfT, -kDenormal<T>, -zero, zero, kDenormal<T>, kLargestOfT, kInfinity};
  };
  for (const double x : points(0.0)) {
    check_tensors<double>(f, x, jet_at(x));
    check_scalars(f, x, jet_at(x));
  }
  for (const float x : points(0.0f)) check_tensors<float>(f, x, jet_at(x));
}

}  // namespace

#define WENGERT_OF(Number, function) [](const Number& x) -> Number { return function(x); }
#define WENGERT_FUNCTION(F, function, ...)                                                                                  \
  BOOST_AUTO_TEST_CASE(limits_of_##function) {                                                                              \
    check_function({fn::F::name, WENGERT_OF(Tensor, function), WENGERT_OF(Scalar, function), WENGERT_OF(Dual<1>, function), \
                    WENGERT_OF(DualScalar, function)});                                                                     \
  }
WENGERT_POWERS(WENGERT_FUNCTION)
WENGERT_TRIGONOMETRY(WENGERT_FUNCTION)
WENGERT_ACTIVATIONS(WENGERT_FUNCTION)
WENGERT_SPECIAL_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

// ---- two operands ----------------------------------------------------------------------------------------------------------------------

namespace {

struct Pair {
  const char* name;
  double a, b;
  Real value, by_a, by_b;
};

constexpr double kInfinite = std::numeric_limits<double>::infinity();

constexpr double kLargest = std::numeric_limits<float>::max();  // whose square no float32 holds
constexpr Real kLn2 = 0.693147180559945309417232121458176568L;

constexpr Pair kPairs[] = {
    {"add", kInfinite, 1, kInf, 1, 1},
    {"add", -0.0, 0.0, 0, 1, 1},
    {"subtract", 1, kInfinite, -kInf, 1, -1},
    {"multiply", kInfinite, 2, kInf, 2, kInf},
    {"multiply", kLargest, 0, 0, 0, kLargest},
    {"divide", 1, kInfinite, 0, 0, 0},
    {"divide", kInfinite, 2, kInf, 0.5L, -kInf},
    {"divide", 1, 0, kInf, kInf, -kInf},
    {"divide", 0, kLargest, 0, 1 / Real(kLargest), 0},
    {"pow", kInfinite, 2, kInf, kInf, kInf},
    {"pow", kInfinite, -1, 0, 0, 0},
    {"pow", kInfinite, 0.5, kInf, 0, kInf},
    {"pow", 0.5, kInfinite, 0, 0, 0},
    {"pow", 2, -kInfinite, 0, 0, 0},
    {"pow", 2, kInfinite, kInf, kInf, kInf},
    {"pow", 1, 3, 1, 3, 0},
    {"pow", 0, 2, 0, 0, 0},
    {"pow", -0.0, 2, 0, 0, 0},
    {"maximum", kInfinite, 1, kInf, 1, 0},
    {"maximum", -kInfinite, 1, 1, 0, 1},
    {"maximum", kInfinite, kInfinite, kInf, 0.5L, 0.5L},
    {"maximum", -0.0, 0.0, 0, 0.5L, 0.5L},
    {"minimum", kInfinite, 1, 1, 0, 1},
    {"minimum", -kInfinite, 1, -kInf, 1, 0},
    {"minimum", kInfinite, kInfinite, kInf, 0.5L, 0.5L},
    {"atan2", 1, kInfinite, 0, 0, 0},
    {"atan2", 1, -kInfinite, kPi, 0, 0},
    {"atan2", kInfinite, 1, kPi / 2, 0, 0},
    {"atan2", -kInfinite, 1, -kPi / 2, 0, 0},
    {"atan2", kInfinite, kInfinite, kPi / 4, 0, 0},
    {"atan2", 0, 0, 0, 0, 0},
    {"atan2", 1, kLargest, 1 / Real(kLargest), 1 / Real(kLargest), -1 / Real(kLargest) / kLargest},
    {"hypot", kInfinite, 1, kInf, 1, 0},
    {"hypot", -kInfinite, 1, kInf, -1, 0},
    {"hypot", 1, kInfinite, kInf, 0, 1},
    {"hypot", 0, -0.0, 0, 0, 0},
    {"hypot", kLargest, 1, kLargest, 1, 1 / Real(kLargest)},
    {"hypot", 1e-30, 0, 1e-30L, 1, 0},
    {"logaddexp", kInfinite, 1, kInf, 1, 0},
    {"logaddexp", -kInfinite, 1, 1, 0, 1},
    {"logaddexp", kInfinite, kInfinite, kInf, 0.5L, 0.5L},
    {"logaddexp", -kInfinite, -kInfinite, -kInf, 0.5L, 0.5L},
    {"logaddexp", kInfinite, -kInfinite, kInf, 1, 0},
    {"logaddexp", kLargest, kLargest, kLargest, 0.5L, 0.5L},
    {"xlogy", 0, 0, 0, 0, 0},
    {"xlogy", 1, 0, -kInf, -kInf, kInf},
    {"xlogy", 1, kInfinite, kInf, kInf, 0},
    {"xlogy", kInfinite, 2, kInf, kLn2, kInf},
};

struct BinaryFunction {
  const char* name;
  Tensor (*of_tensors)(const Tensor&, const Tensor&);
  Scalar (*of_scalars)(const Scalar&, const Scalar&);
  Dual<2> (*of_duals)(const Dual<2>&, const Dual<2>&);
};

template <class T> void check_pair_of_tensors(const std::string& name, const BinaryFunction& f, const Pair& expected) {
  const Dtype dtype = sizeof(T) == 4 ? float32 : float64;
  const auto check = [&](const char* what, double found, Real wanted) {
    BOOST_CHECK_MESSAGE(agree<T>(found, wanted),
                        name << " at " << expected.a << ", " << expected.b << ": " << what << " is " << found << " instead of " << wanted);
  };
  for (const Index n : {1, 21}) {
    Tape tape;
    const Tensor a = tape.variable(Tensor::full({n}, expected.a, dtype)), b = tape.variable(Tensor::full({n}, expected.b, dtype));
    const Tensor y = f.of_tensors(a, b), one = Tensor::ones({n}, dtype);
    const auto last = [n](const Tensor& t) { return t.at({n - 1}); };
    check("the value", last(y), expected.value);
    check("forward, by a", last(tape.jvp(y, wrt(a), {one})), expected.by_a);
    check("forward, by b", last(tape.jvp(y, wrt(b), {one})), expected.by_b);
    const auto [a_bar, b_bar] = tape.gradient(sum(y), wrt(a, b), {.retain = true, .differentiable = true, .unreached = Unreached::zero});
    check("by a", last(a_bar), expected.by_a);
    check("by b", last(b_bar), expected.by_b);
    if (!std::isfinite(static_cast<T>(expected.by_a)) || !std::isfinite(static_cast<T>(expected.by_b))) continue;
    for (const Tensor& slope : {a_bar, b_bar}) {
      const auto [to_a, to_b] = tape.gradient(sum(slope + 0 * a + 0 * b), wrt(a, b), {.retain = true});
      BOOST_CHECK_MESSAGE(!std::isnan(last(to_a)) && !std::isnan(last(to_b)),
                          name << " at " << expected.a << ", " << expected.b << ": a second derivative is NaN");
    }
  }
}

void check_pairs(const BinaryFunction& f) {
  const std::string name = f.name;
  bool found_row = false;
  for (const Pair& p : kPairs) {
    if (p.name != name) continue;
    found_row = true;
    check_pair_of_tensors<double>(name, f, p);
    check_pair_of_tensors<float>(name + " in float32", f, p);
    Tape tape;
    const Scalar a = tape.variable(p.a), b = tape.variable(p.b), y = f.of_scalars(a, b);
    const auto [a_bar, b_bar] = tape.gradient(y, wrt(a, b), {.unreached = Unreached::zero});
    const Dual<2> dual = f.of_duals(Dual<2>(p.a, {1, 0}), Dual<2>(p.b, {0, 1}));
    const std::array<double, 6> found{y.value(), a_bar, b_bar, dual.v, dual.d[0], dual.d[1]};
    const std::array<Real, 6> expected{p.value, p.by_a, p.by_b, p.value, p.by_a, p.by_b};
    for (std::size_t i = 0; i < found.size(); ++i)
      BOOST_CHECK_MESSAGE(agree<double>(found[i], expected[i]), name << " of numbers at " << p.a << ", " << p.b << ": number " << i
                                                                     << " is " << found[i] << " instead of " << expected[i]);
  }
  BOOST_CHECK_MESSAGE(found_row, name << " has no row in kPairs of tests/functions/test_ends_of_range.cpp");
}

}  // namespace

#define WENGERT_OF_TWO(Number, expression) [](const Number& a, const Number& b) -> Number { return expression; }
#define WENGERT_CHECK_PAIRS(F, expression) \
  check_pairs({fn::F::name, WENGERT_OF_TWO(Tensor, expression), WENGERT_OF_TWO(Scalar, expression), WENGERT_OF_TWO(Dual<2>, expression)});
#define WENGERT_FUNCTION(F, function) \
  BOOST_AUTO_TEST_CASE(limits_of_##function) { WENGERT_CHECK_PAIRS(F, function(a, b)) }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, op) \
  BOOST_AUTO_TEST_CASE(limits_of_operator_##F) { WENGERT_CHECK_PAIRS(F, a op b) }
WENGERT_ARITHMETIC(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
