// Eigen's matrices of EagerScalars and of dual numbers, on a tape and without one.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/interop/eigen_matrices.h"

using namespace wengert;
using namespace wengert::testing;
namespace tt = boost::test_tools;

BOOST_AUTO_TEST_CASE(other_numbers) {
  const auto f = [](const auto& x) {
    using T = typename std::remove_cvref_t<decltype(x)>::Scalar;
    const Matrix<T> a = square_of<T>(x);
    return T((a * right_of<T>(x)).squaredNorm() + (2.0 * a).partialPivLu().solve(right_of<T>(x)).sum());
  };
  check([&](const Vector<Scalar>& x) { return f(x.cast<EagerScalar>().eval()); }, 12, 1e-6);
  // By dual numbers, and the second derivative by dual numbers on a tape against differences of the first.
  const std::vector<double> at = numbers(12, 7);
  const auto of_span = [&](auto x) {
    using T = std::remove_const_t<typename decltype(x)::element_type>;
    return f(Vector<T>(Eigen::Map<const Vector<T>>(x.data(), 12)));
  };
  const std::vector<double> slopes = gradient(of_span, at), second = hessian(of_span, at);
  for (std::size_t i = 0; i < 12; ++i) {
    std::vector<double> e(12), up = at, down = at;
    e[i] = 1;
    BOOST_TEST(directional_derivative(of_span, at, e) == slopes[i], tt::tolerance(1e-10));
    up[i] += 1e-5;
    down[i] -= 1e-5;
    const std::vector<double> above = gradient(of_span, up), below = gradient(of_span, down);
    for (std::size_t j = 0; j < 12; ++j)
      BOOST_TEST(std::abs(second[i * 12 + j] - (above[j] - below[j]) / 2e-5) < 1e-6 * (1 + std::abs(second[i * 12 + j])));
  }
  static_assert(Eigen::NumTraits<decltype(Scalar() * Scalar())>::IsSigned);
  const Scalar two = 2, three = 3;
  BOOST_TEST(Scalar(Eigen::numext::abs(two - three)).value() == 1);
}
