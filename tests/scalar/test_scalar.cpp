// The guarantees of Scalars, one named test each.
#include "autodiff/scalar/scalar.h"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <concepts>
#include <future>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/ops.h"
#include "tests/support/sanitizers.h"

using namespace wengert;
using wengert::testing::kSanitizer;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const GradientOptions kRetain{.retain = true};

// dy/dx; the records are retained.
double derivative(Tape& tape, const Scalar& y, const Scalar& x) { return tape.gradient(y, wrt(x), {.retain = true}); }

// Whether f throws a TapeError whose message contains `part`.
template <class F> bool raises(F&& f, const char* part) {
  try {
    f();
  } catch (const TapeError& e) {
    BOOST_TEST_INFO(e.what());
    return std::string(e.what()).find(part) != std::string::npos;
  }
  return false;
}

Scalar of_an_ended_tape(double value) {
  Tape tape({.isolated = true});
  Scalar x = tape.variable(value / 2);
  return x * 2;
}

}  // namespace

// ---- which expressions compile ----------------------------------------------------------------------------------------------------

// (tests/must_not_compile/scalar.cpp has what must not.)
using Product = decltype(std::declval<Scalar&>() * std::declval<Scalar&>());
using Nested = decltype(exp(std::declval<Scalar&>() * 2.0) + 1);
static_assert(std::is_constructible_v<Scalar, Product&&> && std::is_constructible_v<Scalar, Nested&&>);
static_assert(sizeof(Scalar) == 16 && std::is_nothrow_move_constructible_v<Scalar> && std::is_nothrow_copy_constructible_v<Scalar>);
static_assert(!std::is_copy_constructible_v<Tape> && !std::is_move_constructible_v<Tape>);

BOOST_AUTO_TEST_SUITE(values)

BOOST_AUTO_TEST_CASE(outside_every_tape_nothing_is_recorded) {
  Scalar a = 2, b = a * 3;
  b += a;
  b -= 1;
  b /= 7;
  b *= a;
  BOOST_TEST(b.value() == 2);
  BOOST_TEST(b.number() == 0u);
}

BOOST_AUTO_TEST_CASE(a_default_scalar_is_the_constant_zero) {
  Tape tape;
  Scalar zero, x = tape.variable(3);
  Scalar y = x + zero;
  BOOST_TEST(y.value() == 3);
  BOOST_TEST(zero.number() == 0u);
  BOOST_TEST(tape.gradient(y, x) == 1);
}

BOOST_AUTO_TEST_CASE(numbers_of_every_type_mix_with_scalars) {
  Tape tape;
  Scalar x = tape.variable(2);
  Scalar y = 3 * x + x * 2.0f + (1u - x) / 4L - (short{1} / x);
  BOOST_TEST(y.value() == 9.25);
  BOOST_TEST(tape.gradient(y, x) == 5);
}

BOOST_AUTO_TEST_CASE(comparisons_look_at_values) {
  Tape tape;
  Scalar a = tape.variable(1), b = tape.variable(2);
  BOOST_TEST((a < b && b > a && a <= b && b >= 2 && 1 == a && a != b && a * 2 == b && a + b > 2.5));
}

BOOST_AUTO_TEST_CASE(self_assignment_and_self_move_change_nothing) {
  Tape tape;
  Scalar x = tape.variable(3), y = x * x;
  Scalar& same = y;
  y = same;
  y = std::move(same);
  std::swap(y, same);
  BOOST_TEST(tape.gradient(y, x) == 6);
}

BOOST_AUTO_TEST_CASE(a_moved_from_scalar_is_still_right) {
  Tape tape;
  Scalar x = tape.variable(3), s = x;
  s += x;
  Scalar moved = std::move(s);
  moved += x;
  BOOST_TEST(derivative(tape, s, x) == 2);
  BOOST_TEST(derivative(tape, moved, x) == 3);
}

BOOST_AUTO_TEST_CASE(a_constant_of_a_scalar_stops_the_gradient) {
  Tape tape;
  Scalar x = tape.variable(2);
  Scalar y = x * x.constant();
  BOOST_TEST(tape.gradient(y, x) == 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(statements)

BOOST_AUTO_TEST_CASE(a_whole_right_hand_side_is_one_statement) {
  Tape tape;
  Scalar a = tape.variable(2), b = tape.variable(3);
  const std::size_t before = tape.statements();
  Scalar y = exp(a * b) / (a + 1) - 2 * b;
  BOOST_TEST(tape.statements() == before + 1);
  BOOST_TEST(y.value() == std::exp(6.0) / 3 - 6);
}

BOOST_AUTO_TEST_CASE(repeated_operands_give_the_sum_of_their_partials) {
  Tape tape;
  Scalar x = tape.variable(3);
  Scalar square = x * x, twice = x + x, zero = x - x, one = x / x;
  BOOST_TEST(derivative(tape, square, x) == 6);
  BOOST_TEST(derivative(tape, twice, x) == 2);
  BOOST_TEST(derivative(tape, zero, x) == 0);
  BOOST_TEST(derivative(tape, one, x) == 0);
}

BOOST_AUTO_TEST_CASE(increments_extend_the_open_statement) {
  Tape tape;
  Scalar x = tape.variable(3), s = x * 2;
  s += x;
  const std::size_t before = tape.statements();
  for (int i = 0; i < 100; ++i) s += x * i;
  BOOST_TEST(tape.statements() == before);
  BOOST_TEST(tape.gradient(s, x) == 3 + 4950);
}

BOOST_AUTO_TEST_CASE(a_statement_of_64_kilobytes_is_continued_by_another_one) {
  Tape tape;
  Scalar x = tape.variable(3), s = 0;
  for (int i = 0; i < 5461; ++i) s -= x * i;
  BOOST_TEST(tape.statements() == 2u);
  for (int i = 5461; i < 10000; ++i) s -= x * i;
  BOOST_TEST(tape.statements() == 3u);
  BOOST_TEST(tape.arguments() == 10000u + 1u);  // a continuing statement's index is one, too
  BOOST_TEST(tape.gradient(s, x) == -49995000);
}

BOOST_AUTO_TEST_CASE(copies_close_the_open_statement) {
  Tape tape;
  Scalar x = tape.variable(3), s = x;
  s += x * 4;
  Scalar copy = s;
  s += x * 10;
  BOOST_TEST(derivative(tape, copy, x) == 5);
  BOOST_TEST(derivative(tape, s, x) == 15);
}

BOOST_AUTO_TEST_CASE(an_increment_by_itself_reads_the_old_value) {
  Tape tape;
  Scalar x = tape.variable(3), s = x;
  s += x;
  s += s * s;  // 2x + 4x^2
  const Scalar& itself = s;
  s -= itself;
  s += x;
  s *= s;
  BOOST_TEST(s.value() == 9);
  BOOST_TEST(derivative(tape, s, x) == 6);
  Scalar t = x;
  t += x;
  t += t * t;
  t /= t + 1;
  const double u = 42, du = 2 + 8 * 3;
  BOOST_TEST(t.value() == u / (u + 1));
  BOOST_TEST(derivative(tape, t, x) == du / ((u + 1) * (u + 1)), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(swaps_and_arrays_of_scalars) {
  Tape tape;
  Scalar x = tape.variable(2), y = tape.variable(5), a = x * 3, b = y * 4;
  a += x;
  b += y;
  std::swap(a, b);
  a += x;
  b += y;
  BOOST_TEST(derivative(tape, a, x) == 1);
  BOOST_TEST(derivative(tape, a, y) == 5);
  BOOST_TEST(derivative(tape, b, x) == 4);
  BOOST_TEST(derivative(tape, b, y) == 1);
}

BOOST_AUTO_TEST_CASE(algorithms_move_scalars_about) {
  static_assert(std::movable<Scalar> && std::swappable<Scalar> && std::assignable_from<Scalar&, double>);
  static_assert(std::indirectly_movable<std::vector<Scalar>::iterator, std::vector<Scalar>::iterator>);
  Tape tape;
  std::vector<Scalar> x = tape.variables(std::vector<double>{3, 1, 2});
  const std::vector<Scalar> sources = x;
  for (Scalar& e : x) e *= e;
  x.insert(x.begin(), 7.0);
  std::sort(x.begin(), x.end(), [](const Scalar& a, const Scalar& b) { return a > b; });  // 9 7 4 1
  x.erase(x.begin() + 1);
  std::rotate(x.begin(), x.begin() + 1, x.end());
  (x.front() = x[1]) += x[2];  // an lvalue: 1 + 9
  const Scalar y = x[0] + 2 * x[2];
  BOOST_TEST(y.value() == 28);
  const auto [d_three, d_one] = tape.gradient(y, sources[0], sources[1]);
  BOOST_TEST(d_three == 18);
  BOOST_TEST(d_one == 2);
}

template <std::size_t... i> Scalar sum_of(const std::array<Scalar, sizeof...(i)>& x, std::index_sequence<i...>) { return (x[i] + ...); }

// Sanitizers instrument every level of the expression's type; with the full number, g++ would take minutes.
constexpr std::size_t kMaxOperands = kSanitizer ? 31 : 127;
BOOST_AUTO_TEST_CASE(an_expression_may_have_127_operands) {
  Tape tape;
  std::array<Scalar, kMaxOperands> x;
  for (Scalar& v : x) v = tape.variable(1);
  const Scalar y = sum_of(x, std::make_index_sequence<kMaxOperands>());
  BOOST_TEST(y.value() == kMaxOperands);
  BOOST_TEST(tape.arguments() == kMaxOperands);
  std::array<double, kMaxOperands> g{};
  tape.gradient(y, x, g);
  BOOST_TEST(std::accumulate(g.begin(), g.end(), 0.0) == kMaxOperands);
}

BOOST_AUTO_TEST_CASE(a_source_may_lie_in_between) {
  Tape tape;
  Scalar x = tape.variable(1.5), s = x * x;
  s += x;
  s += s * x;
  Scalar y = s * s;
  BOOST_TEST(derivative(tape, y, s) == 2 * s.value());
  BOOST_TEST(derivative(tape, y, x) == 2 * s.value() * ((2 * 1.5 + 1) * 2.5 + 3.75), boost::test_tools::tolerance(1e-14));
  BOOST_TEST(derivative(tape, y, y) == 1);
}

BOOST_AUTO_TEST_CASE(variables_may_be_made_at_any_time) {
  Tape tape;
  Scalar x = tape.variable(1.5), s = x * 2, late = tape.variable(4);
  s += late * x;
  const Scalar y = s * late;
  const auto [d_late, d_s, d_x] = tape.gradient(y, late, s, x);
  BOOST_TEST(d_late == s.value() + 4 * 1.5);
  BOOST_TEST(d_s == 4);
  BOOST_TEST(d_x == 24);
}

BOOST_AUTO_TEST_CASE(an_infinite_partial_does_no_harm_to_others) {
  Tape tape;
  Scalar x = tape.variable(0), y = x * 1;
  Scalar steep = sqrt(x), unused = y + steep * 0;
  Scalar z = y * 2;
  BOOST_TEST(unused.value() == 0);
  BOOST_TEST(tape.gradient(z, x) == 2);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(tapes)

BOOST_AUTO_TEST_CASE(values_of_an_ended_tape_are_constants) {
  Scalar stale = of_an_ended_tape(9);
  Tape tape;
  Scalar v = tape.variable(1), z = v * stale, sum = stale;
  sum += v * 2;
  stale += v;
  BOOST_TEST(derivative(tape, z, v) == 9);
  BOOST_TEST(derivative(tape, sum, v) == 2);
  BOOST_TEST(derivative(tape, stale, v) == 1);
}

BOOST_AUTO_TEST_CASE(an_expression_of_constants_alone_is_a_constant) {
  const Scalar stale = of_an_ended_tape(9);
  Tape tape;
  Scalar a = stale * 2 + 1, b = 4;
  b += stale;
  BOOST_TEST(a.number() == 0u);
  BOOST_TEST(b.number() == 0u);
  BOOST_TEST(tape.statements() == 0u);
}

BOOST_AUTO_TEST_CASE(consumed_values_are_errors) {
  Tape tape;
  Scalar x = tape.variable(2), y = x * x;
  BOOST_TEST(tape.gradient(y, x) == 4);
  BOOST_TEST(raises([&] { Scalar(y * 2); }, "consumed"));
  BOOST_TEST(raises([&] { y += 1 * x; }, "consumed"));
  BOOST_TEST(raises([&] { tape.gradient(y, x); }, "consumed"));
  BOOST_TEST(y.value() == 4);
  Scalar fresh = tape.variable(7);
  BOOST_TEST(tape.gradient(Scalar(fresh * fresh), fresh) == 14);
}

BOOST_AUTO_TEST_CASE(consumed_records_stay_consumed_after_their_tape_ended) {
  Scalar x;
  {
    Tape tape;
    x = tape.variable(2);
    tape.gradient(Scalar(x * x), x);
  }
  Tape tape;
  Scalar v = tape.variable(3);
  BOOST_TEST(tape.gradient(Scalar(v * x), v) == 2);  // of an ended tape by now: a constant
}

BOOST_AUTO_TEST_CASE(a_second_tape_on_the_thread_is_an_error) {
  Tape tape;
  BOOST_TEST(raises([] { Tape second; }, ".isolated"));
  Scalar x = tape.variable(2);
  BOOST_TEST(tape.gradient(Scalar(x * x), x) == 4);
}

BOOST_AUTO_TEST_CASE(an_isolated_tape_sees_values_of_the_outer_one_as_constants) {
  Tape outer;
  Scalar s = outer.variable(2), t = s * s;
  t += s;
  {
    Tape inner({.isolated = true});
    Scalar v = inner.variable(5), w = v * s;
    w += t;
    s.value();
    BOOST_TEST(inner.gradient(w, v) == 2);
    BOOST_TEST(raises([&] { inner.gradient(Scalar(inner.variable(1) * 2), s); }, "not on this tape"));
  }
  t += s * 4;
  Scalar copy = t;
  t += s;
  BOOST_TEST(derivative(outer, copy, s) == 9);
  BOOST_TEST(derivative(outer, t, s) == 10);
}

BOOST_AUTO_TEST_CASE(values_of_a_live_inner_tape_are_constants_for_the_outer_one_after_it_ended) {
  Tape outer;
  Scalar x = outer.variable(3);
  double slope;
  {
    Tape inner({.isolated = true});
    Scalar y = inner.variable(7);
    slope = inner.gradient(Scalar(x + y), y);
  }
  BOOST_TEST(outer.gradient(Scalar(x * slope), x) == 1);  // d/dx (x * d/dy (x + y)) = 1: no perturbation confusion
}

BOOST_AUTO_TEST_CASE(values_of_another_threads_live_tape_are_errors) {
  Tape tape;
  Scalar x = tape.variable(2);
  std::thread([&] {
    {
      Tape mine;
      Scalar v = mine.variable(1);
      BOOST_TEST(raises([&] { Scalar(v * x); }, "another thread"));
      BOOST_TEST(raises([&] { v += x; }, "another thread"));
      BOOST_TEST(mine.gradient(v, v) == 1);
    }
    BOOST_TEST(raises([&] { Scalar(x * 2); }, "another thread"));  // also where nothing is recorded
    BOOST_TEST(raises(
        [&] {
          Scalar z = 1;
          z += x;
        },
        "another thread"));
    BOOST_TEST(raises([&] { tape.gradient(x, x); }, "thread"));
  }).join();
  BOOST_TEST(tape.gradient(Scalar(x * x), x) == 4);
}

BOOST_AUTO_TEST_CASE(tapes_on_the_heap_may_end_out_of_turn) {
  auto one = std::make_unique<Tape>();
  auto two = std::make_unique<Tape>(TapeOptions{.isolated = true});
  one.reset();
  Scalar a = two->variable(2);
  BOOST_TEST(two->gradient(Scalar(a * a), a) == 4);
  two.reset();
  BOOST_TEST(!recording());
}

BOOST_AUTO_TEST_CASE(no_record_suspends_recording) {
  Tape tape;
  Scalar s = tape.variable(2), t = s * s, paused;
  t += s;
  const std::size_t before = tape.statements();
  {
    NoRecord pause;
    NoRecord nested;
    paused = t;
    Scalar z = s * s;
    z += t;
    BOOST_TEST(z.value() == 10);
    BOOST_TEST(z.number() == 0u);
  }
  BOOST_TEST(tape.statements() == before);
  t += s;
  BOOST_TEST(derivative(tape, paused, s) == 5);
  BOOST_TEST(derivative(tape, t, s) == 6);
}

BOOST_AUTO_TEST_CASE(no_record_ends_with_an_exception) {
  Tape tape;
  Scalar x = tape.variable(2);
  try {
    NoRecord pause;
    throw std::runtime_error("user's");
  } catch (const std::runtime_error&) {
  }
  BOOST_TEST(recording());
  BOOST_TEST(tape.gradient(Scalar(x * x), x) == 4);
}

BOOST_AUTO_TEST_CASE(an_increment_after_a_gradient_of_an_isolated_tape_continues_rightly) {
  Tape tape;
  Scalar x = tape.variable(2), s = x;
  s += x;
  {
    Tape inner({.isolated = true});
    Scalar v = inner.variable(1);
    v += v;
  }
  s += x;
  BOOST_TEST(tape.gradient(s, x) == 3);
}

BOOST_AUTO_TEST_CASE(a_source_that_the_target_does_not_reach_is_an_error_or_zero) {
  Tape tape;
  Scalar x = tape.variable(2), y = tape.variable(3), z = x * x, constant = 5, stale = of_an_ended_tape(1);
  BOOST_TEST(raises([&] { tape.gradient(z, wrt(x, y), {.retain = true}); }, "source 1"));
  BOOST_TEST(raises([&] { tape.gradient(z, wrt(constant), {.retain = true}); }, "unreached"));
  BOOST_TEST(raises([&] { tape.gradient(z, wrt(stale), {.retain = true}); }, "unreached"));
  const auto [dx, dy, dc] = tape.gradient(z, wrt(x, y, constant), {.unreached = Unreached::zero});
  BOOST_TEST(dx == 4);
  BOOST_TEST(dy == 0);
  BOOST_TEST(dc == 0);
}

BOOST_AUTO_TEST_CASE(a_derivative_that_happens_to_be_zero_is_no_error) {
  Tape tape;
  Scalar x = tape.variable(0), w = tape.variable(3);
  const Scalar y = x * w * w;
  const auto [dx, dw] = tape.gradient(y, x, w);
  BOOST_TEST(dx == 9);
  BOOST_TEST(dw == 0);
}

BOOST_AUTO_TEST_CASE(bulk_gradients_check_their_sources_too) {
  Tape tape;
  std::vector<double> values(4, 2.0), g(4), too_short(3);
  std::vector<Scalar> x = tape.variables(values);
  const Scalar y = x[0] * x[1] * x[2];
  BOOST_CHECK_THROW(tape.gradient(y, x, too_short, kRetain), ShapeError);
  BOOST_TEST(raises([&] { tape.gradient(y, x, g, kRetain); }, "source 3"));
  tape.gradient(y, x, g, {.retain = true, .unreached = Unreached::zero});
  BOOST_TEST(g == (std::vector<double>{4, 4, 4, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_failed_gradient_leaves_no_adjoints_behind) {
  Tape tape;
  std::vector<Scalar> x = tape.variables(std::vector<double>{2, 3});
  std::vector<double> g(2);
  const Scalar y = x[0] * x[0], z = x[0] * x[1];
  BOOST_CHECK_THROW(tape.gradient(y, x, g, kRetain), TapeError);
  tape.gradient(z, x, g);
  BOOST_TEST(g[0] == 3);
  BOOST_TEST(g[1] == 2);
}

BOOST_AUTO_TEST_CASE(a_scalar_target_takes_a_seed) {
  Tape tape;
  Scalar x = tape.variable(3);
  BOOST_TEST(tape.gradient(Scalar(x * x), wrt(x), {.seed = Tensor::full({}, 0.5, float64)}) == 3);
}

BOOST_AUTO_TEST_CASE(differentiable_gradients_of_scalars_name_the_tape_that_they_need) {
  Tape tape;
  Scalar x = tape.variable(3), y = x * x;
  BOOST_TEST(raises([&] { tape.differentiable_gradient(y, x); }, ".higher_order"));
}

BOOST_AUTO_TEST_CASE(a_higher_order_tape_differentiates_gradients) {
  Tape tape({.higher_order = true});
  Scalar x = tape.variable(2);
  Scalar y = x * x * x;
  y += exp(x);
  const Scalar dy = tape.differentiable_gradient(y, x);
  const Scalar ddy = tape.differentiable_gradient(dy, x);
  BOOST_TEST(dy.value() == 12 + std::exp(2.0), boost::test_tools::tolerance(1e-14));
  BOOST_TEST(ddy.value() == 12 + std::exp(2.0), boost::test_tools::tolerance(1e-14));
  BOOST_TEST(tape.gradient(ddy, x) == 6 + std::exp(2.0), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(exceptions_leave_the_tape_whole) {
  std::promise<Scalar> made;
  std::promise<void> done;
  std::jthread other([&] {
    Tape tape;
    made.set_value(tape.variable(1));
    done.get_future().wait();
  });
  const Scalar foreign = made.get_future().get();
  Tape tape;
  Scalar x = tape.variable(2), s = x;
  s += x;
  const std::size_t statements = tape.statements(), arguments = tape.arguments();
  BOOST_CHECK_THROW(Scalar(x * x * foreign), TapeError);
  BOOST_CHECK_THROW(s += x * foreign, TapeError);
  BOOST_TEST(tape.statements() == statements);
  BOOST_TEST(tape.arguments() == arguments);
  BOOST_TEST(s.value() == 4);
  s += x;
  BOOST_TEST(tape.gradient(s, x) == 3);
  done.set_value();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sizes)

BOOST_AUTO_TEST_CASE(a_chain_of_ten_million_statements) {
  const int n = kSanitizer ? 100'000 : 10'000'000;
  Tape tape;
  Scalar x = tape.variable(3), y = x;
  for (int i = 0; i < n; ++i) y = y * (1 + 1.0 / n);
  BOOST_TEST(tape.statements() == static_cast<std::size_t>(n) + 1);
  BOOST_TEST(tape.gradient(y, x) == std::exp(1.0), boost::test_tools::tolerance(2.0 / n + 1e-9));
}

BOOST_AUTO_TEST_CASE(a_fan_out_of_a_million) {
  Tape tape;
  Scalar x = tape.variable(1), s = 0;
  for (int i = 0; i < 1'000'000; ++i) s += i * x;
  BOOST_TEST(tape.gradient(s, x) == 499999500000.0);  // exactly
}

BOOST_AUTO_TEST_CASE(a_million_uses_in_statements_of_their_own) {
  const int n = kSanitizer ? 100'000 : 1'000'000;
  Tape tape;
  Scalar x = tape.variable(1), y = x;
  for (int i = 0; i < n; ++i) y = y + x * 2;
  BOOST_TEST(tape.gradient(y, x) == 1 + 2.0 * n);
}

BOOST_AUTO_TEST_CASE(variables_in_between_statements) {
  Tape tape;
  std::vector<Scalar> v;
  Scalar s = 0;
  for (int i = 0; i < 100'000; ++i) {
    v.push_back(tape.variable(i));
    s += v.back() * v.back();
  }
  std::vector<double> g(v.size());
  tape.gradient(s, v, g);
  for (int i = 0; i < 100'000; ++i) BOOST_REQUIRE(g[static_cast<std::size_t>(i)] == 2 * i);
}

BOOST_AUTO_TEST_CASE(bulk_registration_again_and_again) {
  Tape tape;
  std::vector<double> ones(50'000, 1.0), g(ones.size());
  std::vector<Scalar> v(ones.size());
  for (int round = 0; round < 3; ++round) {
    tape.variables(ones, v);
    Scalar s = 0;
    for (const Scalar& x : v) s += x * x * x;
    tape.gradient(s, v, g);
    for (double d : g) BOOST_REQUIRE(d == 3);
  }
}

BOOST_AUTO_TEST_CASE(memory_is_flat_over_many_tapes) {
  std::size_t settled = 0;
  for (int round = 0; round < 10'000; ++round) {
    Tape tape;
    Scalar x = tape.variable(1), y = x;
    for (int i = 0; i < 20; ++i) y = y * x + 1;
    BOOST_REQUIRE(tape.gradient(y, x) == 20 + 190.0 + 1);
    if (round == 10) settled = tape.bytes();
    if (round > 10) BOOST_REQUIRE(tape.bytes() == settled);
  }
}

BOOST_AUTO_TEST_CASE(two_threads_record_on_their_own_tapes) {
  const auto work = [](double start, double& result) {
    for (int round = 0; round < 50; ++round) {
      Tape tape;
      Scalar x = tape.variable(start), y = x;
      for (int i = 0; i < 2000; ++i) y += sin(y) * 0.001;
      result = tape.gradient(y, x);
    }
  };
  double serial[2], parallel[2];
  work(0.3, serial[0]);
  work(0.8, serial[1]);
  std::thread other(work, 0.3, std::ref(parallel[0]));
  work(0.8, parallel[1]);
  other.join();
  BOOST_TEST(parallel[0] == serial[0]);  // the same bits
  BOOST_TEST(parallel[1] == serial[1]);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- well-known edge cases -------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(edge_cases)

BOOST_AUTO_TEST_CASE(an_intermediate_used_twice) {
  Tape tape;
  Scalar x = tape.variable(3), y = x * x, z = y * y + x + x;
  BOOST_TEST(tape.gradient(z, x) == 110);
}

BOOST_AUTO_TEST_CASE(exponentially_many_paths_in_linear_time) {
  Tape tape;
  Scalar x = tape.variable(1), y = x;
  for (int i = 0; i < 60; ++i) y = y + y;
  BOOST_TEST(tape.gradient(y, x) == std::ldexp(1.0, 60));
}

BOOST_AUTO_TEST_CASE(fibonacci_by_two_scalars) {
  Tape tape;
  Scalar x = tape.variable(1), a = x, b = x;
  for (int i = 0; i < 70; ++i) {
    Scalar next = a + b;
    a = std::exchange(b, next);
  }
  BOOST_TEST(tape.gradient(a, x) == 308061521170129.0);  // F(71)
}

BOOST_AUTO_TEST_CASE(a_long_product_of_compound_assignments) {
  Tape tape;
  Scalar x = tape.variable(1), y = x;
  for (int i = 0; i < 1'000'000; ++i) y *= 1.000001;
  BOOST_TEST(y.value() == 2.71828046909, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(tape.gradient(y, x) == 2.71828046909, boost::test_tools::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(the_gradient_of_a_variable_itself_is_one) {
  Tape tape;
  Scalar x = tape.variable(5), y = x;
  BOOST_TEST(tape.gradient(y, x) == 1);
}

BOOST_AUTO_TEST_CASE(the_gradient_of_a_constant_is_an_error) {
  Tape tape;
  Scalar x = tape.variable(5);
  BOOST_TEST(raises([&] { tape.gradient(Scalar(3), x); }, "target"));
  BOOST_TEST(raises([&] { tape.gradient(of_an_ended_tape(3), x); }, "target"));
}

BOOST_AUTO_TEST_CASE(retained_records_give_the_same_gradient_again) {
  Tape tape;
  Scalar x = tape.variable(0.7), y = sin(x * x);
  const double once = derivative(tape, y, x), again = derivative(tape, y, x);
  BOOST_TEST(once == again);
  BOOST_TEST(tape.gradient(y, x) == once);
}

BOOST_AUTO_TEST_CASE(an_intermediate_first_then_the_output) {
  Tape tape;
  Scalar x = tape.variable(3), y = x * x, z = y * x;
  BOOST_TEST(derivative(tape, y, x) == 6);
  BOOST_TEST(derivative(tape, z, y) == 3);
  BOOST_TEST(derivative(tape, z, x) == 27);
  BOOST_TEST(raises([&] { derivative(tape, y, z); }, "does not depend"));
}

BOOST_AUTO_TEST_CASE(zero_times_an_infinite_slope) {
  Tape tape;
  Scalar x = tape.variable(0);
  Scalar root = sqrt(x), between_statements = root * 0;
  BOOST_TEST(derivative(tape, between_statements, x) == 0);  // a zero adjoint passes nothing on
  Scalar inside_one = sqrt(x) * 0;
  BOOST_TEST(std::isnan(derivative(tape, inside_one, x)));  // IEEE rules
}

BOOST_AUTO_TEST_CASE(not_a_number_reaches_what_depends_on_it_and_nothing_else) {
  Tape tape;
  std::vector<Scalar> x = tape.variables(std::vector<double>{std::nan(""), 2});
  std::vector<double> g(2);
  const Scalar product = x[0] * 3, y = product * product + x[1] * 5;
  tape.gradient(y, x, g);
  BOOST_TEST(std::isnan(y.value()));
  BOOST_TEST(std::isnan(g[0]));
  BOOST_TEST(g[1] == 5);
}

BOOST_AUTO_TEST_CASE(infinities_and_denormals_are_kept) {
  Tape tape;
  Scalar x = tape.variable(1e-310), y = tape.variable(kInfinity);
  BOOST_TEST(derivative(tape, Scalar(x * 2), x) == 2);
  BOOST_TEST(Scalar(x * 1).value() == 1e-310);
  BOOST_TEST(derivative(tape, Scalar(y + 1), y) == 1);
  BOOST_TEST(std::signbit(Scalar(tape.variable(-0.0) * 1).value()));
}

BOOST_AUTO_TEST_CASE(compound_assignment_reads_the_old_operand) {
  Tape tape;
  Scalar x = tape.variable(3), y = x;
  y = y * y;
  y += y;
  BOOST_TEST(y.value() == 18);
  BOOST_TEST(tape.gradient(y, x) == 12);
}

BOOST_AUTO_TEST_CASE(a_scalar_outlives_its_tape) {
  auto tape = std::make_unique<Tape>();
  Scalar x = tape->variable(4), y = x * x;
  tape.reset();
  BOOST_TEST(y.value() == 16);
  y += x;
  BOOST_TEST(y.value() == 20);
  BOOST_TEST(y.number() == 0u);
}

BOOST_AUTO_TEST_CASE(the_same_program_gives_the_same_bits) {
  const auto run = [] {
    Tape tape;
    std::vector<Scalar> x = tape.variables(std::vector<double>{0.1, 0.2, 0.3});
    std::vector<double> g(3);
    Scalar y = 0;
    for (int i = 0; i < 1000; ++i) y += sin(x[0] * i) * exp(x[1] - x[2] * 0.01 * i);
    tape.gradient(y, x, g);
    return g;
  };
  BOOST_TEST(run() == run(), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
