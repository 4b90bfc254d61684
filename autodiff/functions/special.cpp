// digamma and polygamma: the asymptotic series for large x, the recurrence for smaller x, and the reflection formula for negative x.
// Formulas are cited by their numbers in the NIST Digital Library of Mathematical Functions (https://dlmf.nist.gov). Everything is
// computed in long double, so that the cancellation near digamma's zero at 1.46 does not affect the digits of a double.
// (Not Boost.Math 1.74, though it is as accurate: its polygamma overflows with the wrong sign for even orders, throws for NaN whatever the
// policy, and is slower from order 2 on.)
#include "autodiff/functions/special.h"

#include <math.h>  // lgamma_r is POSIX, not C++

#include <array>
#include <cmath>
#include <limits>

namespace wengert::fn {
namespace {

constexpr int kMaxDerivatives = 60;
constexpr long double kPi = 3.14159265358979323846264338327950288L;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// B_2, B_4, ..., B_24 (DLMF 24.2)
constexpr std::array<long double, 12> kBernoulli{1.0L / 6,       -1.0L / 30,       1.0L / 42,       -1.0L / 30,
                                                 5.0L / 66,      -691.0L / 2730,   7.0L / 6,        -3617.0L / 510,
                                                 43867.0L / 798, -174611.0L / 330, 854513.0L / 138, -236364091.0L / 2730};
// From here on, the series is accurate to long double.
constexpr int kLarge = 20;

//  psi(x) = ln x - 1/(2x) - sum_k B_2k / (2k x^2k)                                    (5.11.2)
long double digamma_of_large(long double x) {
  const long double square = 1 / (x * x);
  long double sum = 0;
  for (int k = static_cast<int>(kBernoulli.size()); k > 0; --k)
    sum = (sum + kBernoulli[static_cast<std::size_t>(k - 1)] / (2 * k)) * square;
  return std::log(x) - 1 / (2 * x) - sum;
}

//  psi(x) = psi(x + 1) - 1/x                                                           (5.5.2)
long double digamma_of_positive(long double x) {
  long double sum = 0;
  for (; x < kLarge; ++x) sum += 1 / x;
  return digamma_of_large(x) - sum;
}

// x modulo 1 in [-1/2, 1/2], exact; cot(pi x) has this period.
long double fraction(double x) { return static_cast<long double>(x) - std::rint(static_cast<long double>(x)); }

//  (-1)^(n+1) psi_n(x) = (n-1)!/x^n + n!/(2 x^(n+1)) + sum_k B_2k (2k+n-1)!/((2k)! x^(2k+n))      (5.15.8 and its derivatives)
long double magnitude_of_large(int n, long double x) {
  long double term = 1;  // (n-1)! / x^n
  for (int k = 1; k < n; ++k) term *= k / x;
  term /= x;
  long double sum = term * (1 + n / (2 * x));
  term *= n * (n + 1) / (2 * x * x);  // (2k+n-1)! / ((2k)! x^(2k+n)) for k = 1
  for (int k = 1; k <= static_cast<int>(kBernoulli.size()); ++k) {
    sum += kBernoulli[static_cast<std::size_t>(k - 1)] * term;
    term *= static_cast<long double>(2 * k + n) * (2 * k + n + 1) / ((2 * k + 1) * (2 * k + 2) * x * x);
  }
  return sum;
}

//  (-1)^(n+1) psi_n(x) = (-1)^(n+1) psi_n(x + 1) + n! / x^(n+1)                       (5.15.5): all terms are positive
long double magnitude_of_positive(int n, long double x) {
  const long double factorial = std::tgamma(static_cast<long double>(n + 1));
  long double sum = 0;
  for (; x < kLarge + n; ++x) sum += factorial / std::pow(x, static_cast<long double>(n + 1));
  return sum + magnitude_of_large(n, x);
}

// The nth derivative of cot(t): a polynomial in c = cot t, since dc/dt = -(1 + c^2).
long double cotangent_derivative(int n, long double c) {
  std::array<long double, kMaxDerivatives + 2> p{0, 1}, q;  // coefficients of 1, c, c^2, ...
  for (int k = 0; k < n; ++k) {
    q.fill(0);
    for (std::size_t i = 1; i <= static_cast<std::size_t>(k) + 1; ++i) {
      q[i - 1] -= static_cast<long double>(i) * p[i];
      q[i + 1] -= static_cast<long double>(i) * p[i];
    }
    p = q;
  }
  long double sum = 0;
  for (std::size_t i = static_cast<std::size_t>(n) + 2; i-- > 0;) sum = sum * c + p[i];
  return sum;
}

// cot(pi x), accurate near poles and zeros, too.
long double cotangent_of_pi(double x) { return 1 / std::tan(kPi * fraction(x)); }

}  // namespace

double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}
float lgamma(float x) {
  int sign;
  return ::lgammaf_r(x, &sign);
}

//  psi(x) = psi(1 - x) - pi cot(pi x)                                                  (5.5.4)
double digamma(double x) {
  if (std::isnan(x) || x == -kInfinity) return kNaN;
  if (x == 0) return std::copysign(kInfinity, -x);
  if (x == kInfinity) return x;
  if (x > 0) return static_cast<double>(digamma_of_positive(x));
  if (x == std::floor(x)) return kNaN;
  return static_cast<double>(digamma_of_positive(1 - static_cast<long double>(x)) - kPi * cotangent_of_pi(x));
}

//  psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x)                              (5.15.6)
double polygamma(double order, double x) {
  if (!(order >= 0 && order <= kMaxDerivatives) || order != std::floor(order)) return kNaN;
  const int n = static_cast<int>(order);
  if (n == 0) return digamma(x);
  if (std::isnan(x) || x == -kInfinity) return kNaN;
  const int sign = n % 2 ? 1 : -1;
  if (x == kInfinity) return sign * 0.0;
  if (x == 0) return n % 2 ? kInfinity : std::copysign(kInfinity, -x);
  if (x > 0) return static_cast<double>(sign * magnitude_of_positive(n, x));
  if (x == std::floor(x)) return n % 2 ? kInfinity : kNaN;
  const long double reflected = magnitude_of_positive(n, 1 - static_cast<long double>(x));
  const long double scale = std::pow(kPi, static_cast<long double>(n + 1));
  return static_cast<double>(-reflected - scale * cotangent_derivative(n, cotangent_of_pi(x)));
}

}  // namespace wengert::fn
