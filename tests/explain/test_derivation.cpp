#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;

namespace {

// Without spaces: LaTeX that is set alike.
std::string normal(std::string text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "\\,") == 0) {
      ++i;
      continue;
    }
    if (text[i] != ' ') out += text[i];
  }
  return out;
}
std::string formula(const Equation& e) { return normal(e.left_latex + " = " + e.symbols_latex); }

double value_of(const Equation& e) { return std::strtod((e.value.empty() ? e.symbols : e.value).c_str(), nullptr); }

}  // namespace

BOOST_AUTO_TEST_CASE(the_node_of_the_slides) {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar y_hat = sigmoid(h);
  const Scalar E = 0.5 * square(y - y_hat);

  const Derivation d = explain(tape, E, w, b);
  BOOST_TEST_CONTEXT(d.text()) {
    BOOST_TEST_REQUIRE(d.collected.size() == 2u);
    BOOST_TEST(formula(d.collected[0]) == normal(R"(\frac{\partial E}{\partial w} = -(y - \hat y) f'(h)\, x)"));
    BOOST_TEST(formula(d.collected[1]) == normal(R"(\frac{\partial E}{\partial b} = -(y - \hat y) f'(h))"));
    BOOST_TEST_REQUIRE(d.where.size() == 1u);
    BOOST_TEST(formula(d.where[0]) == normal(R"(f'(h) = f(h) (1 - f(h)))"));
    BOOST_TEST_REQUIRE(d.forward.size() == 3u);
    BOOST_TEST(formula(d.forward[0]) == normal("h = w x + b"));
    BOOST_TEST(formula(d.forward[1]) == normal(R"(\hat y = f(h))"));
    BOOST_TEST(formula(d.forward[2]) == normal(R"(E = \tfrac{1}{2} (y - \hat y)^{2})"));
    BOOST_TEST(d.forward[0].numbers == "0.5 * 2 - 0.25");
    const auto [dw, db] = tape.gradient(E, w, b);
    BOOST_TEST(value_of(d.collected[0]) == dw, boost::test_tools::tolerance(1e-5));
    BOOST_TEST(value_of(d.collected[1]) == db, boost::test_tools::tolerance(1e-5));
  }
}

BOOST_AUTO_TEST_CASE(the_node_in_one_statement) {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar E = 0.5 * square(y - tanh(w * x + b));
  const Derivation d = explain(tape, E, w, b);
  BOOST_TEST_CONTEXT(d.text()) {
    BOOST_TEST(formula(d.collected[0]) == normal(R"(\frac{\partial E}{\partial w} = -(y - f(w x + b)) f'(w x + b)\, x)"));
    BOOST_TEST(formula(d.where[0]) == normal(R"(f'(w x + b) = 1 - f(w x + b)^{2})"));
  }
}

BOOST_AUTO_TEST_CASE(the_identity_node) {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar E = 0.5 * square(y - h);
  const Derivation d = explain(tape, E, w, b);
  BOOST_TEST(formula(d.collected[0]) == normal(R"(\frac{\partial E}{\partial w} = -(y - h)\, x)"), d.text());
}

BOOST_AUTO_TEST_CASE(an_activation_of_ones_own_is_short) {
  Tape tape({.formulas = true});
  const double x = 2;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar y = atan(h);
  BOOST_TEST(explain(tape, y, b).collected[0].symbols == "1 / (1 + h^2)");
  const Scalar z = h / sqrt(1 + square(h));
  const Derivation d = explain(tape, z, b);
  BOOST_TEST(d.collected[0].symbols == "1 / sqrt(1 + h^2) - (h / (1 + h^2)) (1 / sqrt(1 + h^2)) h");
  BOOST_TEST(value_of(d.collected[0]) == tape.gradient(z, b), boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(a_perceptron_has_no_gradient_and_is_told_why) {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-3);
  const Scalar h = w * x + b;
  const Scalar y_hat = step(h);
  const Scalar E = 0.5 * square(y - y_hat);
  const Derivation d = explain(tape, E, w, b);
  BOOST_TEST_CONTEXT(d.text()) {
    BOOST_TEST(formula(d.where[0]) == normal("f'(h) = 0"));
    BOOST_TEST_REQUIRE(d.remarks.size() == 1u);
    BOOST_TEST(contains(d.remarks[0], "slope is 0 everywhere"));
  }
}

BOOST_AUTO_TEST_CASE(two_layers_of_scalars) {
  Tape tape({.formulas = true});
  const double x = 1.5, y = 1;
  const Scalar w1 = tape.variable(0.4), w2 = tape.variable(-0.7);
  const Scalar h1 = sigmoid(w1 * x);
  const Scalar h2 = w2 * h1;
  const Scalar E = 0.5 * square(y - h2);
  const Derivation d = explain(tape, E, w1, w2);
  BOOST_TEST_CONTEXT(d.text()) {
    BOOST_TEST(formula(d.collected[1]) == normal(R"(\frac{\partial E}{\partial w_{2}} = -(y - h_{2})\, h_{1})"));
    BOOST_TEST(formula(d.collected[0]) == normal(R"(\frac{\partial E}{\partial w_{1}} = -(y - h_{2})\, w_{2}\, f'(w_{1} x)\, x)"));
    const auto [d1, d2] = tape.gradient(E, w1, w2);
    BOOST_TEST(value_of(d.collected[0]) == d1, boost::test_tools::tolerance(1e-5));
    BOOST_TEST(value_of(d.collected[1]) == d2, boost::test_tools::tolerance(1e-5));
  }
}

BOOST_AUTO_TEST_CASE(a_value_that_is_used_twice_sums_its_terms) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.5);
  const Scalar a = w * 3;
  const Scalar E = a * a + exp(a);
  const Derivation d = explain(tape, E, w);
  BOOST_TEST(value_of(d.collected[0]) == 3 * (2 * 1.5 + std::exp(1.5)), boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(layers_of_tensors_in_matrix_form) {
  Tape tape({.formulas = true});
  const Tensor X = Tensor::from({{1, 2}, {3, 4}, {5, 6}}, float64);
  const Parameter W(Tensor::from({{0.1, 0.2}}, float64), "W");
  const Parameter b(Tensor::from({0.5}, float64), "b");
  const Tensor H = linear(X, W, b);
  const Tensor Y = sigmoid(H);
  const Tensor E = sum(square(Y));
  const Derivation d = explain(tape, E, W, b);
  BOOST_TEST_CONTEXT(d.text()) {
    BOOST_TEST(formula(d.forward[0]) == normal("H = X W^T + b"));
    bool found = false;
    for (const Equation& e : d.backward) found |= formula(e) == normal(R"(\bar W = \bar H^T X)");
    BOOST_TEST(found);
    BOOST_TEST(formula(d.collected[0]) == normal(R"(\bar W = 2 (Y \odot f'(H))^T X)"));
  }
}

BOOST_AUTO_TEST_CASE(a_change_of_shape_is_shown) {
  Tape tape({.formulas = true});
  const Tensor X = Tensor::from({{1, 2}, {3, 4}, {5, 6}}, float64);
  const Parameter W(Tensor::from({{0.1, 0.2}, {0.3, 0.4}}, float64), "W"), b(Tensor::from({0.5, 0.25}, float64), "b");
  const Parameter c(Tensor::from({{0.5}}, float64), "c");
  const Tensor H = matmul(X, W);
  const Tensor Z = H + b;
  const Tensor R = reshape(Z, {6, 1});
  const Tensor M = R * c;
  const Tensor L = mean(M);
  const Tensor E = 2 * L;
  const Derivation d = explain(tape, E, W, b, c);
  std::string backward;
  for (const Equation& e : d.backward) backward += normal(e.left_latex + " = " + e.symbols_latex) + "\n";
  BOOST_TEST_CONTEXT(d.text() << backward) {
    for (const char* line : {R"(\bar M = 0.166667 \bar L \mathbf{1}_{6 \times 1})", R"(\bar Z = \operatorname{reshape}(\bar R))",
                             R"(\bar b = \sum_i \bar Z_i)", R"(\bar c = \sum (\bar M \odot R))", R"(\bar W = X^T \bar H)"})
      BOOST_TEST(contains(backward, normal(line) + "\n"), line);
    BOOST_TEST(contains(d.text(), "M_bar = 0.166667 L_bar ones(6, 1)"));
    BOOST_TEST(!contains(d.text(), "of shape ()"));
  }
}

BOOST_AUTO_TEST_CASE(sums_of_ones_are_numbers) {
  Tape tape({.formulas = true});
  const Tensor X = Tensor::ones({3, 2}, float64);
  const Parameter b(Tensor::from({0.5, 0.25}, float64), "b");
  const Tensor Z = X + b;
  const Tensor E = sum(Z);
  const Derivation d = explain(tape, E, b);
  BOOST_TEST(d.collected[0].symbols == "3 ones(2,)", d.text());
}

BOOST_AUTO_TEST_CASE(convolutions_say_what_they_pass_back) {
  Tape tape({.formulas = true});
  const Tensor x = tape.variable(Tensor::ones({1, 1, 4, 4}, float64));
  const Parameter w(Tensor::ones({1, 1, 2, 2}, float64), "w"), b(Tensor::ones({1}, float64), "b");
  const Tensor y = conv2d(x, w, b);
  const Tensor E = sum(y * y);
  const Derivation d = explain(tape, E, x, w, b);
  const std::string text = d.text();
  for (const char* part : {"x_bar = conv_transpose2d(y_bar, w)", "w_bar = correlate(x, y_bar)", "b_bar = sum_positions(y_bar)",
                           "the convolution with the kernel flipped", "correlate(x, y_bar) is, for each weight"})
    BOOST_TEST(contains(text, part), text);
  BOOST_TEST(!contains(text, "J_"), text);
  BOOST_TEST(contains(d.latex(), R"(\operatorname{conv\_transpose2d}(\bar y, w))"), d.latex());
}

BOOST_AUTO_TEST_CASE(constants_without_a_name_are_listed) {
  Tape tape({.formulas = true});
  const Parameter w(Tensor::from({{0.5}}, float64), "w");
  const Tensor x = Tensor::from({1, 2}, float64);
  const Tensor E = sum(matmul(unsqueeze(x, 1), w));
  const std::string text = explain(tape, E, w).text();
  BOOST_TEST(contains(text, " = a constant, of shape (2, 1)"), text);
}

BOOST_AUTO_TEST_CASE(numbering_is_explained) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.8);
  Scalar h = w;
  for (int i = 0; i < 3; ++i) h = h * w;
  const Scalar E = square(h);
  BOOST_TEST(contains(explain(tape, E, w).text(), "h_0, h_1, ... are the values that h has had, in this order."));
}

BOOST_AUTO_TEST_CASE(loops_are_folded) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.5);
  Scalar E = 0;
  for (int i = 0; i < 20; ++i) {
    const Scalar r = w * i - 1;
    E += r * r;
  }
  const Derivation d = explain(tape, E, w);
  BOOST_TEST(d.forward.size() < 10u, d.text());
  BOOST_TEST(contains(d.text(), ", repetition 1 of "), d.text());
}

BOOST_AUTO_TEST_CASE(names_given_by_the_user_come_first) {
  Tape tape({.formulas = true});
  const Scalar p = named("weight_1", tape.variable(0.5));
  const Scalar q = named("E", p * p);
  const Derivation d = explain(tape, q, p);
  BOOST_TEST(contains(d.text(), "dE/dweight_1"), d.text());
}

BOOST_AUTO_TEST_CASE(all_forms) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.5);
  const Scalar E = exp(2 * w);
  const Derivation d = explain(tape, E, w);
  BOOST_TEST(contains(d.markdown(), "$$\n\\begin{aligned}"));
  BOOST_TEST(contains(d.latex(), "\\begin{align*}"));
  BOOST_TEST(contains(d.html(), "</html>"));
  BOOST_TEST(!contains(d.html(), "http"));
}

BOOST_AUTO_TEST_CASE(refusals) {
  Tape tape;
  const Scalar w = tape.variable(0.5);
  const Scalar E = w * w;
  BOOST_CHECK_THROW(explain(tape, E, w), TapeError);
  Tape with({.isolated = true, .formulas = true});
  const Scalar v = with.variable(1);
  BOOST_CHECK_THROW(explain(with, Scalar(2), v), TapeError);
}

BOOST_AUTO_TEST_CASE(elements_of_several_rows_have_several_names) {
  Tape tape({.formulas = true});
  const double x[2][3] = {{1, 2, 3}, {4, 5, 6}};
  const Scalar u = tape.variable(0.5), v = tape.variable(0.25);
  Scalar E = 0;
  for (int j = 0; j < 2; ++j) {
    const Scalar h = u * x[0][j + 1] + v * x[1][j + 1];
    E += square(h);
  }
  const Derivation d = explain(tape, E, u, v);
  BOOST_TEST(d.collected[0].symbols != d.collected[1].symbols, d.text());
  BOOST_TEST(contains(d.text(), "h_0 = u x[1] + v x[2]"), d.text());
}

BOOST_AUTO_TEST_CASE(terms_of_different_signs_are_not_alike) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.5);
  Scalar E = 0;
  for (int i = 0; i < 8; ++i) E += (i % 2 ? -1.0 : 1.0) * exp(w);
  const std::string text = explain(tape, E, w).text();
  BOOST_TEST(text.find("terms such as") == std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(every_source_is_shown) {
  Tape tape({.formulas = true});
  const Scalar a = tape.variable(1), b = tape.variable(2), c = tape.variable(3), d = tape.variable(4);
  const Scalar E = a * 2 + b * 3 + c * 4 + d * 5;
  const std::string text = explain(tape, E, a, b, c, d).text();
  for (const char* name : {"dE/da", "dE/db", "dE/dc", "dE/dd"}) BOOST_TEST(contains(text, std::string(name) + " = "), text);
  BOOST_TEST(text.find("repetition") == std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(a_recurrence_is_folded_in_both_directions) {
  Tape tape({.formulas = true});
  const Scalar w = tape.variable(0.8);
  Scalar h = tape.variable(0.5);
  for (int i = 0; i < 6; ++i) h = tanh(w * h);
  const Scalar E = square(h);
  const Derivation d = explain(tape, E, w);
  BOOST_TEST(d.forward.size() < 5u, d.text());
  BOOST_TEST(d.backward.size() < 8u, d.text());
  BOOST_TEST(d.where.size() < 4u, d.text());
}
