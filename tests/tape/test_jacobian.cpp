// Tape::jacobian: derivatives of several scalars at once.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "tests/support/tape_sizes.h"
#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element;
using testing::contains, testing::message_of;

namespace {

using List = std::vector<double>;

// The rows by `gradient`; the records are kept.
List row_by_row(Tape& tape, std::span<const Scalar> targets, std::span<const Scalar> sources) {
  List rows(targets.size() * sources.size());
  for (std::size_t i = 0; i < targets.size(); ++i)
    tape.gradient(targets[i], sources, std::span(rows).subspan(i * sources.size(), sources.size()),
                  {.retain = true, .unreached = Unreached::zero});
  return rows;
}

// m results of x that share intermediate values, with sums that are extended and continued.
std::vector<Scalar> program(std::span<const Scalar> x, std::size_t m) {
  std::vector<Scalar> y;
  Scalar state = x[0] * 0.5, sum = 0.0;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < x.size(); ++k) {
      state = sin(state + x[k]) * x[(k + i) % x.size()];
      sum += state * state - x[k] / (2.0 + state);
    }
    y.push_back(sum * exp(-state));
    if (i % 3 == 0) sum *= state;
    sum += y.back();
  }
  return y;
}

const List kPoint = {0.3, -0.7, 1.1, 0.9, -1.3};

}  // namespace

BOOST_AUTO_TEST_CASE(a_row_is_the_gradient_to_the_bit) {
  for (const std::size_t m : {0u, 1u, 2u, 7u, 8u, 9u, 17u, 32u}) {
    BOOST_TEST_CONTEXT(m << " rows") {
      Tape tape;
      const std::vector<Scalar> x = tape.variables(kPoint), y = program(x, m);
      const List wanted = row_by_row(tape, y, x);
      const List got = tape.jacobian(y, x, {.retain = true});
      BOOST_TEST(got == wanted, per_element());
      BOOST_TEST(tape.jacobian(y, x) == wanted, per_element());  // the adjoints were left as they must be
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_is_the_gradient_across_chunks) {
  const support::TapeSizes sizes({.statements = 256, .nodes = 2});
  List wanted, got, again;
  std::thread([&] {  // whose tapes are new
    Tape tape;
    std::vector<Scalar> x = tape.variables(kPoint);
    std::vector<Scalar> y = program(x, 200);
    for (int k = 0; k < 3; ++k) {  // variables between statements
      x.push_back(tape.variable(0.2 * k));
      for (const Scalar& e : program(x, 60)) y.push_back(e * y[static_cast<std::size_t>(k)]);
    }
    wanted = row_by_row(tape, y, x);
    got = tape.jacobian(y, x, {.retain = true});
    again = tape.jacobian(y, x);
  })
      .join();
  BOOST_TEST(got == wanted, per_element());
  BOOST_TEST(again == wanted, per_element());
}

BOOST_AUTO_TEST_CASE(the_jacobian_of_a_linear_map_is_its_matrix) {
  constexpr std::size_t kRows = 11, kColumns = 6;
  Tape tape;
  const std::vector<Scalar> x = tape.variables(List(kColumns, 2));
  List matrix;
  std::vector<Scalar> y;
  for (std::size_t i = 0; i < kRows; ++i) {
    Scalar sum = 0.0;
    for (std::size_t j = 0; j < kColumns; ++j) {
      matrix.push_back(static_cast<double>(i * i) - 3.5 * static_cast<double>(j));
      sum += matrix.back() * x[j];
    }
    y.push_back(sum);
  }
  BOOST_TEST(tape.jacobian(y, x) == matrix, per_element());
}

BOOST_AUTO_TEST_CASE(sources_may_be_results_and_be_repeated_and_targets_may_be_constants_variables_and_equal) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint), y = program(x, 12);
  const std::vector<Scalar> sources = {x[3], y[4], x[0], y[4], y[7]};
  const std::vector<Scalar> targets = {y[11], 2.5, x[0], y[4], y[9], y[9], y[11] * y[4], y[7], x[3] * 2.0, y[10]};
  const List wanted = row_by_row(tape, targets, sources);
  BOOST_TEST(wanted[0 * 5 + 1] != 0);
  BOOST_TEST(wanted[2 * 5 + 2] == 1);
  BOOST_TEST(wanted[3 * 5 + 3] == 1);
  BOOST_TEST(tape.jacobian(targets, sources, {.retain = true}) == wanted, per_element());
  BOOST_TEST(tape.jacobian(targets, sources) == wanted, per_element());
}

// sqrt at 0 has an infinite derivative, which concerns only the rows that depend on it.
BOOST_AUTO_TEST_CASE(an_infinite_derivative_stays_in_its_rows) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(List{0, 4});
  const Scalar root = sqrt(x[0]), other = sqrt(x[1]);
  const std::vector<Scalar> y = {other * 1.0, root * 1.0, root * 0.0 + other, root + other};
  const List j = tape.jacobian(y, x);
  const double infinity = std::numeric_limits<double>::infinity();
  BOOST_TEST(j == (List{0, 0.25, infinity, 0, 0, 0.25, infinity, 0.25}), per_element());
}

BOOST_AUTO_TEST_CASE(the_records_are_consumed_unless_retained) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint), y = program(x, 3);
  tape.jacobian(y, x);
  BOOST_TEST(tape.statements() == 0u);
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.jacobian(y, x); }), "consumed"));
  const std::vector<Scalar> again = tape.variables(kPoint), z = program(again, 3);
  BOOST_TEST(tape.jacobian(z, again).size() == 15u);
  const std::vector<Scalar> third = tape.variables(kPoint), constants = {1.0, 2.0};
  BOOST_TEST(tape.jacobian(constants, third) == List(10), per_element());
  BOOST_TEST(tape.statements() == 0u);
}

BOOST_AUTO_TEST_CASE(a_sum_can_be_extended_after_a_retained_jacobian) {
  Tape tape;
  const Scalar x = tape.variable(3);
  Scalar s = x * x;
  s += 2.0 * x;
  const std::vector<Scalar> targets = {s, x};
  BOOST_TEST(tape.jacobian(targets, std::span(&x, 1), {.retain = true}) == (List{8, 1}), per_element());
  s += x;
  BOOST_TEST(tape.gradient(s, x) == 9);
}

// ---- mixed tapes ------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(scalars_may_pass_through_tensors) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  const Tensor t = tanh(stack(std::span<const Scalar>(x), float64) * 0.5);
  std::vector<Scalar> y;
  for (Index i = 0; i < 5; ++i) y.push_back(t(i) * x[0] + t((i + 1) % 5));
  List wanted(25);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto slope = [](double v) { return 0.5 * (1 - std::tanh(0.5 * v) * std::tanh(0.5 * v)); };
    wanted[i * 5] += std::tanh(0.5 * kPoint[i]);
    wanted[i * 5 + i] += slope(kPoint[i]) * kPoint[0];
    wanted[i * 5 + (i + 1) % 5] += slope(kPoint[(i + 1) % 5]);
  }
  const auto close = boost::test_tools::tolerance(1e-14);
  BOOST_TEST(tape.jacobian(y, x, {.retain = true}) == wanted, close << per_element());
  BOOST_TEST(tape.jacobian(y, x) == wanted, close << per_element());
}

BOOST_AUTO_TEST_CASE(tensors_beside_scalars_do_not_matter) {
  const Parameter p(Tensor::from({2.0, 3.0}, float64));
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  const Tensor read = square(p);  // elements of it are variables to the scalars
  std::vector<Scalar> sources = x;
  sources.push_back(read(1));
  std::vector<Scalar> y = program(sources, 10);
  const Tensor written = sum(stack(std::span<const Scalar>(y), float64) * read(0));
  const List wanted = row_by_row(tape, y, sources);
  BOOST_TEST(wanted[5] != 0);
  BOOST_TEST(tape.jacobian(y, sources, {.retain = true}) == wanted, per_element());
  BOOST_TEST(tape.gradient(written, p).size() == 2);  // the tape is as before
}

BOOST_AUTO_TEST_CASE(a_watch_sees_each_row) {
  Tape tape({.check_finite = true});
  const std::vector<Scalar> x = tape.variables(List{1, 4});
  const std::vector<Scalar> y = {x[0] * x[1], sqrt(x[1])};
  BOOST_TEST(tape.jacobian(y, x) == (List{4, 1, 0, 0.25}), per_element());
}

BOOST_AUTO_TEST_CASE(a_tape_of_higher_order_has_jacobians) {
  Tape tape({.higher_order = true});
  const std::vector<Scalar> x = tape.variables(List{3, 4});
  const std::vector<Scalar> y = {x[0] * x[1], x[1] * x[1], x[0] + 2.0};
  BOOST_TEST(tape.jacobian(y, x) == (List{4, 3, 0, 8, 1, 0}), per_element());
}

// ---- errors -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_is_refused) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint), y = program(x, 3), with_constant = {x[0], 1.0};
  const std::size_t before = tape.statements();
  List room(14);
  BOOST_TEST(message_of<ShapeError>([&] { tape.jacobian(y, x, room); }) ==
             "jacobian: 3 targets and 5 sources, but room for 14 derivatives");
  BOOST_TEST(message_of<ShapeError>([&] { tape.jacobian(y, {}, room); }) ==
             "jacobian: 3 targets and 0 sources, but room for 14 derivatives");
  BOOST_TEST(message_of<TapeError>([&] { tape.jacobian(y, with_constant); }) ==
             "jacobian: source 1 is a constant on this tape; hint: make it with tape.variable(x)");
  std::thread([&] { BOOST_TEST(contains(message_of<TapeError>([&] { tape.jacobian(y, x); }), "jacobian: the tape opened at")); }).join();
  BOOST_TEST(tape.statements() == before);
  BOOST_TEST(tape.jacobian(y, {}).empty());
}
