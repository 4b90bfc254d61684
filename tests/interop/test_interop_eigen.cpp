// Eigen's matrices of Scalars: arithmetic and products, views, and crossings to tensors.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/interop/eigen_matrices.h"

using namespace wengert;
using namespace wengert::testing;
namespace tt = boost::test_tools;

BOOST_AUTO_TEST_CASE(arithmetic_and_products) {
  check([]<class T>(const Vector<T>& x) -> T { return (square_of(x) * right_of(x)).sum(); }, 12);
  check([]<class T>(const Vector<T>& x) -> T { return (square_of(x) * symmetric_of(x) - square_of(x)).squaredNorm(); }, 12, 1e-6);
  check([]<class T>(const Vector<T>& x) -> T { return right_of(x).dot(square_of(x).transpose() * right_of(x)) + right_of(x).norm(); }, 12);
  check(
      []<class T>(const Vector<T>& x) -> T {
        const Eigen::Matrix<T, 3, 3> a = square_of(x);
        const Eigen::Matrix<T, 3, 1> b = right_of(x);
        return (a * b).cross(b).squaredNorm() + a.determinant() + a.inverse().trace();
      },
      12, 1e-6);
  // With doubles and integers on either side.
  check(
      []<class T>(const Vector<T>& x) -> T {
        Matrix<double> d(3, 3);
        d << 1, 2, 3, 4, 5, 6, 7, 8, 10;
        const Matrix<T> a = square_of(x);
        Matrix<T> b = d;
        b += d * a + a * d;
        b = 2 * b + d - a * 3 + 0.5 * d.cwiseProduct(a);
        return (b * (x(0) * x(1))).sum() + ((x(2) + 1.0) * b).sum();
      },
      12, 1e-6);
  // Expressions kept in `auto`, array functions, reductions, and a function without a declared result.
  check(
      []<class T>(const Vector<T>& x) -> T {
        const Matrix<T> a = square_of(x);
        const auto product = a * a;
        const auto sum = product + a;
        const auto squares = a.unaryExpr([](const auto& e) { return e * e; });
        return sum.sum() + T(squares.sum()) + a.array().exp().sum() + a.array().abs().maxCoeff() + a.template lpNorm<Eigen::Infinity>();
      },
      12, 1e-6);
  check(
      []<class T>(const Vector<T>& x) -> T {
        const Matrix<T> a = square_of(x);
        return a.isApprox(a) && !a.isApprox(2.0 * a) ? T(a.sum()) : T(0);
      },
      12);
}

BOOST_AUTO_TEST_CASE(a_small_product_is_a_statement_for_each_element) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(numbers(18, 3));
  const Matrix<Scalar> a = Eigen::Map<const Matrix<Scalar>>(x.data(), 3, 3), b = Eigen::Map<const Matrix<Scalar>>(x.data() + 9, 3, 3);
  const std::size_t before = tape.statements();
  const Matrix<Scalar> c = a * b;
  BOOST_TEST(tape.statements() == before + 9);
  const Vector<Scalar> v = a * b.col(0);
  BOOST_TEST(tape.statements() == before + 12);
  const Scalar dot = v.dot(v);
  BOOST_TEST(tape.statements() == before + 13);
  BOOST_TEST(dot.value() == v.squaredNorm().value(), tt::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(a_product_is_watched) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto product = [&](double corner, const TapeOptions& options) {
    Tape tape(options);
    const Scalar x = tape.variable(2);
    Matrix<Scalar> a = Matrix<Scalar>::Ones(3, 3) * x, b = a;
    a(1, 2) = x * 1e200;
    b(2, 0) = x * corner;
    const Matrix<Scalar> c = a * b;
    if (!std::isfinite(c(1, 0).value())) return std::pair(c(1, 0).value(), 0.0);
    const Scalar y = c.sum();
    return std::pair(y.value(), tape.gradient(y, x));
  };
  BOOST_CHECK_THROW(product(1e200, {.check_finite = true}), Error);
  BOOST_TEST(product(1e200, {}).first == infinity);
  const auto [y, slope] = product(3, {.check_finite = true});
  BOOST_TEST(y == product(3, {}).first, tt::tolerance(1e-14));
  BOOST_TEST(slope == product(3, {}).second, tt::tolerance(1e-14));
  BOOST_TEST(product(3, {.formulas = true}).second == slope, tt::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(a_large_product_is_an_operation_on_tensors) {
  const int n = 20;
  const std::vector<double> values = numbers(2 * n * n, 3);
  Tape tape;
  const std::vector<Scalar> x = tape.variables(values);
  const Matrix<Scalar> a = Eigen::Map<const Matrix<Scalar>>(x.data(), n, n), b = Eigen::Map<const Matrix<Scalar>>(x.data() + n * n, n, n);
  Matrix<Scalar> c = Matrix<Scalar>::Ones(n, n);
  c.noalias() += a * b;
  c.noalias() -= 2.0 * (b * a);
  const Scalar y = c.cwiseProduct(c).sum();
  std::vector<double> slopes(values.size());
  tape.gradient(y, x, slopes);
  const Matrix<double> da = Eigen::Map<const Matrix<double>>(values.data(), n, n),
                       db = Eigen::Map<const Matrix<double>>(values.data() + n * n, n, n);
  const Matrix<double> dc = Matrix<double>::Ones(n, n) + da * db - 2.0 * (db * da);
  BOOST_TEST(y.value() == dc.squaredNorm(), tt::tolerance(1e-12));
  //  C = 1 + A B - 2 B A:  A_bar = C_bar B^T - 2 B^T C_bar,  B_bar = A^T C_bar - 2 C_bar A^T,  C_bar = 2 C
  const Matrix<double> a_bar = 2.0 * (dc * db.transpose() - 2.0 * db.transpose() * dc);
  const Matrix<double> b_bar = 2.0 * (da.transpose() * dc - 2.0 * dc * da.transpose());
  BOOST_TEST((Eigen::Map<const Matrix<double>>(slopes.data(), n, n) - a_bar).norm() < 1e-10 * a_bar.norm());
  BOOST_TEST((Eigen::Map<const Matrix<double>>(slopes.data() + n * n, n, n) - b_bar).norm() < 1e-10 * b_bar.norm());
}

BOOST_AUTO_TEST_CASE(views_copy_nothing) {
  Tensor t = Tensor::from({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, {2, 3}, float64);
  const auto m = eigen::view(t);
  BOOST_TEST(m.data() == t.data<double>());
  BOOST_TEST((m.rows() == 2 && m.cols() == 3 && m(1, 0) == 4));
  eigen::mutable_view(t)(1, 2) = 7;
  BOOST_TEST(t(1, 2).value() == 7);
  BOOST_TEST(eigen::view(t[0]).rows() == 3);
  BOOST_CHECK_THROW(eigen::view(Tensor::zeros({2, 2, 2}, float64)), ShapeError);
  BOOST_CHECK_THROW(eigen::view<float>(t), DtypeError);

  Matrix<double> columns(2, 3);
  columns << 1, 2, 3, 4, 5, 6;
  const Tensor borrowed = eigen::borrow(columns);
  BOOST_TEST((borrowed.shape() == Shape{2, 3} && borrowed(1, 0).value() == 4));
  columns(1, 0) = 8;
  BOOST_TEST(borrowed(1, 0).value() == 8);
  const Eigen::VectorXf vector = Eigen::VectorXf::LinSpaced(4, 0, 3);
  const Tensor of_vector = eigen::borrow(vector);
  BOOST_TEST((of_vector.data<float>() == vector.data() && of_vector.shape() == Shape{4}));
}

BOOST_AUTO_TEST_CASE(crossings_are_recorded) {
  Tape tape;
  const Scalar x = tape.variable(2);
  Matrix<Scalar> m(2, 2);
  m << x, 1, 2 * x, x * x;
  const Tensor t = eigen::to_tensor(m);
  BOOST_TEST((t.shape() == Shape{2, 2} && t(1, 0).value() == 4));
  const Matrix<Scalar> back = eigen::to_matrix(t * t);
  BOOST_TEST(back(1, 1).value() == 16);
  BOOST_TEST(tape.gradient(Scalar(back.sum()), x) == 4 + 16 + 32);
}
