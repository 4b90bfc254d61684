#include <autodiff/autodiff.h>
#include <autodiff/tensor/call_site.h>
#include <nn/losses.h>
#include <optim/sgd.h>

#include <boost/test/unit_test.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

const Tensor x = Tensor::from({{1, 2}, {3, 4}}, float64);

Tensor rms(const Tensor& t, Location site = Location::here()) {
  const CallSite scope(site);
  return sqrt(mean(square(t)));
}

Tensor twice_rms(const Tensor& t, Location site = Location::here()) {
  const CallSite scope(site);
  return rms(t) + rms(t);
}

std::string line(int number) { return "test_call_site.cpp:" + std::to_string(number); }
std::string made_at(const Tensor& t) { return to_string(t.made_at()); }

}  // namespace

BOOST_AUTO_TEST_CASE(what_a_function_makes_names_its_caller) {
  const Tensor y = rms(x);
  BOOST_TEST(made_at(y) == line(__LINE__ - 1));
  BOOST_TEST(made_at(x + x) == line(__LINE__));  // the scope has ended
}

BOOST_AUTO_TEST_CASE(the_outermost_scope_counts) {
  BOOST_TEST(made_at(twice_rms(x)) == line(__LINE__));
  const CallSite scope({"model.cpp", 7});
  BOOST_TEST(made_at(twice_rms(x)) == "model.cpp:7");
  BOOST_TEST(made_at(Tensor::zeros({2})) == "model.cpp:7");
  BOOST_TEST(made_at(x.clone()) == "model.cpp:7");
  BOOST_TEST(to_string(CallSite::of(Location::here())) == "model.cpp:7");
}

BOOST_AUTO_TEST_CASE(an_exception_ends_the_scope) {
  const auto fails = [](Location site = Location::here()) {
    const CallSite scope(site);
    return matmul(Tensor::ones({2, 3}), Tensor::ones({2, 3}));
  };
  const std::string message = message_of<ShapeError>([&] { fails(); });
  BOOST_TEST(message.find("made at " + line(__LINE__ - 1)) != std::string::npos, message);
  BOOST_TEST(made_at(x + 1) == line(__LINE__));
}

BOOST_AUTO_TEST_CASE(a_scope_belongs_to_its_thread) {
  const CallSite scope({"model.cpp", 7});
  std::string elsewhere;
  std::thread([&] { elsewhere = made_at(x + 1); }).join();
  BOOST_TEST(elsewhere == line(__LINE__ - 1));
}

BOOST_AUTO_TEST_CASE(rules_and_functions_of_the_user_have_scopes_of_their_own) {
  const CallSite scope({"model.cpp", 7});
  {
    const CallSite rule = CallSite::of_rule({"forward.cpp", 3});
    BOOST_TEST(made_at(rms(x)) == "forward.cpp:3");
    {
      const CallSite own_lines = CallSite::of_user_code();
      BOOST_TEST(made_at(rms(x)) == line(__LINE__));
    }
    BOOST_TEST(made_at(rms(x)) == "forward.cpp:3");
  }
  BOOST_TEST(made_at(rms(x)) == "model.cpp:7");
}

BOOST_AUTO_TEST_CASE(derivatives_are_made_where_the_operation_was_called) {
  Tape tape;
  const Tensor v = tape.variable(x), y = rms(v);
  const int forward = __LINE__ - 1;
  const CallSite scope({"optimizer.cpp", 7});  // the caller of gradient()
  BOOST_TEST(made_at(tape.gradient(y, wrt(v), {.differentiable = true})) == line(forward));
}

// Operations between Scalars are recorded without a location. Tensors that their rules compute have none either, never one in the library.
BOOST_AUTO_TEST_CASE(rules_of_operations_without_a_place_make_none_up) {
  const CallSite rule = CallSite::of_rule({});
  BOOST_TEST(describe(rms(x)) == "() float64");
  BOOST_TEST(describe(x + 1) == "(2, 2) float64");
}

BOOST_AUTO_TEST_CASE(operators_name_their_own_line) {
  const Tensor a = Tensor::ones({2, 2}, float64);
  const Parameter p(a);
  BOOST_TEST(made_at(-a) == line(__LINE__));
  BOOST_TEST(made_at(-p) == line(__LINE__));
  BOOST_TEST(made_at(a < 1) == line(__LINE__));
  BOOST_TEST(made_at(2 / a) == line(__LINE__));
  BOOST_TEST(made_at(pow(a, 2)) == line(__LINE__));
  BOOST_TEST(made_at(where(a > 0, a, 0)) == line(__LINE__));
  Tensor sum = a;
  sum += 1;
  BOOST_TEST(made_at(sum) == line(__LINE__ - 1));
  const std::string message = message_of<ShapeError>([&] { matmul(-a, Tensor::ones({3, 3}, float64)); });
  BOOST_TEST(message.find("left (2, 2) float64 made at " + line(__LINE__ - 1)) != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(errors_of_gradients_of_elements_and_of_steps_name_their_line) {
  const auto place_of = [](auto&& f) {
    try {
      f();
    } catch (const Error& e) {
      return to_string(e.location());
    }
    return std::string("no error");
  };
  Tape tape;
  const Tensor v = tape.variable(x), unread = tape.variable(x);
  const Scalar s = tape.variable(2.0), t = tape.variable(3.0);
  const Parameter w(x, "w");
  const std::vector<Tensor> tensors{unread};
  const std::vector<Scalar> scalars{t};
  std::vector<double> out(1);
  // clang-format off
  BOOST_TEST(place_of([&] { static_cast<void>(tape.gradient(v * v, v)); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(tape.gradient(sum(v), wrt(unread), {.retain = true})); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(tape.gradient(sum(v), tensors, {.retain = true})); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(tape.gradient(sum(v), ParameterList{w}, {.retain = true})); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(tape.gradient(s * s, wrt(t), {.retain = true})); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { tape.gradient(s, scalars, out, {.retain = true}); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(tape.differentiable_gradient(sum(v), unread)); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(x.item()); }) == line(__LINE__));
  BOOST_TEST(place_of([&] { static_cast<void>(x.at({2, 0})); }) == line(__LINE__));
  optim::SGD sgd(ParameterList{w});
  BOOST_TEST(place_of([&] { sgd.step({}); }) == line(__LINE__));
  // clang-format on
}

BOOST_AUTO_TEST_CASE(losses_name_their_caller) {
  const Tensor t = x * 0.5, p = sigmoid(x), labels = Tensor::from({0, 1}, int64);
  using namespace nn;
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::batch_mean, Reduction::none}) {
    BOOST_TEST(made_at(half_squared_error(x, t, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(mse(x, t, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(l1(x, t, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(smooth_l1(x, t, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(smooth_l1(x, t, {.reduction = reduction, .beta = 0})) == line(__LINE__));
    BOOST_TEST(made_at(huber(x, t, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(bce(p, p, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(bce(p, p, {.reduction = reduction, .weight = x})) == line(__LINE__));
    BOOST_TEST(made_at(bce_with_logits(x, p, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(bce_with_logits(x, p, {.reduction = reduction, .weight = x, .pos_weight = x})) == line(__LINE__));
    BOOST_TEST(made_at(kl_div(log(p), p, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(kl_div(log(p), log(p), {.reduction = reduction, .log_target = true})) == line(__LINE__));
    BOOST_TEST(made_at(cross_entropy(x, labels, {.reduction = reduction})) == line(__LINE__));
    BOOST_TEST(made_at(nll(log_softmax(x, 1), labels, {.reduction = reduction})) == line(__LINE__));
  }
}
