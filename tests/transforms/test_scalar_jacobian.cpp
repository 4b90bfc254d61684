#include "autodiff/transforms/scalar_jacobian.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "autodiff/autodiff.h"
#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element, boost::test_tools::tolerance;
using testing::contains, testing::message_of;

namespace {

using List = std::vector<double>;

// Counts the calls of a program by its scalar type.
struct Calls {
  int forward = 0, reverse = 0;
  template <class T> void count() { ++(std::is_same_v<T, Scalar> ? reverse : forward); }
};

// m results, y_i = x_i x_{i+1} + sin(x_i) / (i + 1), with indices modulo n.
struct Chain {
  std::size_t m;
  Calls* calls = nullptr;

  template <class T> std::vector<T> operator()(std::span<const T> x) const {
    if (calls) calls->count<T>();
    const std::size_t n = x.size();
    std::vector<T> y;
    for (std::size_t i = 0; i < m; ++i) y.push_back(x[i % n] * x[(i + 1) % n] + sin(x[i % n]) / static_cast<double>(i + 1));
    return y;
  }
  List analytic(const List& x) const {
    const std::size_t n = x.size();
    List j(m * n);
    for (std::size_t i = 0; i < m; ++i) {
      j[i * n + i % n] += x[(i + 1) % n] + std::cos(x[i % n]) / static_cast<double>(i + 1);
      j[i * n + (i + 1) % n] += x[i % n];
    }
    return j;
  }
};

List points(std::size_t n) {
  List x;
  for (std::size_t i = 0; i < n; ++i) x.push_back(std::sin(static_cast<double>(3 * i + 1)));
  return x;
}

// As published for Ceres Solver: Powell's function.
struct Powell {
  template <class T> bool operator()(const T* const x, T* residuals) const {
    residuals[0] = x[0] + 10.0 * x[1];
    residuals[1] = std::sqrt(5.0) * (x[2] - x[3]);
    residuals[2] = (x[1] - 2.0 * x[2]) * (x[1] - 2.0 * x[2]);
    residuals[3] = std::sqrt(10.0) * (x[0] - x[3]) * (x[0] - x[3]);
    return true;
  }
};
const List kPowellPoint = {3, -1, 0.5, 1};
const List kPowellJacobian = {1,
                              10,
                              0,
                              0,  //
                              0,
                              0,
                              std::sqrt(5.0),
                              -std::sqrt(5.0),  //
                              0,
                              2 * -2.0,
                              -4 * -2.0,
                              0,  //
                              2 * std::sqrt(10.0) * 2,
                              0,
                              0,
                              -2 * std::sqrt(10.0) * 2};

// y = m exp(a x) + c, in two blocks of parameters.
struct Exponential {
  double x, y;
  template <class T> bool operator()(const T* slope, const T* rest, T* residual) const {
    using std::exp;
    residual[0] = rest[0] * exp(slope[0] * x) + rest[1] - y;
    return !(slope[0] > 100.0);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(both_modes_agree_with_the_analytic_jacobian) {
  for (const std::size_t n : {1u, 3u, 8u, 9u, 20u}) {
    for (const std::size_t m : {0u, 1u, 5u, 8u, 13u, 100u}) {
      BOOST_TEST_CONTEXT("n " << n << ", m " << m) {
        const List x = points(n);
        const Chain f{m};
        const List wanted = f.analytic(x);
        const auto close = tolerance(1e-14);
        BOOST_TEST(jacobian(f, x) == wanted, close << per_element());
        BOOST_TEST(detail::forward_jacobian(f, x).second == wanted, close << per_element());
        BOOST_TEST(detail::reverse_jacobian(f, x, m)->second == wanted, close << per_element());
        const auto [y, j] = value_and_jacobian(f, x);
        BOOST_TEST(y == f(std::span<const double>(x)), close << per_element());
        BOOST_TEST(j == wanted, close << per_element());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_cheaper_mode_is_chosen) {
  const auto calls = [](std::size_t n, std::size_t m) {
    Calls c;
    jacobian(Chain{m, &c}, points(n));
    return std::vector<int>{c.forward, c.reverse};
  };
  BOOST_TEST(calls(8, 3) == (std::vector<int>{1, 0}), per_element());
  BOOST_TEST(calls(20, 3) == (std::vector<int>{0, 1}), per_element());
  BOOST_TEST(calls(20, 80) == (std::vector<int>{0, 1}), per_element());
  BOOST_TEST(calls(20, 81) == (std::vector<int>{3, 1}), per_element());  // recorded to know m

  Calls c;
  const auto two = [&]<class T>(std::span<const T> x) {
    c.count<T>();
    return std::array<T, 2>{x[0] * 2.0, x[0] * x[0]};
  };
  BOOST_TEST(jacobian(two, List{3}) == (List{2, 6}), per_element());
  BOOST_TEST((c.forward == 1 && c.reverse == 0));
  BOOST_TEST(jacobian(two, List{3, 5}) == (List{2, 0, 6, 0}), per_element());
  BOOST_TEST((c.forward == 1 && c.reverse == 1));
}

BOOST_AUTO_TEST_CASE(a_program_of_scalars_alone_is_reverse) {
  const auto f = [](std::span<const Scalar> x) { return std::vector<Scalar>{x[0] * x[1], exp(x[0]), 7.0}; };
  BOOST_TEST(jacobian(f, std::array{0.0, 3.0}) == (List{3, 0, 1, 0, 0, 0}), per_element());
}

BOOST_AUTO_TEST_CASE(results_may_be_eager) {
  const auto f = []<class T>(std::span<const T> x) {
    return std::vector<std::conditional_t<std::is_same_v<T, Scalar>, EagerScalar, T>>(3, x[0]);
  };
  BOOST_TEST(jacobian(f, List(9, 1.0)).size() == 27u);
}

BOOST_AUTO_TEST_CASE(a_live_tape_is_left_alone) {
  Tape tape;
  const Scalar x = tape.variable(2);
  const auto f = [&](std::span<const Scalar> p) { return std::array<Scalar, 2>{p[0] * x, x * x}; };
  const std::size_t before = tape.statements();
  const List j = jacobian(f, List{5});
  BOOST_TEST(j == (List{2, 0}), per_element());
  BOOST_TEST(tape.statements() == before);
  BOOST_TEST(tape.gradient(x * j[0], x) == 2);
}

BOOST_AUTO_TEST_CASE(a_changing_number_of_results_is_an_error) {
  std::size_t m = 0;
  const auto f = [&]<class T>(std::span<const T> x) { return std::vector<T>(100 + m++, x[0]); };
  BOOST_TEST(message_of<ShapeError>([&] { jacobian(f, points(20)); }) ==
             "jacobian: the function returned 101 results, then 102; hint: its number of results must not change");
}

// ---- functors in the style of Ceres Solver ----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_functor_works_as_it_is) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPowellPoint);
  std::vector<Scalar> residuals(4);
  BOOST_TEST(Powell()(x.data(), residuals.data()));
  BOOST_TEST(tape.jacobian(residuals, x) == kPowellJacobian, tolerance(1e-15) << per_element());

  std::vector<Dual<4>> numbers(kPowellPoint.begin(), kPowellPoint.end()), of_dual(4);
  for (std::size_t k = 0; k < 4; ++k) numbers[k].d[k] = 1;
  Powell()(numbers.data(), of_dual.data());
  for (std::size_t k = 0; k < 16; ++k) BOOST_TEST(of_dual[k / 4].d[k % 4] == kPowellJacobian[k], tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(a_functor_becomes_a_program) {
  const auto powell = cost_function<4, 4>(Powell());
  BOOST_TEST(jacobian(powell, kPowellPoint) == kPowellJacobian, tolerance(1e-15) << per_element());

  const auto f = cost_function<1, 1, 2>(Exponential{2, 10});
  const auto [r, j] = value_and_jacobian(f, List{0.3, 1.5, 0.1});
  const double e = std::exp(0.6);
  BOOST_TEST(r == List{1.5 * e + 0.1 - 10}, tolerance(1e-14) << per_element());
  BOOST_TEST(j == (List{3 * e, e, 1}), tolerance(1e-14) << per_element());
}

BOOST_AUTO_TEST_CASE(what_a_cost_function_refuses) {
  const auto f = cost_function<1, 1, 2>(Exponential{2, 10});
  BOOST_TEST(message_of<ShapeError>([&] {
               jacobian(f, List{1, 2});
             }) == "cost_function: the blocks have 3 parameters together, but x has 2");
  BOOST_TEST(message_of<ValueError>([&] {
               jacobian(f, List{101, 2, 3});
             }) == "cost_function: the functor returned false, so there are no residuals at this point");
}
