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
using wengert::testing::Vector;

namespace {

// A well-conditioned matrix that is not symmetric, one that is, and a vector.
template <class T> Matrix<T> square(const T& x, const T& y) {
  Matrix<T> a(3, 3);
  a << 3 + x, y, x * y, 0.5, 4 - y, x, -y, 0.3 * x, 5 + x * x;
  return a;
}
template <class T> Matrix<T> symmetric(const T& x, const T& y) { return square(x, y) + square(x, y).transpose(); }
template <class T> Vector<T> vector(const T& x, const T& y) {
  Vector<T> b(3);
  b << x, y, x + 2 * y;
  return b;
}

}  // namespace

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
