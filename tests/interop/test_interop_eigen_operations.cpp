// Eigen's fixed sizes, arrays, mixed operands, rotations and transformations with Scalars: values against those that doubles gave,
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
using wengert::testing::vector;
using wengert::testing::Vector;

BOOST_AUTO_TEST_CASE(operations) {
  SCALAR_PROGRAM(vec_ops, 58.194912163171715, Vector<T> v = vector(x, y), w = v * 2.0;
                 return T(v.normalized().dot(w) * v.norm() + v.squaredNorm() + v.stableNorm() + w.cwiseAbs().sum() + v.mean() + v.prod()););
  SCALAR_PROGRAM(inv_det_fixed, 104.16774824554992, Eigen::Matrix<T, 3, 3> a = square(x, y);
                 Eigen::Matrix<T, 4, 4> b = Eigen::Matrix<T, 4, 4>::Identity(); b.template topLeftCorner<3, 3>() = a; b(3, 0) = x;
                 b(0, 3) = y; Eigen::Matrix<T, 2, 2> c = a.template topLeftCorner<2, 2>(); return T(
                     a.determinant() + b.determinant() + c.determinant() + a.inverse().sum() + b.inverse().sum() + c.inverse().sum()););
  SCALAR_PROGRAM(mixed_assign, 78.199999999999989, Matrix<double> d(3, 3); d << 1, 2, 3, 4, 5, 6, 7, 8, 10; Matrix<T> c = d; c = d;
                 Matrix<T> e(d); return T(c.sum() * x + e.sum()););
  SCALAR_PROGRAM(mixed_cwise, 315.37, Matrix<double> d(3, 3); d << 1, 2, 3, 4, 5, 6, 7, 8, 10;
                 Matrix<T> c = d.cwiseProduct(square(x, y)) + square(x, y).cwiseQuotient(d); return T((c.array() * d.array() / 2).sum()););
  SCALAR_PROGRAM(mixed_sum, 60.210000000000001, Matrix<double> d(3, 3); d << 1, 2, 3, 4, 5, 6, 7, 8, 10; Matrix<T> c = d + square(x, y) - d;
                 c += d; c -= d; return T((c + d).sum()););
  SCALAR_PROGRAM(scalar_expr_times_m, 12.931100000000001, Matrix<T> a = (x * y) * square(x, y); return T(a.sum()););
  SCALAR_PROGRAM(m_times_scalar_expr, 2.9418252499999999, Matrix<T> a = square(x, y) * (x * y) / (x + y); a *= x * y; a /= x + y;
                 return T(a.sum()););
  SCALAR_PROGRAM(ctor_expr, 13.469999999999999, Matrix<T> a = Matrix<T>::Constant(2, 2, x * y); Eigen::Matrix<T, 2, 1> b(x * y, x + y);
                 Eigen::Matrix<T, 3, 1> c(x * y, x, 1.0); a(0, 0) = x + y; a.setConstant(x * y); a.fill(x * y);
                 return T(a.sum() + b.sum() + c.sum() + Eigen::Matrix<T, 4, 1>(x, x * y, y, 2 * x).sum()););
  SCALAR_PROGRAM(
      lpnorm_inf, 11.975984166573689,
      return T(vector(x, y).template lpNorm<Eigen::Infinity>() + vector(x, y).template lpNorm<1>() + vector(x, y).template lpNorm<3>()););
  SCALAR_PROGRAM(isapprox, 17.509999999999998, Matrix<T> a = square(x, y);
                 return T(a.isApprox(a * T(1.0)) ? a.sum() : T(0)) + T(a.isMuchSmallerThan(1e20) ? x : y) +
                        T(a.isZero() || a.isIdentity() || a.isOnes() ? x : y) + T(a.isApproxToConstant(1.0) ? x : y););
  SCALAR_PROGRAM(complex_matrix, 63.575326202002017, Eigen::Matrix<std::complex<T>, 2, 2> a;
                 a << std::complex<T>(x, y), std::complex<T>(y, T(0)), std::complex<T>(T(1), x), std::complex<T>(T(3), T(0));
                 std::complex<T> d = (a * a.adjoint() * a).determinant() + a.inverse().trace(); return T(d.real() + 2 * d.imag()););
}

BOOST_AUTO_TEST_CASE(arrays) {
  SCALAR_PROGRAM(array_round, 14.699999999999999, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T((a.round() + a.floor() + a.ceil() + a.rint()).sum() * x););
  SCALAR_PROGRAM(array_isnan, 2.7000000000000002, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T(a.isNaN().any() || !a.isFinite().all() || a.isInf().any() ? y : x) + T(vector(x, y).hasNaN() ? x : y) +
                        T(vector(x, y).allFinite() ? x : y););
  SCALAR_PROGRAM(array_rsqrt, 57.841258164924206, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T((a.rsqrt() * a + a.inverse() + a.square() + a.cube()).sum()););
  SCALAR_PROGRAM(array_pow, 88.79076932506716, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T((a.pow(2) + a.pow(2.5) + pow(a, a)).sum()););
  SCALAR_PROGRAM(array_minmax, 13, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T(a.maxCoeff() * a.minCoeff() + a.max(1.0).sum() + a.min(a * a).sum()););
  SCALAR_PROGRAM(array_scalar_ops, 20.064165834165834, Eigen::Array<T, -1, 1> a = vector(x, y).array();
                 return T((a + 1.0 - x + x * y + 2 * a / 3).sum() + (1.0 / a).sum() + (x - a).sum() + (1 + a).sum()););
  SCALAR_PROGRAM(unaryexpr_noret, 56.112300000000005, Matrix<T> a = square(x, y).unaryExpr([](const T& e) { return e * e; });
                 return T(a.sum()););
}

BOOST_AUTO_TEST_CASE(geometry) {
  SCALAR_PROGRAM(angleaxis, 0.5568293684301211, Eigen::AngleAxis<T> r(x, Eigen::Matrix<T, 3, 1>(vector(x, y).normalized()));
                 return T(r.toRotationMatrix()(0, 1) * y + (r * Eigen::Matrix<T, 3, 1>(vector(x, y)))(1)););
  SCALAR_PROGRAM(rotmat_to_quat, 1.7721595266064214, Eigen::AngleAxis<T> r(x, Eigen::Matrix<T, 3, 1>(vector(x, y).normalized()));
                 Eigen::Quaternion<T> q(r.toRotationMatrix()); Eigen::AngleAxis<T> s(q); return T(q.w() + 2 * q.x() + s.angle()););
  SCALAR_PROGRAM(transform, 1.2753288243427843, Eigen::Transform<T, 3, Eigen::Affine> t = Eigen::Transform<T, 3, Eigen::Affine>::Identity();
                 t.translate(Eigen::Matrix<T, 3, 1>(vector(x, y))); t.rotate(Eigen::AngleAxis<T>(y, Eigen::Matrix<T, 3, 1>::UnitZ()));
                 t.scale(x); return T((t * Eigen::Matrix<T, 3, 1>(vector(x, y))).sum() + t.inverse().translation().sum()););
  SCALAR_PROGRAM(quaternion, 7.4160423269881619, Eigen::Quaternion<T> q(x, y, T(0.5), T(1.0)); q.normalize();
                 Eigen::Matrix<T, 3, 1> v = q * Eigen::Matrix<T, 3, 1>(vector(x, y));
                 return T(v.sum() + q.slerp(T(0.3), Eigen::Quaternion<T>::Identity()).w() + (q * q.inverse()).w() +
                          q.angularDistance(Eigen::Quaternion<T>::Identity())););
}
