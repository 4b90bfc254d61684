// The straight formulas of loops over tensors: special values, and the same bits on every instruction set and however a loop is cut.
// (Their accuracy is tested with that of Scalars, in test_functions.)
#include "autodiff/functions/straight.h"

#include <autodiff/autodiff.h>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/support/every_isa.h"

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
template <class F> std::vector<Tensor> computed(const F& f, const Tensor& at) {
  Tape tape;
  const Tensor x = tape.variable(at), y = detail::map(f, x, Location::here());
  return {y.constant(), tape.gradient(y, wrt(x), {.seed = Tensor::full(x.shape(), 1.25, x.dtype()), .unreached = Unreached::zero})};
}

template <class T, class F> void check_cuts(const F& f) {
  const std::vector<T> values = arguments<T>();
  const Tensor x = Tensor::from(values);
  const std::vector<Tensor> expected = computed(f, x);
  on_every_isa([&] {
    for (const Index length : {Index(1), Index(7), Index(63), Index(65), x.size()}) {
      Index wrong = 0;
      for (Index start = 0; start + length <= x.size(); start += length) {
        const std::vector<Tensor> part = computed(f, narrow(x, 0, start, length).contiguous());
        for (std::size_t k = 0; k < part.size(); ++k)
          for (Index i = 0; i < length; ++i) wrong += !same_bits(part[k].data<T>()[i], expected[k].data<T>()[start + i]);
      }
      BOOST_CHECK_MESSAGE(wrong == 0, F::name << " of pieces of " << length << ": " << wrong << " values or slopes differ");
    }
  });
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
  BOOST_TEST(static_cast<T>(s::asin(1)) == static_cast<T>(std::asin(1)));
}

}  // namespace

BOOST_AUTO_TEST_CASE(special_values) {
  check_special_values<float>();
  check_special_values<double>();
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_every_instruction_set_and_in_pieces) {
#define WENGERT_FUNCTION(F, ...) \
  check_cuts<float>(fn::F{});    \
  check_cuts<double>(fn::F{});
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
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
