#include "nn/losses.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/transforms/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::Reduction;
using testing::begins_at, testing::contains, testing::message_of;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

const Tensor prediction = Tensor::from({{1, 2}, {3, 5}, {0, -1}}, float64), target = Tensor::from({{0, 2}, {1, 1}, {0, 2}}, float64);

}  // namespace

// The differences are (1, 0), (2, 4), (0, -3).
BOOST_AUTO_TEST_CASE(half_squared_error_sums_over_outputs_and_averages_over_records) {
  BOOST_TEST(values(nn::half_squared_error(prediction, target, {.reduction = Reduction::none})) == (std::vector<double>{0.5, 10, 4.5}));
  BOOST_TEST(nn::half_squared_error(prediction, target, {.reduction = Reduction::sum}).item() == 15);
  BOOST_TEST(nn::half_squared_error(prediction, target).item() == 5);
}

BOOST_AUTO_TEST_CASE(half_squared_error_of_vectors_and_numbers) {
  const Tensor p = Tensor::from({1, 2, 3}), t = Tensor::from({0, 0, 0});
  BOOST_TEST(values(nn::half_squared_error(p, t, {.reduction = Reduction::none})) == (std::vector<double>{0.5, 2, 4.5}));
  BOOST_TEST(std::abs(nn::half_squared_error(p, t).item() - 7.0 / 3) < 1e-6);
  BOOST_TEST(nn::half_squared_error(Tensor::full({}, 3), Tensor::full({}, 1)).item() == 2);
}

BOOST_AUTO_TEST_CASE(half_squared_error_has_the_slides_mean_gradient) {
  Tape tape;
  const Tensor p = tape.variable(prediction);
  const auto gradient = values(tape.gradient(nn::half_squared_error(p, target), p));
  const std::vector<double> difference{1, 0, 2, 4, 0, -3};
  for (std::size_t i = 0; i < difference.size(); ++i) BOOST_TEST(std::abs(gradient[i] - difference[i] / 3) < 1e-15);
}

BOOST_AUTO_TEST_CASE(mse_averages_over_all_elements) {
  BOOST_TEST(nn::mse(prediction, target).item() == 5);
  BOOST_TEST(nn::mse(prediction, target, {.reduction = Reduction::sum}).item() == 30);
  const Tensor each = nn::mse(prediction, target, {.reduction = Reduction::none});
  BOOST_TEST((each.shape() == Shape{3, 2}));
  BOOST_TEST(values(each) == (std::vector<double>{1, 0, 4, 16, 0, 9}));
}

// The differences are (1, 0), (2, 4), (0, -3).
BOOST_AUTO_TEST_CASE(losses_of_distances) {
  const auto of = [](const Tensor& losses) { return values(losses); };
  BOOST_TEST(of(nn::l1(prediction, target, {Reduction::none})) == (std::vector<double>{1, 0, 2, 4, 0, 3}));
  BOOST_TEST(nn::l1(prediction, target, {Reduction::batch_mean}).item() == 10.0 / 3);
  BOOST_TEST(of(nn::smooth_l1(prediction, target, {Reduction::none, 2})) == (std::vector<double>{0.25, 0, 1, 3, 0, 2}));
  BOOST_TEST(of(nn::smooth_l1(prediction, target, {Reduction::none, 0})) == (std::vector<double>{1, 0, 2, 4, 0, 3}));
  BOOST_TEST(of(nn::huber(prediction, target, {Reduction::none, 2})) == (std::vector<double>{0.5, 0, 2, 6, 0, 4}));
  BOOST_TEST(nn::huber(prediction, target).item() == (0.5 + 1.5 + 3.5 + 2.5) / 6);
}

BOOST_AUTO_TEST_CASE(losses_of_distances_have_no_slope_at_their_zero_and_none_too_many_at_their_edge) {
  const auto slopes = [](auto&& loss) {
    Tape tape;
    const Tensor x = tape.variable(Tensor::from({0, 1, -1, 3}, float64));
    return values(tape.gradient(sum(loss(x, Tensor::zeros({4}, float64))), x));
  };
  BOOST_TEST(slopes([](const Tensor& x, const Tensor& t) { return nn::l1(x, t); }) == (std::vector<double>{0, 0.25, -0.25, 0.25}));
  BOOST_TEST(slopes([](const Tensor& x, const Tensor& t) { return nn::smooth_l1(x, t, {Reduction::sum}); }) ==
             (std::vector<double>{0, 1, -1, 1}));
  BOOST_TEST(slopes([](const Tensor& x, const Tensor& t) {
               return nn::smooth_l1(x, t, {Reduction::sum, 0});
             }) == (std::vector<double>{0, 1, -1, 1}));
  BOOST_TEST(slopes([](const Tensor& x, const Tensor& t) { return nn::huber(x, t, {Reduction::sum}); }) ==
             (std::vector<double>{0, 1, -1, 1}));
}

BOOST_AUTO_TEST_CASE(bce_of_a_sigmoid_is_bce_with_logits) {
  const Tensor x = Tensor::from({-3, -0.5, 0, 2}, float64), t = Tensor::from({0, 1, 0.25, 1}, float64);
  const Tensor w = Tensor::from({1, 2, 3, 4}, float64);
  const auto a = values(nn::bce(sigmoid(x), t, {.reduction = Reduction::none, .weight = w}));
  const auto b = values(nn::bce_with_logits(x, t, {.reduction = Reduction::none, .weight = w}));
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST(std::abs(a[i] - b[i]) < 1e-13);
  const Tensor doubled = nn::bce_with_logits(x, Tensor::ones({4}, float64), {.pos_weight = Tensor::full({1}, 2, float64)});
  BOOST_TEST(std::abs(doubled.item() - 2 * nn::bce_with_logits(x, Tensor::ones({4}, float64)).item()) < 1e-15);
}

// Edge cases 63 and 64.
BOOST_AUTO_TEST_CASE(losses_of_probabilities_at_their_limits) {
  const auto with_slope = [](auto&& loss, double x, double t, Dtype dtype) {
    Tape tape;
    const Tensor v = tape.variable(Tensor::full({1}, x, dtype)), y = loss(v, Tensor::full({1}, t, dtype));
    return std::vector<double>{y.item(), tape.gradient(y, v).item()};
  };
  const auto logits = [](const Tensor& x, const Tensor& t) { return nn::bce_with_logits(x, t); };
  const auto probability = [](const Tensor& x, const Tensor& t) { return nn::bce(x, t); };
  for (const Dtype dtype : {float64, float32}) {
    BOOST_TEST(with_slope(logits, -100, 1, dtype) == (std::vector<double>{100, -1}));
    BOOST_TEST(with_slope(logits, 1e4, 1, dtype) == (std::vector<double>{0, 0}));
    BOOST_TEST(with_slope(logits, -1e4, 1, dtype) == (std::vector<double>{1e4, -1}));
    BOOST_TEST(with_slope(probability, 0, 1, dtype) == (std::vector<double>{100, 0}));
    BOOST_TEST(with_slope(probability, 1, 0, dtype) == (std::vector<double>{100, 0}));
    BOOST_TEST(with_slope(probability, 1, 1, dtype) == (std::vector<double>{0, -1}));
  }
}

// Edge case 66.
BOOST_AUTO_TEST_CASE(kl_div_is_zero_where_the_target_is) {
  const Tensor log_p = log_softmax(Tensor::from({{1, 2}, {0, 3}}, float64)), t = Tensor::from({{0, 1}, {0.5, 0.5}}, float64);
  const auto each = values(nn::kl_div(log_p, t, {.reduction = Reduction::none}));
  BOOST_TEST(each[0] == 0);
  BOOST_TEST(std::abs(each[2] - 0.5 * (std::log(0.5) - log_p.at({1, 0}))) < 1e-15);
  double total = 0;
  for (const double v : each) total += v;
  BOOST_TEST(std::abs(nn::kl_div(log_p, t, {.reduction = Reduction::batch_mean}).item() - total / 2) < 1e-15);
  BOOST_TEST(std::abs(nn::kl_div(log_p, log_p, {.log_target = true}).item()) == 0);
}

BOOST_AUTO_TEST_CASE(class_weights_smoothing_and_ignored_labels) {
  const Tensor x = Tensor::from({{1, 2, 0}, {0, -1, 3}, {2, 2, 1}}, float64), log_p = log_softmax(x);
  const Tensor labels = Tensor::from({1, -100, 2}, int64), weight = Tensor::from({1, 2, 4}, float64);
  const double first = -2 * log_p.at({0, 1}), last = -4 * log_p.at({2, 2});
  const auto near = [](const Tensor& a, double b) { BOOST_TEST(std::abs(a.item() - b) < 1e-14); };
  near(nn::cross_entropy(x, labels, {.class_weight = weight}), (first + last) / 6);
  near(nn::cross_entropy(x, labels, {.reduction = Reduction::sum, .class_weight = weight}), first + last);
  near(nn::cross_entropy(x, labels, {.reduction = Reduction::batch_mean}), (first / 2 + last / 4) / 3);
  near(nn::nll(log_p, labels, {.class_weight = weight}), (first + last) / 6);
  const Tensor smooth = nn::cross_entropy(x, labels, {.reduction = Reduction::none, .label_smoothing = 0.3});
  near(select(smooth, 0, 0), 0.7 * first / 2 - 0.1 * sum(select(log_p, 0, 0)).item());
  BOOST_TEST(select(smooth, 0, 1).item() == 0);
  const Tensor one_hot_target = Tensor::from({{0, 1, 0}, {0, 0, 1}, {1, 0, 0}}, float64);
  near(nn::cross_entropy(x, one_hot_target), nn::cross_entropy(x, Tensor::from({1, 2, 0}, int64)).item());
}

BOOST_AUTO_TEST_CASE(cross_entropy_of_even_logits_is_the_logarithm_of_the_classes) {
  const Tensor labels = Tensor::from({0, 2}, int64);
  BOOST_TEST(std::abs(nn::cross_entropy(Tensor::zeros({2, 4}, float64), labels).item() - std::log(4.0)) < 1e-15);
}

BOOST_AUTO_TEST_CASE(shapes_must_agree) {
  BOOST_CHECK_THROW(nn::half_squared_error(prediction, Tensor::zeros({3}, float64)), ShapeError);
  try {
    nn::mse(Tensor::zeros({3, 1}), Tensor::zeros({3}));
    BOOST_ERROR("no error");
  } catch (const ShapeError& e) {
    const std::string message = e.what();
    BOOST_TEST(begins_at(message, "test_losses.cpp", "mse: "));
    BOOST_TEST(message.find("prediction (3, 1) float32") != std::string::npos, message);
    BOOST_TEST(message.find("hint: reshape(target, prediction.shape())") != std::string::npos, message);
  }
  BOOST_CHECK_THROW(nn::mse(prediction, Tensor::zeros({3, 2})), DtypeError);
  const auto begins = [](auto&& loss, const std::string& name) {
    const std::string told = testing::message_of<ShapeError>(loss);
    BOOST_TEST(begins_at(told, "test_losses.cpp", name + ": "));
  };
  const Tensor a = Tensor::zeros({3, 1}), b = Tensor::zeros({3});
  begins([&] { nn::l1(a, b); }, "l1");
  begins([&] { nn::smooth_l1(a, b); }, "smooth_l1");
  begins([&] { nn::huber(a, b); }, "huber");
  begins([&] { nn::bce(a, b); }, "bce");
  begins([&] { nn::bce(a, a, {.weight = Tensor::zeros({2})}); }, "bce");
  begins([&] { nn::bce_with_logits(a, b); }, "bce_with_logits");
  begins([&] { nn::bce_with_logits(a, a, {.pos_weight = Tensor::zeros({3, 2})}); }, "bce_with_logits");
  begins([&] { nn::kl_div(a, b); }, "kl_div");
}

BOOST_AUTO_TEST_CASE(options_must_be_in_range) {
  const Tensor a = Tensor::zeros({3, 1});
  const std::string line = std::to_string(__LINE__ + 1);
  const std::string beta = testing::message_of<ValueError>([&] { nn::smooth_l1(a, a, {.beta = -1}); });
  BOOST_TEST(beta == "test_losses.cpp:" + line + ": smooth_l1: beta must be finite and not negative, but it is -1");
  const std::string delta = testing::message_of<ValueError>([&] { nn::huber(a, a, {.delta = 0}); });
  BOOST_TEST(delta == "test_losses.cpp:" + std::to_string(__LINE__ - 1) + ": huber: delta must be finite and positive, but it is 0");
  BOOST_CHECK_THROW(nn::smooth_l1(a, a, {.beta = std::nan("")}), ValueError);
  BOOST_CHECK_THROW(nn::huber(a, a, {.delta = std::nan("")}), ValueError);
}

BOOST_AUTO_TEST_CASE(bce_refuses_what_is_no_probability) {
  const Tensor y = Tensor::from({0, 1});
  for (const double wrong : {-0.001, 1.001, 3.0, -HUGE_VAL}) {
    for (const Dtype dtype : {float32, float64}) {
      const Tensor x = Tensor::from({0.5, wrong}).to(dtype);
      const std::string message = message_of<ValueError>([&] { nn::bce(x, y.to(dtype)); });
      BOOST_TEST(begins_at(message, "test_losses.cpp", "bce: "));
      BOOST_TEST(contains(message, "the prediction must be probabilities in [0, 1]"));
      BOOST_TEST(contains(message, "bce_with_logits"));
    }
  }
  const Tensor edges = Tensor::from({1, 0});
  BOOST_TEST(nn::bce(edges, y).item() == 100);
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({0.5, 2}));
  BOOST_CHECK_THROW(nn::bce(x, y), ValueError);
  BOOST_TEST(tape.nodes() == 0u);
  BOOST_CHECK_NO_THROW(nn::bce(select(Tensor::from({{0.25, 7}, {0.75, 9}}), 1, 0), y));  // what lies between the elements is not read
}

BOOST_AUTO_TEST_CASE(bce_passes_nan_on) {
  const Tensor p = Tensor::from({NAN, 0.5, NAN}, float64), y = Tensor::from({0, 1, 1}, float64);
  const std::vector<double> losses = values(nn::bce(p, y, {.reduction = Reduction::none}));
  BOOST_TEST(std::isnan(losses[0]));
  BOOST_TEST(std::abs(losses[1] - std::log(2)) < 1e-15);
  BOOST_TEST(std::isnan(losses[2]));
}

BOOST_AUTO_TEST_CASE(dtypes_are_asked_before_anything_is_recorded) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::full({2}, 0.5)), y = Tensor::ones({2}, float64);
  const std::size_t nodes = tape.nodes();
  BOOST_CHECK_THROW(nn::bce(x, y), DtypeError);
  BOOST_CHECK_THROW(nn::bce_with_logits(x, Tensor::ones({2}), {.weight = y}), DtypeError);
  BOOST_CHECK_THROW(nn::kl_div(x, y), DtypeError);
  BOOST_TEST(tape.nodes() == nodes);
}

BOOST_AUTO_TEST_CASE(what_has_the_probability_0_counts_nothing) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Tensor impossible = Tensor::from({-kInfinity, 0}, float64), never = Tensor::from({0, 1}, float64);
  const auto check = [](const auto& loss, const Tensor& x, double value, const std::vector<double>& slope) {
    BOOST_TEST(loss(x).item() == value);
    BOOST_TEST(values(gradient(loss, x)) == slope);
    BOOST_TEST(values(hvp(loss, x, Tensor::ones(x.shape(), float64))) == (std::vector<double>{0, 0}));
  };
  const nn::KlDivOptions plain{.reduction = Reduction::sum}, of_log{.reduction = Reduction::sum, .log_target = true};
  check([&](const Tensor& x) { return nn::kl_div(x, never, plain); }, impossible, 0, {0, -1});
  check([&](const Tensor& x) { return nn::kl_div(x, impossible, of_log); }, impossible, 0, {0, -1});
  check([&](const Tensor& x) { return nn::kl_div(x, impossible, of_log); }, Tensor::from({-2, 0}, float64), 0, {0, -1});
  BOOST_TEST(nn::kl_div(impossible, Tensor::from({1, 0}, float64), plain).item() == kInfinity);
  check(
      [&](const Tensor& x) {
        return nn::bce_with_logits(x, Tensor::from({1, 0}, float64), {.reduction = Reduction::sum});
      },
      Tensor::from({kInfinity, -kInfinity}, float64), 0, {0, 0});
  check(
      [&](const Tensor& x) {
        return nn::bce_with_logits(x, Tensor::from({0, 1}, float64), {.reduction = Reduction::sum});
      },
      Tensor::from({kInfinity, -kInfinity}, float64), kInfinity, {1, -1});
  const Tensor weight = Tensor::from({0, 1}, float64);
  BOOST_TEST(nn::bce_with_logits(Tensor::from({kInfinity, 0}, float64), Tensor::from({0, 1}, float64),
                                 {.reduction = Reduction::sum, .weight = weight})
                 .item() == std::log(2.0));
}

BOOST_AUTO_TEST_CASE(losses_of_distances_far_out) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Tensor zero = Tensor::zeros({2}, float64);
  for (const double far : {1e200, kInfinity}) {
    const Tensor x = Tensor::from({far, -far}, float64);
    for (const auto& loss : {std::function([&](const Tensor& p) {
                               return nn::smooth_l1(p, zero, {Reduction::sum, 1});
                             }),
                             std::function([&](const Tensor& p) {
                               return nn::huber(p, zero, {Reduction::sum, 1});
                             })}) {
      BOOST_TEST(loss(x).item() == 2 * far);
      BOOST_TEST(values(gradient(loss, x)) == (std::vector<double>{1, -1}));
      BOOST_TEST(values(hvp(loss, x, Tensor::ones({2}, float64))) == (std::vector<double>{0, 0}));
    }
  }
}

BOOST_AUTO_TEST_CASE(softmax_before_cross_entropy_is_a_mistake) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({{1, 2}, {3, 0}})), labels = Tensor::from(std::vector<int>{0, 1});
  const std::string message = message_of<ValueError>([&] { nn::cross_entropy(softmax(x), labels); });
  BOOST_TEST(contains(message, "cross_entropy: the logits are probabilities, the result of softmax"), message);
  BOOST_TEST(contains(message, "leave softmax out of the model"), message);
  BOOST_CHECK_THROW(nn::cross_entropy(softmax(x), softmax(x)), ValueError);
  // What only passes through a softmax, or lies apart from it, is no mistake; nor is log_softmax, which changes nothing.
  nn::cross_entropy(softmax(x) * 2, labels);
  nn::cross_entropy(x, softmax(x).constant());
  BOOST_TEST(std::abs(nn::cross_entropy(log_softmax(x), labels).item() - nn::cross_entropy(x, labels).item()) < 1e-6);
}

BOOST_AUTO_TEST_CASE(an_element_of_weight_0_may_hold_anything) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const Dtype dtype : {float32, float64}) {
    const Tensor weight = Tensor::from({0, 2}, dtype), ones = Tensor::ones({2}, dtype);
    for (const double held : {nan, infinity, -infinity}) {
      for (const double label : {0.0, 1.0, held}) {
        const Tensor x = Tensor::from({held, 1}, dtype), t = Tensor::from({label, 1}, dtype);
        const auto loss = [&](const Tensor& v) { return nn::bce_with_logits(v, t, {.reduction = Reduction::sum, .weight = weight}); };
        const auto alone = [&](const Tensor& v) { return 2 * nn::bce_with_logits(v, slice(t, 0, 1, 2), {.reduction = Reduction::sum}); };
        const Tensor rest = slice(x, 0, 1, 2), one = slice(ones, 0, 1, 2);
        BOOST_TEST(values(loss(x)) == values(alone(rest)));
        BOOST_TEST(values(gradient(loss, x)) == (std::vector<double>{0, gradient(alone, rest).item()}));
        BOOST_TEST(values(jvp(loss, x, ones)) == values(jvp(alone, rest, one)));
        BOOST_TEST(values(hvp(loss, x, ones)) == (std::vector<double>{0, hvp(alone, rest, one).item()}));
      }
    }
    const Tensor p = Tensor::from({nan, 0.5}, dtype), t = Tensor::from({1, 1}, dtype);
    const auto loss = [&](const Tensor& v) { return nn::bce(v, t, {.reduction = Reduction::sum, .weight = weight}); };
    BOOST_TEST(std::abs(loss(p).item() - 2 * std::log(2)) < 1e-6);
    BOOST_TEST(values(gradient(loss, p)) == (std::vector<double>{0, -4}));
    BOOST_TEST(std::isnan(nn::bce(p, t).item()));
  }
}
