#include "optim/optimizer.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <memory>
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

namespace {

// The values after each step of an optimizer with one parameter that starts at 0, with gradient 1 and one step for each momentum.
template <class O, class Set> std::vector<double> path(O&& optimizer, const Parameter& p, const std::vector<double>& momenta, Set&& set) {
  std::vector<double> values;
  for (const double momentum : momenta) {
    set(optimizer, momentum);
    optimizer.step(gradients_of({{&p, Tensor::from({1}, float64)}}));
    values.push_back(p.value().item());
  }
  return values;
}

void check_close(const std::vector<double>& found, const std::vector<double>& expected) {
  BOOST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) BOOST_TEST(found[i] == expected[i], boost::test_tools::tolerance(1e-12));
}

const auto kSetMomentum = [](auto& optimizer, double momentum) { optimizer.set_momentum(momentum); };

}  // namespace

BOOST_AUTO_TEST_CASE(momentum_follows_a_schedule) {
  const optim::OneCycleSchedule cycle{.lr = 1,
                                      .steps = 5,
                                      .warmup_fraction = 0.6,
                                      .curve = optim::OneCycleSchedule::Curve::linear,
                                      .min_momentum = 0.5,
                                      .max_momentum = 0.9};
  std::vector<double> momenta, sgd_path, rms_path, adam_path;
  for (Index t = 0; t < cycle.steps; ++t) momenta.push_back(cycle.momentum(t));
  check_close(momenta, {0.9, 0.7, 0.5, 0.7, 0.9});
  double p = 0, v = 0, q = 0, b = 0, m = 0, r = 0, mean_square = 0, rms_square = 0;
  for (std::size_t i = 0; i < momenta.size(); ++i) {
    const double mu = momenta[i], t = static_cast<double>(i + 1);
    v = mu * v + 1;
    sgd_path.push_back(p -= 0.1 * v);
    rms_square = 0.5 * rms_square + 0.5;
    b = mu * b + 1 / (std::sqrt(rms_square) + 1e-8);
    rms_path.push_back(q -= 0.1 * b);
    m = mu * m + (1 - mu);
    mean_square = 0.9 * mean_square + 0.1;
    adam_path.push_back(r -= 0.1 / (1 - std::pow(mu, t)) * m / (std::sqrt(mean_square / (1 - std::pow(0.9, t))) + 1e-8));
  }
  const auto start = [] { return Parameter(Tensor::zeros({1}, float64)); };
  const Parameter a = start(), c = start(), d = start(), e = start();
  check_close(path(optim::SGD({a}, {.lr = 0.1, .momentum = 0.9}), a, momenta, kSetMomentum), sgd_path);
  check_close(path(optim::RMSprop({c}, {.lr = 0.1, .alpha = 0.5, .momentum = 0.9}), c, momenta, kSetMomentum), rms_path);
  const auto set_beta1 = [](auto& optimizer, double beta1) { optimizer.set_betas(beta1, optimizer.beta2()); };
  check_close(path(optim::Adam({d}, {.lr = 0.1, .beta2 = 0.9}), d, momenta, set_beta1), adam_path);
  check_close(path(optim::AdamW({e}, {.lr = 0.1, .beta2 = 0.9, .weight_decay = 0}), e, momenta, set_beta1), adam_path);
}

BOOST_AUTO_TEST_CASE(every_optimizer_with_betas_takes_new_ones) {
  const auto differs = [](auto make) {  // a step with other betas gives other values; one with the same betas does not
    const Parameter p(Tensor::zeros({1}, float64)), q(Tensor::zeros({1}, float64)), r(Tensor::zeros({1}, float64));
    const auto two_steps = [](const Parameter& parameter, auto optimizer, double beta1, double beta2) {
      optimizer->step(gradients_of({{&parameter, Tensor::from({1}, float64)}}));
      optimizer->set_betas(beta1, beta2);
      optimizer->step(gradients_of({{&parameter, Tensor::from({-0.5}, float64)}}));
      return parameter.value().item();
    };
    const double same = two_steps(p, make(p), 0.9, 0.999);
    return same != two_steps(q, make(q), 0.5, 0.999) && same != two_steps(r, make(r), 0.9, 0.5);
  };
  BOOST_TEST(differs([](const Parameter& p) { return std::make_unique<optim::Adam>(ParameterList{p}); }));
  BOOST_TEST(differs([](const Parameter& p) { return std::make_unique<optim::AdamW>(ParameterList{p}); }));
  BOOST_TEST(differs([](const Parameter& p) { return std::make_unique<optim::NAdam>(ParameterList{p}); }));
  BOOST_TEST(differs([](const Parameter& p) { return std::make_unique<optim::Adamax>(ParameterList{p}); }));
  // RAdam does not divide by the mean square at its first steps.
  const Parameter p(Tensor::zeros({1}, float64)), q(Tensor::zeros({1}, float64));
  optim::RAdam a({p}), b({q});
  for (int step = 0; step < 10; ++step) {
    a.step(gradients_of({{&p, Tensor::from({1.0 + step}, float64)}}));
    b.step(gradients_of({{&q, Tensor::from({1.0 + step}, float64)}}));
    BOOST_TEST((p.value().item() == q.value().item()) == (step < 7));
    if (step == 6) b.set_betas(0.9, 0.9);
  }
}

BOOST_AUTO_TEST_CASE(momentum_can_set_in_and_pause) {
  // 0.5 from the third step on: v is 1 there, whatever the steps before.
  const Parameter a(Tensor::zeros({1}, float64)), b(Tensor::zeros({1}, float64)), c(Tensor::zeros({1}, float64));
  const std::vector<double> momenta{0, 0, 0.5, 0.5, 0, 0.5};
  check_close(path(optim::SGD({a}, {.lr = 1}), a, momenta, kSetMomentum), {-1, -2, -3, -4.5, -5.5, -7});
  check_close(path(optim::RMSprop({b}, {.lr = 1, .alpha = 0, .eps = 0}), b, momenta, kSetMomentum), {-1, -2, -3, -4.5, -5.5, -7});
  // Centred: the mean of the gradients is 0.5, 0.75, ... and their mean square as well.
  double mean = 0, last = 0, p = 0;
  bool kept = false;
  std::vector<double> expected;
  for (const double mu : momenta) {
    mean = 0.5 * mean + 0.5;
    const double d = 1 / std::sqrt(mean - mean * mean) + mu * last;
    kept = kept || mu > 0;
    last = kept ? d : 0;
    expected.push_back(p -= d);
  }
  check_close(path(optim::RMSprop({c}, {.lr = 1, .alpha = 0.5, .eps = 0, .centered = true}), c, momenta, kSetMomentum), expected);
}

BOOST_AUTO_TEST_CASE(momentum_and_betas_out_of_range_change_nothing) {
  const Parameter p(Tensor::zeros({1}));
  optim::SGD sgd({p}, {.momentum = 0.5}), nesterov({p}, {.momentum = 0.5, .nesterov = true});
  optim::RMSprop rms({p}, {.momentum = 0.5});
  optim::Adam adam({p});
  for (const double wrong : {-0.1, 1.0, 2.0, std::nan("")}) {
    BOOST_CHECK_THROW(sgd.set_momentum(wrong), Error);
    BOOST_CHECK_THROW(rms.set_momentum(wrong), Error);
    BOOST_CHECK_THROW(adam.set_betas(wrong, 0.5), Error);
    BOOST_CHECK_THROW(adam.set_betas(0.5, wrong), Error);
  }
  BOOST_CHECK_THROW(nesterov.set_momentum(0), Error);
  BOOST_TEST(sgd.momentum() == 0.5);
  BOOST_TEST(nesterov.momentum() == 0.5);
  BOOST_TEST(rms.momentum() == 0.5);
  BOOST_TEST(adam.beta1() == 0.9);
  BOOST_TEST(adam.beta2() == 0.999);
  BOOST_TEST(message_of<Error>([&] { adam.set_betas(0.5, 2); }) == "Adam: beta2 must be in [0, 1), but it is 2");
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
  BOOST_TEST(contains(message_of<Error>([&] { optim::SGD({a, b, a}, {}); }), "SGD: parameter a is listed twice"));
  const nn::Linear layer(2, 2, {.bias = false});
  const Parameter undefined;
  const char* const expected = "parameter 1 is undefined: it was default-constructed, or the layer was made without it";
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::Adam({layer.weight, layer.bias}); }), expected));
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::SGD({a, undefined}); }), expected));
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::LBFGS({a, undefined}); }), expected));
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::EMA({a, undefined}); }), expected));
}

BOOST_FIXTURE_TEST_CASE(a_step_under_a_live_tape_is_not_recorded, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 0.5, .momentum = 0.9, .weight_decay = 0.1});
  Tape tape;
  const Tensor loss = sum(square(Tensor(a))) + sum(Tensor(b) * 2);
  sgd.step(tape.gradient(loss, sgd.parameters()));
  BOOST_TEST(tape.nodes() == 0u);
}
