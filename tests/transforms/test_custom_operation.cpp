#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element;
using testing::contains, testing::message_of;

namespace {

const Tensor x = Tensor::from({{0.5, -1.25, 2}, {1.5, 0.25, -0.75}}, float64);

// x^n, by public operations.
struct Power {
  static constexpr const char* name = "power";
  double n;
  Tensor forward(const Tensor& x) const { return pow(x, n); }
  Tensor vjp(const Tensor& y_bar, const Tensor&, const Tensor& x) const { return n * pow(x, n - 1) * y_bar; }
  Tensor jvp(const Tensor& x_dot, const Tensor&, const Tensor& x) const { return n * pow(x, n - 1) * x_dot; }
};
Tensor power(const Tensor& x, double n, Location site = Location::here()) { return custom_operation(Power{n})({x, site}); }

// a b + c, of three inputs.
struct MultiplyAdd {
  static constexpr const char* name = "multiply_add";
  Tensor forward(const Tensor& a, const Tensor& b, const Tensor& c) const { return a * b + c; }
  std::array<Tensor, 3> vjp(const Tensor& y_bar, const Tensor&, const Tensor& a, const Tensor& b, const Tensor&) const {
    return {y_bar * b, y_bar * a, y_bar};
  }
  Tensor jvp(const Tensor& a_dot, const Tensor& b_dot, const Tensor& c_dot, const Tensor&, const Tensor& a, const Tensor& b,
             const Tensor&) const {
    return a_dot * b + a * b_dot + c_dot;
  }
};

// e^x from y, by lambdas.
const auto exponential = custom_operation(
    "exponential", [](const Tensor& x) { return exp(x); }, [](const Tensor& y_bar, const Tensor& y, const Tensor&) { return y_bar * y; },
    [](const Tensor& x_dot, const Tensor& y, const Tensor&) { return x_dot * y; });

// x^2 by a loop over the elements.
Tensor squares(const Tensor& x, const Tensor& factor) {
  Tensor y = Tensor::uninitialized(x.shape(), float64);
  double* out = y.mutable_data<double>();
  for (Index i = 0; i < x.size(); ++i) out[i] = x.data<double>()[i] * factor.data<double>()[i];
  return y;
}
const auto raw_square = custom_operation(
    "raw_square", [](const Tensor& x) { return squares(x, x); },
    [](const Tensor& y_bar, const Tensor&, const Tensor& x) { return squares(y_bar, squares(x, Tensor::full(x.shape(), 2, float64))); });
// The same, with only the slope computed from raw data.
const auto half_raw_square = custom_operation(
    "half_raw_square", [](const Tensor& x) { return squares(x, x); },
    [](const Tensor& y_bar, const Tensor&, const Tensor& x) { return y_bar * squares(x, Tensor::full(x.shape(), 2, float64)); });

template <class F> auto second_derivative(F f) {
  return [f] {
    Tape tape;
    const Tensor v = tape.variable(x);
    const Tensor g = tape.differentiable_gradient(sum(f(v)), v);
    return tape.gradient(sum(g * g), v);
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(rules_in_public_operations_pass_the_check_to_second_order) {
  const auto check = [](auto f, std::initializer_list<Tensor> inputs) {
    const GradientCheck result = check_gradient(f, inputs);
    BOOST_TEST(result.passed(), result.to_string());
  };
  check([](const Tensor& v) { return power(v, 3); }, {x});
  check([](const Tensor& v) { return exponential(v) * v; }, {x});
  check([](const Tensor& a, const Tensor& b, const Tensor& c) { return custom_operation(MultiplyAdd())(a, b, c) * a; }, {x, x + 1, x - 2});
  check([](const Tensor& v) { return exponential(transpose(v)); }, {x});  // the rules are given dense tensors
  check([](const Tensor& v) { return gradient([](const Tensor& u) { return sum(power(u, 4)); }, v); }, {x});
}

BOOST_AUTO_TEST_CASE(a_constant_among_the_inputs_has_no_cotangent) {
  Tape tape;
  const Tensor v = tape.variable(x);
  const Tensor g = tape.gradient(sum(custom_operation(MultiplyAdd())(v, x, Tensor::ones({3}, float64).constant() + 0 * x)), v);
  BOOST_TEST(g.to_vector<double>() == x.to_vector<double>(), per_element());
}

BOOST_AUTO_TEST_CASE(a_derivative_by_constants_alone_is_no_derivative_past_the_tape) {
  Tape tape;
  const Tensor v = tape.variable(x);
  const Tensor g = tape.differentiable_gradient(sum(custom_operation(MultiplyAdd())(v, x, x)), v);  // v_bar = y_bar x
  BOOST_TEST(g.to_vector<double>() == x.to_vector<double>(), per_element());
}

BOOST_AUTO_TEST_CASE(parameters_are_operands_too) {
  const Parameter p(x, "p");
  Tape tape;
  BOOST_TEST(tape.gradient(sum(exponential(p)), p).element(0) == std::exp(0.5));
}

BOOST_AUTO_TEST_CASE(a_wrong_rule_is_found) {
  const auto wrong = custom_operation(
      "wrong", [](const Tensor& x) { return x * x; }, [](const Tensor& y_bar, const Tensor&, const Tensor& x) { return x * y_bar; },
      [](const Tensor& x_dot, const Tensor&, const Tensor& x) { return 2 * x * x_dot; });
  BOOST_TEST(!check_gradient([&](const Tensor& v) { return wrong(v); }, {x}).passed());
}

BOOST_AUTO_TEST_CASE(one_call_is_recorded_and_made_where_the_user_called) {
  Tape tape;
  const Tensor v = tape.variable(x), y = exponential(v);
  const auto line = static_cast<std::uint32_t>(__LINE__ - 1);
  BOOST_TEST(tape.nodes() == 1u);
  BOOST_TEST((y + 0).made_at().line == line + 3);
  BOOST_TEST(exponential(x).number() == 0u);
  BOOST_TEST(tape.gradient(sum(y), v).element(0) == std::exp(0.5));
}

BOOST_AUTO_TEST_CASE(rules_past_the_tape_serve_first_derivatives_and_refuse_second_ones) {
  BOOST_TEST(gradient([](const Tensor& v) { return sum(raw_square(v)); }, x).element(0) == 1);
  const std::string raw = message_of<TapeError>(second_derivative(raw_square)),
                    half = message_of<TapeError>(second_derivative(half_raw_square));
  for (const std::string& message : {raw, half}) BOOST_TEST(contains(message, "write it in public operations"));
  BOOST_TEST(contains(raw,
                      "raw_square: there is no second derivative, because the operation's vjp does not compute from the "
                      "cotangent"));
  BOOST_TEST(contains(half, "does not compute from its inputs"));
}

BOOST_AUTO_TEST_CASE(linear_operations_say_so) {
  const auto twice = [](bool linear) {
    return custom_operation(
        "twice", [](const Tensor& x) { return 2 * x; }, [](const Tensor& y_bar, const Tensor&, const Tensor&) { return 2 * y_bar; },
        [](const Tensor& x_dot, const Tensor&, const Tensor&) { return 2 * x_dot; }, {.linear = linear});
  };
  const GradientCheck check = check_gradient([&](const Tensor& v) { return twice(true)(v) * v; }, {x});
  BOOST_TEST(check.passed(), check.to_string());
  BOOST_TEST(contains(message_of<TapeError>(second_derivative([&](const Tensor& v) { return twice(false)(v) * v; })),
                      "declare the operation linear"));
}

BOOST_AUTO_TEST_CASE(what_rules_return_is_checked) {
  const auto with = [](auto vjp, auto jvp) {
    return custom_operation(
        "custom", [](const Tensor& x) { return x * 1; }, vjp, jvp);
  };
  const auto good = [](const Tensor& bar, const Tensor&, const Tensor&) { return bar; };
  const auto short_one = [](const Tensor& bar, const Tensor&, const Tensor&) { return sum(bar); };
  const auto single = [](const Tensor& bar, const Tensor&, const Tensor&) { return bar.to(float32); };
  const auto none = [](const Tensor&, const Tensor&, const Tensor&) { return Tensor(); };
  const auto gradient_of = [&](auto operation) { return gradient([&](const Tensor& v) { return sum(operation(v)); }, x); };
  const auto push = [&](auto operation) { return jvp([&](const Tensor& v) { return operation(v); }, x, x); };
  BOOST_TEST(contains(message_of<ShapeError>([&] { gradient_of(with(short_one, good)); }), "custom: the cotangent of input 0 ()"));
  // The cotangent of what was broadcast must be summed.
  const auto shifted = custom_operation(
      "shifted", [](const Tensor& a, const Tensor& b) { return a + b; },
      [](const Tensor& bar, const Tensor&, const Tensor&, const Tensor&) {
        return std::array<Tensor, 2>{bar, bar};
      });
  BOOST_TEST(contains(message_of<ShapeError>([&] { gradient([&](const Tensor& b) { return sum(shifted(x, b)); }, x[0]); }),
                      "; hint: sum_to(cotangent, x.shape()) adds up what broadcasting has repeated"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { gradient_of(with(single, good)); }), "custom: the cotangent of input 0 (2, 3) float32"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { push(with(good, short_one)); }), "custom: the tangent ()"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { push(with(good, single)); }), "custom: the tangent (2, 3) float32"));
  BOOST_TEST(contains(message_of<TapeError>([&] { push(with(good, none)); }), "custom: its jvp returned an undefined tensor"));
  BOOST_TEST(gradient_of(with(none, good)).element(0) == 0);
  BOOST_TEST(contains(message_of<TapeError>([&] { push(raw_square); }), "raw_square: forward mode needs a jvp"));
  const auto nothing = custom_operation(
      "nothing", [](const Tensor&) { return Tensor(); }, good);
  BOOST_TEST(contains(message_of<ValueError>([&] { nothing(x); }), "nothing: its forward returned an undefined tensor"));
  BOOST_TEST(contains(message_of<ValueError>([&] { exponential(Tensor()); }), "exponential: an input is undefined"));
}

// Its number is far beyond those of this tape, and must not be mistaken for one of them.
BOOST_AUTO_TEST_CASE(a_value_of_an_ended_tape_in_a_rule_is_none_of_this_tape) {
  Tensor ended;
  {
    Tape before;
    ended = before.variable(Tensor::ones({2})) * 2;
  }
  for (int i = 0; i < 100; ++i) {
    Tape between;
    for (int k = 0; k < 100; ++k) between.variable(Tensor::ones({1}));
  }
  const auto twice = custom_operation(
      "twice", [](const Tensor& x) { return x * 2; }, [ended](const Tensor&, const Tensor&, const Tensor&) { return ended; },
      [](const Tensor& x_dot, const Tensor&, const Tensor&) { return x_dot * 2; }, {.linear = true});
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({2}));
  BOOST_CHECK_THROW(tape.gradient(sum(twice(x)), wrt(x), {.differentiable = true}), TapeError);  // and no other value is mistaken for it
}
