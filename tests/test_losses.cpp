#define BOOST_TEST_MODULE losses
#include "nn/losses.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "autodiff/tape.h"

using namespace wengert;
using nn::Reduction;

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
    BOOST_TEST(message.find("mse at test_losses.cpp:") == 0u, message);
    BOOST_TEST(message.find("prediction (3, 1) float32") != std::string::npos, message);
    BOOST_TEST(message.find("hint: reshape(target, prediction.shape())") != std::string::npos, message);
  }
  BOOST_CHECK_THROW(nn::mse(prediction, Tensor::zeros({3, 2})), DtypeError);
}
