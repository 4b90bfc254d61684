// Programs as C++ source: compiled, and compared to the bit with the evaluator.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "autodiff/program/shared_object.h"
#include "benchmarks/scalar_functions.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

using Function = long(const double* p, const double* d, double* y);
using LanesFunction = void(long lanes, const double* p, const double* const* d, double* const* y, long* left);

using SumsFunction = void(long lanes, const double* p, const double* const* d, double* y, long* left);

std::shared_ptr<const detail::SharedObject> built(const std::string& source, const std::vector<std::string>& flags = {"-O1"}) {
  std::string report;
  const char* compiler = std::getenv("CXX");
  std::vector<std::string> command{compiler ? compiler : "c++", "-std=c++17",  "-Wall", "-Wextra", "-Werror",
                                   "-ffp-contract=off",         "-fno-builtin"};
  command.insert(command.end(), flags.begin(), flags.end());
  auto object = detail::SharedObject::build(source, command, report);
  BOOST_TEST_REQUIRE(object, report);
  return object;
}

// Of the function itself, without those that it calls.
auto lines_of(const std::string& source) { return std::ranges::count(source.substr(source.find("extern \"C\"")), '\n'); }
bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b); }

// The number of outputs that differ from the evaluator's at these inputs.
std::size_t differences(const Program& program, Function* f, const std::vector<double>& inputs) {
  std::vector<double> y(static_cast<std::size_t>(program.outputs()));
  BOOST_TEST(f(inputs.data(), inputs.data() + program.parameters(), y.data()) == -1);
  const std::vector<double> expected = program.values(std::span<const double>(inputs));
  std::size_t count = 0;
  for (std::size_t k = 0; k < y.size(); ++k) count += same_bits(y[k], expected[k]) ? 0 : 1;
  return count;
}

// Of lanes: how many take the first path, and how many of their outputs differ from the evaluator's.
struct LaneResult {
  std::size_t staying = 0, wrong = 0;
};
LaneResult run_on_lanes(const Program& program, LanesFunction* f, std::span<const double> parameters,
                        const std::vector<std::vector<double>>& columns) {
  const std::size_t lanes = columns[0].size();
  std::vector<double> y(static_cast<std::size_t>(program.outputs()) * lanes);
  std::vector<const double*> d;
  std::vector<double*> to;
  for (const auto& column : columns) d.push_back(column.data());
  for (std::size_t o = 0; o < static_cast<std::size_t>(program.outputs()); ++o) to.push_back(y.data() + o * lanes);
  std::vector<long> left(lanes, -2);
  f(static_cast<long>(lanes), parameters.data(), d.data(), to.data(), left.data());
  const std::vector<double> expected = program.values(parameters, Columns(columns));
  LaneResult result;
  for (std::size_t i = 0; i < lanes; ++i) {
    if (left[i] >= 0) continue;
    ++result.staying;
    for (std::size_t k = i; k < y.size(); k += lanes) result.wrong += same_bits(y[k], expected[k]) ? 0 : 1;
  }
  return result;
}

template <class F> Program recorded(const F& f) {
  const std::vector<double> x = f.start();
  return record(
      [f](auto p) {
        using T = std::remove_cvref_t<decltype(p[0])>;
        return f(std::span<const T>(p));
      },
      {.parameters = static_cast<int>(x.size())}, x);
}

// A pendulum by `rounds` steps of Euler's method.
Program pendulum(int rounds) {
  return record(
      [rounds](auto p) {
        auto x = p[0], v = p[1];
        for (int r = 0; r < rounds; ++r) {
          v = v - 0.001 * sin(x);
          x = x + 0.001 * v;
        }
        return x;
      },
      {.parameters = 2}, {0.5, 0.25});
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_function_has_the_bits_of_the_evaluator) {
  const auto all = [](auto p) {
    using T = std::remove_cvref_t<decltype(p[0])>;
    std::vector<T> y{p[0] + p[1],
                     p[0] - p[1],
                     p[0] * p[1],
                     p[0] / p[1],
                     T(p[0] < p[1]),
                     T(p[0] <= p[1]),
                     T(p[0] == p[1]),
                     T(p[0] != p[1]),
                     T((p[0] < p[1]) & (p[1] < 1)),
                     T((p[0] < p[1]) | (p[1] < 1)),
                     T(!signbit(p[0])),
                     T(signbit(p[1])),
                     where(p[0] < p[1], p[0], p[1])};
#define WENGERT_FUNCTION(F, name, ...) y.push_back(name(p[0]));
    WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
    y.push_back(leaky_relu(p[0], 0.25));
    y.push_back(leaky_relu(p[0], 1.0));
    y.push_back(polygamma(p[0], 3.0));
    y.push_back(clamp(p[0], -1.5, 0.75));
    y.push_back(pow(p[0], 2.0));
#define WENGERT_FUNCTION(F, name) y.push_back(name(p[0], p[1]));
    WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
    return y;
  };
  const Program program = record(all, {.parameters = 2}, {0.5, 0.75});
  const auto object = built(to_cpp(program, "all"));
  const auto f = object->find<Function>("all");
  BOOST_REQUIRE(f);
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 3);
  std::size_t count = 0;
  for (int k = 0; k < 2000; ++k) count += differences(program, f, {normal(random), normal(random)});
  BOOST_TEST(count == 0u);
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kTiny = std::numeric_limits<double>::denorm_min();
  for (double a : {0.0, -0.0, 1.0, -1.0, 700.0, -800.0, 1e300, kTiny, HUGE_VAL, -HUGE_VAL, kNaN})
    for (double b : {0.0, -0.0, 1.0, -2.0, 1e-300, HUGE_VAL, -HUGE_VAL, kNaN})
      BOOST_TEST(differences(program, f, {a, b}) == 0u, "at " << a << ", " << b);
}

BOOST_AUTO_TEST_CASE(every_function_on_lanes) {
  // Of an operand of each lane, of one that is the same for all, and of both.
  const auto all = [](auto p, auto d) {
    using T = std::remove_cvref_t<decltype(p[0])>;
    std::vector<T> y{T((d[0] < p[0]) & !(d[1] < d[0])), T((d[0] < p[0]) | signbit(d[1])), where(d[0] < d[1], p[0], d[1])};
#define WENGERT_FUNCTION(F, name, ...) y.push_back(name(d[0]));
    WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
    WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
    y.push_back(polygamma(d[0], 3.0));
#define WENGERT_FUNCTION(F, name)      \
  y.push_back(name(d[0], d[1]));       \
  y.push_back(name(p[0] + 1.0, d[0])); \
  y.push_back(name(d[0], p[0]));       \
  y.push_back(name(d[0] * d[1], 0.5));
    WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
    return y;
  };
  const Program program = record(all, {.parameters = 1, .data = 2}, {0.75, 0.5, 0.25});
  const auto object = built(to_cpp(program, "all", {.lanes = true}));
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kTiny = std::numeric_limits<double>::denorm_min();
  std::vector<double> special{0.0, -0.0, 1.0, -1.0, 700.0, -800.0, 1e300, kTiny, HUGE_VAL, -HUGE_VAL, kNaN, 1e6, 1.1e6, -3.0};
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(0, 3);
  for (const double p : {0.75, -2.0, 0.0}) {
    for (const std::size_t lanes : {1u, 7u, 64u, 65u, 300u}) {
      std::vector<std::vector<double>> columns(2);
      for (std::size_t i = 0; i < lanes; ++i) {
        columns[0].push_back(i % 3 == 0 ? special[i / 3 % special.size()] : normal(random));
        columns[1].push_back(i % 5 == 0 ? special[i / 5 % special.size()] : normal(random));
      }
      const LaneResult result = run_on_lanes(program, object->find<LanesFunction>("all"), {&p, 1}, columns);
      BOOST_TEST(result.staying == lanes);
      BOOST_TEST(result.wrong == 0u, lanes << " lanes");
    }
  }
}

BOOST_AUTO_TEST_CASE(benchmark_programs_and_their_gradients_have_the_bits_of_the_evaluator) {
  const auto check = [](const char* name, const Program& program, const std::vector<double>& x, int max_lines) {
    const std::string source = to_cpp(program, name);
    BOOST_TEST(lines_of(source) <= max_lines, name);
    const auto object = built(source);
    BOOST_TEST(differences(program, object->find<Function>(name), x) == 0u, name);
  };
  using namespace wengert::benchmark;
  const Rosenbrock rosenbrock;
  check("rosen", recorded(rosenbrock), rosenbrock.start(), 100);
  check("rosen_gradient", gradient(recorded(rosenbrock)), rosenbrock.start(), 100);
  const LogisticRegression regression;
  check("logreg", recorded(regression), regression.start(), 150);
  check("logreg_gradient", gradient(recorded(regression)), regression.start(), 400);
  const Perceptron perceptron;
  check("mlp", recorded(perceptron), perceptron.start(), 500);
  const LotkaVolterra ode;
  check("ode", recorded(ode), ode.start(), 300);
  check("ode_gradient", gradient(recorded(ode)), ode.start(), 1500);
}

BOOST_AUTO_TEST_CASE(a_point_of_the_mixture_as_a_lane) {
  // The comparisons in log_sum_exp are guards; the whole program asks them anew for each of its points.
  using Mixture = benchmark::GaussianMixture;
  const Mixture mixture;
  const std::vector<double> parameters = mixture.start();
  constexpr int kLanes = 200;
  const Program program = record(
      [](auto p, auto d) {
        using T = std::remove_cvref_t<decltype(p[0])>;
        std::array<T, Mixture::kComponents> term;
        for (std::size_t k = 0; k < Mixture::kComponents; ++k) {
          T squares = 0;
          for (std::size_t j = 0; j < Mixture::kDims; ++j)
            squares += square(exp(p[Mixture::kFactors + k * Mixture::kFactor + j]) * (d[j] - p[Mixture::kMeans + k * Mixture::kDims + j]));
          term[k] = p[k] - 0.5 * squares;
        }
        return Mixture::log_sum_exp<T>(term);
      },
      {.parameters = static_cast<int>(parameters.size()), .data = static_cast<int>(Mixture::kDims)},
      [&] {
        std::vector<double> example = parameters;
        example.insert(example.end(), mixture.points.begin(), mixture.points.begin() + Mixture::kDims);
        return example;
      }());
  std::vector<std::vector<double>> columns(Mixture::kDims);
  for (std::size_t i = 0; i < kLanes; ++i)
    for (std::size_t j = 0; j < Mixture::kDims; ++j) columns[j].push_back(mixture.points[i * Mixture::kDims + j]);
  const Program gradient_program = gradient(program);
  for (const Program& its : {program, gradient_program}) {
    const auto object = built(to_cpp(its, "point", {.lanes = true}));
    const LaneResult result = run_on_lanes(its, object->find<LanesFunction>("point"), parameters, columns);
    BOOST_TEST(result.wrong == 0u);
    BOOST_TEST(result.staying == static_cast<std::size_t>(its.report(parameters, columns).paths[0].lanes));
    BOOST_TEST(result.staying > 0u);
    BOOST_TEST(result.staying < static_cast<std::size_t>(kLanes));
  }
}

BOOST_AUTO_TEST_CASE(the_source_does_not_grow_with_the_rounds_of_a_loop) {
  const std::string hundred = to_cpp(pendulum(100), "f"), ten_thousand = to_cpp(pendulum(10'000), "f"),
                    million = to_cpp(pendulum(1'000'000), "f");
  BOOST_TEST(lines_of(hundred) < 40);
  BOOST_TEST(lines_of(ten_thousand) == lines_of(hundred));
  BOOST_TEST(lines_of(million) == lines_of(hundred));
  BOOST_TEST(contains(million, "for (long r = 0; r < 999999; ++r) {"));
  const std::string slope = to_cpp(gradient(pendulum(100)), "f");
  BOOST_TEST(lines_of(slope) < 100);
  BOOST_TEST(lines_of(to_cpp(gradient(pendulum(10'000)), "f")) == lines_of(slope));
  const auto object = built(ten_thousand);
  BOOST_TEST(differences(pendulum(10'000), object->find<Function>("f"), {-0.75, 0.5}) == 0u);
  BOOST_TEST(lines_of(to_cpp(pendulum(100), "f", {.loops = false})) > 500);
}

BOOST_AUTO_TEST_CASE(loops_of_several_kinds) {
  // Values of two rounds before, constants that change, nested loops, data by the round, several loops, guards in each round.
  const auto fibonacci = [](auto p, auto) {
    auto a = p[0], b = p[1];
    for (int r = 0; r < 50; ++r) {
      const auto next = 0.5 * a + sin(b);
      a = b;
      b = next;
    }
    return b;
  };
  const auto horner = [](auto p, auto) {
    auto y = p[0];
    for (int r = 0; r < 12; ++r) y = y * p[1] + std::sin(r + 0.5);
    return y;
  };
  const auto nested = [](auto p, auto d) {
    auto s = p[0];
    for (std::size_t i = 0; i < 30; ++i) {
      auto inner = s;
      for (std::size_t j = 0; j < 10; ++j) inner = inner + d[j] * p[1];
      s = tanh(inner) + d[i];
    }
    auto t = p[1];
    for (std::size_t i = 0; i < 30; ++i) t = t * exp(-square(d[29 - i])) + s;
    return t;
  };
  const auto guarded = [](auto p, auto) {
    auto x = p[0];
    int rounds = 0;
    while (x > 0.001 && rounds < 100) {
      x = x - 0.01 * x * exp(-x);
      ++rounds;
    }
    return x;
  };
  const auto lanes_in_rounds = [](auto p, auto d) {  // rounds on what differs from lane to lane, with calls, conditions and guards
    auto x = d[0], y = p[0] * d[1];
    for (std::size_t r = 0; r < 25; ++r) {
      const auto next = where((x < y) & (y < 5.0), x + 0.1 * sin(y), y * 0.9 + d[r] * p[1]);
      y = exp(-next * next) + x;
      if (next < 1000.0) x = next;
    }
    return x * y;
  };
  const auto no_rounds = [](auto p, auto d) {  // a straight list of several segments
    auto x = d[0];
    for (std::size_t r = 0; r < 12; ++r)
      for (std::size_t k = 0; k < 30; ++k) x = 0.5 * x + (x - d[k * k % 30]) * p[k % 3 == 0];
    return x;
  };
  const auto check = [](const char* name, const auto& f, int max_lines) {
    std::vector<double> inputs{0.25, 0.75};
    for (int k = 0; k < 30; ++k) inputs.push_back(0.1 * std::cos(k));
    const Program program = record(f, {.parameters = 2, .data = 30}, inputs);
    for (const Program& its : {program, gradient(program), hessian(program)}) {
      const auto object = built(to_cpp(its, name));
      BOOST_TEST(differences(its, object->template find<Function>(name), inputs) == 0u, name);
      const auto on_lanes = built(to_cpp(its, name, {.lanes = true}));
      std::vector<std::vector<double>> columns(30);
      for (std::size_t k = 0; k < columns.size(); ++k)
        for (int i = 0; i < 100; ++i) columns[k].push_back(inputs[2 + k] + 0.01 * std::sin(i));
      const LaneResult result =
          run_on_lanes(its, on_lanes->template find<LanesFunction>(name), std::span<const double>(inputs).first(2), columns);
      BOOST_TEST(result.wrong == 0u, name);
      BOOST_TEST(result.staying > 0u, name);
    }
    BOOST_TEST(lines_of(to_cpp(program, name)) < max_lines, name);
  };
  check("fibonacci", fibonacci, 60);
  check("horner", horner, 50);
  check("nested", nested, 120);
  check("guarded", guarded, 60);
  check("lanes_in_rounds", lanes_in_rounds, 80);
  check("no_rounds", no_rounds, 1500);
}

BOOST_AUTO_TEST_CASE(the_guard_that_fails_is_reported) {
  const Program program = record(
      [](auto p) {
        auto x = p[0];
        for (int r = 0; r < 50; ++r)
          if (x < 100) x = x * 1.5;
        return x + static_cast<int>(p[0]);
      },
      {.parameters = 1}, {1e-9});
  const auto object = built(to_cpp(program, "f"));
  const auto f = object->find<Function>("f");
  double y = 0;
  const auto at = [&](double x) { return f(&x, nullptr, &y); };
  BOOST_TEST(at(2e-9) == -1);
  BOOST_TEST(y == program(std::vector{2e-9}));
  BOOST_TEST(at(200.0) == 0);
  BOOST_TEST(at(70.0) == 1);  // 105 after one round
  BOOST_TEST(at(std::numeric_limits<double>::quiet_NaN()) == 0);
  // 100 is passed in round 12
  BOOST_TEST(at(1.0) == 12);
  const Program number = record([](auto p) { return p[0] * p[0].value(); }, {.parameters = 1}, {-0.0});
  const auto its_object = built(to_cpp(number, "number"));
  const auto its = its_object->find<Function>("number");
  double zero = 0.0, minus_zero = -0.0;
  BOOST_TEST(its(&zero, nullptr, &y) == 0);
  BOOST_TEST(its(&minus_zero, nullptr, &y) == -1);
}

BOOST_AUTO_TEST_CASE(sums_over_lanes_have_the_same_bits_on_every_register) {
  // More columns than are read where they lie, and guards that some lanes fail.
  constexpr std::size_t kColumns = 100;
  const auto f = [](auto p, auto d) {
    using T = std::remove_cvref_t<decltype(d[0])>;
    auto x = d[0];
    for (std::size_t r = 1; r < kColumns; ++r) x = 0.5 * x * p[0] + sin(d[r]);
    if (d[1] < 0.9) x = x * x;
    return std::array<T, 2>{x, d[0] - x};
  };
  std::vector<double> example(kColumns + 1, 0.25);
  const Program program = record(f, {.parameters = 1, .data = kColumns}, example);
  const std::string values = to_cpp(program, "values", {.lanes = true}), sums = to_cpp(program, "sums", {.lanes = true, .sums = true});
  const auto narrow = built(values + sums), wide = built(values + sums, {"-O2", "-march=native"});
  const std::vector<double> p{0.75};
  for (const std::size_t lanes : {0u, 1u, 15u, 16u, 63u, 64u, 65u, 200u}) {
    std::vector<std::vector<double>> columns(kColumns, std::vector<double>(lanes));
    std::vector<const double*> d;
    for (std::size_t k = 0; k < kColumns; ++k) {
      for (std::size_t i = 0; i < lanes; ++i) columns[k][i] = std::sin(1.0 + static_cast<double>(k + 7 * i));
      d.push_back(columns[k].data());
    }
    std::vector<double> rows(2 * lanes + 1);
    double* const to[] = {rows.data(), rows.data() + lanes};
    std::vector<long> left(lanes + 1), left_of_sums(lanes + 1), left_of_wide(lanes + 1);
    const auto n = static_cast<long>(lanes);
    narrow->find<LanesFunction>("values")(n, p.data(), d.data(), to, left.data());
    double y[2], y_of_wide[2];
    narrow->find<SumsFunction>("sums")(n, p.data(), d.data(), y, left_of_sums.data());
    wide->find<SumsFunction>("sums")(n, p.data(), d.data(), y_of_wide, left_of_wide.data());
    BOOST_TEST(left_of_sums == left, boost::test_tools::per_element());
    BOOST_TEST(left_of_wide == left, boost::test_tools::per_element());
    const auto gone = std::ranges::count_if(std::span(left).first(lanes), [](long guard) { return guard >= 0; });
    if (lanes > 15) BOOST_TEST((gone > 0 && gone < n));
    for (std::size_t o = 0; o < 2; ++o) {
      double expected = 0;
      for (std::size_t i = 0; i < lanes; ++i) expected += left[i] < 0 ? rows[o * lanes + i] : 0;
      BOOST_TEST(std::abs(y[o] - expected) <= 1e-12 * static_cast<double>(lanes));
      BOOST_TEST(same_bits(y[o], y_of_wide[o]), lanes << " lanes, output " << o);
    }
    if (lanes > 0) BOOST_TEST(run_on_lanes(program, wide->find<LanesFunction>("values"), p, columns).wrong == 0u);
  }
  BOOST_TEST(contains(message_of<ValueError>([&] { to_cpp(program, "f", {.sums = true}); }), "hint: set .lanes"));
}

BOOST_AUTO_TEST_CASE(guards_on_values_of_lanes) {
  const auto check = [](const auto& f, const std::vector<double>& at) {
    for (const double example : at) {
      const Program program = record(f, {.data = 1}, {example});
      const auto object = built(to_cpp(program, "f", {.lanes = true}));
      const LaneResult result = run_on_lanes(program, object->find<LanesFunction>("f"), {}, {at});
      BOOST_TEST(result.staying == static_cast<std::size_t>(program.report({}, {at}).paths[0].lanes), "recorded at " << example);
      BOOST_TEST(result.wrong == 0u);
    }
  };
  check([](auto d) { return d[0] * d[0].value() + 1.0; }, {0.0, -0.0, 1.0, 2.5, std::numeric_limits<double>::quiet_NaN()});
  check([](auto d) { return d[0] + static_cast<int>(d[0]); }, {0.0, -0.0, 1.0, 1.5, -0.5});
}

BOOST_AUTO_TEST_CASE(names_of_the_source_itself) {
  const Program program = record([](auto d) { return where(d[0] < 1.0, d[0], sqrt(d[0])); }, {.data = 1}, {0.5});
  for (const char* name : {"Lanes", "Mask", "Columns", "Results", "Sums", "Vector", "where", "run", "width", "gone"}) {
    const auto object = built(to_cpp(program, name, {.lanes = true}));
    BOOST_TEST(run_on_lanes(program, object->find<LanesFunction>(name), {}, {{0.25, 4.0, 9.0}}).wrong == 0u, name);
    built(to_cpp(program, name, {.lanes = true, .sums = true}));
  }
}

BOOST_AUTO_TEST_CASE(names_must_be_names_of_functions) {
  for (const char* name : {"", "2x", "a b", "f;g", "f()", "a-b", "_f"})
    BOOST_TEST(contains(message_of<ValueError>([&] { to_cpp(pendulum(1), name); }), "is not a function's name"));
}
