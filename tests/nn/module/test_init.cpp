#include "nn/module/init.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "autodiff/ops.h"

using namespace wengert;
namespace init = nn::init;

namespace {

struct Weight {
  Generator generator{1};
  Parameter p{Tensor::zeros({400, 100})};

  std::vector<double> values() const { return p.value().to_vector<double>(); }
  double mean() const {
    double sum = 0;
    for (const double v : values()) sum += v;
    return sum / static_cast<double>(p.size());
  }
  double variance() const {
    double sum = 0;
    for (const double v : values()) sum += v * v;
    return sum / static_cast<double>(p.size());
  }
  double largest() const {
    double most = 0;
    for (const double v : values()) most = std::max(most, std::abs(v));
    return most;
  }
  // Mean 0 and the variance, and for a uniform distribution its limit sqrt(3 variance).
  void check_uniform(double expected) const {
    BOOST_TEST(std::abs(mean()) < 0.02 * std::sqrt(expected));
    BOOST_TEST(std::abs(variance() / expected - 1) < 0.02);
    BOOST_TEST(largest() <= std::sqrt(3 * expected) * (1 + 1e-6));
    BOOST_TEST(largest() > 0.999 * std::sqrt(3 * expected));
  }
  void check_normal(double expected) const {
    BOOST_TEST(std::abs(mean()) < 0.02 * std::sqrt(expected));
    BOOST_TEST(std::abs(variance() / expected - 1) < 0.03);
    BOOST_TEST(largest() > 3.5 * std::sqrt(expected));
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(fans_of_linear_and_convolution_weights) {
  BOOST_TEST(init::fans({3, 5}).in == 5);
  BOOST_TEST(init::fans({3, 5}).out == 3);
  BOOST_TEST(init::fans({16, 8, 5, 3}).in == 8 * 15);
  BOOST_TEST(init::fans({16, 8, 5, 3}).out == 16 * 15);
  BOOST_CHECK_THROW(init::fans({3}), ShapeError);
}

BOOST_FIXTURE_TEST_CASE(constant, Weight) {
  init::constant(p, 2.5);
  BOOST_TEST(mean() == 2.5);
  BOOST_TEST(variance() == 6.25);
}

BOOST_FIXTURE_TEST_CASE(uniform, Weight) {
  init::uniform(p, -0.5, 0.5, generator);
  check_uniform(1.0 / 12);
}

BOOST_FIXTURE_TEST_CASE(normal, Weight) {
  init::normal(p, 0, 0.2, generator);
  check_normal(0.04);
}

BOOST_FIXTURE_TEST_CASE(xavier, Weight) {
  init::xavier_uniform(p, generator);
  check_uniform(2.0 / 500);
  init::xavier_uniform(p, generator, {.gain = 3});
  check_uniform(9 * 2.0 / 500);
  init::xavier_normal(p, generator, {.gain = init::kTanhGain});
  check_normal(25.0 / 9 * 2 / 500);
}

BOOST_FIXTURE_TEST_CASE(kaiming, Weight) {
  init::kaiming_uniform(p, generator);
  check_uniform(2.0 / 100);
  init::kaiming_uniform(p, generator, {.mode = init::Fan::out});
  check_uniform(2.0 / 400);
  init::kaiming_normal(p, generator);
  check_normal(2.0 / 100);
  init::kaiming_normal(p, generator, {.mode = init::Fan::out, .gain = 1});
  check_normal(1.0 / 400);
}

BOOST_FIXTURE_TEST_CASE(shape_dtype_and_identity_stay, Weight) {
  p.set(p.value().to(float64));
  const ParameterRef identity = p.ref();
  init::xavier_uniform(p, generator);
  BOOST_TEST((p.dtype() == float64));
  BOOST_TEST((p.shape() == Shape{400, 100}));
  BOOST_TEST((p.ref() == identity));
}

BOOST_FIXTURE_TEST_CASE(the_generator_decides, Weight) {
  Weight other;
  init::normal(p, 0, 1, generator);
  init::normal(other.p, 0, 1, other.generator);
  BOOST_TEST(values() == other.values());
  init::normal(other.p, 0, 1, other.generator);
  BOOST_TEST(values() != other.values());
}

BOOST_AUTO_TEST_CASE(orthogonal_rows_or_columns) {
  for (const Shape& shape : {Shape{3, 5}, Shape{5, 3}, Shape{4, 4}, Shape{2, 3, 2}}) {
    Generator generator(3);
    Parameter p(Tensor::zeros(shape, float64));
    init::orthogonal(p, generator, {.gain = 2});
    const Index rows = shape[0], columns = shape.size() / rows;
    const Tensor m = reshape(p.value(), {rows, columns});
    const Tensor product = rows <= columns ? matmul(m, transpose(m)) : matmul(transpose(m), m);
    const double error = max(abs(product - 4 * Tensor::eye(std::min(rows, columns), float64))).item();
    BOOST_TEST(error < 1e-14 * 4);
  }
  Generator generator(1);
  Parameter vector(Tensor::zeros({3}));
  BOOST_CHECK_THROW(init::orthogonal(vector, generator), ShapeError);
}

BOOST_AUTO_TEST_CASE(truncated_normal_stays_inside_and_keeps_its_form) {
  Weight w;
  init::truncated_normal(w.p, w.generator, {.mean = 1, .stddev = 0.5, .low = 0, .high = 2});
  for (const double v : w.values()) BOOST_REQUIRE((v >= 0 && v <= 2));
  BOOST_TEST(std::abs(w.mean() - 1) < 0.01);
  // Of a standard normal cut at +-2 the variance is 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737.
  BOOST_TEST(std::abs(w.variance() - 1 - 0.25 * 0.7737) < 0.01);
  // Far in the tail the mean is that of an exponential distribution, about low + 1 / low.
  init::truncated_normal(w.p, w.generator, {.low = 8, .high = 100});
  for (const double v : w.values()) BOOST_REQUIRE(v >= 8);
  BOOST_TEST(std::abs(w.mean() - 8.12) < 0.01);
  BOOST_CHECK_THROW(init::truncated_normal(w.p, w.generator, {.low = 2, .high = 2}), Error);
  BOOST_CHECK_THROW(init::truncated_normal(w.p, w.generator, {.low = 50, .high = 60}), Error);
  BOOST_CHECK_THROW(init::truncated_normal(w.p, w.generator, {.stddev = 0}), Error);
}
