#include <autodiff/autodiff.h>
#include <autodiff/transforms/testing.h>

#include <boost/test/unit_test.hpp>
#include <limits>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

using Rows = std::initializer_list<std::initializer_list<double>>;
Tensor matrix(Rows rows) { return Tensor::from(rows, float64); }

const Tensor singular = matrix({{1, 2}, {2, 4}});
const Tensor regular = matrix({{4, 1, -2}, {0, 3, 5}, {1, -1, 2}});

// The determinant, by expansion along the first row.
double determinant(const std::vector<Numbers>& a) {
  if (a.empty()) return 1;
  double total = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    std::vector<Numbers> minor;
    for (std::size_t i = 1; i < a.size(); ++i) {
      minor.push_back(a[i]);
      minor.back().erase(minor.back().begin() + static_cast<std::ptrdiff_t>(j));
    }
    total += (j % 2 ? -1 : 1) * a[0][j] * determinant(minor);
  }
  return total;
}
double determinant(const Tensor& a) {
  std::vector<Numbers> rows;
  for (Index i = 0; i < a.size(0); ++i) rows.push_back(numbers(select(a, 0, i)));
  return determinant(rows);
}

}  // namespace

// ---- products --------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(products_by_name) {
  const Tensor a = Tensor::from({1, 2, 3}, float64), b = Tensor::from({4, 5}, float64);
  BOOST_TEST(dot(a, a).item() == 14);
  check_numbers(numbers(outer(a, b)), {4, 5, 8, 10, 12, 15});
  check_numbers(numbers(addmm(b, outer(a, b), Tensor::eye(2, float64), 2, -1)), {4, 5, 12, 15, 20, 25});
  BOOST_TEST((bmm(Tensor::ones({2, 3, 4}), Tensor::ones({2, 4, 5})).shape() == Shape{2, 3, 5}));
}

BOOST_AUTO_TEST_CASE(einsum_against_loops) {
  const Tensor a = reshape(Tensor::arange(1, 7, 1, float64), {2, 3}), b = reshape(Tensor::arange(2, 14, 1, float64), {3, 4});
  const Tensor c = reshape(Tensor::arange(1, 25, 1, float64), {2, 3, 4});
  check_numbers(numbers(einsum("ij,jk->ik", {a, b})), numbers(matmul(a, b)));
  check_numbers(numbers(einsum("ij,jk", {a, b})), numbers(matmul(a, b)));
  check_numbers(numbers(einsum("ba", {a})), numbers(transpose(a)));
  check_numbers(numbers(einsum("ij->", {a})), {21});
  check_numbers(numbers(einsum("ij,ij->i", {a, a})), {14, 77});
  check_numbers(numbers(einsum("ij,kl->jl", {a, b})), numbers(outer(sum(a, 0), sum(b, 0))));
  check_numbers(numbers(einsum("aab->b", {reshape(slice(flatten(c), 0, 0, 12), {2, 2, 3})})), {11, 13, 15});
  check_numbers(numbers(einsum("abc,bc->a", {c, b})), {sum(select(c, 0, 0) * b).item(), sum(select(c, 0, 1) * b).item()});
  check_numbers(numbers(einsum("...b,b->...", {a, Tensor::from({1, 10, 100}, float64)})), {321, 654});
  BOOST_TEST((einsum("...ij,...jk->...ik", {Tensor::ones({5, 1, 2, 3}), Tensor::ones({4, 3, 2})}).shape() == Shape{5, 4, 2, 2}));
  BOOST_TEST((einsum("...ij->...ji", {c}).shape() == Shape{2, 4, 3}));
  BOOST_TEST((einsum("ij,jk->ik", {Tensor::ones({2, 0}), Tensor::ones({0, 3})}).shape() == Shape{2, 3}));
  BOOST_TEST(einsum(",", {Tensor::full({}, 2), Tensor::full({}, 3)}).item() == 6);
}

BOOST_AUTO_TEST_CASE(wrong_equations_are_explained) {
  const Tensor a = Tensor::ones({2, 3});
  const auto told = [&](std::string_view equation, std::initializer_list<Tensor> x) {
    return message_of<ShapeError>([&] { einsum(equation, x); });
  };
  BOOST_TEST(contains(told("ij,jk->ik", {a}), "einsum: \"ij,jk->ik\": 2 terms for 1 operands"));
  BOOST_TEST(contains(told("ij,jk->ik", {a, a}), "'j' has size 2 in (2, 3) float32 made at test_linear_algebra.cpp"));
  BOOST_TEST(contains(told("i->i", {a}), "the term \"i\" does not name the dimensions of (2, 3)"));
  BOOST_TEST(contains(told("ijk->i", {a}), "the term \"ijk\" does not name"));
  BOOST_TEST(contains(told("i1->i", {a}), "the term \"i1\""));
  BOOST_TEST(contains(told("ij->k", {a}), "no operand names 'k'"));
  BOOST_TEST(contains(told("ij->ii", {a}), "the result names 'i' twice"));
  BOOST_TEST(contains(told("i?j->i", {a}), "unexpected '?'"));
  BOOST_TEST(contains(message_of<ShapeError>([] { einsum("i", std::span<const Tensor>()); }), "no operands"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { einsum("ij,ij", {a, a.to(float64)}); }), "einsum: the dtypes differ"));
}

// ---- inverses and systems --------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(inverses_and_solutions) {
  for (const Dtype dtype : {float64, float32}) {
    const double tolerance = dtype == float64 ? 1e-14 : 1e-5;
    const Tensor a = regular.to(dtype), stacked = stack({a, transpose(a)});
    const Tensor eye = Tensor::eye(3, dtype);
    BOOST_TEST(max(abs(matmul(a, inverse(a)) - eye)).item() < tolerance);
    BOOST_TEST(max(abs(matmul(stacked, inverse(stacked)) - eye)).item() < tolerance);
    const Tensor b = Tensor::from({1, 2, 3}, dtype);
    BOOST_TEST(max(abs(matmul(a, solve(a, b)) - b)).item() < 4 * tolerance);
    BOOST_TEST(max(abs(matmul(stacked, solve(stacked, outer(b, b))) - outer(b, b))).item() < 10 * tolerance);
    BOOST_TEST(max(abs(matmul(tril(a), solve_triangular(a, b)) - b)).item() < 4 * tolerance);
    BOOST_TEST(max(abs(matmul(triu(a), solve_triangular(a, b, true)) - b)).item() < 4 * tolerance);
    const Tensor l = cholesky(matmul(a, transpose(a)));
    BOOST_TEST(max(abs(matmul(l, transpose(l)) - matmul(a, transpose(a)))).item() < 40 * tolerance);
    BOOST_TEST(max(abs(triu(l, 1))).item() == 0);
  }
  BOOST_TEST((inverse(Tensor::zeros({0, 0})).shape() == Shape{0, 0}));
  BOOST_TEST((solve(Tensor::zeros({2, 0, 0}), Tensor::zeros({2, 0, 3})).shape() == Shape{2, 0, 3}));
  BOOST_TEST((cholesky(Tensor::zeros({0, 2, 2})).shape() == Shape{0, 2, 2}));
}

BOOST_AUTO_TEST_CASE(a_singular_matrix_has_no_inverse) {
  const auto matrix_error = [](auto f) { return message_of<MatrixError>(f); };
  const Tensor b = Tensor::ones({2}, float64);
  BOOST_TEST(contains(matrix_error([] { inverse(singular); }), "inverse: (2, 2) float64 made at test_linear_algebra.cpp"));
  BOOST_TEST(contains(matrix_error([] { inverse(singular); }), "it is singular: pivot 2 of its LU factors is 0"));
  BOOST_TEST(contains(matrix_error([&] { solve(singular, b); }), "solve: (2, 2)"));
  BOOST_TEST(contains(matrix_error([&] {
                        inverse(stack({Tensor::eye(2, float64), singular}));
                      }),
                      "matrix 1 in row-major order is singular"));
  BOOST_TEST(contains(matrix_error([&] { solve_triangular(matrix({{1, 0}, {2, 0}}), b); }), "element 2 of its diagonal is 0"));
}

BOOST_AUTO_TEST_CASE(an_indefinite_matrix_has_no_cholesky_factor) {
  const Tensor a = matrix({{1, 0, 0}, {0, 1, 2}, {0, 2, 1}});
  BOOST_TEST(
      contains(message_of<MatrixError>([&] { cholesky(a); }), "is not positive definite: its leading minor of order 3 is not positive"));
}

// ---- determinants ----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(determinants_against_expansion) {
  const Tensor a = matrix({{2, -1, 0, 3}, {1, 4, -2, 0}, {0, 5, 1, 1}, {-3, 2, 2, 1}});
  for (const Tensor& x : {a, regular, singular, transpose(a), matrix({{0, 1}, {1, 0}}), matrix({{-3}})}) {
    check_numbers(numbers(det(x)), {determinant(x)}, 1e-14);
    const auto [sign, logarithm] = slogdet(x);
    BOOST_TEST(sign.item() == (determinant(x) > 0) - (determinant(x) < 0));
    check_numbers(numbers(logarithm), {std::log(std::abs(determinant(x)))}, 1e-14);
  }
  BOOST_TEST(det(Tensor::zeros({0, 0})).item() == 1);
  BOOST_TEST(slogdet(1e200 * Tensor::eye(3, float64)).logarithm.item() == 600 * std::log(10), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(the_gradient_of_a_singular_determinant_is_the_cofactors) {
  check_numbers(numbers(det(singular)), {0});
  check_numbers(gradient_of([](const Tensor& x) { return det(x); }, singular), {4, -2, -2, 1}, 0);
  check_numbers(gradient_of([](const Tensor& x) { return det(x); }, matrix({{0}})), {1}, 0);
  check_numbers(gradient_of([](const Tensor& x) { return det(x); }, Tensor::zeros({2, 2}, float64)), {0, 0, 0, 0}, 0);
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return det(x); }, {singular});
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return det(x); }, {matrix({{1, 2, 3}, {2, 4, 6}, {1, 0, 1}})});
  WENGERT_CHECK_GRADIENT([](const Tensor& x) { return det(x); }, {stack({regular, matrix({{1, 2, 3}, {2, 4, 6}, {1, 0, 1}})})});
}

BOOST_AUTO_TEST_CASE(the_logarithm_of_a_determinant_that_is_0_or_negative) {
  const auto f = [](const Tensor& x) { return logdet(x); };
  check_numbers(numbers(f(singular)), {-kInfinity});
  check_numbers(gradient_of(f, singular), {kInfinity, -kInfinity, -kInfinity, kInfinity});
  check_numbers(numbers(f(matrix({{0, 1}, {1, 0}}))), {kNaN});
  check_numbers(gradient_of(f, matrix({{0, 1}, {1, 0}})), {kNaN, kNaN, kNaN, kNaN});
}

// ---- errors ----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(operands_that_do_not_fit_are_explained) {
  const Tensor a = Tensor::ones({2, 3}), v = Tensor::ones({3}), square = Tensor::ones({3, 3}), whole = Tensor::ones({2, 2}, int64);
  const auto shape_error = [](auto f) { return message_of<ShapeError>(f); };
  const auto dtype_error = [](auto f) { return message_of<DtypeError>(f); };
  const std::vector<std::pair<std::string, std::string>> told{
      {shape_error([&] { dot(a, v); }), "dot: both operands must have 1 dimension: left (2, 3) float32 made at test_linear_algebra.cpp"},
      {shape_error([&] { dot(v, Tensor::ones({2})); }), "dot: the shapes do not fit: left (3,)"},
      {shape_error([&] { outer(a, v); }), "outer: both operands must have 1 dimension: left (2, 3)"},
      {shape_error([&] { bmm(a, a); }), "bmm: both operands must have 3 dimensions: left (2, 3)"},
      {shape_error([&] {
         bmm(Tensor::ones({1, 2, 3}), Tensor::ones({2, 3, 2}));
       }),
       "bmm: the shapes do not fit: left (1, 2, 3)"},
      {shape_error([&] { addmm(v, a, a); }), "addmm: the shapes do not fit: left (2, 3)"},
      {shape_error([&] { addmm(Tensor::ones({4}), a, square); }),
       "addmm: the shapes do not broadcast: sizes 4 and 3 in dimension -1: left (4,)"},
      {shape_error([&] {
         addmm(Tensor::ones({2, 2, 3}), a, square);
       }),
       "does not broadcast to the product's shape (2, 3)"},
      {shape_error([&] { inverse(a); }), "inverse: the matrix (2, 3)"},
      {shape_error([&] { det(v); }), "det: (3,)"},
      {shape_error([&] { slogdet(a); }), "slogdet: the matrix (2, 3)"},
      {shape_error([&] { logdet(a); }), "logdet: the matrix (2, 3)"},
      {shape_error([&] { cholesky(a); }), "cholesky: the matrix (2, 3)"},
      {shape_error([&] { solve(square, a); }), "solve: a matrix with 3 rows and right-hand sides of 2 elements do not fit: left (3, 3)"},
      {shape_error([&] { solve(a, v); }), "solve: the matrix (2, 3)"},
      {shape_error([&] {
         solve(Tensor::ones({2, 3, 3}), Tensor::ones({4, 3, 1}));
       }),
       "solve: the leading dimensions do not broadcast: left (2, 3, 3)"},
      {shape_error([&] { solve_triangular(square, a); }), "solve_triangular: a matrix with 3 rows"},
      {dtype_error([&] { dot(v, v.to(float64)); }), "dot: the dtypes differ"},
      {dtype_error([&] { addmm(v.to(float64), a, square); }), "addmm: the dtypes differ"},
      {dtype_error([&] { inverse(whole); }), "inverse: (2, 2) int64"},
      {dtype_error([&] { det(whole); }), "det: (2, 2) int64"},
      {dtype_error([&] { cholesky(whole); }), "cholesky: (2, 2) int64"},
      {dtype_error([&] { solve(square, v.to(float64)); }), "solve: the dtypes differ"},
  };
  for (const auto& [message, part] : told) BOOST_TEST(contains(message, part));
}

BOOST_AUTO_TEST_CASE(products_of_empty_matrices) {
  Tape tape;
  const Tensor a = tape.variable(Tensor::zeros({2, 0}, float64)), b = tape.variable(Tensor::zeros({0, 3}, float64));
  const Tensor c = matmul(a, b);
  check_numbers(numbers(c), {0, 0, 0, 0, 0, 0});
  const auto [a_bar, b_bar] = tape.gradient(sum(c), a, b);
  BOOST_TEST((a_bar.shape() == Shape{2, 0}));
  BOOST_TEST((b_bar.shape() == Shape{0, 3}));
}

BOOST_AUTO_TEST_CASE(results_are_made_where_the_user_called) {
  const Tensor a = regular, v = Tensor::ones({3}, float64);
  for (const Tensor& y : {dot(v, v), outer(v, v), addmm(v, a, a), einsum("ij,j", {a, v}), inverse(a), solve(a, v), solve_triangular(a, v),
                          det(a), slogdet(a).logarithm, logdet(a), cholesky(matmul(a, transpose(a)))})
    BOOST_TEST(to_string(y.made_at()).rfind("test_linear_algebra.cpp:", 0) == 0u, to_string(y.made_at()));
}
