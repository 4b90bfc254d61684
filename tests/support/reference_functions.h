#pragma once
// Reference values for the functions of autodiff/functions/functions.h, in long double, and by other formulas where the obvious one loses
// digits. On processors whose long double is a double, they are no more accurate than the functions under test.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace wengert::reference {

using Real = long double;

/// A function, and the range over which the table in the documentation gives its worst error.
struct Unary {
  std::string_view name;
  Real (*value)(Real x);
  double low, high;
};
struct Binary {
  std::string_view name;
  Real (*value)(Real a, Real b);
};

inline Real sigmoid(Real x) { return 1 / (1 + std::exp(-x)); }
inline Real softplus(Real x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
inline Real lgamma(Real x) {
  int sign;
  return ::lgammal_r(x, &sign);
}

/// zeta(s, x) by thirty terms and the Euler-Maclaurin formula, for x >= 0.1; unlike in the library, there is no recurrence and no
/// reflection.
inline Real hurwitz_zeta(int s, Real x) {
  constexpr int kTerms = 30;
  Real sum = 0;
  for (int k = 0; k < kTerms; ++k) sum += std::pow(x + k, static_cast<Real>(-s));
  const Real a = x + kTerms;
  sum += std::pow(a, static_cast<Real>(1 - s)) / (s - 1) + std::pow(a, static_cast<Real>(-s)) / 2;
  const Real bernoulli[] = {1.0L / 6, -1.0L / 30, 1.0L / 42, -1.0L / 30, 5.0L / 66, -691.0L / 2730};
  Real term = s * std::pow(a, static_cast<Real>(-s - 1)) / 2;  // s (s+1) ... (s+2j-2) / (2j)! a^(-s-2j+1)
  for (int j = 1; j <= 6; ++j) {
    sum += bernoulli[j - 1] * term;
    term *= static_cast<Real>(s + 2 * j - 1) * (s + 2 * j) / ((2 * j + 1) * (2 * j + 2) * a * a);
  }
  return sum;
}
/// psi(x) = integral of zeta(2, t) from psi's zero to x, by Gauss-Legendre quadrature; difference quotients of lgamma are not accurate
/// enough.
inline Real digamma(Real x) {
  constexpr Real kZero = 1.46163214496836234126265954232572132846819620400644L;
  constexpr Real kNodes[] = {0.1834346424956498049394761L, 0.5255324099163289858177390L, 0.7966664774136267395915539L,
                             0.9602898564975362316835609L};
  constexpr Real kWeights[] = {0.3626837833783619829651504L, 0.3137066458778872873379622L, 0.2223810344533744705443560L,
                               0.1012285362903762591525314L};
  const int panels = 8 + static_cast<int>(8 * std::abs(std::log(x / kZero)));
  const Real ratio = std::pow(x / kZero, 1.0L / panels);
  Real sum = 0, from = kZero;
  for (int p = 0; p < panels; ++p) {
    const Real to = p + 1 == panels ? x : from * ratio, half = (to - from) / 2, middle = (to + from) / 2;
    for (int k = 0; k < 4; ++k)
      sum += half * kWeights[k] * (hurwitz_zeta(2, middle - half * kNodes[k]) + hurwitz_zeta(2, middle + half * kNodes[k]));
    from = to;
  }
  return sum;
}

inline std::span<const Unary> unary() {
  static constexpr Unary kTable[] = {
      {"exp", [](Real x) { return std::exp(x); }, -700, 700},
      {"exp2", [](Real x) { return std::exp2(x); }, -1000, 1000},
      {"expm1", [](Real x) { return std::expm1(x); }, -50, 700},
      {"log", [](Real x) { return std::log(x); }, 1e-300, 1e300},
      {"log2", [](Real x) { return std::log2(x); }, 1e-300, 1e300},
      {"log10", [](Real x) { return std::log10(x); }, 1e-300, 1e300},
      {"log1p", [](Real x) { return std::log1p(x); }, -1, 1e10},
      {"sqrt", [](Real x) { return std::sqrt(x); }, 1e-300, 1e300},
      {"rsqrt", [](Real x) { return 1 / std::sqrt(x); }, 1e-300, 1e300},
      {"reciprocal", [](Real x) { return 1 / x; }, 1e-300, 1e300},
      {"square", [](Real x) { return x * x; }, -1e100, 1e100},
      {"abs", [](Real x) { return std::abs(x); }, -1e300, 1e300},
      {"negative", [](Real x) { return -x; }, -1e300, 1e300},
      {"sign", [](Real x) { return static_cast<Real>((x > 0) - (x < 0)); }, -5, 5},
      {"floor", [](Real x) { return std::floor(x); }, -5, 5},
      {"ceil", [](Real x) { return std::ceil(x); }, -5, 5},
      {"round", [](Real x) { return std::nearbyint(x); }, -5, 5},
      {"step", [](Real x) { return static_cast<Real>(x >= 0); }, -5, 5},
      {"sin", [](Real x) { return std::sin(x); }, -100, 1e5},
      {"cos", [](Real x) { return std::cos(x); }, -100, 1e5},
      {"tan", [](Real x) { return std::tan(x); }, -100, 100},
      {"asin", [](Real x) { return std::asin(x); }, -1, 1},
      {"acos", [](Real x) { return std::acos(x); }, -1, 1},
      {"atan", [](Real x) { return std::atan(x); }, -1e10, 1e10},
      {"sinh", [](Real x) { return std::sinh(x); }, -700, 700},
      {"cosh", [](Real x) { return std::cosh(x); }, -700, 700},
      {"tanh", [](Real x) { return std::tanh(x); }, -20, 20},
      {"asinh", [](Real x) { return std::asinh(x); }, -1e10, 1e10},
      {"acosh", [](Real x) { return std::acosh(x); }, 1, 1e10},
      {"atanh", [](Real x) { return std::atanh(x); }, -1, 1},
      {"sigmoid", [](Real x) { return sigmoid(x); }, -700, 40},
      {"log_sigmoid", [](Real x) { return -softplus(-x); }, -700, 700},
      {"logit", [](Real x) { return x < 0.25L ? std::log(x / (1 - x)) : 2 * std::atanh(2 * x - 1); }, 1e-10, 1},
      {"softsign", [](Real x) { return x / (1 + std::abs(x)); }, -1e10, 1e10},
      {"hardsigmoid", [](Real x) { return std::clamp((x + 3) / 6, 0.0L, 1.0L); }, -5, 5},
      {"relu", [](Real x) { return std::max(x, 0.0L); }, -1e300, 1e300},
      {"relu6", [](Real x) { return std::clamp(x, 0.0L, 6.0L); }, -10, 10},
      {"leaky_relu", [](Real x) { return x > 0 ? x : 0.01L * x; }, -100, 100},
      {"elu", [](Real x) { return x > 0 ? x : std::expm1(x); }, -40, 5},
      {"selu", [](Real x) { return 1.0507009873554804934193349852946L * (x > 0 ? x : 1.6732632423543772848170429916717L * std::expm1(x)); },
       -40, 5},
      {"gelu", [](Real x) { return x * std::erfc(-x / std::sqrt(2.0L)) / 2; }, -10, 30},
      {"gelu_tanh",
       [](Real x) {
         const Real u = std::sqrt(8 / 3.14159265358979323846264338327950288L) * (x + 0.044715L * x * x * x);
         return x * sigmoid(u);
       },
       -8, 30},
      {"silu", [](Real x) { return x * sigmoid(x); }, -50, 50},
      {"hardswish", [](Real x) { return x * std::clamp(x + 3, 0.0L, 6.0L) / 6; }, -5, 5},
      {"softplus", [](Real x) { return softplus(x); }, -600, 1000},
      {"mish", [](Real x) { return x * std::tanh(softplus(x)); }, -30, 30},
      {"clamp", [](Real x) { return x; }, -5, 5},
      {"hardtanh", [](Real x) { return std::clamp(x, -1.0L, 1.0L); }, -5, 5},
      {"softshrink", [](Real x) { return x > 0.5L    ? x - 0.5L
                                         : x < -0.5L ? x + 0.5L
                                                     : 0; }, -5, 5},
      {"erf", [](Real x) { return std::erf(x); }, -6, 6},
      {"erfc", [](Real x) { return std::erfc(x); }, -6, 20},
      {"lgamma", [](Real x) { return lgamma(x); }, -20, 1e10},
      {"digamma", [](Real x) { return digamma(x); }, 0.1, 1e3},
      {"polygamma", [](Real x) { return hurwitz_zeta(2, x); }, 0.1, 1e6},
  };
  return kTable;
}

inline std::span<const Binary> binary() {
  static constexpr Binary kTable[] = {
      {"pow", [](Real a, Real b) { return std::pow(a, b); }},
      {"maximum", [](Real a, Real b) { return std::max(a, b); }},
      {"minimum", [](Real a, Real b) { return std::min(a, b); }},
      {"atan2", [](Real a, Real b) { return std::atan2(a, b); }},
      {"hypot", [](Real a, Real b) { return std::hypot(a, b); }},
      {"logaddexp", [](Real a, Real b) { return std::log(std::exp(a) + std::exp(b)); }},
      {"xlogy", [](Real a, Real b) { return a * std::log(b); }},
      {"add", [](Real a, Real b) { return a + b; }},
      {"subtract", [](Real a, Real b) { return a - b; }},
      {"multiply", [](Real a, Real b) { return a * b; }},
      {"divide", [](Real a, Real b) { return a / b; }},
  };
  return kTable;
}

template <class Entry> const Entry* find(std::span<const Entry> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Entry& e) { return e.name == name; });
  return found == table.end() ? nullptr : &*found;
}

/// The row of a function of one operand. A std::out_of_range if there is none.
inline const Unary& unary_named(std::string_view name) {
  if (const Unary* row = find(unary(), name)) return *row;
  throw std::out_of_range(std::string(name) + " has no row in tests/support/reference_functions.h");
}

/// df/dx of a reference, by differences of fourth order, accurate to about 12 digits.
template <class F> Real slope(F&& f, Real x) {
  constexpr Real h = 1e-3L;
  const auto quotient = [&](Real step) { return (f(x + step) - f(x - step)) / (2 * step); };
  return (4 * quotient(h / 2) - quotient(h)) / 3;
}

}  // namespace wengert::reference
