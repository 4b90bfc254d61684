// Functions, distributions and algorithms of Boost.Math, and Boost.uBLAS, with eager Scalars: values against doubles, gradients against
// differences. (test_interop_boost.cpp compares functions with mpmath's derivatives, where Boost has shortcuts.)
#include "autodiff/interop/boost.h"  // first: Boost must see its functions

#include <autodiff/autodiff.h>

#include <boost/math/differentiation/finite_difference.hpp>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/exponential.hpp>
#include <boost/math/distributions/fisher_f.hpp>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/lognormal.hpp>
#include <boost/math/distributions/non_central_chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/poisson.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/distributions/weibull.hpp>
#include <boost/math/interpolators/cardinal_cubic_b_spline.hpp>
#include <boost/math/interpolators/pchip.hpp>
#include <boost/math/quadrature/exp_sinh.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <boost/math/quadrature/tanh_sinh.hpp>
#include <boost/math/special_functions.hpp>
#include <boost/math/special_functions/hypergeometric_1F1.hpp>
#include <boost/math/tools/roots.hpp>
#include <boost/math/tools/toms748_solve.hpp>
#include <boost/numeric/ublas/matrix.hpp>
#include <boost/numeric/ublas/vector.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/programs.h"

using namespace wengert;
namespace bm = boost::math;
namespace ub = boost::numeric::ublas;

BOOST_AUTO_TEST_CASE(special_functions) {
  EAGER_PROGRAM(polygamma, return T(bm::polygamma(2, x) + y););
  EAGER_PROGRAM(ibeta, return T(bm::ibeta(x, y, 0.3) + bm::ibetac(1.5, 2.5, x)););
  EAGER_PROGRAM(gamma_p_inv, return T(bm::gamma_p_inv(y, 0.3) + bm::gamma_q_inv(y, x) + bm::gamma_p_derivative(x, y)););
  EAGER_PROGRAM(tgamma_ratio, return T(bm::tgamma_ratio(x, y) + bm::tgamma_delta_ratio(x, y) + bm::tgamma1pm1(x)););
  EAGER_PROGRAM(cyl_bessel_i, return T(bm::cyl_bessel_i(x, y) + bm::cyl_bessel_i(0, y)););
  EAGER_PROGRAM(cyl_bessel_k, return T(bm::cyl_bessel_k(x, y) + bm::cyl_bessel_k(1, y)););
  EAGER_PROGRAM(sph_bessel, return T(bm::sph_bessel(2, x) + bm::sph_neumann(2u, y)););
  EAGER_PROGRAM(legendre_p, return T(bm::legendre_p(3, x) + bm::legendre_p(3, 1, x) + bm::legendre_q(2u, x) + y););
  EAGER_PROGRAM(spherical_harmonic, return T(bm::spherical_harmonic_r(3u, 1, x, y) + bm::spherical_harmonic_i(3u, 1, x, y)););
  EAGER_PROGRAM(hermite, return T(bm::hermite(4, x) + y););
  EAGER_PROGRAM(laguerre, return T(bm::laguerre(4, x) + bm::laguerre(4, 1, y)););
  EAGER_PROGRAM(chebyshev, return T(bm::chebyshev_t(4u, x) + bm::chebyshev_u(3u, x) + y););
  EAGER_PROGRAM(ellint_2, return T(bm::ellint_2(x, y) + bm::ellint_2(x)););
  EAGER_PROGRAM(ellint_3, return T(bm::ellint_3(x, 0.3, y) + bm::ellint_3(x, 0.3)););
  EAGER_PROGRAM(expint, return T(bm::expint(x) + bm::expint(1, y) + bm::expint(2, y)););
  EAGER_PROGRAM(lambert_w, return T(bm::lambert_w0(x) + bm::lambert_wm1(T(-0.3 * x)) + y););
  EAGER_PROGRAM(log1p, return T(bm::log1p(x) + bm::expm1(y) + bm::sqrt1pm1(x) + bm::powm1(x, y) + bm::cbrt(x) + bm::hypot(x, y)););
  EAGER_PROGRAM(owens_t, return T(bm::owens_t(x, y)););
  EAGER_PROGRAM(airy, return T(bm::airy_ai(x) + bm::airy_bi(y) + bm::airy_ai_prime(x) + bm::airy_bi_prime(y)););
  EAGER_PROGRAM(hyperg, return T(bm::hypergeometric_1F1(x, y, 0.5)););
  EAGER_PROGRAM(tgamma_expr, return T(bm::tgamma(x * y) + bm::tgamma(2 * x)););
  EAGER_PROGRAM(factorials, return T(bm::rising_factorial(x, 3) + bm::falling_factorial(y, 3) + bm::factorial<T>(4u) * x +
                                     bm::binomial_coefficient<T>(5, 2)););
  EAGER_PROGRAM(fpclass, return T((bm::isfinite(x) && !bm::isnan(y) && !bm::isinf(x) && bm::isnormal(x)) ? x * y : x););
  PROGRAM(scalars_as_arguments, return T(bm::lambert_wm1(-0.2 * x) + bm::owens_t(x * y, y) * bm::log1p(x)););
}

BOOST_AUTO_TEST_CASE(distributions) {
  EAGER_PROGRAM(dist_normal, bm::normal_distribution<T> d(x, y);
                return T(quantile(d, T(0.3)) + cdf(d, T(0.5)) + pdf(d, T(0.5)) + cdf(complement(d, T(0.2)))););
  EAGER_PROGRAM(dist_lognormal, bm::lognormal_distribution<T> d(x, y);
                return T(cdf(d, T(0.5)) + pdf(d, T(0.5)) + mean(d) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_gamma, bm::gamma_distribution<T> d(x, y); return T(cdf(d, T(0.5)) + pdf(d, T(0.5)) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_beta, bm::beta_distribution<T> d(x, y); return T(cdf(d, T(0.4)) + pdf(d, T(0.4)) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_student, bm::students_t_distribution<T> d(y); return T(cdf(d, x) + pdf(d, x) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_f, bm::fisher_f_distribution<T> d(x, y); return T(cdf(d, T(0.5)) + pdf(d, T(0.5)) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_poisson, bm::poisson_distribution<T> d(y); return T(cdf(d, T(2.0)) + pdf(d, T(2.0)) + x););
  EAGER_PROGRAM(dist_exponential, bm::exponential_distribution<T> d(y); return T(cdf(d, x) + pdf(d, x) + quantile(d, T(0.3))););
  EAGER_PROGRAM(dist_nc_chisq, bm::non_central_chi_squared_distribution<T> d(y, x); return T(cdf(d, T(1.5)) + pdf(d, T(1.5))););
  EAGER_PROGRAM(dist_weibull, bm::weibull_distribution<T> d(x, y);
                return T(cdf(d, T(0.5)) + pdf(d, T(0.5)) + quantile(d, T(0.3)) + mean(d)););
}

BOOST_AUTO_TEST_CASE(roots_integrals_and_interpolation) {
  EAGER_PROGRAM(tool_newton, return T(bm::tools::newton_raphson_iterate(
                                 [&](const T& z) { return std::make_tuple(T(z * z - x * y), T(2.0 * z)); }, T(1.0), T(0.1), T(3.0), 50)););
  EAGER_PROGRAM(tool_halley,
                return T(bm::tools::halley_iterate([&](const T& z) { return std::make_tuple(T(z * z - x * y), T(2.0 * z), T(2.0)); },
                                                   T(1.0), T(0.1), T(3.0), 50)););
  EAGER_PROGRAM(tool_bisect, std::uintmax_t n = 100; auto r = bm::tools::toms748_solve([&](const T& z) { return T(z * z - x * y); }, T(0.1),
                                                                                       T(3.0), bm::tools::eps_tolerance<T>(50), n);
                return T((r.first + r.second) / 2););
  EAGER_PROGRAM(tool_gauss, return T(bm::quadrature::gauss<T, 15>::integrate(
                                [&](const T& t) {
                                  using std::exp;
                                  return T(exp(x * t) * y);
                                },
                                T(0.0), T(1.0))););
  EAGER_PROGRAM(tool_gauss_kronrod, return T(bm::quadrature::gauss_kronrod<T, 15>::integrate(
                                        [&](const T& t) {
                                          using std::exp;
                                          return T(exp(x * t) * y);
                                        },
                                        T(0.0), y, 5, T(1e-9))););
  EAGER_PROGRAM(tool_tanh_sinh, bm::quadrature::tanh_sinh<T> q; return T(q.integrate(
      [&](const T& t) {
        using std::exp;
        return T(exp(x * t) * y);
      },
      T(0.0), T(1.0))););
  EAGER_PROGRAM(tool_exp_sinh, bm::quadrature::exp_sinh<T> q; return T(q.integrate([&](const T& t) {
                  using std::exp;
                  return T(exp(-x * t) * y);
                })););
  EAGER_PROGRAM(tool_cardinal_spline, std::vector<T> v{x, y, T(x * y), T(x + y), T(2 * x)};
                bm::interpolators::cardinal_cubic_b_spline<T> s(v.begin(), v.end(), T(0.0), T(1.0));
                return T(s(T(1.3)) + s.prime(T(2.2))););
  EAGER_PROGRAM(tool_pchip, std::vector<T> v{x, y, T(x * y), T(x + y), T(2 * x)}; std::vector<T> t{T(0), T(1), T(2), T(3), T(4)};
                bm::interpolators::pchip<std::vector<T>> s(std::move(t), std::move(v)); return T(s(T(1.3))););
  EAGER_PROGRAM(tool_fd, using std::exp; return T(bm::differentiation::finite_difference_derivative(
      [&](const T& z) {
        using std::exp;
        return T(exp(z * y));
      },
      x)););
  EAGER_PROGRAM(
      tool_ublas, ub::bounded_matrix<T, 2, 2> a(2, 2); a(0, 0) = x; a(0, 1) = y; a(1, 0) = 1.0; a(1, 1) = x * y;
      ub::bounded_vector<T, 2> v(2); v(0) = x; v(1) = y; const ub::bounded_matrix<T, 2, 2> c = ub::prod(a + 2.0 * a, trans(a)) * x;
      const ub::bounded_vector<T, 2> w = ub::prod(c, v); return T(w(0) + ub::inner_prod(v, w) * T(ub::norm_2(v)) + T(ub::norm_inf(a))););
}
