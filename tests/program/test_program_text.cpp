// Programs as text, LaTeX and graphs.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

// The node of the slides: E = 1/2 (y - sigmoid(w x + b))^2.
Program node() {
  return record([](auto p, auto d) { return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1])); }, {.parameters = 2, .data = 2},
                {0.5, -0.25, 2.0, 1.0});
}
const std::vector<std::string> kNames{"w", "b", "x", "y"};

Program halved() {
  return record(
      [](auto p) {
        auto x = p[0];
        while (x > 1) x = x * 0.5;
        return x;
      },
      {.parameters = 1}, {1.5});
}

}  // namespace

BOOST_AUTO_TEST_CASE(text_is_the_evaluation_trace) {
  BOOST_TEST(to_text(node()) ==
             "v1  = p0 * d0\n"
             "v2  = v1 + p1\n"
             "v3  = sigmoid(v2)\n"
             "v4  = d1 - v3\n"
             "v5  = square(v4)\n"
             "v6  = 0.5 * v5\n"
             "y0  = v6\n");
}

BOOST_AUTO_TEST_CASE(text_has_values_and_adjoints) {
  // h = 0.75: sigmoid 0.679179, E = 0.320821^2 / 2, dE/dh = -0.320821 * 0.679179 * 0.320821
  BOOST_TEST(to_text(node(), {.names = kNames, .at = {0.5, -0.25, 2.0, 1.0}, .adjoints = true}) ==
             "                       value     adjoint\n"
             "w                        0.5   -0.139811\n"
             "b                      -0.25  -0.0699054\n"
             "x                          2  -0.0349527\n"
             "y                          1    0.320821\n"
             "v1  = w * x                1  -0.0699054\n"
             "v2  = v1 + b            0.75  -0.0699054\n"
             "v3  = sigmoid(v2)   0.679179   -0.320821\n"
             "v4  = y - v3        0.320821    0.320821\n"
             "v5  = square(v4)    0.102926         0.5\n"
             "v6  = 0.5 * v5     0.0514632           1\n"
             "y0  = v6           0.0514632           1\n");
}

BOOST_AUTO_TEST_CASE(adjoints_are_the_gradient) {
  const auto f = [](auto p) {
    return where(p[0] < p[1], sin(p[0]) / p[1], clamp(p[0], -1.0, 4.0) * hypot(p[1], 2.0)) + exp(-p[0]) * pow(p[0], p[1]);
  };
  const Program program = record(f, {.parameters = 2}, {0.5, 2.0});
  for (const std::vector<double>& at : {std::vector{0.5, 2.0}, std::vector{3.0, 0.25}}) {
    const auto [value, slope] = program.value_and_gradient(at);
    const std::string text = to_text(program, {.at = at, .adjoints = true, .digits = 12});
    for (int k = 0; k < 2; ++k) {
      const std::string line = text.substr(text.find("\np" + std::to_string(k)) + 1);
      const std::string number = line.substr(0, line.find('\n'));
      BOOST_TEST(std::stod(number.substr(number.find_last_of(' '))) == slope[static_cast<std::size_t>(k)],
                 boost::test_tools::tolerance(1e-11));
    }
  }
}

BOOST_AUTO_TEST_CASE(text_shows_guards_on_the_path_of_the_inputs) {
  const Program program = halved();
  BOOST_TEST(contains(to_text(program), "v1     = 1 < p0\nguard    v1 is true"));
  BOOST_TEST(contains(to_text(program), "test_program_text.cpp:"));
  const std::string text = to_text(program, {.at = {5.0}});
  BOOST_TEST(contains(text, "v7     = 1 < v6"));
  BOOST_TEST(contains(text, "y0     = v6           0.625"));
  const Program without_function(program.list());
  BOOST_TEST(contains(message_of<ValueError>([&] { to_text(without_function, {.at = {5.0}}); }), "takes none of its paths"));
  const Program converted = record([](auto p) { return p[0] * static_cast<int>(p[0]); }, {.parameters = 1}, {2.5});
  BOOST_TEST(to_text(converted) == "guard    trunc(p0) is 2\nv1     = p0 * 2\ny0     = v1\n");
}

BOOST_AUTO_TEST_CASE(text_checks_its_options) {
  BOOST_TEST(contains(message_of<ShapeError>([] { to_text(node(), {.names = {"w"}}); }), "1 names for a program of 4 inputs"));
  BOOST_TEST(contains(message_of<ShapeError>([] { to_text(node(), {.at = {1.0}}); }), "1 numbers in .at for a program of 4 inputs"));
  BOOST_TEST(contains(message_of<ValueError>([] { to_text(node(), {.adjoints = true}); }), ".adjoints needs inputs in .at"));
  BOOST_TEST(contains(message_of<ValueError>([] { to_text(gradient(node()), {.at = {1, 1, 1, 1}, .adjoints = true}); }), "this one has 2"));
}

BOOST_AUTO_TEST_CASE(latex_is_that_of_the_slides) {
  BOOST_TEST(to_latex(node(), {.names = kNames, .outputs = {"E"}}) == R"(\begin{aligned}
v_{1} &= w \cdot x \\
v_{2} &= v_{1} + b \\
v_{3} &= \sigma(v_{2}) \\
v_{4} &= y - v_{3} \\
v_{5} &= v_{4}^2 \\
v_{6} &= \tfrac{1}{2} \cdot v_{5} \\
E &= v_{6}
\end{aligned}
)");
  BOOST_TEST(to_latex(node(), {.names = kNames, .outputs = {"E"}, .nested = true}) == R"(\begin{aligned}
E &= \tfrac{1}{2} \cdot \left(y - \sigma(w \cdot x + b)\right)^2
\end{aligned}
)");
}

BOOST_AUTO_TEST_CASE(latex_has_brackets_where_they_are_needed) {
  const auto formula = [](auto f) {
    const std::string text = to_latex(record(f, {.parameters = 2}, {0.5, 0.75}), {.names = {"a", "b"}, .nested = true});
    const std::string begin = "\\begin{aligned}\ny &= ", end = "\n\\end{aligned}\n";
    BOOST_TEST_REQUIRE(text.starts_with(begin));
    BOOST_TEST_REQUIRE(text.ends_with(end));
    return text.substr(begin.size(), text.size() - begin.size() - end.size());
  };
  BOOST_TEST(formula([](auto p) { return p[0] - (p[1] - p[0]); }) == R"(a - \left(b - a\right))");
  BOOST_TEST(formula([](auto p) { return (p[0] + p[1]) * p[1]; }) == R"(\left(a + b\right) \cdot b)");
  BOOST_TEST(formula([](auto p) { return p[0] + -p[1]; }) == R"(a + \left(-b\right))");
  BOOST_TEST(formula([](auto p) { return square(exp(p[0])); }) == R"(\left(e^{a}\right)^2)");
  BOOST_TEST(formula([](auto p) { return exp(p[0] + p[1]) / (p[0] * p[1]); }) == R"(\frac{e^{a + b}}{a \cdot b})");
  BOOST_TEST(formula([](auto p) { return sin(p[0] * p[1]); }) == R"(\sin \left(a \cdot b\right))");
  BOOST_TEST(formula([](auto p) { return p[0] * 1e-6; }) == R"(a \cdot 10^{-6})");
  BOOST_TEST(formula([](auto p) { return leaky_relu(p[0], 0.25); }) == R"(\operatorname{leaky\_relu}(a, 0.25))");
  BOOST_TEST(formula([](auto p) { return where(p[0] < p[1], p[0], 3.0); }) == R"([a < b] \mathbin{?} a : 3)");
}

BOOST_AUTO_TEST_CASE(latex_shows_guards_and_checks_names) {
  BOOST_TEST(contains(to_latex(halved()), "v_{1} &= [1 < p_{0}] \\\\\nv_{1} &\\ne 0 \\quad\\text{(guard)}"));
  BOOST_TEST(contains(message_of<ShapeError>([] { to_latex(node(), {.names = {"w"}}); }), "1 names for a program of 4 inputs"));
  BOOST_TEST(contains(message_of<ShapeError>([] { to_latex(node(), {.outputs = {"E", "F"}}); }), "2 names in .outputs"));
}

BOOST_AUTO_TEST_CASE(dot_has_a_node_for_each_value) {
  const Program program = record([](auto p) { return 2.0 / p[0] - p[0]; }, {.parameters = 1}, {0.5});
  BOOST_TEST(to_dot(program, {.names = {"\"x\""}}) == R"(digraph program {
  rankdir=LR;
  node [shape=box];
  n0 [shape=ellipse, label="\"x\""];
  n2 [label="v1: /"];
  n3 [label="v2: -"];
  y0 [shape=ellipse, style=bold];
  c0 [shape=plaintext, label="2"];
  c0 -> n2 [label=1];
  n0 -> n2 [label=2];
  n2 -> n3 [label=1];
  n0 -> n3 [label=2];
  n3 -> y0;
}
)");
  BOOST_TEST(contains(to_dot(halved()), "g0 [shape=diamond, style=dashed, label=\"true, test_program_text.cpp:"));
}
