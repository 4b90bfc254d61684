// Eigen's decompositions of matrices of Scalars that test_interop_eigen_factorisations.cpp does not have: values against those that doubles
// gave, gradients against differences.
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
  SCALAR_PROGRAM(fpqr, 0.45130487246020379, return T(square(x, y).fullPivHouseholderQr().solve(vector(x, y)).squaredNorm()););
  SCALAR_PROGRAM(cod, 0.45130487246020395, return T(square(x, y).completeOrthogonalDecomposition().solve(vector(x, y)).squaredNorm()););
  SCALAR_PROGRAM(hessenberg, 48.295506313104475, Eigen::HessenbergDecomposition<Matrix<T>> s(square(x, y));
                 return T(s.matrixH().diagonal().squaredNorm()););
  SCALAR_PROGRAM(tridiag, 229.70353009827772, Eigen::Tridiagonalization<Matrix<T>> s(symmetric(x, y));
                 return T(s.diagonal().squaredNorm() + T(s.matrixT().diagonal().sum())););
}

BOOST_AUTO_TEST_CASE(eigenvalues) {
  SCALAR_PROGRAM(selfadj_direct, 26.454558614190688, Eigen::SelfAdjointEigenSolver<Eigen::Matrix<T, 3, 3>> s;
                 s.computeDirect(Eigen::Matrix<T, 3, 3>(symmetric(x, y))); return T(s.eigenvalues()(0) + 2.0 * s.eigenvalues()(2)););
  SCALAR_PROGRAM(eigensolver_complex, 2.4375, Matrix<T> a(2, 2); a << x, T(-y), y, T(x + 0.1); Eigen::EigenSolver<Matrix<T>> s(a);
                 std::complex<T> e = s.eigenvalues()(0); return T(e.real() + e.imag() * e.imag()););
  SCALAR_PROGRAM(
      geneig, 0.32695126581723344,
      Eigen::GeneralizedSelfAdjointEigenSolver<Matrix<T>> s(symmetric(x, y), Matrix<T>(symmetric(y, x) * symmetric(y, x).transpose()));
      return T(s.eigenvalues()(0) + 2.0 * s.eigenvalues()(2)););
}
