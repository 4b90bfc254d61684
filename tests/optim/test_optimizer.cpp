#include "optim/optimizer.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "optim/optim.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

Gradients gradients_of(std::initializer_list<std::pair<const Parameter*, Tensor>> list) {
  Gradients gradients;
  for (const auto& [parameter, gradient] : list) gradients.add(gradient, parameter->ref().get());
  return gradients;
}

std::vector<double> values(const Parameter& p) { return p.value().to_vector<double>(); }

struct TwoParameters {
  Parameter a{Tensor::from({1, 2}), "a"}, b{Tensor::from({3}), "b"};
  Tensor of_a = Tensor::from({1, 1}), of_b = Tensor::from({10});
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(gradients_are_found_in_any_order_and_among_others, TwoParameters) {
  const Parameter other(Tensor::from({5}));
  optim::SGD sgd({a, b}, {.lr = 0.5});
  sgd.step(gradients_of({{&other, Tensor::from({1})}, {&b, of_b}, {&a, of_a}}));
  BOOST_TEST(values(a) == (std::vector<double>{0.5, 1.5}));
  BOOST_TEST(values(b) == (std::vector<double>{-2}));
  BOOST_TEST(values(other) == (std::vector<double>{5}));
}

BOOST_FIXTURE_TEST_CASE(a_missing_gradient_is_named_and_nothing_changes, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 0.5});
  BOOST_CHECK_THROW(sgd.step(gradients_of({{&a, of_a}})), TapeError);
  BOOST_TEST(contains(message_of<Error>([&] { sgd.step(gradients_of({{&a, of_a}})); }), "SGD: there is no gradient of parameter b"));
  BOOST_TEST(values(a) == (std::vector<double>{1, 2}));
}

BOOST_FIXTURE_TEST_CASE(a_gradient_of_another_shape_or_dtype_is_an_error, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 0.5});
  BOOST_CHECK_THROW(sgd.step(gradients_of({{&a, of_a}, {&b, of_a}})), ShapeError);
  BOOST_CHECK_THROW(sgd.step(gradients_of({{&a, of_a}, {&b, Tensor::from({10}, float64)}})), DtypeError);
  BOOST_TEST(contains(message_of<Error>([&] { sgd.step(gradients_of({{&a, of_a}, {&b, of_a}})); }), "parameter b"));
  BOOST_TEST(values(a) == (std::vector<double>{1, 2}));
}

BOOST_FIXTURE_TEST_CASE(frozen_parameters_stay_as_they_are, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 0.5, .momentum = 0.5});
  b.freeze();
  sgd.step(gradients_of({{&a, of_a}}));
  sgd.step(gradients_of({{&a, of_a}, {&b, of_b}}));
  BOOST_TEST(values(a) == (std::vector<double>{1 - 0.5 - 0.75, 2 - 0.5 - 0.75}));
  BOOST_TEST(values(b) == (std::vector<double>{3}));
  b.freeze(false);
  sgd.step(gradients_of({{&a, of_a}, {&b, of_b}}));
  BOOST_TEST(values(b) == (std::vector<double>{3 - 0.5 * 10}));  // its first update: the momentum is the gradient
}

BOOST_FIXTURE_TEST_CASE(tensors_taken_before_keep_their_values, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 1});
  const Tensor before = a.value();
  sgd.step(gradients_of({{&a, of_a}}));
  BOOST_TEST(before.to_vector<double>() == (std::vector<double>{1, 2}));
  BOOST_TEST(values(a) == (std::vector<double>{0, 1}));
}

BOOST_FIXTURE_TEST_CASE(updates_are_in_place_where_the_parameter_alone_owns_its_elements, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 1});
  sgd.step(gradients_of({{&a, of_a}}));
  const float* const elements = a.value().data<float>();
  sgd.step(gradients_of({{&a, of_a}}));
  BOOST_TEST(a.value().data<float>() == elements);
}

BOOST_FIXTURE_TEST_CASE(a_gradient_may_be_the_parameter_itself, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 0.5});
  sgd.step(gradients_of({{&a, a.value()}}));
  BOOST_TEST(values(a) == (std::vector<double>{0.5, 1}));
}

BOOST_AUTO_TEST_CASE(gradients_need_not_be_row_major) {
  const Parameter p(Tensor::zeros({2, 3}));
  optim::SGD sgd({p}, {.lr = 1});
  sgd.step(gradients_of({{&p, transpose(Tensor::from({{1, 2}, {3, 4}, {5, 6}}))}}));
  BOOST_TEST(values(p) == (std::vector<double>{-1, -3, -5, -2, -4, -6}));
}

BOOST_FIXTURE_TEST_CASE(the_learning_rate_can_be_read_and_set, TwoParameters) {
  optim::SGD sgd({b}, {.lr = 0.5});
  BOOST_TEST(sgd.learning_rate() == 0.5);
  sgd.set_learning_rate(0.1);
  sgd.step(gradients_of({{&b, of_b}}));
  BOOST_TEST(std::abs(values(b)[0] - 2) < 1e-6);
  BOOST_CHECK_THROW(sgd.set_learning_rate(-1), Error);
  BOOST_CHECK_THROW(sgd.set_learning_rate(std::numeric_limits<double>::infinity()), Error);
  BOOST_CHECK_THROW(sgd.set_learning_rate(std::nan("")), Error);
  BOOST_TEST(sgd.learning_rate() == 0.1);
}

BOOST_FIXTURE_TEST_CASE(assigning_a_value_leaves_the_optimizer_valid, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 1});
  const Parameter best(Tensor::from({7, 7}));
  a = best;
  sgd.step(gradients_of({{&a, of_a}}));
  BOOST_TEST(values(a) == (std::vector<double>{6, 6}));
  BOOST_TEST(values(best) == (std::vector<double>{7, 7}));
}

BOOST_FIXTURE_TEST_CASE(state_of_another_shape_or_dtype_is_an_error, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 1, .momentum = 0.9});
  sgd.step(gradients_of({{&a, of_a}}));
  a.set(Tensor::zeros({3}));
  BOOST_TEST(contains(message_of<Error>([&] { sgd.step(gradients_of({{&a, Tensor::zeros({3})}})); }), "SGD: parameter a was (2,) float32"));
  a.set(Tensor::zeros({2}, float64));
  BOOST_CHECK_THROW(sgd.step(gradients_of({{&a, Tensor::zeros({2}, float64)}})), Error);
}

BOOST_FIXTURE_TEST_CASE(parameters_must_be_there_and_once, TwoParameters) {
  BOOST_CHECK_THROW(optim::SGD({}, {}), Error);
  BOOST_TEST(contains(message_of<Error>([&] { optim::SGD({a, b, a}, {}); }), "SGD: parameter a is there twice"));
}

BOOST_FIXTURE_TEST_CASE(a_step_under_a_live_tape_is_not_recorded, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 0.5, .momentum = 0.9, .weight_decay = 0.1});
  Tape tape;
  const Tensor loss = sum(square(Tensor(a))) + sum(Tensor(b) * 2);
  sgd.step(tape.gradient(loss, sgd.parameters()));
  BOOST_TEST(tape.calls() == 0u);
}
