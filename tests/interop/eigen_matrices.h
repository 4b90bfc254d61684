#pragma once
// Matrices and vectors of Eigen from lists of numbers, and gradients of functions of them against differences.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/support/numbers.h"

namespace wengert::testing {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T> using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// f of n numbers, a generic callable of a Vector<T>, with a gradient by the tape and by differences. The differences are taken of Scalars
/// that no tape records, because the same templates for doubles would take as long to compile again.
template <class F> void check(const F& f, int n, double tolerance = 1e-7) {
  const std::vector<double> x = numbers(static_cast<std::size_t>(n), 7);
  const auto value_at = [&](const std::vector<double>& p) {
    return f(Vector<Scalar>(Eigen::Map<const Vector<double>>(p.data(), n).template cast<Scalar>())).value();
  };
  const double value = value_at(x);
  Tape tape;
  const std::vector<Scalar> variables = tape.variables(x);
  const Scalar y = f(Vector<Scalar>(Eigen::Map<const Vector<Scalar>>(variables.data(), n)));
  BOOST_TEST(y.value() == value);
  std::vector<double> slopes(x.size());
  tape.gradient(y, variables, slopes, {.unreached = Unreached::zero});
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<double> up = x, down = x;
    up[i] += 1e-5;
    down[i] -= 1e-5;
    const double difference = (value_at(up) - value_at(down)) / 2e-5;
    BOOST_TEST(std::abs(slopes[i] - difference) <= tolerance * (1 + std::abs(difference)),
               "element " << i << ": " << slopes[i] << ", " << difference);
  }
}
/// A well-conditioned 3 x 3 matrix of the first nine numbers, and a vector of the next three.
template <class T> Matrix<T> square_of(const Vector<T>& x) {
  Matrix<T> a = Eigen::Map<const Matrix<T>>(x.data(), 3, 3);
  for (int i = 0; i < 3; ++i) a(i, i) += T(3.0 + i);
  return a;
}
template <class T> Matrix<T> symmetric_of(const Vector<T>& x) {
  const Matrix<T> a = square_of(x);
  return a * a.transpose();
}
template <class T> Vector<T> right_of(const Vector<T>& x) { return x.segment(9, 3); }

/// A well-conditioned matrix that is not symmetric, one that is, and a vector.
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

}  // namespace wengert::testing
