// Generic numeric code: functions under their names in the C++ library, and type traits of numbers.
#include <autodiff/autodiff.h>
#include <autodiff/scalar/scalar_derivatives.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

using namespace wengert;
namespace tt = boost::test_tools;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Every elementary function, called as in code for doubles. Takes two operands, because some functions need them.
struct Elementary {
  template <class T> T operator()(std::span<const T> x) const {
    using std::abs, std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::ceil, std::cos, std::cosh;
    using std::erf, std::erfc, std::exp, std::exp2, std::expm1, std::fabs, std::floor, std::fmax, std::fmin, std::hypot, std::lgamma;
    using std::log, std::log10, std::log1p, std::log2, std::max, std::min, std::pow, std::round, std::sin, std::sinh, std::sqrt, std::tan;
    using std::tanh;
    const T &a = x[0], &b = x[1];
    T y = abs(a) + acos(a) * acosh(b + 1.0) + asin(a) + asinh(b) - atan(a) + atan2(a, b) + atanh(a) + ceil(b) + cos(a) * cosh(b);
    y += erf(a) * erfc(b) + exp(a) - exp2(b) + expm1(a) + fabs(b) + floor(a) + hypot(a, b) + lgamma(b) + log(b) * log10(b);
    y += log1p(a) + log2(b) + pow(b, a) + pow(b, 2.5) + pow(1.5, a) + round(b) + sin(a) + sinh(b) + sqrt(b) + tan(a) + tanh(b);
    y += fmax(a, b) * fmin(a, b) + fmax(a, 2.0) + fmin(1.0, b) + max(a, b) + min(a, b) * 3.0;
    return +y;
  }
};

// Branches on properties of a number, as algorithms do.
struct Branches {
  template <class T> T operator()(std::span<const T> x) const {
    using std::isfinite, std::isinf, std::isnan, std::isnormal, std::signbit;
    T y = 0.0;
    for (const T& e : x) {
      if (isnan(e) || isinf(e) || !isfinite(e) || !isnormal(e)) continue;
      y += signbit(e) ? T(-e) : T(e * e);
    }
    return y;
  }
};

template <class F> void check_gradient_and_value(F f, const std::vector<double>& x, double tolerance) {
  Tape tape;
  const std::vector<Scalar> variables = tape.variables(x);
  const Scalar y = f(std::span<const Scalar>(variables));
  BOOST_TEST(y.value() == f(std::span<const double>(x)), tt::tolerance(1e-15));
  std::vector<double> slopes(x.size());
  tape.gradient(y, variables, slopes);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<double> direction(x.size()), up = x, down = x;
    direction[i] = 1;
    up[i] += 1e-6;
    down[i] -= 1e-6;
    const double difference = (f(std::span<const double>(up)) - f(std::span<const double>(down))) / 2e-6;
    BOOST_TEST(slopes[i] == difference, tt::tolerance(tolerance));
    BOOST_TEST(slopes[i] == directional_derivative(f, x, direction), tt::tolerance(1e-13));  // by dual numbers
  }
  BOOST_TEST(gradient(f, x) == slopes, tt::tolerance(1e-13) << tt::per_element());
}

// f(a, b) and both slopes, on Scalars, on a tape for higher orders, and on dual numbers, which must agree.
template <class F> std::array<double, 3> value_and_slopes(F f, double a, double b) {
  std::array<double, 3> result{};
  for (const bool higher_order : {false, true}) {
    Tape tape({.higher_order = higher_order});
    const Scalar x = tape.variable(a), y = tape.variable(b);
    const Scalar z = f(x, y);
    const auto [dx, dy] = tape.gradient(z, wrt(x, y), {.unreached = Unreached::zero});
    if (higher_order) {
      BOOST_TEST(result[0] == z.value());
      BOOST_TEST(result[1] == dx);
      BOOST_TEST(result[2] == dy);
    }
    result = {z.value(), dx, dy};
  }
  const Dual<2> z = f(Dual<2>(a, {1, 0}), Dual<2>(b, {0, 1}));
  BOOST_TEST((result == std::array<double, 3>{z.v, z.d[0], z.d[1]}));
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(elementary_functions_by_their_names_in_the_standard_library) {
  check_gradient_and_value(Elementary(), {0.3, 1.7}, 1e-8);
  check_gradient_and_value(Elementary(), {-0.6, 0.4}, 1e-8);
}

BOOST_AUTO_TEST_CASE(queries_look_at_values) {
  check_gradient_and_value(Branches(), {2, -3, 0.5}, 1e-8);
  const std::vector<double> x = {2, kNaN, -3, kInf, -kInf, 0, 1e-310};
  BOOST_TEST(gradient(Branches(), x) == (std::vector<double>{4, 0, -1, 0, 0, 0, 0}), tt::per_element());
  Tape tape;
  const Scalar one = tape.variable(1), zero = tape.variable(0);
  BOOST_TEST((isfinite(one) && isfinite(one * 2) && !isfinite(one / zero) && isinf(-1 / zero) && !isinf(one)));
  BOOST_TEST((isnan(zero / zero) && !isnan(one) && isnormal(one) && !isnormal(zero) && !isnormal(one * 1e-310)));
  BOOST_TEST((signbit(-one) && signbit(-zero) && !signbit(one)));
  const std::size_t before = tape.statements();
  BOOST_TEST(!isnan(one * zero));
  BOOST_TEST(tape.statements() == before);
}

BOOST_AUTO_TEST_CASE(max_and_min_share_the_slope_at_a_tie) {
  const auto larger = [](auto a, auto b) { return decltype(a)(max(a, b)); };
  const auto smaller = [](auto a, auto b) { return decltype(a)(min(a * 1, b)); };
  BOOST_TEST((value_and_slopes(larger, 2, 3) == std::array<double, 3>{3, 0, 1}));
  BOOST_TEST((value_and_slopes(larger, 3, 2) == std::array<double, 3>{3, 1, 0}));
  BOOST_TEST((value_and_slopes(larger, 3, 3) == std::array<double, 3>{3, 0.5, 0.5}));
  BOOST_TEST((value_and_slopes(smaller, 2, 3) == std::array<double, 3>{2, 1, 0}));
  BOOST_TEST((value_and_slopes(smaller, 3, 2) == std::array<double, 3>{2, 0, 1}));
  BOOST_TEST((value_and_slopes(smaller, 3, 3) == std::array<double, 3>{3, 0.5, 0.5}));
  Tape tape;
  const Scalar x = tape.variable(2);
  BOOST_TEST(Scalar(max(x, 3)).value() == 3);
  BOOST_TEST(Scalar(min(1.5f, x)).value() == 1.5);
  BOOST_TEST(std::isnan(Scalar(max(x, kNaN)).value()));
  BOOST_TEST(std::isnan(Scalar(min(kNaN, x)).value()));
  BOOST_TEST(tape.gradient(Scalar(max(x * x, 0) - min(x, 7)), x) == 3);
}

BOOST_AUTO_TEST_CASE(fmax_and_fmin_take_the_number_beside_not_a_number) {
  const auto larger = [](auto a, auto b) { return decltype(a)(fmax(a, b)); };
  const auto smaller = [](auto a, auto b) { return decltype(a)(fmin(a, b * 1)); };
  for (const auto& [a, b] : {std::pair{2.0, 3.0}, {3.0, 2.0}, {-kInf, 1.0}}) {
    BOOST_TEST((value_and_slopes(larger, a, b) == std::array<double, 3>{std::fmax(a, b), double(a > b), double(b > a)}));
    BOOST_TEST((value_and_slopes(smaller, a, b) == std::array<double, 3>{std::fmin(a, b), double(a < b), double(b < a)}));
  }
  for (const auto& f : {0, 1}) {
    const auto choose = [&](auto a, auto b) { return f ? larger(a, b) : smaller(a, b); };
    BOOST_TEST((value_and_slopes(choose, 2, kNaN) == std::array<double, 3>{2, 1, 0}));
    BOOST_TEST((value_and_slopes(choose, kNaN, 2) == std::array<double, 3>{2, 0, 1}));
    BOOST_TEST((value_and_slopes(choose, 2, 2) == std::array<double, 3>{2, 0.5, 0.5}));
  }
  Tape tape;
  const Scalar x = tape.variable(2), y = fmax(x * x, 1) + fmin(3, x) + fmax(kNaN, x);
  BOOST_TEST(y.value() == 8);
  BOOST_TEST(tape.gradient(y, x) == 6);
}

BOOST_AUTO_TEST_CASE(unary_plus_is_its_operand) {
  Tape tape;
  Scalar x = tape.variable(3), s = x;
  s += x;
  const std::size_t before = tape.statements();
  const Scalar same = +s;
  BOOST_TEST(tape.statements() == before);
  s += x;  // must not change `same`
  const Scalar y = +(x * x) + +same;
  BOOST_TEST(y.value() == 15);
  BOOST_TEST(tape.gradient(y, x) == 8);
  BOOST_TEST((+Dual<1>(2, {5})).d[0] == 5);
}

// The value of an expression is what it was when it was written.
BOOST_AUTO_TEST_CASE(the_value_of_an_expression) {
  Tape tape;
  Scalar x = tape.variable(3), y = tape.variable(5), s = x;
  s += x;
  const auto kept = s * y;
  s += x * x;
  BOOST_TEST(kept.value() == 30);
  BOOST_TEST((kept > 29 && kept == 30 && kept < s * y && !isnan(kept)));
  BOOST_TEST((x * x).value() == 9);
  BOOST_TEST(exp(x * 0).value() == 1);
}

BOOST_AUTO_TEST_CASE(limits_are_those_of_the_value_type) {
  using Product = decltype(std::declval<Scalar&>() * std::declval<Scalar&>());
  using Exponential = decltype(exp(std::declval<Scalar&>()));
  const auto check = []<class T>(T) {
    using Limits = std::numeric_limits<T>;
    using Doubles = std::numeric_limits<double>;
    static_assert(Limits::is_specialized && !Limits::is_integer && Limits::digits == Doubles::digits && Limits::has_infinity);
    static_assert(Limits::epsilon() == Doubles::epsilon() && Limits::max() == Doubles::max() && Limits::lowest() == Doubles::lowest());
    static_assert(Limits::min() == Doubles::min() && Limits::infinity() == kInf && Limits::denorm_min() == Doubles::denorm_min());
    BOOST_TEST(std::isnan(Limits::quiet_NaN()));
  };
  Scalar x = 2;
  check(x);
  check(Dual<0>());
  check(Dual<3>());
  check(BasicScalar<Dual<1>>());
  static_assert(std::numeric_limits<const Dual<3>>::max() == std::numeric_limits<double>::max());
  static_assert(std::numeric_limits<Product>::epsilon() == std::numeric_limits<double>::epsilon());
  static_assert(std::numeric_limits<Exponential>::infinity() == kInf);
}

BOOST_AUTO_TEST_CASE(common_types) {
  using Product = decltype(std::declval<Scalar&>() * std::declval<Scalar&>());
  using Exponential = decltype(exp(std::declval<Scalar&>()));
  using DualScalar = BasicScalar<Dual<2>>;
  using DualProduct = decltype(2 * std::declval<DualScalar&>());
  static_assert(std::is_same_v<std::common_type_t<Scalar, double>, Scalar> && std::is_same_v<std::common_type_t<int, Scalar>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<Product, double>, Scalar> && std::is_same_v<std::common_type_t<int, Product>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<Product, Scalar>, Scalar> && std::is_same_v<std::common_type_t<Scalar, Product>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<Product, Exponential>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<Product, Product>, Scalar> && std::is_same_v<std::common_type_t<Product>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<float, const Product&, Exponential, Scalar>, Scalar>);
  static_assert(std::is_same_v<std::common_type_t<DualProduct, double>, DualScalar>);
  static_assert(std::is_same_v<std::common_type_t<Dual<2>, double>, Dual<2>> && std::is_same_v<std::common_type_t<int, Dual<2>>, Dual<2>>);
  const auto has_common_type = []<class T>(T) {
    return requires { typename std::common_type_t<Product, T>; };
  };
  struct Unrelated {};
  BOOST_TEST(has_common_type(1.0f));
  BOOST_TEST(!has_common_type(Unrelated()));
}
