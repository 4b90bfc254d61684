// eigen::solve, dense and sparse: the rule against the analytic adjoint, and its forward mode.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <Eigen/Sparse>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/interop/eigen_matrices.h"

using namespace wengert;
using namespace wengert::testing;
namespace tt = boost::test_tools;

namespace {

// The gradient of c . solve(A, b) by the rule, against  b_bar = A^-T c,  A_bar = -b_bar x^T.
template <class Solve> void check_solve(const Matrix<double>& a, const Solve& solve) {
  const Eigen::Index n = a.rows();
  const std::vector<double> right = numbers(static_cast<std::size_t>(n), 11), weights = numbers(static_cast<std::size_t>(n), 12);
  std::vector<double> values(a.data(), a.data() + a.size());
  values.insert(values.end(), right.begin(), right.end());
  Tape tape;
  const std::vector<Scalar> x = tape.variables(values);
  const Matrix<Scalar> as = Eigen::Map<const Matrix<Scalar>>(x.data(), n, n);
  const Vector<Scalar> bs = Eigen::Map<const Vector<Scalar>>(x.data() + n * n, n);
  const Eigen::Map<const Vector<double>> c(weights.data(), n), b(right.data(), n);
  const Scalar y = solve(as, bs).dot(c);
  std::vector<double> slopes(values.size());
  tape.gradient(y, x, slopes, {.unreached = Unreached::zero});
  const Vector<double> solution = a.fullPivLu().solve(b), b_bar = a.transpose().fullPivLu().solve(c);
  const Matrix<double> a_bar = -b_bar * solution.transpose();
  BOOST_TEST(y.value() == solution.dot(c), tt::tolerance(1e-10));
  BOOST_TEST((Eigen::Map<const Vector<double>>(slopes.data() + n * n, n) - b_bar).norm() < 1e-10 * b_bar.norm());
  for (Eigen::Index k = 0; k < a.size(); ++k) {
    if (a.data()[k] != 0) BOOST_TEST(slopes[static_cast<std::size_t>(k)] == a_bar.data()[k], tt::tolerance(1e-8));
  }
}
Matrix<double> regular(Eigen::Index n) {
  const std::vector<double> values = numbers(static_cast<std::size_t>(n * n), 5);
  return Eigen::Map<const Matrix<double>>(values.data(), n, n) + static_cast<double>(n) * Matrix<double>::Identity(n, n);
}

}  // namespace

BOOST_AUTO_TEST_CASE(solve_has_a_rule_of_its_own) {
  check_solve(regular(1), [](const auto& a, const auto& b) { return eigen::solve(a, b); });
  check_solve(regular(40), [](const auto& a, const auto& b) { return eigen::solve(a, b); });
  const Matrix<double> a = regular(6), symmetric = a * a.transpose();
  check_solve(symmetric, [](const auto& a, const auto& b) { return eigen::solve<Eigen::LLT<Eigen::MatrixXd>>(a, b); });
  check_solve(a, [](const auto& a, const auto& b) { return eigen::solve<Eigen::HouseholderQR<Eigen::MatrixXd>>(a, b); });
  Tape tape;
  const Vector<Scalar> b = Vector<Scalar>::Constant(3, tape.variable(2));
  const Vector<Scalar> x = eigen::solve(Matrix<double>(2 * Matrix<double>::Identity(3, 3)), b);
  BOOST_TEST(tape.gradient(Scalar(x.sum()), b(0)) == 1.5);
  BOOST_CHECK_THROW(eigen::solve(Matrix<double>::Identity(2, 3), b), ShapeError);
  BOOST_CHECK_THROW(eigen::solve(Matrix<double>::Identity(2, 2), b), ShapeError);
}

BOOST_AUTO_TEST_CASE(sparse_matrices) {
  Matrix<double> a = regular(5);
  for (Eigen::Index i = 0; i < 5; ++i)
    for (Eigen::Index j = 0; j < 5; ++j)
      if ((i + 2 * j) % 4 == 1 && i != j) a(i, j) = 0;
  check_solve(a, [&](const Matrix<Scalar>& as, const Vector<Scalar>& b) {
    std::vector<Eigen::Triplet<Scalar>> elements;
    for (int i = 0; i < 5; ++i)
      for (int j = 0; j < 5; ++j)
        if (as(i, j) != 0) elements.emplace_back(i, j, as(i, j));
    Eigen::SparseMatrix<Scalar> sparse(5, 5);
    sparse.setFromTriplets(elements.begin(), elements.end());
    return eigen::solve(sparse, b);
  });
  const Eigen::SparseMatrix<Scalar> zero(3, 3);
  BOOST_CHECK_THROW(eigen::solve(zero, Vector<Scalar>::Ones(3)), MatrixError);
}

BOOST_AUTO_TEST_CASE(solutions_have_forward_mode) {
  // (2 s x_0 + x_1, x_1 / s) = (1, s):  x_1 = s^2,  x_0 = (1 - s^2) / (2 s)
  const auto tangent = [](const auto& solve) {
    Tape tape;
    const Scalar s = tape.variable(2);
    Matrix<Scalar> a(2, 2);
    a << 2 * s, 1, 0, 1 / s;
    Vector<Scalar> b(2);
    b << 1, s;
    const Scalar y = solve(a, b)(0);
    return tape.jvp(y, wrt(s), {Tensor::full({}, 3, float64)});
  };
  const double exact = 3 * (-0.5 / 4 - 0.5);
  BOOST_TEST(tangent([](const auto& a, const auto& b) { return eigen::solve(a, b); }) == exact, tt::tolerance(1e-13));
  const auto sparse = [](const auto& a, const auto& b) { return eigen::solve(Eigen::SparseMatrix<Scalar>(a.sparseView()), b); };
  BOOST_TEST(tangent(sparse) == exact, tt::tolerance(1e-13));
}
