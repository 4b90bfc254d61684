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

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> values(const Parameter& p) { return p.value().to_vector<double>(); }

struct TwoParameters {
  Parameter a{Tensor::from({1, 2}, float64), "a"}, b{Tensor::from({3}, float64), "b"};

  Gradients gradients(const std::vector<double>& of_a, double of_b) const {
    Gradients g;
    g.add(Tensor::from(of_a), a.ref().get());
    g.add(Tensor::from({of_b}, float64), b.ref().get());
    return g;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(each_group_has_options_of_its_own, TwoParameters) {
  optim::SGD sgd({{{a}, {.lr = 0.5}}, {{b}, {.lr = 0.25, .weight_decay = 2}}});
  sgd.step(gradients({1, 2}, 4));
  BOOST_TEST(values(a) == (std::vector<double>{0.5, 1}));
  BOOST_TEST(values(b) == (std::vector<double>{3 - 0.25 * (4 + 2 * 3)}));
  BOOST_TEST(sgd.groups() == 2u);
  BOOST_TEST(sgd.options(1).weight_decay == 2);
  BOOST_TEST(sgd.learning_rate(1) == 0.25);
}

BOOST_FIXTURE_TEST_CASE(groups_are_as_optimizers_of_their_own, TwoParameters) {
  const Parameter c(a.value()), d(b.value());
  optim::AdamW together({{{a}, {.lr = 0.1, .beta1 = 0.5}}, {{b}, {.weight_decay = 0, .amsgrad = true}}});
  optim::AdamW first({c}, {.lr = 0.1, .beta1 = 0.5}), second({d}, {.weight_decay = 0, .amsgrad = true});
  for (int step = 0; step < 5; ++step) {
    together.step(gradients({1.0 + step, -2}, 3.0 - step));
    Gradients g;
    g.add(Tensor::from({1.0 + step, -2}, float64), c.ref().get());
    first.step(g);
    Gradients h;
    h.add(Tensor::from({3.0 - step}, float64), d.ref().get());
    second.step(h);
  }
  BOOST_TEST(values(a) == values(c));
  BOOST_TEST(values(b) == values(d));
}

BOOST_FIXTURE_TEST_CASE(settings_change_for_one_group_or_for_all, TwoParameters) {
  optim::Adam adam({{{a}, {}}, {{b}, {.weight_decay = 0.1}}});
  adam.set_learning_rate(0.5);
  BOOST_TEST(adam.learning_rate(0) == 0.5);
  BOOST_TEST(adam.learning_rate(1) == 0.5);
  adam.set_learning_rate(0.25, 1);
  BOOST_TEST(adam.learning_rate(0) == 0.5);
  BOOST_TEST(adam.learning_rate(1) == 0.25);
  adam.set_betas(0.5, 0.75);
  BOOST_TEST(adam.options(1).beta1 == 0.5);
  BOOST_TEST(adam.options(1).weight_decay == 0.1);
  adam.set_options({.lr = 1}, 1);
  BOOST_TEST(adam.options(1).weight_decay == 0);
  BOOST_TEST(adam.options(0).beta2 == 0.75);
}

BOOST_FIXTURE_TEST_CASE(settings_out_of_range_are_named_and_change_nothing, TwoParameters) {
  optim::Adam adam({{{a}, {}}, {{b}, {.beta1 = 0.5}}});
  BOOST_TEST(message_of<ValueError>([&] { adam.set_options({.beta1 = 2}, 1); }) == "Adam, group 1: beta1 must be in [0, 1), but it is 2");
  BOOST_TEST(adam.options(1).beta1 == 0.5);
  BOOST_CHECK_THROW(adam.set_learning_rate(-1, 1), ValueError);
  BOOST_CHECK_THROW(adam.set_learning_rate(std::nan("")), ValueError);
  BOOST_TEST(adam.learning_rate(0) == 1e-3);
  BOOST_TEST(message_of<ShapeError>([&] { adam.set_learning_rate(1, 2); }) == "Adam: there is no group 2; the number of groups is 2");
  BOOST_CHECK_THROW((void)adam.options(2), ShapeError);
  BOOST_TEST(contains(message_of<ValueError>([&] { optim::Adam({{{a}, {}}, {{b}, {.lr = -1}}}); }), "Adam, group 1: lr"));
  BOOST_TEST(contains(message_of<Error>([&] { optim::Adam({{{a}, {}}, {ParameterList(), {}}}); }), "there are no parameters in group 1"));
  BOOST_TEST(contains(message_of<Error>([&] { optim::Adam({{{a}, {}}, {{b, a}, {}}}); }), "parameter a is listed twice"));
  BOOST_CHECK_THROW(optim::Adam(optim::ParameterGroups<optim::AdamOptions>()), Error);
}

BOOST_FIXTURE_TEST_CASE(a_step_clips, TwoParameters) {
  optim::SGD sgd({a, b}, {.lr = 1});
  const Gradients g = gradients({3, -0.5}, 4);
  sgd.step(g, {.clip_value = 1});
  BOOST_TEST(values(a) == (std::vector<double>{1 - 1, 2 + 0.5}));
  BOOST_TEST(values(b) == (std::vector<double>{3 - 1}));
  BOOST_TEST(g[a].to_vector<double>() == (std::vector<double>{3, -0.5}));  // the caller's stay

  const Parameter c(Tensor::from({0, 0}, float64)), d(Tensor::from({0, 0}, float64));
  Gradients by_hand;
  by_hand.add(Tensor::from({30, 40}, float64), d.ref().get());
  Gradients inside;
  inside.add(Tensor::from({30, 40}, float64), c.ref().get());
  by_hand.clip_norm(2);
  optim::SGD(ParameterList{d}, {.lr = 1}).step(by_hand);
  optim::SGD(ParameterList{c}, {.lr = 1}).step(inside, {.clip_norm = 2});
  BOOST_TEST(values(c) == values(d));
  BOOST_TEST(std::abs(std::hypot(values(c)[0], values(c)[1]) - 2) < 1e-6);
}

BOOST_FIXTURE_TEST_CASE(the_norm_is_of_the_optimizers_parameters, TwoParameters) {
  optim::SGD sgd({a}, {.lr = 1});
  sgd.step(gradients({0.5, 0}, 1e6), {.clip_norm = 1});
  BOOST_TEST(values(a) == (std::vector<double>{0.5, 2}));
  b.freeze();
  optim::SGD both({a, b}, {.lr = 1});
  both.step(gradients({0.5, 0}, 1e6), {.clip_norm = 1});
  BOOST_TEST(values(a) == (std::vector<double>{0, 2}));
}

BOOST_FIXTURE_TEST_CASE(gradients_that_are_not_finite_are_refused_when_asked, TwoParameters) {
  optim::Adam adam({a, b});
  for (const double wrong : {std::nan(""), kInfinity, -kInfinity}) {
    const std::string message = message_of<ValueError>([&] { adam.step(gradients({1, 1}, wrong), {.check_finite = true}); });
    BOOST_TEST(contains(message, "Adam: the gradient of parameter b has elements that are not finite"), message);
    BOOST_TEST(values(a) == (std::vector<double>{1, 2}));
    BOOST_TEST(adam.state().size() == 7u + 4u);  // settings, positions and counts
  }
  adam.step(gradients({1, 1}, 1), {.check_finite = true});
  BOOST_TEST(values(a)[0] < 1);
  adam.step(gradients({1, 1}, kInfinity));
  BOOST_TEST(std::isnan(values(b)[0]));
}

BOOST_FIXTURE_TEST_CASE(limits_that_are_not_positive_are_refused, TwoParameters) {
  optim::SGD sgd({a, b});
  for (const double wrong : {0.0, -1.0, std::nan("")}) {
    BOOST_CHECK_THROW(sgd.step(gradients({1, 1}, 1), {.clip_norm = wrong}), ValueError);
    BOOST_CHECK_THROW(sgd.step(gradients({1, 1}, 1), {.clip_value = wrong}), ValueError);
  }
  BOOST_TEST(contains(message_of<ValueError>([&] {
                        sgd.step(gradients({1, 1}, 1), {.clip_norm = 0});
                      }),
                      "SGD: clip_norm must be positive"));
  BOOST_TEST(values(a) == (std::vector<double>{1, 2}));
}
