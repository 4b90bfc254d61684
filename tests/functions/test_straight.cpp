// The straight formulas of loops over tensors: special values, and the same bits on every instruction set and however a loop is cut.
// (The accuracy of those of one operand is tested with that of Scalars, in test_functions.)
#include "autodiff/functions/straight.h"

#include <autodiff/autodiff.h>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "tests/support/every_isa.h"
#include "tests/support/reference_functions.h"

using namespace wengert;
using testing::on_every_isa;

namespace {

template <class T> constexpr T kInfinity = std::numeric_limits<T>::infinity();

// Numbers of all sizes, and those at which formulas change or end.
template <class T> std::vector<T> arguments() {
  std::vector<T> x{std::numeric_limits<T>::quiet_NaN(),
                   kInfinity<T>,
                   -kInfinity<T>,
                   T(0),
                   -T(0),
                   std::numeric_limits<T>::denorm_min(),
                   std::numeric_limits<T>::min(),
                   std::numeric_limits<T>::max(),
                   std::numeric_limits<T>::lowest(),
                   T(1e6),
                   T(1.1e6),
                   T(1),
                   T(-1)};
  for (int i = 0; i < 100; ++i) x.push_back(static_cast<T>(0.13 * i - 6.1));
  for (int i = -37; i < 38; ++i) x.push_back(static_cast<T>((i % 2 ? 1 : -1) * std::pow(10.0, i)));
  for (int i = 0; i < 60; ++i) x.push_back(static_cast<T>(std::sin(i) * std::exp(0.12 * i)));
  return x;
}

template <class T> bool same_bits(T a, T b) {
  using Bits = fn::straight::BitsOf<T>;
  return std::bit_cast<Bits>(a) == std::bit_cast<Bits>(b) || (std::isnan(a) && std::isnan(b));
}

// Values and slopes of f.
template <class F> std::vector<Tensor> computed(const F& f, std::span<const Tensor> at) {
  Tape tape;
  const GradientOptions options{.seed = Tensor::full(at[0].shape(), 1.25, at[0].dtype()), .unreached = Unreached::zero};
  const Tensor a = tape.variable(at[0]);
  if (at.size() == 1) {
    if constexpr (requires { F::reads; }) {
      const Tensor y = detail::map(f, a, Location::here());
      return {y.constant(), tape.gradient(y, wrt(a), options)};
    }
  } else if constexpr (requires { F::reads_left; }) {
    const Tensor b = tape.variable(at[1]), y = detail::zip(f, a, b, Location::here());
    const auto [a_bar, b_bar] = tape.gradient(y, wrt(a, b), options);
    return {y.constant(), a_bar, b_bar};
  }
  return {};
}

template <class T, class F> void check_cuts(const F& f, const std::vector<Tensor>& x) {
  const std::vector<Tensor> expected = computed(f, x);
  on_every_isa([&] {
    const Index n = x[0].size();
    for (const Index length : {Index(1), Index(7), Index(63), Index(65), n}) {
      Index wrong = 0;
      for (Index start = 0; start + length <= n; start += length) {
        std::vector<Tensor> piece;
        for (const Tensor& operand : x) piece.push_back(narrow(operand, 0, start, length).contiguous());
        const std::vector<Tensor> part = computed(f, piece);
        for (std::size_t k = 0; k < part.size(); ++k)
          for (Index i = 0; i < length; ++i) wrong += !same_bits(part[k].data<T>()[i], expected[k].data<T>()[start + i]);
      }
      BOOST_CHECK_MESSAGE(wrong == 0, F::name << " of pieces of " << length << ": " << wrong << " values or slopes differ");
    }
  });
}

template <class T, class F> void check_cuts(const F& f) { check_cuts<T>(f, {Tensor::from(arguments<T>())}); }
/// Each argument beside one of another size.
template <class T, class F> void check_cuts_of_two(const F& f) {
  const std::vector<T> a = arguments<T>();
  std::vector<T> b = a;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = a[(i + 41) % a.size()];
  check_cuts<T>(f, {Tensor::from(a), Tensor::from(b)});
}

template <class T, class F> void check_values(const char* name, F&& f, std::initializer_list<std::pair<double, double>> points) {
  for (const auto& [x, y] : points) {
    const T got = f(static_cast<T>(x));
    BOOST_CHECK_MESSAGE(same_bits(got, static_cast<T>(y)), name << '(' << x << ") is " << got << ", not " << y);
  }
}

// What is exact at the ends of the range, at poles and at zeros of either sign.
template <class T> void check_special_values() {
  constexpr double kInf = kInfinity<double>, kNaN = std::numeric_limits<double>::quiet_NaN();
  namespace s = fn::straight;
  const auto check = [](const char* name, auto&& f, std::initializer_list<std::pair<double, double>> points) {
    check_values<T>(name, f, points);
  };
  check("exp", [](T x) { return s::exp(x); }, {{0, 1}, {-0.0, 1}, {kInf, kInf}, {-kInf, 0}, {kNaN, kNaN}, {1000, kInf}, {-1000, 0}});
  check("exp2", [](T x) { return s::exp2(x); }, {{0, 1}, {10, 1024}, {-3, 0.125}, {kInf, kInf}, {-kInf, 0}, {kNaN, kNaN}});
  check("expm1", [](T x) { return s::expm1(x); }, {{0, 0}, {-0.0, -0.0}, {kInf, kInf}, {-kInf, -1}, {kNaN, kNaN}});
  check("log", [](T x) { return s::log(x); }, {{1, 0}, {0, -kInf}, {-0.0, -kInf}, {-1, kNaN}, {kInf, kInf}, {-kInf, kNaN}, {kNaN, kNaN}});
  check("log1p", [](T x) { return s::log1p(x); }, {{0, 0}, {-0.0, -0.0}, {-1, -kInf}, {-2, kNaN}, {kInf, kInf}, {kNaN, kNaN}});
  check("log2", [](T x) { return static_cast<T>(s::log2(x)); }, {{1, 0}, {8, 3}, {0.25, -2}, {0, -kInf}, {-1, kNaN}, {kInf, kInf}});
  check("log10", [](T x) { return static_cast<T>(s::log10(x)); }, {{1, 0}, {1000, 3}, {1e10, 10}, {0, -kInf}, {-1, kNaN}, {kInf, kInf}});
  check("sin", [](T x) { return s::sin(x); }, {{0, 0}, {-0.0, -0.0}});
  check("cos", [](T x) { return s::cos(x); }, {{0, 1}, {-0.0, 1}});
  check("tan", [](T x) { return s::tan(x); }, {{0, 0}, {-0.0, -0.0}});
  check("sinh", [](T x) { return s::sinh(x); }, {{0, 0}, {-0.0, -0.0}, {kInf, kInf}, {-kInf, -kInf}, {kNaN, kNaN}});
  check("cosh", [](T x) { return s::cosh(x); }, {{0, 1}, {kInf, kInf}, {-kInf, kInf}, {kNaN, kNaN}});
  check("tanh", [](T x) { return s::tanh(x); }, {{0, 0}, {kInf, 1}, {-kInf, -1}, {kNaN, kNaN}, {30, 1}});
  check("asinh", [](T x) { return s::asinh(x); }, {{0, 0}, {-0.0, -0.0}, {kInf, kInf}, {-kInf, -kInf}, {kNaN, kNaN}});
  check("acosh", [](T x) { return s::acosh(x); }, {{1, 0}, {0.5, kNaN}, {-2, kNaN}, {-1e30, kNaN}, {kInf, kInf}, {kNaN, kNaN}});
  check("atanh", [](T x) { return s::atanh(x); }, {{0, 0}, {-0.0, -0.0}, {1, kInf}, {-1, -kInf}, {2, kNaN}, {kNaN, kNaN}});
  check("erf", [](T x) { return s::erf(x); }, {{0, 0}, {-0.0, -0.0}, {kInf, 1}, {-kInf, -1}, {kNaN, kNaN}, {7, 1}});
  check("erfc", [](T x) { return s::erfc(x); }, {{0, 1}, {kInf, 0}, {-kInf, 2}, {kNaN, kNaN}, {40, 0}});
  check("asin", [](T x) { return static_cast<T>(s::asin(x)); }, {{0, 0}, {-0.0, -0.0}, {1.5, kNaN}, {kNaN, kNaN}});
  check("acos", [](T x) { return static_cast<T>(s::acos(x)); }, {{1, 0}, {1.5, kNaN}, {-1.5, kNaN}, {kNaN, kNaN}});
  check("atan", [](T x) { return static_cast<T>(s::atan(x)); }, {{0, 0}, {-0.0, -0.0}, {kNaN, kNaN}});
  BOOST_TEST(static_cast<T>(s::atan(kInf)) == static_cast<T>(std::atan(kInf)));
  BOOST_TEST(s::asin(T(1)) == static_cast<T>(std::asin(1)));
}

/// |got - expected| in units in the last place of T.
template <class T> double ulps(T got, long double expected) {
  if (static_cast<T>(expected) == got) return 0;
  if (!std::isfinite(got)) return std::numeric_limits<double>::infinity();
  const long double size = std::max(std::abs(expected), static_cast<long double>(std::numeric_limits<T>::min()));
  return static_cast<double>(std::abs(got - expected) / std::scalbn(1.0L, std::ilogb(size) - std::numeric_limits<T>::digits + 1));
}

struct Worst {
  double ulps = 0, a = 0, b = 0;
  void note(double error, double at_a, double at_b) {
    if (error > ulps) *this = {error, at_a, at_b};
  }
};

/// Pairs of all sizes, subnormal ones too, of neighbouring sizes, and of moderate ones.
template <class T, class F> void for_pairs(F&& f) {
  constexpr int kLeast = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits,
                kMost = std::numeric_limits<T>::max_exponent - 2;
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> mantissa(1, 2), moderate(-3, 3);
  std::uniform_int_distribution<int> exponent(kLeast, kMost), beside(-6, 6);
  const auto number = [&](int e) { return static_cast<T>(std::scalbn(random() & 1 ? -mantissa(random) : mantissa(random), e)); };
  for (int i = 0; i < 200000; ++i) {
    const int e = exponent(random);
    f(number(e), number(exponent(random)));
    f(number(e), number(std::clamp(e + beside(random), kLeast, kMost)));
    f(static_cast<T>(moderate(random)), static_cast<T>(moderate(random)));
  }
}

template <class T> void check_accuracy_of_two(double of_angle, double of_length, double of_slope) {
  Worst angle, length, slope;
  for_pairs<T>([&](T a, T b) {
    const long double r = std::hypot(static_cast<long double>(a), static_cast<long double>(b));
    angle.note(ulps(fn::straight::atan2(a, b), std::atan2(static_cast<long double>(a), static_cast<long double>(b))), a, b);
    length.note(ulps(fn::straight::hypot(a, b), r), a, b);
    if (r > 0) slope.note(ulps(fn::straight::over_square(b, a, b), b / r / r), a, b);
  });
  BOOST_CHECK_MESSAGE(angle.ulps <= of_angle, "atan2(" << angle.a << ", " << angle.b << "): " << angle.ulps << " ULP");
  BOOST_CHECK_MESSAGE(length.ulps <= of_length, "hypot(" << length.a << ", " << length.b << "): " << length.ulps << " ULP");
  BOOST_CHECK_MESSAGE(slope.ulps <= of_slope, "slope of atan2 at " << slope.a << ", " << slope.b << ": " << slope.ulps << " ULP");
}

// Powers of numbers of all sizes, also near 1, whose exponents reach the ends of the range; and those of negative numbers.
template <class T> void check_accuracy_of_powers(double of_power) {
  constexpr int kLeast = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits,
                kMost = std::numeric_limits<T>::max_exponent;
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> result(kLeast - 3, kMost + 3), size(kLeast, kMost), near(-0.4, 0.4);
  Worst worst, cube, fourth;
  const auto measure = [&](T a, T b) {
    const long double exact = std::pow(static_cast<long double>(a), static_cast<long double>(b));
    if (std::abs(exact) > std::numeric_limits<T>::max()) return;
    (b == 3 ? cube : b == 4 ? fourth : worst).note(ulps(fn::straight::pow(a, b), exact), a, b);
  };
  for (int i = 0; i < 200000; ++i) {
    for (const double a : {std::exp2(size(random)), 1 + near(random), 1 + near(random) * 1e-4}) {
      const auto x = static_cast<T>(a);
      if (x == 1) continue;
      measure(x, static_cast<T>(result(random) / std::log2(static_cast<double>(x))));
      measure(-x, static_cast<T>(i % 41 - 20));
    }
  }
  BOOST_CHECK_MESSAGE(worst.ulps <= of_power, "pow(" << worst.a << ", " << worst.b << "): " << worst.ulps << " ULP");
  BOOST_CHECK_MESSAGE(cube.ulps <= 1.3, "the cube of " << cube.a << ": " << cube.ulps << " ULP");
  BOOST_CHECK_MESSAGE(fourth.ulps <= (std::is_same_v<T, float> ? 0.51 : 1.92),
                      "the fourth power of " << fourth.a << ": " << fourth.ulps << " ULP");
}

template <class T> void check_special_values_of_two() {
  constexpr T kInf = kInfinity<T>, kLeast = std::numeric_limits<T>::denorm_min(), kMost = std::numeric_limits<T>::max();
  constexpr T kWhole = std::is_same_v<T, float> ? T(0x1p24) : T(0x1p53);  // beyond, all numbers are even
  const std::vector<T> ends{0,     kLeast, std::numeric_limits<T>::min(),      T(0.5), 1, 2, 3, T(3.5), kWhole / 2 + 1, kWhole - 1, kWhole,
                            kMost, kInf,   std::numeric_limits<T>::quiet_NaN()};
  const auto check = [](const char* name, T a, T b, T got, T expected) {
    const bool same = std::isnan(expected) ? std::isnan(got) : ulps<T>(got, expected) <= 1 && std::signbit(got) == std::signbit(expected);
    BOOST_CHECK_MESSAGE(same, name << '(' << a << ", " << b << ") is " << got << ", not " << expected);
  };
  for (const T x : ends) {
    for (const T y : ends) {
      for (const T a : {x, -x}) {
        for (const T b : {y, -y}) {
          check("atan2", a, b, fn::straight::atan2(a, b), std::atan2(a, b));
          check("hypot", a, b, fn::straight::hypot(a, b), std::hypot(a, b));
          check("pow", a, b, fn::straight::pow(a, b), std::pow(a, b));
        }
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(special_values) {
  check_special_values<float>();
  check_special_values<double>();
  check_special_values_of_two<float>();
  check_special_values_of_two<double>();
}

BOOST_AUTO_TEST_CASE(atan2_hypot_and_slopes_are_within_a_few_ulp_of_the_exact_values) {
  check_accuracy_of_two<float>(2, 0.51, 0.51);
  if (std::numeric_limits<long double>::digits < 64) return;  // nothing to measure with
  check_accuracy_of_two<double>(2, 1.3, 2.5);
}

BOOST_AUTO_TEST_CASE(lgamma_of_floats_is_within_a_few_ulp_of_the_exact_values) {
  check_values<float>("lgamma", [](float x) { return fn::straight::lgamma_of_positive(x); },
                      {{1, 0}, {2, 0}, {kInfinity<double>, kInfinity<double>}, {1e37, kInfinity<double>}});
  Worst worst;
  const auto measure = [&](std::uint32_t bits) {
    const auto x = std::bit_cast<float>(bits);
    worst.note(ulps(fn::straight::lgamma_of_positive(x), reference::lgamma(x)), x, 0);
  };
  for (std::uint32_t bits = 1; bits < std::bit_cast<std::uint32_t>(1e36f); bits += 9973) measure(bits);
  for (const float zero : {1.f, 2.f})
    for (std::uint32_t i = 0; i < 2000; ++i) measure(std::bit_cast<std::uint32_t>(zero) + i - 1000);
  BOOST_CHECK_MESSAGE(worst.ulps <= 1.5, "lgamma(" << worst.a << "): " << worst.ulps << " ULP");
}

BOOST_AUTO_TEST_CASE(powers_are_within_two_ulp_of_the_exact_values) {
  check_accuracy_of_powers<float>(0.51);
  if (std::numeric_limits<long double>::digits < 64) return;  // nothing to measure with
  check_accuracy_of_powers<double>(1.5);
}

// Of floats. (Those of doubles are tested in test_functions.)
BOOST_AUTO_TEST_CASE(functions_of_floats_are_within_two_ulp_of_the_exact_values) {
  namespace s = fn::straight;
  const auto check = [](const char* name, auto&& f, auto&& exact, float first, float last, double most) {
    Worst worst;
    for (std::uint32_t bits = std::bit_cast<std::uint32_t>(first); bits <= std::bit_cast<std::uint32_t>(last); bits += 2503) {
      const auto x = std::bit_cast<float>(bits);
      worst.note(ulps(f(x), exact(static_cast<long double>(x))), x, 0);
    }
    BOOST_CHECK_MESSAGE(worst.ulps <= most, name << '(' << worst.a << "): " << worst.ulps << " ULP");
  };
  constexpr float kLeast = std::numeric_limits<float>::denorm_min(), kMost = std::numeric_limits<float>::max();
  check(
      "log2", [](float x) { return s::log2(x); }, [](long double x) { return std::log2(x); }, kLeast, kMost, 1);
  check(
      "log10", [](float x) { return s::log10(x); }, [](long double x) { return std::log10(x); }, kLeast, kMost, 1);
  check(
      "asin", [](float x) { return s::asin(x); }, [](long double x) { return std::asin(x); }, kLeast, 1, 2);
  check(
      "acos", [](float x) { return s::acos(x); }, [](long double x) { return std::acos(x); }, kLeast, 1, 1.5);
  check(
      "logit", [](float x) { return s::logit(x); }, [](long double x) { return std::log(x / (1 - x)); }, kLeast, 0x1.fffffep-1f, 2.5);
}

// Near 0, and at its end, to which the value tends.
BOOST_AUTO_TEST_CASE(digamma_and_its_derivatives) {
  namespace s = fn::straight;
  const auto check = [](const char* name, auto&& f, std::initializer_list<std::pair<double, double>> points) {
    check_values<double>(name, f, points);
  };
  check("digamma", [](double x) { return s::digamma_of_positive(x); },
        {{kInfinity<double>, kInfinity<double>}, {5e-324, -kInfinity<double>}, {0x1p-1000, -0x1p1000}});
  check("trigamma", [](double x) { return s::trigamma_of_positive(x); },
        {{kInfinity<double>, 0}, {1e-200, kInfinity<double>}, {0x1p-500, 0x1p1000}});
  check("tetragamma", [](double x) { return s::tetragamma_of_positive(x); },
        {{kInfinity<double>, -0.0}, {1e-200, -kInfinity<double>}, {0x1p-300, -0x1p901}});
  if (std::numeric_limits<long double>::digits < 64) return;  // nothing to measure with
  Worst of_digamma, first, second;
  const auto measure = [&](double x) {
    const double y = s::digamma_of_positive(x);
    const long double exact = reference::digamma(x);
    const double condition = std::abs(x * s::trigamma_of_positive(x) / y);
    of_digamma.note(ulps(y, exact) / std::max(3.0, 2 * condition), x, y);
    first.note(ulps(s::trigamma_of_positive(x), reference::hurwitz_zeta(2, x)), x, 0);
    second.note(ulps(s::tetragamma_of_positive(x), -2 * reference::hurwitz_zeta(3, x)), x, 0);
  };
  for (int i = 1; i < 4000; ++i) measure(0.1 + 0.001 * i);
  for (int i = 0; i < 400; ++i) measure(4 * std::pow(1.05, i));
  BOOST_CHECK_MESSAGE(of_digamma.ulps <= 1, "digamma(" << of_digamma.a << "): " << of_digamma.ulps << " of the allowed error");
  BOOST_CHECK_MESSAGE(first.ulps <= 3, "polygamma(1, " << first.a << "): " << first.ulps << " ULP");
  BOOST_CHECK_MESSAGE(second.ulps <= 4, "polygamma(2, " << second.a << "): " << second.ulps << " ULP");
}

// Those of numbers where the straight formulas do not hold, in blocks with others and alone.
BOOST_AUTO_TEST_CASE(polygamma_of_any_order_and_argument) {
  std::vector<double> x{-0.5, -3.25, 0, -0.0, -2, -kInfinity<double>, std::numeric_limits<double>::quiet_NaN(), 0.5, 1, 30};
  for (const int length : {10, 7}) {
    x.resize(static_cast<std::size_t>(length));
    for (int n = 0; n < 5; ++n) {
      const std::vector<Tensor> found = computed(fn::Polygamma{static_cast<double>(n)}, std::vector{Tensor::from(x)});
      for (std::size_t k = 0; k < 2; ++k) {
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double got = found[k].data<double>()[i], expected = (k == 0 ? 1 : 1.25) * fn::polygamma(n + static_cast<double>(k), x[i]);
          BOOST_CHECK_MESSAGE((x[i] > 0 ? ulps<double>(got, expected) <= 4.5 : same_bits(got, expected)),
                              "polygamma(" << n + static_cast<int>(k) << ", " << x[i] << ") is " << got << ", not " << expected);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_every_instruction_set_and_in_pieces) {
#define WENGERT_FUNCTION(F, ...) \
  check_cuts<float>(fn::F{});    \
  check_cuts<double>(fn::F{});
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  for (const double n : {0, 2, 3}) {
    check_cuts<float>(fn::Polygamma{n});
    check_cuts<double>(fn::Polygamma{n});
  }
#define WENGERT_FUNCTION(F, ...)     \
  check_cuts_of_two<float>(fn::F{}); \
  check_cuts_of_two<double>(fn::F{});
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}

BOOST_AUTO_TEST_CASE(far_angles_are_those_of_the_c_library) {
  const std::vector<double> x{1e7, -3e8, 1e22, 1.7e300, 0.5};
  const Tensor y = sin(Tensor::from(x)), z = cos(Tensor::from(x)), t = tan(Tensor::from(x));
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    BOOST_TEST(y.element(static_cast<Index>(i)) == std::sin(x[i]));
    BOOST_TEST(z.element(static_cast<Index>(i)) == std::cos(x[i]));
    BOOST_TEST(t.element(static_cast<Index>(i)) == std::tan(x[i]));
  }
  BOOST_TEST(y.element(4) == fn::straight::sin(0.5));
}
