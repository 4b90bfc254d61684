// Eigen's factorisations of matrices of Scalars: solutions against doubles, gradients against differences.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/interop/eigen_matrices.h"

using namespace wengert;
using namespace wengert::testing;
namespace tt = boost::test_tools;

BOOST_AUTO_TEST_CASE(factorisations) {
  const std::vector<double> at = numbers(12, 7);
  const Vector<double> x = Eigen::Map<const Vector<double>>(at.data(), 12);
  const double of_square = square_of(x).fullPivLu().solve(right_of(x)).sum(),
               of_symmetric = symmetric_of(x).fullPivLu().solve(right_of(x)).sum();
  const auto check_solution = [&](const auto& solution, double sum) {
    BOOST_TEST(solution(Vector<Scalar>(x.cast<Scalar>())).value() == sum, tt::tolerance(1e-12));
    check(solution, 12);
  };
  using Numbers = Vector<Scalar>;
  check_solution([](const Numbers& v) -> Scalar { return square_of(v).partialPivLu().solve(right_of(v)).sum(); }, of_square);
  check_solution([](const Numbers& v) -> Scalar { return symmetric_of(v).llt().solve(right_of(v)).sum(); }, of_symmetric);
  check_solution([](const Numbers& v) -> Scalar { return symmetric_of(v).ldlt().solve(right_of(v)).sum(); }, of_symmetric);
  check_solution([](const Numbers& v) -> Scalar { return square_of(v).householderQr().solve(right_of(v)).sum(); }, of_square);
  check_solution([](const Numbers& v) -> Scalar { return square_of(v).colPivHouseholderQr().solve(right_of(v)).sum(); }, of_square);
  check(
      []<class T>(const Vector<T>& x) -> T {
        const Eigen::JacobiSVD<Matrix<T>> svd(square_of(x), Eigen::ComputeThinU | Eigen::ComputeThinV);
        return svd.singularValues()(0) + 2.0 * svd.singularValues()(2) + svd.solve(right_of(x)).sum();
      },
      12, 1e-6);
  check(
      []<class T>(const Vector<T>& x) -> T {
        const Eigen::SelfAdjointEigenSolver<Matrix<T>> eigen(symmetric_of(x));
        return eigen.eigenvalues()(0) + 2.0 * eigen.eigenvalues()(2);
      },
      12, 1e-6);
}
