// Programs that decide by the values of their inputs, on many lanes: each lane gets what the function computes for it alone.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>

#include <array>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "tests/support/every_isa.h"
#include "tests/support/straight_number.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::on_every_isa;
using wengert::testing::straight_run;

namespace {

constexpr std::size_t kLanes = 10000;

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b); }

std::vector<double> uniform_numbers(std::size_t n, unsigned seed, double low, double high) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(n);
  for (double& v : values) v = uniform(random);
  return values;
}

// Newton's iteration for the cube root of d[0], until a step changes nothing to speak of.
struct CubeRoot {
  template <class T> T operator()(std::span<const T>, std::span<const T> d) const {
    using std::abs;
    T x = 1.0;
    while (true) {
      const T next = (2.0 * x + d[0] / (x * x)) / 3.0;
      if (abs(next - x) < 1e-12 * abs(next)) return next;
      x = next;
    }
  }
};

// Where a ball is at the time 1.5 that falls from the height d[0] with the speed d[1] and bounces: p[0] is gravity, p[1] how much of its
// speed a bounce leaves. Time goes in steps, and the one with a bounce is split.
struct BouncingBall {
  template <class T> T operator()(std::span<const T> p, std::span<const T> d) const {
    T height = d[0], speed = d[1];
    constexpr double h = 0.125;
    for (int step = 0; step < 12; ++step) {
      const T next = height + speed * h - 0.5 * p[0] * (h * h);
      if (next < 0.0) {
        using std::sqrt;
        const T until = (speed + sqrt(speed * speed + 2.0 * p[0] * height)) / p[0];
        const T rest = h - until, bounced = -p[1] * (speed - p[0] * until);
        height = bounced * rest - 0.5 * p[0] * rest * rest;
        speed = bounced - p[0] * rest;
        height = where(height < 0.0, 0.0, height);
      } else {
        height = next;
        speed -= p[0] * h;
      }
    }
    return height;
  }
};

// An option that is worth nothing once its share, which starts at p[0] and has the volatility p[1], falls below 0.9. d are normal numbers.
struct BarrierOption {
  template <class T> T operator()(std::span<const T> p, std::span<const T> d) const {
    using std::exp;
    T share = p[0];
    for (const T& z : d) {
      share = share * exp(p[1] * z - 0.5 * p[1] * p[1]);
      if (share < 0.9) return 0.0;
    }
    if (share > 1.0) return share - 1.0;
    return 0.0;
  }
};

// Value and derivatives of one lane, by dual numbers.
template <int N, class F> Dual<N> one_by_one(const F& f, const std::vector<double>& p, const std::vector<double>& d) {
  std::vector<Dual<N>> parameters(p.begin(), p.end()), data(d.begin(), d.end());
  for (std::size_t i = 0; i < p.size(); ++i) parameters[i].d[i] = 1;
  for (std::size_t i = 0; i < d.size(); ++i) data[i].d[p.size() + i] = 1;
  return f(std::span<const Dual<N>>(parameters), std::span<const Dual<N>>(data));
}

template <int N, class F>
void check_lanes(const F& f, const std::vector<double>& p, const std::vector<std::vector<double>>& columns, int fewest_paths) {
  const int data = static_cast<int>(columns.size());
  std::vector<double> example = p;
  for (const std::vector<double>& column : columns) example.push_back(column[0]);
  const Program program = record(f, {.parameters = static_cast<int>(p.size()), .data = data}, example);
  const std::vector<double> values = program.values(p, columns);
  BOOST_TEST(program.paths() >= fewest_paths);

  std::vector<double> y_bar(kLanes, 1.0), by_data(kLanes * columns.size()), by_parameters(p.size()), expected(p.size());
  program.vjp(p, columns, y_bar, by_data, by_parameters);
  const Program by_source = gradient(program, Wrt::inputs);
  const std::vector<double> all = by_source.values(p, columns);
  bool same = true;
  double error = 0, source_error = 0, value_error = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    std::vector<double> d;
    for (const std::vector<double>& column : columns) d.push_back(column[lane]);
    same &= same_bits(values[lane], straight_run(f, p, d));
    value_error = std::max(value_error, std::abs(values[lane] - f(std::span<const double>(p), std::span<const double>(d))));
    const Dual<N> y = one_by_one<N>(f, p, d);
    for (std::size_t i = 0; i < static_cast<std::size_t>(N); ++i) {
      const double slope = y.d[i], scale = 1 + std::abs(slope);
      if (i < p.size()) {
        expected[i] += slope;
      } else {
        error = std::max(error, std::abs(by_data[(i - p.size()) * kLanes + lane] - slope) / scale);
      }
      source_error = std::max(source_error, std::abs(all[i * kLanes + lane] - slope) / scale);
    }
  }
  BOOST_TEST(same);
  BOOST_TEST(value_error <= 1e-13);  // the C library's functions differ in the last place
  BOOST_TEST(error <= 1e-11);
  BOOST_TEST(source_error <= 1e-11);
  for (std::size_t i = 0; i < p.size(); ++i)
    BOOST_TEST(std::abs(by_parameters[i] - expected[i]) <= 1e-11 * (kLanes + std::abs(expected[i])));

  // The same bits for any number of threads, on a program that knows the paths and on one that does not.
  const auto [sum, slope] = program.sum_and_gradient(p, columns);
  const int threads_before = num_threads();
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    const Program fresh = record(f, {.parameters = static_cast<int>(p.size()), .data = data}, example);
    for (const Program* it : {&program, &fresh}) {
      const auto [its_sum, its_slope] = it->sum_and_gradient(p, columns);
      BOOST_TEST(same_bits(its_sum, sum));
      for (std::size_t i = 0; i < p.size(); ++i) BOOST_TEST(same_bits(its_slope[i], slope[i]));
    }
  }
  set_num_threads(threads_before);
}

}  // namespace

BOOST_AUTO_TEST_CASE(newtons_iteration_on_lanes) { check_lanes<1>(CubeRoot(), {}, {uniform_numbers(kLanes, 1, 0.01, 100)}, 8); }
BOOST_AUTO_TEST_CASE(a_bouncing_ball_on_lanes) {
  check_lanes<4>(BouncingBall(), {9.81, 0.8}, {uniform_numbers(kLanes, 2, 1, 4), uniform_numbers(kLanes, 3, -1, 1)}, 10);
}
BOOST_AUTO_TEST_CASE(a_barrier_option_on_lanes) {
  std::vector<std::vector<double>> normal;
  for (unsigned i = 0; i < 10; ++i) {
    normal.push_back(uniform_numbers(kLanes, 10 + i, -1.7, 1.7));
  }
  check_lanes<12>(BarrierOption(), {1.0, 0.05}, normal, 10);
}

BOOST_AUTO_TEST_CASE(every_instruction_set_computes_the_same_bits) {
  const std::vector<double> p{9.81, 0.8};
  const std::vector<std::vector<double>> columns{uniform_numbers(500, 2, 0.5, 4), uniform_numbers(500, 3, -1, 1)};
  std::vector<double> first;
  on_every_isa([&] {
    const Program program = record(BouncingBall(), {.parameters = 2, .data = 2}, {9.81, 0.8, 1.0, 0.0});
    auto [sum, slope] = program.sum_and_gradient(p, columns);
    slope.push_back(sum);
    if (first.empty()) first = slope;
    for (std::size_t i = 0; i < slope.size(); ++i) BOOST_TEST(same_bits(slope[i], first[i]));
  });
}

BOOST_AUTO_TEST_CASE(float32_lanes_take_their_own_paths) {
  const auto f = [](auto x) {
    using T = std::remove_cvref_t<decltype(x[0])>;
    const T two = 2;
    if (x[0] * x[0] == two) return two;
    return T(x[0] < 1 ? two * x[0] : x[0]);
  };
  const Program program = record(f, {.data = 1}, {0.5});
  std::vector<float> x;
  for (double v : uniform_numbers(1000, 4, 0, 2)) x.push_back(static_cast<float>(v));
  const std::vector<float> y = program.values(std::span<const float>(), {x});
  bool same = true;
  for (std::size_t i = 0; i < x.size(); ++i) same &= y[i] == f(std::span<const float>(&x[i], 1));
  BOOST_TEST(same);
}

BOOST_AUTO_TEST_CASE(conversions_are_guards) {
  const auto f = [](auto x) {
    const int n = static_cast<int>(x[0]);
    auto y = x[1];
    for (int i = 0; i < n; ++i) y = y * x[1];
    if (static_cast<bool>(x[2])) y = -y;
    return y * static_cast<double>(x[2]);
  };
  const Program program = record(f, {.data = 3}, {1.5, 2.0, 1.0});
  const std::vector<double> n{1.7, 2.2, 0.1, -0.5, 1.2}, x{2, 2, 2, 2, 3}, z{1, 1, 0, 0, 0.5};
  const std::vector<double> y = program.values(std::span<const double>(), {n, x, z});
  for (std::size_t i = 0; i < n.size(); ++i) {
    const double inputs[] = {n[i], x[i], z[i]};
    BOOST_TEST(same_bits(y[i], f(std::span<const double>(inputs))));
  }
  BOOST_TEST(program.list().guards.size() == 3u);
  BOOST_TEST((program.list().guards[0].kind == GuardKind::integer));
  BOOST_TEST((program.list().guards[2].kind == GuardKind::number));
  message_of<ValueError>([&] { record([](auto x) { return static_cast<int>(x[0]); }, {.data = 1}, {1e20}); });
}

BOOST_AUTO_TEST_CASE(where_is_no_guard_and_masks_the_other_side) {
  // The square root's slope at 0 is infinite; where that side is not taken it must not matter, at any order.
  const auto f = [](auto x) { return where(x[0] > 0, sqrt(x[0]) * x[1], x[0] * x[0] * x[1]); };
  const Program program = record(f, {.parameters = 2}, {1.0, 3.0}), slope = gradient(program), second = hessian(program);
  BOOST_TEST(program.list().guards.empty());
  const std::vector<double> zero{0.0, 3.0}, below{-2.0, 3.0}, above{4.0, 3.0};
  BOOST_TEST(slope.values(zero) == (std::vector{0.0, 0.0}), boost::test_tools::per_element());
  BOOST_TEST(program.value_and_gradient(zero).second == (std::vector{0.0, 0.0}), boost::test_tools::per_element());
  BOOST_TEST(second.values(zero) == (std::vector{6.0, 0.0, 0.0, 0.0}), boost::test_tools::per_element());
  BOOST_TEST(second.values(below) == (std::vector{6.0, -4.0, -4.0, 0.0}), boost::test_tools::per_element());
  BOOST_TEST(second.values(above) == (std::vector{-3.0 / 32, 0.25, 0.25, 0.0}), boost::test_tools::per_element());
  // The same through several operations behind each other, and with conditions that are combined.
  const auto g = [](auto x) {
    const auto inside = ((x[0] > 0) & !(x[0] > 4)) | (x[0] == -1.0);
    return where(inside, sin(1 / log(sqrt(x[0]))), 2 * x[0]);
  };
  const Program deep = record(g, {.parameters = 1}, {2.0});
  BOOST_TEST(gradient(deep)(std::vector{0.0}) == 2);
  BOOST_TEST(gradient(gradient(deep))(std::vector{0.0}) == 0);
  BOOST_TEST(gradient(deep)(std::vector{5.0}) == 2);
  BOOST_TEST(deep.value_and_gradient(std::vector{0.0}).second[0] == 2);
}

BOOST_AUTO_TEST_CASE(too_many_paths_are_an_error_that_names_the_guards) {
  const auto f = [](auto x) { return x[0] * static_cast<double>(x[0]); };
  const Program program = record(f, {.data = 1}, {1.0});
  const std::vector<double> x = uniform_numbers(300, 5, 0, 1);
  const std::string message = message_of<ValueError>([&] { program.values(std::span<const double>(), {x}); });
  BOOST_TEST(contains(message, "more than 256 paths"));
  BOOST_TEST(contains(message, "guard 0: the number d0"));
  BOOST_TEST(contains(message, "where(condition, a, b)"));
  const Program bounded = record([](auto x) { return x[0] < 0.5 ? 2 * x[0] : x[0]; }, {.data = 1, .max_paths = 1}, {1.0});
  const std::vector<double> low{0.25};
  BOOST_TEST(contains(message_of<ValueError>([&] { bounded.values(std::span<const double>(), {low}); }), "more than 1 paths"));
}

BOOST_AUTO_TEST_CASE(a_program_without_its_function_says_which_lanes_leave) {
  const Program recorded = record([](auto x) { return x[0] < 0.5 ? 2 * x[0] : x[0]; }, {.data = 1}, {1.0});
  const Program program(recorded.list());
  const std::vector<double> x{1, 0.25, 2, 0.125};
  const std::string message = message_of<ValueError>([&] { program.values(std::span<const double>(), {x}); });
  BOOST_TEST(contains(message, "2 of 4 lanes"));
  BOOST_TEST(contains(message, "lane 1 at guard 0, test_paths.cpp:"));
  BOOST_TEST(contains(message, "d0 < 0.5"));
  const PathReport report = program.report(std::span<const double>(), {x});
  BOOST_REQUIRE(report.left.size() == 2u);
  BOOST_TEST(report.left[1].lane == 3);
  BOOST_TEST(report.paths[0].lanes == 2);
  message_of<ValueError>([&] { program.sum_and_gradient(std::span<const double>(), {x}); });
}

BOOST_AUTO_TEST_CASE(a_function_that_does_something_else_the_second_time_is_an_error) {
  const std::vector<double> x{0.25};
  const auto swaps = [n = 0](auto x) mutable { return n++ == 0 ? (x[0] < 0.5 ? x[0] : 2 * x[0]) : x[0]; };
  const Program other = record(swaps, {.data = 1}, {1.0});
  BOOST_TEST(contains(message_of<ValueError>([&] { other.values(std::span<const double>(), {x}); }), "the same at the same inputs"));
}

BOOST_AUTO_TEST_CASE(the_report_counts_lanes_by_paths) {
  const Program program = record(CubeRoot(), {.data = 1}, {2.0});
  const std::vector<double> x = uniform_numbers(kLanes, 1, 0.01, 100);
  const PathReport report = program.report(std::span<const double>(), {x});
  Index lanes = 0;
  for (const PathReport::Path& path : report.paths) {
    lanes += path.lanes;
    BOOST_TEST((path.parent < 0) == path.fork.empty());
  }
  BOOST_TEST(lanes == static_cast<Index>(kLanes));
  BOOST_TEST(contains(to_string(report), "test_paths.cpp:"));
}

BOOST_AUTO_TEST_CASE(programs_call_programs) {
  const Program root = record(CubeRoot(), {.data = 1}, {2.0});
  const Program twice = record([&](std::span<const Recorded> x) { return root.values(root.values(x))[0] * x[0]; }, {.data = 1}, {2.0});
  const std::vector<double> x = uniform_numbers(100, 1, 0.01, 100);
  const std::vector<double> y = twice.values(std::span<const double>(), {x});
  for (std::size_t i = 0; i < x.size(); ++i) BOOST_TEST(same_bits(y[i], root(std::vector{root(std::vector{x[i]})}) * x[i]));
}

BOOST_AUTO_TEST_CASE(values_of_another_recording_are_refused) {
  Recorded kept;
  record(
      [&](auto x) {
        kept = x[0];
        return x[0];
      },
      {.data = 1}, {1.0});
  BOOST_TEST(
      contains(message_of<ValueError>([&] { record([&](auto x) { return x[0] * kept; }, {.data = 1}, {1.0}); }), "another recording"));
  BOOST_TEST(contains(message_of<ValueError>([&] { exp(kept); }), "has ended"));
}
