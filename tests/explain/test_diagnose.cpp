// Fifty planted faults: in each of them the line and the element must be named.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;

namespace {

std::uint32_t planted_line = 0;
#define FAULT(expression) (planted_line = __LINE__, expression)

constexpr double kInf = std::numeric_limits<double>::infinity();

// What a faulty program computes, and what it is differentiated by.
struct Outcome {
  Outcome(const Tensor& loss, const Tensor& x) : loss(loss), x(x) {}
  Outcome(const Scalar& loss, const Scalar& x) : scalar(true), scalar_loss(loss), scalar_x(x) {}
  Tensor loss, x;
  bool scalar = false;
  Scalar scalar_loss, scalar_x;
};

enum class Way { forward, backward };
struct Planted {
  const char *operation, *element;  // "" for a Scalar
  Way way;
  std::function<Outcome(Tape&)> program;
  bool higher_order = false;
};

Tensor vector_of(Tape& tape, std::initializer_list<double> values, Dtype dtype = float64) {
  return tape.variable(Tensor::from(values, dtype));
}

// e^(x - 1) under another name, with a fault inside.
struct LogOfDifference {
  static constexpr const char* name = "log_of_difference";
  Tensor forward(const Tensor& x) const { return FAULT(log(x - 1)); }
  Tensor vjp(const Tensor& y_bar, const Tensor&, const Tensor& x) const { return y_bar / (x - 1); }
};
// Right values, with a rule that divides by 0.
struct Steep {
  static constexpr const char* name = "steep";
  Tensor forward(const Tensor& x) const { return x * x; }
  Tensor vjp(const Tensor& y_bar, const Tensor&, const Tensor& x) const { return y_bar / x; }
};

const std::vector<Planted> faults{
    // Tensors, forward.
    {"log", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0, 2});
       const Tensor y = FAULT(log(x));
       return Outcome(sum(y), x);
     }},
    {"log", "(0, 1)", Way::forward,
     [](Tape& t) {
       const Tensor x = t.variable(Tensor::from({{1, -1}, {2, 3}}, float64));
       return Outcome(sum(FAULT(log(x))), x);
     }},
    {"sqrt", "(2,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2, 3});
       const Tensor y = FAULT(sqrt(2.5 - x));
       return Outcome(mean(y), x);
     }},
    {"divide", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0});
       const Tensor y = FAULT(1 / x);
       return Outcome(sum(y * y), x);
     }},
    {"divide", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 3});
       const Tensor y = FAULT(x / x);
       return Outcome(sum(y), x);
     }},
    {"exp", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 710});
       const Tensor y = FAULT(exp(x));
       return Outcome(sum(y / sum(y)), x);
     }},
    {"exp", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {100}, float32);
       const Tensor y = FAULT(exp(x));
       return Outcome(sum(y), x);
     }},
    {"subtract", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2}), infinite = Tensor::from({kInf, 1}, float64);
       const Tensor a = x * infinite;
       const Tensor y = FAULT(a - a);
       return Outcome(sum(y), x);
     }},
    {"multiply", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0}), infinite = Tensor::from({1, kInf}, float64);
       const Tensor y = FAULT(x * infinite);
       return Outcome(sum(y), x);
     }},
    {"pow", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {-8, 8});
       const Tensor y = FAULT(pow(x, 1.0 / 3));
       return Outcome(sum(y), x);
     }},
    {"reciprocal", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {2, 0});
       const Tensor y = FAULT(reciprocal(x));
       return Outcome(sum(y), x);
     }},
    {"rsqrt", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 4});
       const Tensor y = FAULT(rsqrt(x));
       return Outcome(sum(y), x);
     }},
    {"log1p", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, -1});
       const Tensor y = FAULT(log1p(x));
       return Outcome(sum(y), x);
     }},
    {"atanh", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0.5});
       const Tensor y = FAULT(atanh(x));
       return Outcome(sum(y), x);
     }},
    {"asin", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0.5, 2});
       const Tensor y = FAULT(asin(x));
       return Outcome(sum(y), x);
     }},
    {"square", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1e200, 1});
       const Tensor y = FAULT(square(x));
       return Outcome(sum(y), x);
     }},
    {"matmul", "(0, 0)", Way::forward,
     [](Tape& t) {
       const Tensor x = t.variable(Tensor::from({{1, 1e200}, {1e200, 1}}, float64));
       const Tensor y = FAULT(matmul(x, x));
       return Outcome(sum(y), x);
     }},
    {"sum", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = t.variable(Tensor::from({{1, 1e308}, {1, 1e308}}, float64));
       const Tensor y = FAULT(sum(x, 0));
       return Outcome(sum(y), x);
     }},
    {"softmax", "(1, 0)", Way::forward,
     [](Tape& t) {
       const Tensor x = t.variable(Tensor::from({{1, 2}, {3, 4}}, float64));
       const Tensor masked = x + Tensor::from({{0, 0}, {-kInf, -kInf}}, float64);
       const Tensor y = FAULT(softmax(masked, 1));
       return Outcome(sum(square(y)), x);
     }},
    {"to", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1e300, 1});
       const Tensor y = FAULT(x.to(float32));
       return Outcome(sum(y), x);
     }},
    {"cosh", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {-1000, 1});
       const Tensor y = FAULT(cosh(x));
       return Outcome(sum(y), x);
     }},
    {"prod", "()", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1e200, 1e200});
       const Tensor y = FAULT(prod(x));
       return Outcome(y * 2, x);
     }},
    // The first in program order of two faults.
    {"log", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 1});
       const Tensor y = FAULT(log(x));
       const Tensor z = sqrt(x - 3);
       return Outcome(sum(z) + sum(y), x);
     }},
    // One that does not reach the loss is not to blame.
    {"sqrt", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 2});
       const Tensor y = FAULT(sqrt(1.5 - x));
       return Outcome(sum(y), x);
     }},
    // Inside a checkpoint, and inside a custom operation.
    {"log", "(1,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {2, 0});
       const Tensor y = checkpoint([](const Tensor& x) { return FAULT(log(x)) * 2; })(x);
       return Outcome(sum(y), x);
     }},
    {"log", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 3});
       const Tensor y = custom_operation(LogOfDifference())(x);
       return Outcome(sum(y), x);
     }},
    // Scalars, forward.
    {"log", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(0);
       const Scalar y = FAULT(log(x));
       return Outcome(y * y, x);
     }},
    {"sqrt", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1);
       const Scalar y = FAULT(3 * sqrt(x - 2) + x);
       return Outcome(y, x);
     }},
    {"divide", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(0);
       const Scalar y = FAULT(1 / x);
       const Scalar z = y + 1;
       return Outcome(z, x);
     }},
    {"exp", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1000);
       const Scalar y = FAULT(exp(x));
       const Scalar z = y / y;
       return Outcome(z, x);
     }},
    {"acos", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(2);
       const Scalar y = FAULT(acos(x));
       return Outcome(y, x);
     }},
    {"pow", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(-2);
       const Scalar y = FAULT(pow(x, 0.5));
       return Outcome(y, x);
     }},
    {"subtract", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1);
       const Scalar a = x * kInf;
       const Scalar y = FAULT(a - a);
       return Outcome(y, x);
     }},
    {"sqrt", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1);
       Scalar total = 0.0 * x;
       planted_line = __LINE__ + 1;
       for (int i = 0; i < 3; ++i) total += sqrt(x - i);
       return Outcome(total, x);
     }},
    {"log", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(2);
       Scalar y = x;
       planted_line = __LINE__ + 1;
       y = log(x - 2) * x;
       return Outcome(y, x);
     }},
    {"multiply", "", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1e200);
       Scalar y = x;
       planted_line = __LINE__ + 1;
       y *= x;
       return Outcome(y, x);
     }},
    // Scalars and tensors together.
    {"log", "(0,)", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1);
       const Tensor y = FAULT(log(stack({x - 1, x}, float64)));
       return Outcome(Scalar(sum(y)), x);
     }},
    {"stack", "(1,)", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(1e300);
       const Tensor y = FAULT(stack({x / 1e300, x}));
       return Outcome(Scalar(sum(y)), x);
     }},
    // Tensors, backward.
    {"sqrt", "(1,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0});
       const Tensor y = FAULT(sqrt(x));
       return Outcome(sum(y), x);
     }},
    {"sqrt", "(0,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 4});
       const Tensor root = FAULT(sqrt(x));
       return Outcome(sum(where(x > 0, root, Tensor::zeros({2}, float64))), x);
     }},
    {"pow", "(0,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 4});
       const Tensor y = FAULT(pow(x, 0.5));
       return Outcome(sum(y), x);
     }},
    {"asin", "(1,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0.5, 1});
       const Tensor y = FAULT(asin(x));
       return Outcome(sum(y * 2), x);
     }},
    {"log", "(0,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1e-320, 1});
       const Tensor y = FAULT(log(x));
       return Outcome(sum(y), x);
     }},
    {"steep", "(1,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {1, 0});
       const Tensor y = FAULT(custom_operation(Steep())(x));
       return Outcome(sum(y), x);
     }},
    {"sqrt", "(0,)", Way::backward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 1});
       const Tensor y = checkpoint([](const Tensor& x) { return FAULT(sqrt(x)); })(x);
       return Outcome(sum(y), x);
     }},
    // Scalars, backward.
    {"sqrt", "", Way::backward,
     [](Tape& t) {
       const Scalar x = t.variable(0);
       const Scalar y = FAULT(sqrt(x));
       return Outcome(y + 1, x);
     }},
    {"asin", "", Way::backward,
     [](Tape& t) {
       const Scalar x = t.variable(1);
       const Scalar y = FAULT(2 * asin(x));
       return Outcome(y, x);
     }},
    {"pow", "", Way::backward,
     [](Tape& t) {
       const Scalar x = t.variable(0);
       Scalar y = x;
       planted_line = __LINE__ + 1;
       y = pow(x, 0.5) + 1;
       return Outcome(y, x);
     }},
    // Second derivatives: the fault is in what a sweep records, on the line of the forward call.
    {"", "(0,)", Way::forward,
     [](Tape& t) {
       const Tensor x = vector_of(t, {0, 1});
       const Tensor y = FAULT(pow(x, 1.5));
       const Tensor g = t.gradient(sum(y), std::vector<Tensor>{x}, {.differentiable = true})[0];
       return Outcome(sum(t.gradient(sum(g), std::vector<Tensor>{x}, {.differentiable = true})[0]), x);
     }},
    {"", "()", Way::forward,
     [](Tape& t) {
       const Scalar x = t.variable(0);
       const Scalar y = FAULT(pow(x, 1.5));
       const Scalar g = t.differentiable_gradient(y, x);
       return Outcome(Scalar(t.differentiable_gradient(g, x)), x);
     },
     true},
};

void check(const Planted& planted, const Diagnosis& d, const char* how) {
  BOOST_TEST_CONTEXT(how << ": " << planted.operation << " planted on line " << planted_line << "\n" << d.text) {
    BOOST_TEST(d.found);
    BOOST_TEST(d.site.line == planted_line);
    BOOST_TEST(d.element == planted.element);
    if (*planted.operation) BOOST_TEST(d.operation == planted.operation);
    BOOST_TEST(d.backward == (planted.way == Way::backward));
    BOOST_TEST(!std::isfinite(d.value));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(there_are_fifty) { BOOST_TEST(faults.size() == 50u); }

BOOST_AUTO_TEST_CASE(planted_faults_are_found_after_the_fact) {
  for (const Planted& planted : faults) {
    Tape tape({.higher_order = planted.higher_order, .formulas = true});
    const Outcome o = planted.program(tape);
    check(planted, o.scalar ? diagnose(tape, o.scalar_loss) : diagnose(tape, o.loss), "diagnose");
  }
}

BOOST_AUTO_TEST_CASE(planted_faults_stop_a_tape_that_checks) {
  for (const Planted& planted : faults) {
    Tape tape({.higher_order = planted.higher_order, .check_finite = true});
    bool stopped = false;
    try {
      const Outcome o = planted.program(tape);
      BOOST_TEST((planted.way == Way::backward), "not stopped in the forward pass: line " << planted_line);
      if (o.scalar) {
        static_cast<void>(tape.gradient(o.scalar_loss, o.scalar_x));
      } else {
        static_cast<void>(tape.gradient(o.loss, o.x));
      }
    } catch (const FoundNotFinite& e) {
      stopped = true;
      Diagnosis d = e.diagnosis;
      // At once, a statement of the kind y = ... has no line yet: the message says after which one it stands.
      if (!d.site.line) {
        BOOST_TEST(contains(d.text, "a line after test_diagnose.cpp:"));
        d.site.line = planted_line;
      }
      check(planted, d, "check_finite");
    }
    BOOST_TEST(stopped, "not stopped: line " << planted_line);
  }
}

BOOST_AUTO_TEST_CASE(an_ordinary_tape_names_the_operation_or_says_what_would) {
  int exact = 0, tensors = 0;
  for (const Planted& planted : faults) {
    if (planted.higher_order) continue;
    Tape tape;
    const Outcome o = planted.program(tape);
    if (o.scalar) continue;
    ++tensors;
    const Diagnosis d = diagnose(tape, o.loss);
    BOOST_TEST(d.found);
    const bool named = d.site.line == planted_line && d.element == planted.element;
    exact += named;
    // An infinite constant is a cause of its own.
    BOOST_TEST((named || contains(d.text, ".formulas = true") || contains(d.text, "a constant made at")), d.text);
  }
  BOOST_TEST(exact * 2 >= tensors, exact << " of " << tensors);
}

BOOST_AUTO_TEST_CASE(a_sound_tape_is_said_to_be_sound) {
  Tape tape({.check_finite = true});
  const Tensor x = tape.variable(Tensor::from({1, 2}, float64));
  const Tensor loss = sum(log(x) * sqrt(x));
  BOOST_TEST(!diagnose(tape, loss).found);
  BOOST_TEST(tape.gradient(loss, x).element(0) == 1.0);
}

// Such a gradient is a product that is left to the optimizer.
BOOST_AUTO_TEST_CASE(a_large_gradient_that_overflows_is_found) {
  const Parameter w(Tensor::zeros({200, 200}), "w");
  Tape tape({.check_finite = true});
  const Tensor loss = 1e20 * sum(linear(Tensor::full({2, 200}, 1e20, float32), w));
  try {
    tape.gradient(loss, ParameterList{w});
    BOOST_ERROR("nothing was thrown");
  } catch (const NotFiniteError& e) {
    BOOST_TEST(contains(e.what(), "linear"), e.what());
  }
}

BOOST_AUTO_TEST_CASE(a_parameter_that_is_not_finite_is_named) {
  const Parameter w(Tensor::from({1, kInf}, float64), "w");
  Tape tape;
  const Tensor loss = sum(Tensor(w) * 2);
  const Diagnosis d = diagnose(tape, loss);
  BOOST_TEST(d.operation == "parameter w");
  BOOST_TEST(d.element == "(1,)");
  BOOST_TEST(contains(d.text, "a rate that is too large"));
}

BOOST_AUTO_TEST_CASE(the_report_has_line_shapes_and_road) {
  Tape tape({.formulas = true});
  const Tensor x = tape.variable(Tensor::from({1, 0, 2}, float64));
  const Tensor p = log(x);
  const Diagnosis d = diagnose(tape, sum(p * 2));
  BOOST_TEST(contains(d.text, "| const Tensor p = log(x);"), d.text);
  BOOST_TEST(contains(d.text, "(3,) float64"), d.text);
  BOOST_TEST(contains(d.text, "multiply at test_diagnose.cpp:"), d.text);
  BOOST_TEST(contains(d.text, "sum at test_diagnose.cpp:"), d.text);
}

BOOST_AUTO_TEST_CASE(the_advice_says_what_it_was_where_the_operands_decide) {
  const auto advice = [](Tensor (*f)(const Tensor& x), double at) {
    Tape tape({.formulas = true});
    const Tensor x = tape.variable(Tensor::from({1, at}, float64));
    return diagnose(tape, sum(f(x))).text;
  };
  constexpr auto quotient = [](const Tensor& x) { return (x - 1) / (x * x - 1); };
  BOOST_TEST(contains(advice([](const Tensor& x) { return x / x; }, 0), "\n  0 / 0. "));
  BOOST_TEST(contains(advice([](const Tensor& x) { return 1 / x; }, 0), "\n  A division by 0. Add a small number"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return 1 / x; }, 1e-310), "\n  The quotient overflows"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return reciprocal(x); }, 0), "\n  A division by 0. "));
  BOOST_TEST(contains(advice(quotient, -1), "\n  0 / 0. "));  // element (0,) comes first
  BOOST_TEST(contains(advice([](const Tensor& x) { return log(x); }, 0), "\n  The logarithm of 0. "));
  BOOST_TEST(contains(advice([](const Tensor& x) { return log1p(x); }, -1), "\n  The logarithm of 0. "));
  BOOST_TEST(contains(advice([](const Tensor& x) { return log(x); }, -2), "\n  The logarithm of a negative number. Look at how"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return sqrt(x); }, -2), "\n  The square root of a negative number. Look at how"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return sqrt(x); }, -1e-17), "clamp it at 0"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return rsqrt(x); }, 0), "\n  1 / sqrt(0): "));
  BOOST_TEST(contains(advice([](const Tensor& x) { return pow(x, -1.5); }, 0), "\n  0 to a negative power"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return pow(x, 0.5); }, -2), "\n  A negative number to a power that is no integer"));
  BOOST_TEST(contains(advice([](const Tensor& x) { return pow(x, 300); }, 1e3), "\n  The power overflows."));
  BOOST_TEST(contains(advice([](const Tensor& x) { return x * kInf; }, 0), "\n  0 times infinity. "));
  BOOST_TEST(contains(advice([](const Tensor& x) { return exp(x) * x; }, 800), "\n  exp overflows"));
}

BOOST_AUTO_TEST_CASE(a_tape_without_values_says_what_to_open) {
  Tape tape;
  const Scalar w = tape.variable(-0.5);
  const Scalar h = sqrt(w);
  const Scalar E = 0.5 * square(1 - h);
  const Diagnosis d = diagnose(tape, E);
  BOOST_TEST(d.found);
  BOOST_TEST(contains(d.text, "Open it with Tape tape({.formulas = true})."), d.text);
  BOOST_TEST(!contains(d.text, "unknown"), d.text);
}

namespace {

// Sums, products and functions of scalars without a fault, and its value.
struct Computed {
  std::size_t statements, arguments;
  double value, dw, db;
};
Computed run_program(const TapeOptions& options) {
  Tape tape(options);
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25), unused = tape.variable(1);
  Scalar loss = 0, other = w;
  for (int i = 0; i < 100; ++i) {
    const Scalar h = w * (0.01 * i) + b * 2;
    loss += exp(h) / (1 + other);
    if (i % 3 == 0) other = 0.5 * other + tanh(h);
    if (i % 7 == 0) loss -= h * Scalar(3);  // a constant among the operands
    loss += sqrt(square(h) + 1);
  }
  const Scalar end = loss + other;
  const std::size_t statements = tape.statements(), arguments = tape.arguments();
  const auto [dw, db] = tape.gradient(end, w, b);
  static_cast<void>(unused);
  return {statements, arguments, end.value(), dw, db};
}

}  // namespace

BOOST_AUTO_TEST_CASE(checked_scalars_are_recorded_as_any_others) {
  const Computed plain = run_program({}), checked = run_program({.check_finite = true});
  BOOST_TEST(checked.value == plain.value);
  BOOST_TEST(checked.dw == plain.dw);
  BOOST_TEST(checked.db == plain.db);
  BOOST_TEST(checked.statements == plain.statements);
  BOOST_TEST(checked.arguments == plain.arguments);
}

BOOST_AUTO_TEST_CASE(a_checked_expression_is_recorded_as_it_was_written) {
  const auto derivative = [](const TapeOptions& options) {
    Tape tape(options);
    const Scalar w = tape.variable(0.5);
    Scalar sum = 0;
    for (int i = 0; i < 5; ++i) {
      sum += w * i;
      const auto kept = sum * w;
      sum += tanh(kept);  // sum has grown when `kept` is recorded once more
      if (i % 2 == 0) sum += kept;
    }
    return tape.gradient(sum, w);
  };
  BOOST_TEST(derivative({.check_finite = true}) == derivative({}), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(each_number_of_a_checked_statement_is_looked_at) {
  const auto text_of = [](Scalar (*f)(const Scalar& x), double at) {
    Tape tape({.check_finite = true});
    const Scalar x = tape.variable(at);
    try {
      static_cast<void>(tape.gradient(f(x), x));
    } catch (const FoundNotFinite& e) {
      return e.diagnosis.operation + (e.diagnosis.backward ? " backward" : "");
    }
    return std::string("nothing");
  };
  BOOST_TEST(text_of([](const Scalar& x) -> Scalar { return x * 1e308; }, 10) == "multiply");
  BOOST_TEST(text_of([](const Scalar& x) -> Scalar { return sqrt(x) + 1; }, 0) == "sqrt backward");  // the slope alone
  BOOST_TEST(text_of([](const Scalar& x) -> Scalar { return log(x) * 2 + x; }, 0) == "log");
  BOOST_TEST(text_of(
                 [](const Scalar& x) {
                   Scalar sum = 1e308;
                   sum += x * 1e308;  // the value of the sum alone
                   return sum;
                 },
                 1) == "add");
  BOOST_TEST(text_of(
                 [](const Scalar& x) {
                   Scalar sum = x;
                   for (int i = 0; i < 5; ++i) sum -= x / (3 - i);
                   return sum;
                 },
                 1) == "divide");
  BOOST_TEST(text_of([](const Scalar& x) -> Scalar { return exp(x) * x; }, 1) == "nothing");
}

BOOST_AUTO_TEST_CASE(what_is_not_on_the_tape_is_an_error) {
  Tape tape;
  BOOST_CHECK_THROW(diagnose(tape, Tensor::ones({})), TapeError);
  BOOST_CHECK_THROW(diagnose(tape, Scalar(1)), TapeError);
}

// An error as its message, with "#" for the line of the call.
template <class F> std::string diagnosis_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    std::string text = diagnose(e);
    const std::string line = std::to_string(e.location().line);
    for (std::size_t at; e.location().line && (at = text.find(line)) != std::string::npos;) text.replace(at, line.size(), "#");
    return text;
  }
  return "";
}

// clang-format off
BOOST_AUTO_TEST_CASE(an_error_is_shown_with_its_line_and_the_operands_below) {
  const Tensor x = Tensor::zeros({2, 3}), w = Tensor::zeros({4, 3});
  const std::string made = std::to_string(__LINE__ - 1);
  const std::string product = diagnosis_of([&] {
    matmul(x, w);
  });
  BOOST_TEST(product == "test_diagnose.cpp:#: matmul: the inner sizes 3 and 4 differ\n"
        "   # | matmul(x, w);\n"
        "       |        |  right (4, 3) float32, made at test_diagnose.cpp:" + made + "\n"
        "       |        left (2, 3) float32, made at test_diagnose.cpp:" + made + "\n"
        "  hint: transpose(right)\n");
  const std::string total = diagnosis_of([&] {
    sum(square(x) + w);
  });
  BOOST_TEST(total == "test_diagnose.cpp:#: add: the shapes do not broadcast: sizes 2 and 4 in dimension -2\n"
        "   # | sum(square(x) + w);\n"
        "       |     |           right (4, 3) float32, made at test_diagnose.cpp:" + made + "\n"
        "       |     left (2, 3) float32, made at test_diagnose.cpp:#\n");
  // Which argument is which operand is not certain: they are listed.
  const std::string selection = diagnosis_of([&] {
    where(x > 0, w, x);
  });
  BOOST_TEST(selection == "test_diagnose.cpp:#: where: the shapes do not broadcast: sizes 4 and 2 in dimension -2\n"
        "   # | where(x > 0, w, x);\n"
        "       | a (4, 3) float32, made at test_diagnose.cpp:" + made + "\n"
        "       | b (2, 3) float32, made at test_diagnose.cpp:" + made + "\n");
  BOOST_TEST(contains(diagnosis_of([&] { matmul(x, w) + matmul(x, w); }), "       | left (2, 3)"));
}
// clang-format on

BOOST_AUTO_TEST_CASE(an_error_without_a_place_is_its_message) {
  BOOST_TEST(diagnosis_of([] { throw DataError("data.csv: row 3: no number"); }) == "data.csv: row 3: no number\n");
  BOOST_TEST(diagnose(ShapeError("f: too small", Location("no_such_file.cpp", 7))) == "no_such_file.cpp:7: f: too small\n");
}

BOOST_AUTO_TEST_CASE(an_error_that_is_thrown_again_keeps_its_parts) {
  const Tensor x = Tensor::zeros({2, 3});
  try {
    matmul(x, x);
  } catch (const ShapeError& e) {
    const ShapeError again(e, "net: ", "; in layer 2");
    BOOST_TEST(again.location().line == e.location().line);
    BOOST_TEST(again.text() == "net: " + std::string(e.text()) + "; in layer 2");
    BOOST_TEST(std::string_view(again.what()).ends_with(again.text()));
    BOOST_TEST(again.message().operands.size() == 2u);
    BOOST_TEST(again.message().hint == "transpose(right)");
    return;
  }
  BOOST_ERROR("nothing was thrown");
}
