// Eigen's decompositions of matrices of Scalars that test_interop_eigen_factorisations.cpp does not have: values against doubles,
// gradients against differences.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <boost/test/unit_test.hpp>
#include <complex>

#include "tests/interop/eigen_matrices.h"
#include "tests/support/programs.h"

using namespace wengert;
using wengert::testing::Matrix;
using wengert::testing::square;
using wengert::testing::symmetric;
using wengert::testing::vector;
using wengert::testing::Vector;

BOOST_AUTO_TEST_CASE(decompositions) {
  SCALAR_PROGRAM(fpqr, return T(square(x, y).fullPivHouseholderQr().solve(vector(x, y)).squaredNorm()););
  SCALAR_PROGRAM(cod, return T(square(x, y).completeOrthogonalDecomposition().solve(vector(x, y)).squaredNorm()););
  SCALAR_PROGRAM(hessenberg, Eigen::HessenbergDecomposition<Matrix<T>> s(square(x, y)); return T(s.matrixH().diagonal().squaredNorm()););
  SCALAR_PROGRAM(tridiag, Eigen::Tridiagonalization<Matrix<T>> s(symmetric(x, y));
                 return T(s.diagonal().squaredNorm() + T(s.matrixT().diagonal().sum())););
}

BOOST_AUTO_TEST_CASE(eigenvalues) {
  SCALAR_PROGRAM(selfadj_direct, Eigen::SelfAdjointEigenSolver<Eigen::Matrix<T, 3, 3>> s;
                 s.computeDirect(Eigen::Matrix<T, 3, 3>(symmetric(x, y))); return T(s.eigenvalues()(0) + 2.0 * s.eigenvalues()(2)););
  SCALAR_PROGRAM(eigensolver_complex, Matrix<T> a(2, 2); a << x, T(-y), y, T(x + 0.1); Eigen::EigenSolver<Matrix<T>> s(a);
                 std::complex<T> e = s.eigenvalues()(0); return T(e.real() + e.imag() * e.imag()););
  SCALAR_PROGRAM(geneig, Eigen::GeneralizedSelfAdjointEigenSolver<Matrix<T>> s(symmetric(x, y),
                                                                               Matrix<T>(symmetric(y, x) * symmetric(y, x).transpose()));
                 return T(s.eigenvalues()(0) + 2.0 * s.eigenvalues()(2)););
}
