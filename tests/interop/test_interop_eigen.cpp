// Eigen's matrices of Scalars: gradients against differences, and solutions against the analytic adjoint.
#include <autodiff/autodiff.h>
#include <autodiff/interop/eigen.h>

#include <Eigen/Dense>
#include <Eigen/Sparse>
#include <boost/test/unit_test.hpp>
#include <random>
#include <vector>

using namespace wengert;
namespace tt = boost::test_tools;

namespace {

template <class T> using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T> using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

std::vector<double> numbers(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> x(n);
  for (double& e : x) e = uniform(random);
  return x;
}

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

}  // namespace

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

namespace {

/// The gradient of c . solve(A, b) by the rule, against  b_bar = A^-T c,  A_bar = -b_bar x^T.
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
