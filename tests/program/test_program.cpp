// Programs recorded as values: lists, evaluation on lanes, guards, derivatives.
#include <autodiff/autodiff.h>

#include <array>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "autodiff/kernels/parallel.h"
#include "benchmarks/scalar_functions.h"
#include "tests/support/every_isa.h"
#include "tests/support/straight_number.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::straight_run;

namespace {

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b); }
template <class A, class B> bool all_same_bits(const A& a, const B& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
  return same;
}

std::vector<double> uniform_numbers(std::size_t n, unsigned seed, double low, double high) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(n);
  for (double& v : values) v = uniform(random);
  return values;
}

const auto squared_error = [](auto p, auto d) { return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1])); };

}  // namespace

// ---- lists ------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_list_holds_the_operations_in_order) {
  const Program f = record(
      [](auto x) {
        const auto product = x[0] * x[1];
        return product + sin(x[0]);
      },
      {.parameters = 2}, {0.5, 2.0});
  const WengertList& list = f.list();
  BOOST_TEST(list.parameters == 2u);
  BOOST_TEST(list.data == 0u);
  BOOST_TEST(list.constants.empty());
  BOOST_REQUIRE(list.instructions.size() == 3u);
  BOOST_TEST((list.instructions[0] == Instruction{Opcode::multiply, {0, 1, 0}}));
  BOOST_TEST((list.instructions[1] == Instruction{Opcode::sin, {0, 0, 0}}));
  BOOST_TEST((list.instructions[2] == Instruction{Opcode::add, {2, 3, 0}}));
  BOOST_TEST(list.outputs == std::vector<std::uint32_t>{4}, boost::test_tools::per_element());
  BOOST_TEST(f(std::vector{0.3, 0.7}) == 0.3 * 0.7 + std::sin(0.3), boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(equal_constant_and_dead_operations_are_left_out) {
  const auto f = [](auto x) {
    using T = std::remove_cvref_t<decltype(x[0])>;
    const T half = 0.5, two = 2.0;
    const T dead = exp(x[0]);
    static_cast<void>(dead);
    return x[0] * x[1] * (half * two) + x[1] * x[0] - 0.0;
  };
  const Program program = record(f, {.parameters = 2}, {0.5, 2.0});
  BOOST_TEST(program.list().instructions.size() == 2u);
  BOOST_TEST(program(std::vector{0.3, 0.7}) == 0.3 * 0.7 + 0.7 * 0.3);
  // Not bit for bit the same, so kept: x + 0 of -0, and x * 0 of an infinity.
  const Program kept = record([](auto x) { return std::pair(x[0] + 0.0, x[0] * 0.0); }, {.parameters = 1}, {1.0});
  BOOST_TEST(kept.list().instructions.size() == 2u);
  BOOST_TEST(!std::signbit(kept.values(std::vector{-0.0})[0]));
  BOOST_TEST(std::isnan(kept.values(std::vector{HUGE_VAL})[1]));
}

BOOST_AUTO_TEST_CASE(programs_are_values) {
  const Program f = record([](auto x) { return exp(x[0]); }, {.parameters = 1}, {1.0}), copy = f;
  BOOST_TEST((f == copy));
  BOOST_TEST((f == record([](auto x) { return exp(x[0]); }, {.parameters = 1}, {3.0})));
  BOOST_TEST(!(f == record([](auto x) { return exp2(x[0]); }, {.parameters = 1}, {1.0})));
  BOOST_TEST((Program(f.list()) == f));
}

BOOST_AUTO_TEST_CASE(every_function_is_recorded_with_its_options) {
#define WENGERT_FUNCTION(F, name)                                                                                            \
  {                                                                                                                          \
    volatile double place = (fn::F::smooth.low + 2 * fn::F::smooth.high) / 3;                                                \
    const double at = place;                                                                                                 \
    const auto f = [](auto x) { return name(x[0]); };                                                                        \
    const Program program = record(f, {.parameters = 1}, {at});                                                              \
    if (!std::is_same_v<fn::F, fn::Round>) /* of numbers: several operations, because fn::Round rounds to even */            \
      BOOST_TEST(program.list().instructions.size() == 1u, #name);                                                           \
    const Dual<1> x{at, {1}}, y = name(x);                                                                                   \
    BOOST_TEST(program(std::vector{at}) == straight_run([&](auto v) { return name(v[0]); }, std::vector{at}), #name);        \
    BOOST_TEST(std::abs(program(std::vector{at}) - y.v) <= 1e-15 * (2 + 4 * std::abs(y.v)), #name);                          \
    const auto [value, slope] = program.value_and_gradient(std::vector{at});                                                 \
    BOOST_TEST(same_bits(value, program(std::vector{at})), #name);                                                           \
    BOOST_TEST(std::abs(slope[0] - y.d[0]) <= 1e-12 * (1 + std::abs(y.d[0])), #name << ": " << slope[0] << " " << y.d[0]);   \
    const double by_source = gradient(program)(std::vector{at});                                                             \
    BOOST_TEST(std::abs(by_source - y.d[0]) <= 1e-12 * (1 + std::abs(y.d[0])), #name << ": " << by_source << " " << y.d[0]); \
  }
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  const Program clamped = record([](auto x) { return clamp(x[0], -1.5, 0.25); }, {.parameters = 1}, {0.0});
  BOOST_TEST(clamped(std::vector{2.0}) == 0.25);
  BOOST_TEST(clamped(std::vector{-2.0}) == -1.5);
  const Program leaky = record([](auto x) { return leaky_relu(x[0], 0.125); }, {.parameters = 1}, {1.0});
  BOOST_TEST(leaky(std::vector{-2.0}) == -0.25);
#define WENGERT_FUNCTION(F, name)                                                                                                \
  {                                                                                                                              \
    const double a = (fn::F::smooth.low + 2 * fn::F::smooth.high) / 3, b = (2 * fn::F::smooth.low + 3 * fn::F::smooth.high) / 5; \
    const Program program = record([](auto x) { return name(x[0], x[1]); }, {.parameters = 2}, {a, b});                          \
    BOOST_TEST(program.list().instructions.size() == 1u, #name);                                                                 \
    const Dual<2> y = name(Dual<2>{a, {1, 0}}, Dual<2>{b, {0, 1}});                                                              \
    const auto [value, slope] = program.value_and_gradient(std::vector{a, b});                                                   \
    const std::vector<double> by_source = gradient(program).values(std::vector{a, b});                                           \
    BOOST_TEST(value == straight_run([&](auto v) { return name(v[0], v[1]); }, std::vector{a, b}), #name);                       \
    BOOST_TEST(std::abs(value - y.v) <= 1e-15 * (2 + 4 * std::abs(y.v)), #name);                                                 \
    for (std::size_t k = 0; k < 2; ++k) {                                                                                        \
      BOOST_TEST(std::abs(slope[k] - y.d[k]) <= 1e-12 * (1 + std::abs(y.d[k])), #name);                                          \
      BOOST_TEST(std::abs(by_source[k] - y.d[k]) <= 1e-12 * (1 + std::abs(y.d[k])), #name);                                      \
    }                                                                                                                            \
  }
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}

// ---- evaluation -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(lanes_are_single_runs) {
  const Program E = record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
  const std::vector<double> p{0.7, -0.3};
  for (std::size_t lanes : {1, 3, 63, 64, 65, 1000}) {
    const std::vector<double> x = uniform_numbers(lanes, 1, -2, 2), y = uniform_numbers(lanes, 2, 0, 1);
    const std::vector<double> values = E.values(p, {x, y});
    double sum = 0, by_hand[2] = {};
    bool same = true;
    for (std::size_t i = 0; i < lanes; ++i) {
      const double h = p[0] * x[i] + p[1], s = 1 / (1 + std::exp(-h)), r = y[i] - s;
      same &= same_bits(values[i], straight_run(squared_error, p, std::vector{x[i], y[i]})) &&
              same_bits(E(p, std::vector{x[i], y[i]}), values[i]) && std::abs(values[i] - 0.5 * (r * r)) < 1e-15;
      sum += values[i];
      by_hand[0] -= r * s * (1 - s) * x[i];
      by_hand[1] -= r * s * (1 - s);
    }
    BOOST_TEST(same);
    const auto [total, slope] = E.sum_and_gradient(p, {x, y});
    BOOST_TEST(total == sum, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(total == E.sum(p, {x, y}));
    for (int k = 0; k < 2; ++k) BOOST_TEST(std::abs(slope[static_cast<std::size_t>(k)] - by_hand[k]) < 1e-12 * static_cast<double>(lanes));
    const std::vector<double> by_source = gradient(E).values(p, {x, y});
    double summed[2] = {};
    for (std::size_t i = 0; i < 2 * lanes; ++i) summed[i / lanes] += by_source[i];
    for (int k = 0; k < 2; ++k) BOOST_TEST(std::abs(summed[k] - by_hand[k]) < 1e-12 * static_cast<double>(lanes));
  }
}
BOOST_AUTO_TEST_CASE(lanes_in_float32) {
  const Program E = record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
  const std::vector<float> p{0.7f, -0.3f}, x{0.5f, -1, 2}, y{0, 1, 0.25f};
  const std::vector<float> values = E.values(p, {x, y});
  for (std::size_t i = 0; i < 3; ++i) {
    const float r = y[i] - 1 / (1 + std::exp(-(p[0] * x[i] + p[1])));
    BOOST_TEST(values[i] == 0.5f * (r * r), boost::test_tools::tolerance(1e-6f));
  }
}

namespace {

template <class F> void check_benchmark(const F& f, double tolerance) {
  BOOST_TEST_CONTEXT(F::name) {
    const std::vector<double> start = f.start();
    const Program program = record(f, {.parameters = static_cast<int>(start.size())}, start);
    std::mt19937_64 random(5);
    std::normal_distribution<double> normal(0, 0.01);
    for (int round = 0; round < 3; ++round) {
      std::vector<double> x = start, by_hand(start.size());
      if (round > 0)
        for (double& v : x) v += normal(random);
      const double expected = straight_run(f, x);
      BOOST_TEST(expected == f(std::span<const double>(x)), boost::test_tools::tolerance(1e-13));
      f.by_hand(x, by_hand);
      BOOST_TEST(same_bits(program(x), expected), program(x) << " " << expected);
      const auto [value, slope] = program.value_and_gradient(x);
      BOOST_TEST(same_bits(value, expected));
      double largest = 0, error = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        largest = std::max(largest, std::abs(by_hand[i]));
        error = std::max(error, std::abs(slope[i] - by_hand[i]));
      }
      BOOST_TEST(error <= tolerance * largest, error << " of " << largest);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_benchmarks_programs_at_other_inputs) {
  namespace b = wengert::benchmark;
  check_benchmark(b::Rosenbrock(), 1e-12);
  check_benchmark(b::LogisticRegression(), 1e-12);
  check_benchmark(b::Perceptron(), 1e-12);
  check_benchmark(b::GaussianMixture(), 1e-12);
  check_benchmark(b::LotkaVolterra(), 1e-12);
}

// ---- every operation on lanes -----------------------------------------------------------------------------------------------------

namespace {

// Numbers at which functions are special, and others.
template <class T> std::vector<T> trying_numbers() {
  std::vector<T> x{0,
                   -T(0),
                   1,
                   -1,
                   0.5,
                   -0.5,
                   2,
                   -3,
                   3,
                   6,
                   0.9f,
                   20,
                   -20,
                   1e-30f,
                   -1e-30f,
                   std::numeric_limits<T>::infinity(),
                   -std::numeric_limits<T>::infinity(),
                   std::numeric_limits<T>::quiet_NaN(),
                   std::numeric_limits<T>::max(),
                   std::numeric_limits<T>::denorm_min()};
  for (double v : uniform_numbers(111, 9, -4, 4)) x.push_back(static_cast<T>(v));
  return x;
}

// A rule at one element, as the function or its straight formula.
template <class F, class T> T rule_at(const F& f, T m, T x, T y) {
  using E = fn::Element<T>;
  if constexpr (fn::kHoldsInPart<F>)
    if (fn::is_beyond<F>(x)) return f.pullback(m, x, y);
  return fn::pullback(f, E{m}, E{x}, E{y}).v;
}
template <class F, class T> T left_at(const F& f, T m, T a, T b, T y) {
  using E = fn::Element<T>;
  return fn::left(f, E{m}, E{a}, E{b}, E{y}).v;
}
template <class F, class T> T right_at(const F& f, T m, T a, T b, T y) {
  using E = fn::Element<T>;
  return fn::right(f, E{m}, E{a}, E{b}, E{y}).v;
}

// Values of a program of one operation on lanes against the function of one number, called for each lane; slopes against its rules.
template <class T, class F> void check_operation(const F& f) {
  const std::vector<T> x = trying_numbers<T>();
  const std::size_t n = x.size();
  std::vector<T> z(n), y_bar(n, T(1.5)), by_data(2 * n);
  for (std::size_t i = 0; i < n; ++i) z[i] = x[(i * 7 + 3) % n];
  bool same = true;
  const auto agrees = [&](T a, T b) { same &= same_bits(a, b); };
  if constexpr (requires { f.pullback(T(1), T(1), T(1)); }) {
    const Program program = record([f](auto x) { return evaluate(f, x[0]); }, {.data = 1}, {0.5});
    const std::vector<T> y = program.values(std::span<const T>(), {x});
    program.vjp({}, {x}, y_bar, std::span(by_data).first(n));
    for (std::size_t i = 0; i < n; ++i) agrees(y[i], detail::lane_value(f, x[i])), agrees(by_data[i], rule_at(f, T(1.5), x[i], y[i]));
  } else {
    const Program program = record([f](auto x) { return evaluate(f, x[0], x[1]); }, {.data = 2}, {0.5, 0.25});
    const std::vector<T> y = program.values(std::span<const T>(), {x, z});
    program.vjp({}, {x, z}, y_bar, by_data);
    for (std::size_t i = 0; i < n; ++i) {
      agrees(y[i], detail::lane_value(f, x[i], z[i]));
      agrees(by_data[i], left_at(f, T(1.5), x[i], z[i], y[i]));
      agrees(by_data[n + i], right_at(f, T(1.5), x[i], z[i], y[i]));
    }
    // One of the operands the same for all lanes.
    for (const T& p : {T(0.75), T(-2), T(0)}) {
      const Program right = record([f](auto p, auto d) { return evaluate(f, d[0], p[0]); }, {.parameters = 1, .data = 1}, {0.5, 0.25});
      const Program left = record([f](auto p, auto d) { return evaluate(f, p[0], d[0]); }, {.parameters = 1, .data = 1}, {0.5, 0.25});
      const std::vector<T> a = right.values({&p, 1}, {x}), b = left.values({&p, 1}, {x});
      for (std::size_t i = 0; i < n; ++i) agrees(a[i], detail::lane_value(f, x[i], p)), agrees(b[i], detail::lane_value(f, p, x[i]));
      right.vjp({&p, 1}, {x}, y_bar, std::span(by_data).first(n));
      for (std::size_t i = 0; i < n; ++i) agrees(by_data[i], left_at(f, T(1.5), x[i], p, a[i]));
      left.vjp({&p, 1}, {x}, y_bar, std::span(by_data).first(n));
      for (std::size_t i = 0; i < n; ++i) agrees(by_data[i], right_at(f, T(1.5), p, x[i], b[i]));
    }
  }
  BOOST_TEST(same, F::name << " in " << (sizeof(T) == 4 ? "float32" : "float64"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_operation_on_lanes_has_the_bits_of_single_calls) {
  wengert::testing::on_every_isa([] {
#define WENGERT_FUNCTION(F, ...)    \
  check_operation<double>(fn::F{}); \
  check_operation<float>(fn::F{});
    WENGERT_ARITHMETIC(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
    WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  });
}

BOOST_AUTO_TEST_CASE(sums_do_not_depend_on_threads) {
  const Program E = record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
  const std::vector<double> p{0.7, -0.3}, x = uniform_numbers(54321, 1, -2, 2), y = uniform_numbers(x.size(), 2, 0, 1);
  const auto first = E.sum_and_gradient(p, {x, y});
  const int before = num_threads();
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    const auto again = E.sum_and_gradient(p, {x, y});
    BOOST_TEST(same_bits(again.first, first.first));
    BOOST_TEST(all_same_bits(again.second, first.second));
    BOOST_TEST(all_same_bits(E.values(p, {x, y}), E.values(p, {x, y})));
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(derivatives_of_programs) {
  // f(x, y, z) = x^2 y + sin(y z): its derivatives by hand.
  const auto f = [](auto x) { return x[0] * x[0] * x[1] + sin(x[1] * x[2]); };
  const Program program = record(f, {.parameters = 2, .data = 1}, {1.0, 1.0, 1.0});
  const double x = 0.7, y = -1.3, z = 0.4, s = std::sin(y * z), c = std::cos(y * z);
  const std::vector<double> at{x, y, z};
  const auto is = [](const std::vector<double>& got, const std::vector<double>& expected) {
    BOOST_REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      BOOST_TEST(std::abs(got[i] - expected[i]) < 1e-14, i << ": " << got[i] << " " << expected[i]);
  };
  is(gradient(program).values(at), {2 * x * y, x * x + z * c});
  is(gradient(program, Wrt::data).values(at), {y * c});
  is(gradient(program, Wrt::inputs).values(at), {2 * x * y, x * x + z * c, y * c});
  is(value_and_gradient(program).values(at), {x * x * y + s, 2 * x * y, x * x + z * c});
  is(hessian(program).values(at), {2 * y, 2 * x, 2 * x, -z * z * s});
  is(hessian(program, Wrt::inputs).values(at), {2 * y, 2 * x, 0, 2 * x, -z * z * s, c - y * z * s, 0, c - y * z * s, -y * y * s});
  is(jacobian(gradient(program), Wrt::inputs).values(at), {2 * y, 2 * x, 0, 2 * x, -z * z * s, c - y * z * s});
  // A direction comes behind the group that it belongs to.
  is(jvp(program).values(std::vector{x, y, 2.0, 3.0, z}), {4 * x * y + 3 * (x * x + z * c)});
  is(jvp(program, Wrt::data).values(std::vector{x, y, z, 2.0}), {2 * y * c});
  is(hvp(program).values(std::vector{x, y, 2.0, 3.0, z}), {4 * y + 6 * x, 4 * x - 3 * z * z * s});
  is(vjp(gradient(program)).values(std::vector{x, y, 2.0, 3.0, z}), {4 * y + 6 * x, 4 * x - 3 * z * z * s});
  is(vjp(program, Wrt::data).values(std::vector{x, y, z, 2.0}), {2 * y * c});
  is(output(gradient(program), 1).values(at), {x * x + z * c});
  is(gradient(output(gradient(program), 0)).values(at), {2 * y, 2 * x});
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_an_error_that_says_so) {
  const Program E = record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
  const std::vector<double> one{1}, two{1, 2}, three{1, 2, 3};
  BOOST_TEST(
      contains(message_of<ShapeError>([&] { record(squared_error, {.parameters = 2, .data = 2}, {0.1}); }), "the example has 1 numbers"));
  BOOST_TEST(contains(message_of<ValueError>([&] { record(squared_error, {.parameters = -1}, {}); }), ".parameters is -1"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { E(three); }), "3 inputs for a program of 4"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { E.values(one, {two, two}); }), "1 parameters for a program of 2"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { E.values(two, {two}); }), "1 columns of data for a program of 2"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { E.values(two, {two, three}); }), "column 1 has 3 lanes"));
  BOOST_TEST(contains(message_of<ValueError>([&] { gradient(E)(std::vector{1., 2., 3., 4.}); }), "2 outputs, not one"));
  BOOST_TEST(contains(message_of<ValueError>([&] { gradient(gradient(E)); }), "jacobian"));
  BOOST_TEST(contains(message_of<ValueError>([&] { gradient(record([](auto x) { return x[0]; }, {.data = 1}, {1.0}), Wrt::parameters); }),
                      "none to"));
  BOOST_TEST(contains(message_of<ValueError>([&] { output(E, 1); }), "number 1 of a program of 1"));
  WengertList broken = E.list();
  broken.instructions[0].operands[0] = 1000;
  BOOST_TEST(contains(message_of<ValueError>([&] { Program{broken}; }), "operand 0 of instruction 0"));
}

BOOST_AUTO_TEST_CASE(programs_without_lanes_or_data) {
  const Program E = record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0});
  const std::vector<double> p{1, 2}, none;
  BOOST_TEST(E.values(p, {none, none}).empty());
  BOOST_TEST(E.sum_and_gradient(p, {none, none}).second == (std::vector{0.0, 0.0}), boost::test_tools::per_element());
  const Program constant = record([](auto) { return 3.0; }, {.parameters = 2}, {0.0, 0.0});
  BOOST_TEST(constant(p) == 3);
  BOOST_TEST(constant.sum(p, Columns::without_data(5)) == 15);
  BOOST_TEST(constant.value_and_gradient(p).second == (std::vector{0.0, 0.0}), boost::test_tools::per_element());
  const Program of_parameters = record([](auto x) { return x[0] * x[1]; }, {.parameters = 2}, {0.0, 0.0});
  const auto [sum, slope] = of_parameters.sum_and_gradient(p, Columns::without_data(5));
  BOOST_TEST(sum == 10);
  BOOST_TEST(slope == (std::vector{10.0, 5.0}), boost::test_tools::per_element());
}
