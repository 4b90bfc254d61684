// Programs built by the system's compiler.
#include <autodiff/autodiff.h>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "autodiff/kernels/parallel.h"
#include "tests/support/straight_number.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::straight_run;

namespace {

const auto squared_error = [](auto p, auto d) { return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1])); };
Program error() { return record(squared_error, {.parameters = 2, .data = 2}, {0.1, 0.2, 1.0, 0.0}); }

std::vector<std::vector<double>> records(std::size_t lanes) {
  std::vector<std::vector<double>> columns(2);
  for (std::size_t i = 0; i < lanes; ++i) {
    columns[0].push_back(std::sin(static_cast<double>(i)));
    columns[1].push_back(static_cast<double>(i % 2));
  }
  return columns;
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  bool same = a.size() == b.size();
  for (std::size_t k = 0; same && k < a.size(); ++k) same = std::bit_cast<std::uint64_t>(a[k]) == std::bit_cast<std::uint64_t>(b[k]);
  return same;
}

}  // namespace

BOOST_AUTO_TEST_CASE(compiled_programs_are_called_like_programs) {
  const Program E = error();
  const CompiledProgram compiled = compile(E);
  BOOST_TEST_REQUIRE(compiled.is_native(), compiled.report());
  BOOST_TEST(contains(compiled.report(), "compiled by "));
  const std::vector<double> p{0.75, -0.25}, all{0.75, -0.25, 2.0, 1.0};
  BOOST_TEST(compiled(all) == E(std::span<const double>(all)));
  BOOST_TEST(compiled(p, std::vector{2.0, 1.0}) == E(std::span<const double>(all)));
  BOOST_TEST(same(compiled.values(all), E.values(std::span<const double>(all))));
  const auto [value, slope] = compiled.value_and_gradient(all);
  BOOST_TEST(value == E(std::span<const double>(all)));
  BOOST_TEST(same(slope, gradient(E).values(std::span<const double>(all))));
  for (std::size_t lanes : {0, 1, 255, 256, 257, 3000}) {
    const auto columns = records(lanes);
    BOOST_TEST(same(compiled.values(p, columns), E.values(p, Columns(columns))));
    const auto [total, its_slope] = compiled.sum_and_gradient(p, columns);
    const auto [expected, expected_slope] = E.sum_and_gradient(p, Columns(columns));
    BOOST_TEST(total == expected, boost::test_tools::tolerance(1e-13));
    BOOST_TEST(total == compiled.sum(p, columns));
    BOOST_TEST(its_slope == expected_slope, boost::test_tools::tolerance(1e-12) << boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(sums_have_the_same_bits_for_any_number_of_threads) {
  const CompiledProgram compiled = compile(error());
  const auto columns = records(5000);
  const std::vector<double> p{0.75, -0.25};
  const int before = num_threads();
  set_num_threads(1);
  const auto one = compiled.sum_and_gradient(p, columns);
  set_num_threads(4);
  const auto four = compiled.sum_and_gradient(p, columns);
  set_num_threads(before);
  BOOST_TEST(one.first == four.first);
  BOOST_TEST(same(one.second, four.second));
}

BOOST_AUTO_TEST_CASE(lanes_that_leave_are_evaluated_by_the_program) {
  const auto f = [](auto p, auto d) {
    auto x = d[0] * p[0];
    int rounds = 0;
    while (x > 1) {
      x = x * 0.5;
      ++rounds;
    }
    return x * rounds + exp(-x * x);
  };
  const Program program = record(f, {.parameters = 1, .data = 1}, {1.0, 3.0});
  const CompiledProgram compiled = compile(program);
  BOOST_TEST_REQUIRE(compiled.is_native(), compiled.report());
  std::vector<double> x, expected;
  double sum = 0, slope = 0;
  for (int i = 0; i < 700; ++i) {
    x.push_back(0.1 * i);
    const double one[] = {1.25}, its[] = {x.back()};
    expected.push_back(straight_run(f, one, its));
    const auto [value, by_p] = program.value_and_gradient(std::vector{1.25, x.back()});
    sum += value;
    slope += by_p[0];
  }
  const std::vector<double> p{1.25};
  BOOST_TEST(same(compiled.values(p, {x}), expected));
  const auto [total, gradient] = compiled.sum_and_gradient(p, {x});
  BOOST_TEST(total == sum, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(gradient[0] == slope, boost::test_tools::tolerance(1e-12));
  // Without its function a program cannot go on either, and says so.
  const CompiledProgram without = compile(Program(program.list()), {.gradient = false});
  BOOST_TEST(contains(message_of<ValueError>([&] { without.values(p, {x}); }), "guard"));
}

BOOST_AUTO_TEST_CASE(what_is_the_same_for_all_lanes_may_leave_too) {
  const Program program =
      record([](auto p, auto d) { return p[0] > 0 ? p[0] * d[0] : d[0] - p[0]; }, {.parameters = 1, .data = 1}, {1.0, 1.0});
  const CompiledProgram compiled = compile(program, {.gradient = false});
  BOOST_TEST(same(compiled.values(std::vector{-2.0}, {std::vector{1.0, 2.0}}), {3.0, 4.0}));
  BOOST_TEST(same(compiled.values(std::vector{2.0}, {std::vector{1.0, 2.0}}), {2.0, 4.0}));
}

BOOST_AUTO_TEST_CASE(without_a_compiler_the_evaluator_answers) {
  const Program E = error();
  const std::vector<double> p{0.75, -0.25}, all{0.75, -0.25, 2.0, 1.0};
  const auto columns = records(100);
  const auto check = [&](const CompileOptions& options, const char* reason) {
    const CompiledProgram compiled = compile(E, options);
    BOOST_TEST(!compiled.is_native());
    BOOST_TEST(contains(compiled.report(), reason));
    BOOST_TEST(same(compiled.values(p, columns), E.values(p, Columns(columns))));
    BOOST_TEST(compiled.sum(p, columns) == E.sum(p, Columns(columns)));
    BOOST_TEST(same(compiled.sum_and_gradient(p, columns).second, E.sum_and_gradient(p, Columns(columns)).second));
    BOOST_TEST(compiled.value_and_gradient(all).second.size() == 2u);
  };
  check({.compiler = "no-such-compiler"}, "not compiled: no-such-compiler: No such file");
  check({.compiler = "false"}, "not compiled: false: it ends with status 1");
  check({.compiler = "true"}, "not loaded: ");
  check({.flags = {"--no-such-flag"}}, "--no-such-flag");
  check({.max_lines = 10}, ".max_lines is 10");
}

BOOST_AUTO_TEST_CASE(no_shell_reads_the_command) {
  const std::string file = (std::filesystem::temp_directory_path() / "wengert_test_compile_injection").string();
  const CompiledProgram compiled =
      compile(error(), {.compiler = "c++ ; touch " + file + " ;", .flags = {"$(touch " + file + ")", "; touch " + file}});
  BOOST_TEST(!compiled.is_native());
  BOOST_TEST(!std::filesystem::exists(file));
}

BOOST_AUTO_TEST_CASE(misuse_is_an_error) {
  const CompiledProgram compiled = compile(error(), {.compiler = "false", .wrt = Wrt::data});
  const std::vector<double> p{0.75, -0.25};
  BOOST_TEST(contains(message_of<ValueError>([&] { compiled.sum_and_gradient(p, records(3)); }), "hint: .wrt = Wrt::parameters"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { compiled(std::vector{1.0}); }), "1 inputs for a program of 4"));
  const CompiledProgram no_gradient = compile(error(), {.gradient = false});
  BOOST_TEST(contains(message_of<ValueError>([&] { no_gradient.sum_and_gradient(p, records(3)); }), ".gradient = false"));
  BOOST_TEST(
      contains(message_of<ShapeError>([&] { no_gradient.values(std::vector{1.0}, records(3)); }), "1 parameters for a program of 2"));
  BOOST_TEST(contains(message_of<ValueError>([] { compile(error(), {.compiler = "  "}); }), "is not a command"));
}
