// Ordinary C++ with the number type as a template parameter: each program is written once and runs with double, Scalar and EagerScalar.
// Programs that a language rule or a trait of doubles refuses to Scalar run with EagerScalar, or are listed at the end.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <unordered_map>
#include <valarray>
#include <vector>

#include "tests/support/programs.h"

using namespace wengert;

namespace {

template <class T> auto by_value(T a) { return a * a; }
template <class T> auto by_reference(const T& a) { return a * a + a; }
template <class T> T two_of_one_type(T a, T b) { return a * b; }
template <class A, class B> auto two_types(const A& a, const B& b) { return a * b; }
template <class T> auto with_auto_inside(const T& a) {
  const auto b = a * a;
  return b + a;
}
template <class A, class B> auto two_types_in_a_sum(const A& a, const B& b) { return a * b + a; }
template <class T> T power(const T& x, int n) { return n == 0 ? 1 : x * power(x, n - 1); }
enum Factor { kThree = 3 };
/// A number in a class, as quantities and proxies are.
template <class T> struct Wrapped {
  Wrapped(const T& x) : x(x) {}
  operator T() const { return x; }
  T x;
};

}  // namespace

BOOST_AUTO_TEST_CASE(algorithms) {
  PROGRAM(std_max_expr, return T(std::max(x * y, x + y)););
  PROGRAM(std_max_expr_same, return T(std::max(x * y, y * y)););
  PROGRAM(fmax, using std::fmax; return T(fmax(x, y) * x););
  PROGRAM(std_clamp_d, return T(std::clamp(x, 0.1, 0.5) * y + std::clamp(x, 0.0, 1.0)););
  PROGRAM(std_lerp, return T(std::lerp(x, y, x)););
  PROGRAM(std_midpoint, return T(std::midpoint(x, y) * x););
  PROGRAM(fma, using std::fma; return T(fma(x, y, x)););
  PROGRAM(hypot3, using std::hypot; return T(hypot(x, y, x)););
  PROGRAM(iota_fill, std::vector<T> v(4); std::iota(v.begin(), v.end(), x); return T(v[3] * v[2]););
#if !defined(__clang__) || __clang_major__ > 15  // which cannot read libstdc++'s views
  PROGRAM(ranges_views, std::vector<T> v{x, y}; T sum = 0; for (auto e
                                                                : v | std::views::transform([](const auto& a) { return a * a; })) sum += e;
          return sum;);
#endif
#if !defined(__clang__) || __clang_major__ > 15
  PROGRAM(ranges_views_expr, std::vector<T> v{x, y}; T sum = 0;
          for (auto e
               : v | std::views::transform([](const T& a) { return a * a; }) | std::views::filter([](const auto& a) { return a > 0.5; }))
              sum += e;
          return sum;);
#endif
  PROGRAM(accumulate, std::vector<T> v{x, y, x}; return std::accumulate(v.begin(), v.end(), T(0.0)););
  PROGRAM(inner_product, std::vector<T> v{x, y, x}; return std::inner_product(v.begin(), v.end(), v.begin(), T(0.0)););
  PROGRAM(sort, std::vector<T> v{y, x, x * y}; std::sort(v.begin(), v.end()); return T(v[0] + 2 * v[1] + 3 * v[2]););
  PROGRAM(partial_sum, std::vector<T> v{x, y, x * y}; std::partial_sum(v.begin(), v.end(), v.begin()); return T(v[2] * v[1]););
  PROGRAM(reduce, std::vector<T> v{x, y, x};
          return T(std::transform_reduce(v.begin(), v.end(), v.begin(), T(0)) * std::reduce(v.begin(), v.end())););
  PROGRAM(max_element, std::vector<T> v{x, y, x * y}; return T(*std::max_element(v.begin(), v.end()) * std::min({x, y, T(x * y)})););
  PROGRAM(valarray, std::valarray<T> v{x, y}; v *= v; return T(v.sum()););
}

#pragma GCC diagnostic ignored "-Wdeprecated-enum-float-conversion"
BOOST_AUTO_TEST_CASE(operators) {
  PROGRAM(increment, ++x; y++; --x; x++; return T(x * y););
  PROGRAM(unary_plus, return T(+x * +(x * y)););
  PROGRAM(not_bool, return T(!x ? y : x * y););
  PROGRAM(bool_ctx, if (y) return T(x * y); return T(x););
  PROGRAM(explicit_double, return T(x * y + double(T(2))););
  PROGRAM(static_cast_double, return T(x * static_cast<double>(T(3 * 1.0)));;);
  PROGRAM(static_cast_int, return T(x * static_cast<int>(y + 2)););
  PROGRAM(enum_mix, return T(x * kThree + kThree / y););
  PROGRAM(assignment_of_both_types, Scalar s = 2; EagerScalar e = 3; s += e; s *= e; s -= e; s /= e; e += s;
          return T(x * s.value() + y * e.value()););
  PROGRAM(spaceship, return T((x <=> y) < 0 ? x * y : y););
  PROGRAM(constexpr_T, constexpr T two = 2.0; return T(two * x););
}

BOOST_AUTO_TEST_CASE(cmath) {
  PROGRAM(isnan, using std::isnan; return T(isnan(x * y) ? y : x););
  PROGRAM(std_isnan_q, return T(std::isnan(x) || std::isinf(y) ? y : x););
  PROGRAM(isnormal_signbit, return T(std::isnormal(x) && !std::signbit(-x * -1.0) ? x * y : x););
  PROGRAM(std_abs_q, return T(std::abs(x - y) * std::fabs(x)););
  PROGRAM(std_exp_q, return T(std::exp(x * y)););
  PROGRAM(std_sqrt_q, return T(std::sqrt(x + y)););
  PROGRAM(std_pow_q, return T(std::pow(x, 2.5) + std::pow(2.0, y) + std::pow(x, y) + std::pow(x, 3)););
  PROGRAM(fabs_using, using std::fabs; return T(fabs(x - 2.0) * y););
  PROGRAM(exp2_cbrt, using std::cbrt, std::exp2; return T(exp2(x) * cbrt(y)););
  PROGRAM(tgamma, using std::tgamma; return T(tgamma(x) * tgamma(y + 1)););
  PROGRAM(fmod, using std::fmod; return T(fmod(x * 5, y)););
  PROGRAM(remainder, using std::remainder; return T(remainder(x * 5, 1.5) * y););
  PROGRAM(modf, using std::modf; T whole; T part = modf(x * 5, &whole); return T(part * whole););
  PROGRAM(frexp_ldexp, using std::frexp, std::ldexp; int n = 0; T m = frexp(x * 9, &n); return T(ldexp(m, n + 1) * m););
  PROGRAM(ldexp, using std::ldexp; return T(ldexp(x * y, 3)););
  PROGRAM(round_trunc, using std::round, std::trunc, std::nearbyint, std::rint;
          return T(x * (round(y) + trunc(y + 2) + nearbyint(y) + rint(y))););
  PROGRAM(lround, using std::lround; return T(x * static_cast<double>(lround(y * 3))););
  PROGRAM(copysign, using std::copysign; return T(copysign(x, -1.0) * copysign(y, x)););
  PROGRAM(fdim, using std::fdim; return T(fdim(x, 0.5 * y) + fdim(x, y)););
  PROGRAM(nextafter, using std::nextafter; return T(nextafter(x, 1.0) * y););
  PROGRAM(ilogb_logb, using std::ilogb, std::logb; return T(x * ilogb(y * 8) + y * logb(x * 8)););
  PROGRAM(remquo, int n = 0; const T rest = std::remquo(x * 5, y, &n); return T(rest * n););
  PROGRAM(scalbn, return T(std::scalbn(x, 2) + std::scalbln(x * y, 3L)););
  PROGRAM(nexttoward, return T(std::nexttoward(x, 1.0L) * y););
  PROGRAM(std_beta, return T(std::beta(x, y)););
}

BOOST_AUTO_TEST_CASE(traits_streams_and_containers) {
  PROGRAM(limits_max_type, static_assert(std::is_same_v<decltype(std::numeric_limits<T>::max()), T>); return T(x););
  PROGRAM(limits_std_max, return T(std::max(x, std::numeric_limits<double>::epsilon()) * std::max(y, std::numeric_limits<T>::min())););
  PROGRAM(ostream_expr, std::ostringstream out; out << x * 2 << ' ' << x; return T(x * (out.str().size() > 4 ? 3.0 : 2.0)););
  PROGRAM(istream, std::istringstream in("2.5"); T a; in >> a; return T(a * x););
  PROGRAM(to_string, using std::to_string; return T(x * static_cast<double>(to_string(y).size() + std::to_string(x * y).size())););
  PROGRAM(hash, std::unordered_map<T, int> m; m[x] = 3; m[y] = 4; return T(x * m[x]););
  PROGRAM(map, std::map<T, T> m; m[x] = y; m[y] = x; return T(m.begin()->second * x););
  PROGRAM(optional, std::optional<T> o; o = x * y; return T(*o););
}

BOOST_AUTO_TEST_CASE(named_expressions) {
  PROGRAM(decltype_expr, decltype(x * x) e = x * x; T z = e; return T(z * y););
  PROGRAM(auto_use, auto e = x * y; return T(e + 1.0););
  PROGRAM(auto_convert, auto e = x * y; T z = e; return z;);
  PROGRAM(auto_plus_eq, auto e = x * y; T z = x; z += e; z -= 2 * e; return z;);
  PROGRAM(const_auto_ref, const auto& e = x * y; return T(e * e););
  PROGRAM(auto_rref, auto&& e = x * y; auto&& f = x + y; return T(e * f););
  PROGRAM(ternary_expr_d, return T(x < y ? x * y : 0.0););
  PROGRAM(template_byval, return T(by_value(x + y)););
  PROGRAM(template_cref, return T(by_reference(x + y)););
  PROGRAM(template_cref_auto, return T(with_auto_inside(x + y)););
  PROGRAM(template_mixed_return, return T(two_types_in_a_sum(x * 2.0, y) * x););
  PROGRAM(template_mixed, return T(two_types(x * 2.0, y)););
  PROGRAM(
      auto_param_expr, const auto f = [](const auto& a, const auto& b) { return a * b; }; return T(f(x * y, x)););
  PROGRAM(recursion_ternary, return power(x, 3););
  PROGRAM(value_of_expr, return T(x * static_cast<double>(x * y > 0.5)););
  EAGER_PROGRAM(wrapped, const Wrapped<T> a = x; T z = a * y + y * a - 2 * (y - a) / (a / x);
                if (z > a && a < z && z != a && !(a == z)) z += a; return z;);
  EAGER_PROGRAM(reference_wrapper, std::vector<std::reference_wrapper<T>> v{x, y};
                return T(v[0] * y + x / v[1] - (v[0] < y ? v[0] : v[1])););
  EAGER_PROGRAM(ternary_expr, return T(x < y ? x * y : x + y););
  EAGER_PROGRAM(template_two_same, return two_of_one_type(2 * x, y););
  EAGER_PROGRAM(
      lambda_noret_two, const auto f =
                            [](auto a, auto b) {
                              if (a > b) return a * b;
                              return a + b;
                            };
      return T(f(x, y)););
  EAGER_PROGRAM(
      lambda_noret_T, const auto f =
                          [](auto a) {
                            if (a > 1.0) return a;
                            return a * 2.0;
                          };
      return T(f(x) * y););
}

// What Scalar and EagerScalar do not offer, each because the standard reserves it to double, or because a derivative would be lost:
//   accumulate(begin, end, 0.0)       adds in double; an implicit conversion would drop the derivatives
//   std::is_floating_point, std::is_arithmetic (two programs), which may not be specialised
//   std::cyl_bessel_j, ::j0           take double; boost::math has them for EagerScalar
static_assert(!std::is_convertible_v<Scalar, double> && !std::is_convertible_v<EagerScalar, double>);
static_assert(!std::is_floating_point_v<Scalar>);
