// Planted gradients that are zero, missing or tiny, each with its reason.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;

namespace {

std::uint32_t planted_line = 0;
#define HERE(expression) (planted_line = __LINE__, expression)

Tensor vector_of(Tape& tape, std::initializer_list<double> values, Dtype dtype = float64) {
  return tape.variable(Tensor::from(values, dtype));
}

struct Planted {
  const char* reason;
  std::function<GradientExplanation(Tape&)> program;
  bool has_line = true;
};

const Tensor& outside() {
  static const Tensor x = Tensor::from({1, 2}, float64);
  return x;
}
Tensor of_an_ended_tape() {
  Tape tape({.isolated = true});
  return tape.variable(Tensor::from({1, 2}, float64));
}

const std::vector<Planted> planted{
    // Not recorded.
    {"constant", [](Tape& t) { return explain_gradient(t, sum(vector_of(t, {1}) * 2), outside()); }, false},
    {"constant",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       const Tensor paused = [&] {
         const NoRecord no_record;
         return x * 2;
       }();
       return explain_gradient(t, sum(paused * x), paused);
     },
     false},
    {"constant",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       return explain_gradient(t, sum(x * x), x.constant());
     },
     false},
    {"ended", [](Tape& t) { return explain_gradient(t, sum(vector_of(t, {1}) * 2), of_an_ended_tape()); }, false},
    {"integer",
     [](Tape& t) {
       return explain_gradient(t, sum(vector_of(t, {1}) * 2), Tensor::from({1, 2}, int64));
     },
     false},
    {"frozen",
     [](Tape& t) {
       Parameter w(Tensor::from({1, 2}, float64), "w");
       w.freeze();
       return explain_gradient(t, sum(vector_of(t, {1, 1}) * w), w);
     },
     false},
    {"not_read",
     [](Tape& t) {
       const Parameter w(Tensor::from({1, 2}, float64), "w");
       return explain_gradient(t, sum(vector_of(t, {1, 1}) * w.value()), w);
     },
     false},
    {"loss_constant", [](Tape& t) { return explain_gradient(t, sum(outside()), vector_of(t, {1})); }, false},
    // No way to the loss.
    {"no_path",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}), w = vector_of(t, {3, 4});
       const Tensor unused = HERE(w * x);
       return explain_gradient(t, sum(x * x), w);
     }},
    {"cut",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}), w = vector_of(t, {3, 4});
       const Tensor h = exp(w);
       const Tensor y = HERE(x * h.constant());
       return explain_gradient(t, sum(y), w);
     }},
    {"rounded",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}), w = vector_of(t, {3, 4});
       const Tensor counts = HERE((w * 2).to(int64).to(float64));
       return explain_gradient(t, sum(x * counts), w);
     }},
    // Zeroed on the way.
    {"dead",
     [](Tape& t) {
       const Tensor x = vector_of(t, {-1, -2, -3});
       const Tensor y = HERE(relu(x));
       return explain_gradient(t, sum(y), x);
     }},
    {"saturated",
     [](Tape& t) {
       const Tensor x = vector_of(t, {40, 50});
       const Tensor y = HERE(sigmoid(x));
       return explain_gradient(t, sum(y), x);
     }},
    {"saturated",
     [](Tape& t) {
       const Tensor x = vector_of(t, {25, -30});
       const Tensor y = HERE(tanh(x));
       return explain_gradient(t, sum(y * y), x);
     }},
    {"step_function",
     [](Tape& t) {
       const Tensor x = vector_of(t, {0.5, -0.5});
       const Tensor y = HERE(sign(x));
       return explain_gradient(t, sum(y * x.constant()), x);
     }},
    {"zero_factor",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       const Tensor y = HERE(x * Tensor::zeros({2}, float64));
       return explain_gradient(t, sum(y + 1), x);
     }},
    {"zero_factor",
     [](Tape& t) {
       const Parameter w(Tensor::zeros({2, 3}, float64), "w");
       const Tensor x = t.variable(Tensor::ones({4, 3}, float64));
       const Tensor y = HERE(linear(x, w));
       return explain_gradient(t, sum(square(y + 1)), x);
     }},
    {"not_selected",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}), other = vector_of(t, {3, 4});
       const Tensor y = HERE(where(other > 0, other, x));
       return explain_gradient(t, sum(y), x);
     }},
    {"underflow",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}, float32);
       const Tensor a = HERE(x * 1e-30);
       return explain_gradient(t, sum(a * 1e-30), x);
     }},
    {"cancelled",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       return explain_gradient(t, sum(x * 3) - sum(x * 3), x);
     },
     false},
    {"tiny",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       const Tensor y = HERE(x * 1e-12);
       return explain_gradient(t, sum(y), x);
     }},
    // Scalars.
    {"dead",
     [](Tape& t) {
       const Scalar x = t.variable(-2);
       const Scalar y = HERE(3 * relu(x));
       return explain_gradient(t, y, x);
     }},
    {"step_function",
     [](Tape& t) {
       const Scalar x = t.variable(0.3);
       const Scalar y = HERE(step(x) * 2);
       return explain_gradient(t, y, x);
     }},
    {"zero_factor",
     [](Tape& t) {
       const Scalar x = t.variable(0.3), w = t.variable(0);
       const Scalar y = HERE(w * x);
       return explain_gradient(t, y, x);
     }},
    {"no_path", [](Tape& t) { return explain_gradient(t, Scalar(t.variable(1) * 2), t.variable(3)); }, false},
    {"flows",
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       return explain_gradient(t, sum(x * x), x);
     },
     false},
};

}  // namespace

BOOST_AUTO_TEST_CASE(planted_gradients_have_their_reasons) {
  for (const Planted& each : planted) {
    planted_line = 0;
    Tape tape({.formulas = true});
    const GradientExplanation e = each.program(tape);
    BOOST_TEST_CONTEXT(each.reason << " planted on line " << planted_line << "\n" << e.text) {
      BOOST_TEST(to_string(e.reason) == std::string(each.reason));
      if (each.has_line) BOOST_TEST(e.site.line == planted_line);
      BOOST_TEST(!e.text.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(an_ordinary_tape_names_tensor_operations) {
  Tape tape;
  const Tensor x = vector_of(tape, {-1, -2, 3, -4});
  const GradientExplanation dead = explain_gradient(tape, sum(relu(x - 5)), x);
  BOOST_TEST(to_string(dead.reason) == std::string("dead"));
  BOOST_TEST(dead.share == 1.0);
  BOOST_TEST(contains(dead.text, "100% of 4 elements"), dead.text);
}

BOOST_AUTO_TEST_CASE(consumed_records_are_named) {
  Tape tape;
  const Tensor x = vector_of(tape, {1, 2});
  const Tensor loss = sum(x * x);
  static_cast<void>(tape.gradient(loss, x));
  BOOST_TEST(to_string(explain_gradient(tape, loss, x).reason) == std::string("consumed"));
}

BOOST_AUTO_TEST_CASE(the_advice_fits_the_function) {
  Tape tape({.formulas = true});
  const Tensor x = tape.variable(Tensor::from({1, 2}, float64));
  const GradientExplanation minimum = explain_gradient(tape, sum(square(x - x.constant())), x);
  BOOST_TEST(to_string(minimum.reason) == std::string("blocked"));
  BOOST_TEST(contains(minimum.text, "That is its minimum"), minimum.text);
  const GradientExplanation far = explain_gradient(tape, sum(exp(x * -1000)), x);
  BOOST_TEST(to_string(far.reason) == std::string("underflow"));
  BOOST_TEST(contains(far.text, "below -745"), far.text);
  for (const GradientExplanation* e : {&minimum, &far}) BOOST_TEST(e->text.find("relu") == std::string::npos, e->text);
}

BOOST_AUTO_TEST_CASE(a_zero_that_was_computed_is_no_matter_of_initial_weights) {
  const Parameter w1(Tensor::zeros({2, 2}, float64), "w1"), w2(Tensor::ones({2, 1}, float64), "w2");
  Tape tape({.formulas = true});
  const Tensor hidden = matmul(Tensor::ones({3, 2}, float64), w1);
  const GradientExplanation e = explain_gradient(tape, sum(matmul(hidden, w2)), w2);
  BOOST_TEST(to_string(e.reason) == std::string("zero_factor"));
  BOOST_TEST(contains(e.text, "exactly 0, computed by matmul at test_explain_gradient.cpp:"), e.text);
}

BOOST_AUTO_TEST_CASE(a_statement_of_an_ordinary_tape_asks_for_formulas) {
  Tape tape;
  const Scalar w = tape.variable(-400);
  const Scalar h = sigmoid(w * 2);
  const Scalar loss = h * 3;
  const GradientExplanation e = explain_gradient(tape, loss, w);
  BOOST_TEST(contains(e.text, ".formulas = true"), e.text);
  BOOST_TEST(e.text.find("relu") == std::string::npos, e.text);
}

BOOST_AUTO_TEST_CASE(records_that_are_gone_are_said_to_be_gone) {
  const Parameter w(Tensor::ones({2}, float64), "w");
  Tape tape;
  const Tensor loss = sum(square(Tensor(w)));
  static_cast<void>(tape.gradient(loss, w));
  BOOST_TEST(to_string(explain_gradient(tape, loss, w).reason) == std::string("consumed"));
}

BOOST_AUTO_TEST_CASE(a_tape_without_lines_says_what_to_open) {
  Tape tape;
  const Scalar w = tape.variable(-40);
  const Scalar E = 0.5 * square(1 - sigmoid(w));
  const std::string text = explain_gradient(tape, E, w).text;
  BOOST_TEST(contains(text, "a tape opened with Tape tape({.formulas = true}) shows it"), text);
}
