// Expressions that have a name: kept in `auto`, deduced as a parameter, returned.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <functional>
#include <optional>
#include <random>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/tape_sizes.h"

using namespace wengert;
namespace tt = boost::test_tools;

namespace {

// z and dz/dx of a program of two variables at (2, 3).
struct Result {
  double z, dx, dy;
  bool operator==(const Result&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Result& r) { return out << r.z << ", " << r.dx << ", " << r.dy; }
};
template <class F> Result at_2_3(F f, const TapeOptions& options = {}) {
  Tape tape(options);
  const Scalar x = tape.variable(2), y = tape.variable(3);
  const Scalar z = f(x, y);
  const auto [dx, dy] = tape.gradient(z, wrt(x, y), {.unreached = Unreached::zero});
  return {z.value(), dx, dy};
}

// s y for s = x, and s grows before the product is used: z = x y, so dz/dx = 3 and dz/dy = 2.
constexpr Result kProduct{6, 3, 2};

auto product_before_growth(Scalar& s, const Scalar& x, const Scalar& y) {
  auto e = s * y;
  s += x * x;
  return e;  // no copy: the caller's temporary is `e` itself
}
Scalar converted_when_returned(const Scalar& x, const Scalar& y) {
  Scalar s = 0;
  s += x;
  auto e = s * y;
  s += x * x;
  return e;
}
template <class T> auto twice_the_square(T a) { return 2 * (a * a); }
template <class T> auto by_reference(const T& a) {
  const auto b = a * a;
  return b + a;
}
template <class T> T power(const T& x, int n) { return n == 0 ? T(1) : T(x * power(x, n - 1)); }

// Tiny chunks, so that the earlier part of a statement is in another chunk, and too long for one statement.
void grow_across_chunks() {
  Tape tape;
  const Scalar x = tape.variable(2);
  Scalar s = 0, total = 0;
  double expected = 0;
  for (int n = 1; n <= 150; ++n) {
    Scalar t = 0;
    for (int i = 0; i < n; ++i) t += i * x;
    auto e = t * 1.0;
    for (int i = 0; i < 5; ++i) t += x * x;
    if (n % 3 == 0)
      for (int i = 0; i < 200; ++i) s = s + x;
    total += e;
    const double slope = n * (n - 1) / 2.0;
    expected += slope;
    BOOST_TEST(e.value() == 2 * slope);
  }
  BOOST_TEST(tape.gradient(total, x) == expected);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_sum_that_grows_after_an_expression_has_read_it) {
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               Scalar s = 0;
               s += x;
               auto e = s * y;
               s += x * x;
               Scalar z = e;
               return z;
             }) == kProduct);
  // The same through every other use of an expression.
  const auto grown = [](auto use) {
    return at_2_3([&](const Scalar& x, const Scalar& y) -> Scalar {
      Scalar s = 0;
      s += x;
      auto e = s * y;
      s += x * x;
      return use(e, x);
    });
  };
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(e); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(std::move(e)); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(e * 1.0); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(1.0 * std::move(e)); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(-(-e)); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) { return Scalar(log(exp(e))); }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto& x) {
               Scalar z = x;
               z = e;
               return z;
             }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) {
               Scalar z = 0;
               z += e;
               return z;
             }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) {
               Scalar z = 0;
               z -= e;
               z *= -1;
               return z;
             }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto& x) {
               Scalar z = 0;
               z += x;  // open
               z += e;
               z -= x;
               return z;
             }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto&) {
               auto copy = e;
               const auto [first, second] = std::pair(copy, 1);
               return Scalar(first * second);
             }) == kProduct);
  BOOST_TEST(grown([](auto& e, auto& x) {
               Scalar other = x * x;  // closes the statement of s first
               return Scalar(e + other - other);
             }) == kProduct);
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               Scalar s = 0;
               s += x;
               Scalar z = product_before_growth(s, x, y);
               return z;
             }) == kProduct);
  BOOST_TEST(at_2_3(converted_when_returned) == kProduct);
}

BOOST_AUTO_TEST_CASE(growth_of_a_statement_that_continues_another) {
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               Scalar s = x * y, t = s;  // shared: s += starts a statement that continues it
               s += x;
               auto e = s * 1.0;
               s += y * y;
               return t * 0.0 + e;
             }) == (Result{8, 4, 2}));
}

BOOST_AUTO_TEST_CASE(an_expression_keeps_what_it_read) {
  // s is assigned, moved from, and destroyed.
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               std::optional<Scalar> s = Scalar(x * 1);
               auto e = *s * y;
               *s = y;
               auto f = *s * x;
               s.reset();
               return e + f - x * y;
             }) == kProduct);
  // Several states of one sum, used in another order.
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               Scalar s = 0;
               s += x;  // x
               auto a = s * 1.0;
               s += x * y;  // x + x y
               auto b = s * 1.0;
               s -= y;  // x + x y - y
               auto c = s * 1.0;
               return (c + 10 * b) + 100 * a;
             }) == (Result{5 + 80 + 200, 4 + 40 + 100, 1 + 20}));
}

BOOST_AUTO_TEST_CASE(expressions_that_did_not_change_cost_no_statement) {
  Tape tape;
  const Scalar x = tape.variable(2), y = tape.variable(3);
  Scalar s = 0;
  s += x;
  const std::size_t before = tape.statements();
  auto e = s * y;
  const Scalar a = e + 1, b = e * 2, c = e / x;
  BOOST_TEST(tape.statements() == before + 3);
  Scalar t = 0;
  t += x;
  auto f = t * y;
  t += x;
  BOOST_TEST(tape.statements() == before + 4);
  const Scalar d = f;  // the earlier part of t, and f
  BOOST_TEST(tape.statements() == before + 6);
  const auto [dx, dy] = tape.gradient(a + b + c + d, x, y);
  BOOST_TEST(dx == 3 + 6 + 0 + 3);
  BOOST_TEST(dy == 2 + 4 + 1 + 2);
}

BOOST_AUTO_TEST_CASE(generic_functions_of_expressions) {
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar { return twice_the_square(x + y); }) == (Result{50, 20, 20}));
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar { return by_reference(x * y); }) == (Result{42, 39, 26}));
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar { return power(Scalar(x * y), 2); }) == (Result{36, 36, 24}));
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               const auto f = [](auto a, auto b) { return a * b + b; };
               auto&& kept = f(x * x, 2 * y);
               return kept + kept;
             }) == (Result{60, 48, 20}));
  BOOST_TEST(at_2_3([](const Scalar& x, const Scalar& y) -> Scalar {
               const auto u = x * y;
               const auto v = u * u + u;
               decltype(x * y) w = u;
               return std::invoke([](const auto& a, const auto& b) { return a - b; }, v, w);
             }) == (Result{36, 36, 24}));
}

BOOST_AUTO_TEST_CASE(choices_between_an_expression_and_a_number_or_a_scalar) {
  for (const bool higher_order : {false, true}) {
    const TapeOptions options{.higher_order = higher_order};
    for (const bool c : {false, true}) {
      const auto check = [&](auto choice, Result yes, Result no) { BOOST_TEST(at_2_3(choice, options) == (c ? yes : no)); };
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return c ? x * y : 0; }, kProduct, {0, 0, 0});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return (c ? x * y : 1.5) * y; }, {18, 9, 12}, {4.5, 0, 1.5});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return y - (c ? x - y : 1); }, {4, -1, 2}, {2, 0, 1});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return y * (c ? x / y : -2.0) + x; }, {4, 2, 0}, {-4, 1, -2});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return (c ? exp(x - 2) : -7) * y; }, {3, 3, 1}, {-21, 0, -7});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return (c ? 2 * x + y * exp(x - 2) : 5) * x; }, {14, 17, 2}, {10, 5, 0});
      check([c](const Scalar& x, const Scalar& y) -> Scalar { return c ? x : 2 * y; }, {2, 1, 0}, {6, 0, 2});
    }
  }
  Tape tape;
  const Scalar x = tape.variable(1);
  BOOST_TEST(std::signbit(Scalar(x < 0 ? x + x : -0.0).value()));
}

BOOST_AUTO_TEST_CASE(growth_across_chunks) {
  grow_across_chunks();
  const support::TapeSizes tiny({.statements = 160});
  std::thread(grow_across_chunks).join();
}

// Random programs that keep expressions of sums, let the sums grow, and use the expressions later, against dual numbers.
BOOST_AUTO_TEST_CASE(random_programs) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const auto run = [seed]<class T>(const T& x, T) {
      std::mt19937 random(seed);
      const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
      std::vector<T> sums(4, T(x * 0.5));
      using Kept = decltype(x * x);
      std::vector<Kept> kept;
      T result = 0.0;
      for (int step = 0; step < 60; ++step) {
        T &a = sums[static_cast<std::size_t>(pick(4))], &b = sums[static_cast<std::size_t>(pick(4))];
        switch (pick(6)) {
          case 0:
            a += 0.1 * x;
            break;
          case 1:
            a += 0.01 * b * x;
            break;
          case 2:
            a -= 0.05 * b;
            break;
          case 3:
            kept.push_back(a * b);
            break;
          case 4:
            if (!kept.empty()) result += 0.1 * kept[static_cast<std::size_t>(pick(static_cast<int>(kept.size())))];
            break;
          case 5:
            if (!kept.empty()) a = x - 0.1 * kept.back();
            break;
        }
      }
      return result;
    };
    Tape tape;
    const Scalar x = tape.variable(0.7);
    const Scalar y = run(x, Scalar());
    const Dual<1> reference = run(Dual<1>(0.7, {1}), Dual<1>());
    BOOST_TEST(y.value() == reference.v, tt::tolerance(1e-13));
    const auto slope = std::get<0>(std::tuple(tape.gradient(y, wrt(x), {.unreached = Unreached::zero})));
    BOOST_TEST(slope == reference.d[0], tt::tolerance(1e-11));
  }
}

BOOST_AUTO_TEST_CASE(a_named_expression_of_a_tape_that_has_gone_on) {
  Tape tape;
  const Scalar x = tape.variable(2);
  Scalar s = 0;
  s += x;
  auto e = s * x;
  s += x;
  BOOST_TEST(tape.gradient(s, x) == 2);
  BOOST_CHECK_THROW(static_cast<void>(Scalar(e)), TapeError);  // its values are consumed
  BOOST_TEST(e.value() == 4);
  NoRecord pause;
  const Scalar constant = Scalar(1) * 2;
  BOOST_TEST(constant.value() == 2);
}
