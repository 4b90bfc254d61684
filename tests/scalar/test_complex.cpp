// std::complex of this library's numbers: what <complex> has, mixtures of types, derivatives on the axes, and every number type.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <complex>
#include <initializer_list>
#include <numbers>
#include <numeric>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/support/programs.h"

using namespace wengert;
using namespace std::complex_literals;
namespace tt = boost::test_tools;

namespace {

// u_x + i v_x, the derivative of f at z, and whether u and v obey the equations of Cauchy and Riemann there.
template <class F> std::complex<double> derivative(const F& f, std::complex<double> z) {
  Tape tape;
  const Scalar x = tape.variable(z.real()), y = tape.variable(z.imag());
  const std::complex<Scalar> w = f(std::complex<Scalar>(x, y));
  const auto [ux, uy] = tape.gradient(w.real(), wrt(x, y), {.retain = true, .unreached = Unreached::zero});
  const auto [vx, vy] = tape.gradient(w.imag(), wrt(x, y), {.unreached = Unreached::zero});
  const double tolerance = 1e-12 * (1 + std::hypot(ux, uy));  // one of them may be 0 but for rounding
  BOOST_TEST(std::abs(ux - vy) <= tolerance, ux << " " << vy);
  BOOST_TEST(std::abs(uy + vx) <= tolerance, uy << " " << -vx);
  return {ux, vx};
}

// Every operation between two types, once.
template <class T> T mixtures(T x, T y) {
  const std::complex<double> c(1, 2);
  std::complex<T> z(x, y);
  z = 2.0 * z + z * 3.0 - z / 2.0 - 1.0 + 1.0;
  z = c * z + z / c - c + z * c + c / z;
  z = x * z + z * x - 1.0 / z + x / z + (1.0 - z) / x;
  z = 1i * x + x * 2i + c + x - (x - c) / (c * y) + y / c;
  z = std::polar(x, 0.5) * z + std::polar(1.0, y) * std::pow(z, 1.5) + std::pow(2.0, z) + std::pow(z, y) + std::pow(x, z);
  z += std::pow(z, c) * std::pow(c, z) * 1e-3 + std::pow(z, 2);
  return T(z.real() + 2.0 * z.imag() + abs(z));
}

}  // namespace

BOOST_AUTO_TEST_CASE(functions_of_complex_numbers) {
  // No part cancels: complex doubles are divided by libgcc, which fuses products and sums on AArch64.
  PROGRAM(complex_arithmetic, std::complex<T> z(x, y); z = z * z / std::complex<T>(y, 1.0) + z; return T(z.real() * z.imag()););
  PROGRAM(complex_abs, std::complex<T> z(x, y); return T(std::abs(z)););
  PROGRAM(complex_arg_norm, std::complex<T> z(x, y); return T(std::arg(z) * std::norm(std::conj(z))););
  PROGRAM(complex_sqrt, std::complex<T> z(x, y); z = std::sqrt(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_exp, std::complex<T> z(x, y); z = std::exp(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_log_pow, std::complex<T> z(x, y); z = std::pow(std::log(z), z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_log10, std::complex<T> z(x, y); z = std::log10(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_polar, std::complex<T> z = std::polar(x, y); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_powers, std::complex<T> z(x, y); z = std::pow(z, 2.5) + std::pow(z, -2) + std::pow(z, x) + std::pow(x, z);
          return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_trigonometry, std::complex<T> z(x, y); z = std::sin(z) + std::cos(z) * std::tan(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_hyperbolic, std::complex<T> z(x, y); z = std::sinh(z) + std::cosh(z) * std::tanh(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_inverses, std::complex<T> z(x, y); z = std::asin(z) + std::acos(z) * std::atan(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_area, std::complex<T> z(x, y); z = std::asinh(z) + std::acosh(z) * std::atanh(z); return T(z.real() + 2 * z.imag()););
  PROGRAM(complex_stream, std::istringstream in("(1,2)"); std::complex<T> z; in >> z; z *= x; return T(z.real() + z.imag() * y););
  PROGRAM(complex_accumulate, const std::vector<std::complex<T>> v(3, {x, y});
          const auto z = std::accumulate(v.begin(), v.end(), std::complex<T>()); return T(z.real() * z.imag()););
  // (Two conversions, which std::complex<Scalar> would need, are not made implicitly.)
  EAGER_PROGRAM(
      complex_from_numbers, std::complex<T> z = 1.0; std::complex<T> w = x; w *= 2; z = 2; z += w; w = y; z /= w; z = z * w - 1.0;
      const auto half = [](bool zero) -> std::complex<T> {
        if (zero) return 0.0;
        return 0.5;
      };
      z = exp(z) + half(false) + half(true); z.imag(x); return T(z.real() + 2 * z.imag() * abs(w)););
  PROGRAM(real_arguments,
          return T(std::real(x * y) + std::imag(x) + std::norm(x + y) + std::conj(x).real() + std::proj(y).real() + std::arg(-x)););
}

BOOST_AUTO_TEST_CASE(operands_of_two_types) {
  PROGRAM(complex_real_mix, std::complex<T> z(x, y); z = 2.0 * z + z * x; return T(z.real() * z.imag()););
  PROGRAM(every_mixture, return mixtures(x, y););
  PROGRAM(expressions, std::complex<T> z(x * y, 2 * x); z = (x * y) * z + z * (x + y); z = (x - y) / z - x * y + z / (x + y); z += x * y;
          z *= 2.0 * x; z -= x + y; z /= y + 1.0; return T(z.real() * z.imag()););
  PROGRAM(expressions_in_functions, std::complex<T> z(x, y); z = std::polar(x * y, y) + std::polar(x * y, x * y) + std::pow(z, x * y);
          z = std::pow(x + y, z); return T(z.real() + 2 * z.imag()););
  PROGRAM(comparisons, const std::complex<T> z(x, y); const std::complex<double> c(1, 2); return T(
              z != c && c != z && z != 1.0 && !(0.7 == z) && std::complex<T>(1.0, 2.0) == c && std::complex<T>(2.0) == 2.0 ? x * y : y););
  PROGRAM(
      fourier, T power = 0; for (int k = 0; k < 4; ++k) {
        std::complex<T> f;
        for (int n = 0; n < 4; ++n) f += (n % 2 ? x : y) * std::polar(1.0, -0.5 * std::numbers::pi * k * n);
        power += std::norm(f) * k;
      } return power;);
  // With C++ numbers of any type, and with both number types.
  Tape tape;
  const Scalar x = tape.variable(2);
  const std::complex<Scalar> w =
      3 * std::complex<Scalar>(x, 1) - std::complex<Scalar>(1, x) / 2.0f + std::pow(std::complex<Scalar>(x, 0), 2L);
  BOOST_TEST(w.real().value() == 9.5);
  BOOST_TEST(tape.gradient(w.real(), wrt(x), {.retain = true}) == 7);
  const EagerScalar y = 3;
  const std::complex<EagerScalar> z = std::complex<Scalar>(x, 1) * y + std::complex<EagerScalar>(y, x) * std::complex<Scalar>(x, x);
  BOOST_TEST(z.real().value() == 8);  // 3 x + 3 x - x^2
  BOOST_TEST(tape.gradient(Scalar(z.real()), x) == 2);
}

// Where one part is 0, <complex> has branches in which it is a constant.
BOOST_AUTO_TEST_CASE(derivatives_on_the_axes) {
  const auto check = [](const char* name, const auto& f, const auto& exact) {
    for (const auto& [x, y] : {std::pair(0.5, 0.0), {2.0, 0.0}, {-0.5, 0.0}, {-2.0, 0.0}, {0.0, 0.5}, {0.0, -0.5}, {0.0, 2.0}}) {
      const std::complex<double> z(x, y), found = derivative(f, z), expected = exact(z);
      BOOST_TEST(std::abs(found - expected) < 1e-12 * (1 + std::abs(expected)),
                 name << " at " << z << ": " << found << ", not " << expected);
    }
  };
#define CHECK(f, ...) \
  check(              \
      #f, [](const auto& z) { return f(z); }, [](const std::complex<double>& z) -> std::complex<double> { return __VA_ARGS__; })
  CHECK(sqrt, 0.5 / sqrt(z));
  CHECK(log, 1.0 / z);
  CHECK(exp, exp(z));
  CHECK(tan, 1.0 / (cos(z) * cos(z)));
  CHECK(asin, 1.0 / sqrt(1.0 - z * z));
  CHECK(acos, -1.0 / sqrt(1.0 - z * z));
  CHECK(asinh, 1.0 / sqrt(1.0 + z * z));
  CHECK(acosh, 1.0 / (sqrt(z - 1.0) * sqrt(z + 1.0)));
#undef CHECK
  check(
      "power", [](const auto& z) { return pow(z, 2.5); }, [](const auto& z) { return 2.5 * pow(z, 1.5); });
  check(
      "square", [](const auto& z) { return pow(z, 2); }, [](const auto& z) { return 2.0 * z; });
}

BOOST_AUTO_TEST_CASE(every_number_type) {
  const auto f = []<class T>(std::span<const T> x) -> T { return mixtures(x[0], x[1]); };
  const std::vector<double> at = {0.7, 1.3};
  const std::vector<double> slopes = gradient(f, at), second = hessian(f, at);  // Scalars; dual numbers on a tape
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<double> e(2), up = at, down = at;
    e[i] = 1;
    BOOST_TEST(directional_derivative(f, at, e) == slopes[i], tt::tolerance(1e-12));  // dual numbers
    up[i] += 1e-6;
    down[i] -= 1e-6;
    const std::vector<double> above = gradient(f, up), below = gradient(f, down);
    for (std::size_t j = 0; j < 2; ++j) BOOST_TEST(second[i * 2 + j] == (above[j] - below[j]) / 2e-6, tt::tolerance(1e-6));
  }
  const Program program = record([](auto x) { return mixtures(x[0], x[1]); }, {.parameters = 2}, {0.7, 1.3});
  BOOST_TEST(program(std::vector{0.8, 1.2}) == mixtures(0.8, 1.2), tt::tolerance(1e-12));
}
