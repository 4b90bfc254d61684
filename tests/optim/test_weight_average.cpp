#include "optim/weight_average.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "optim/state.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

struct Weights {
  Parameter a{Tensor::from({1, 2}, float64), "a"}, b{Tensor::from({3}), "b"};

  void set(double x) {
    a.set(Tensor::from({x, 2 * x}, float64));
    b.set(Tensor::from({3 * x}));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(ema_decays, Weights) {
  optim::EMA ema({a, b}, {.decay = 0.75});
  double expected = 0;
  for (const double x : {1.0, 3.0, -2.0}) {
    set(x);
    ema.update();
    expected = x == 1 ? x : 0.75 * expected + 0.25 * x;
    BOOST_TEST(values(ema.average(0)) == (std::vector<double>{expected, 2 * expected}));
    BOOST_TEST(values(ema.average(1)) == (std::vector<double>{3 * expected}));
    BOOST_TEST(values(a.value()) == (std::vector<double>{x, 2 * x}));
  }
  BOOST_TEST(ema.updates() == 3);
}

BOOST_FIXTURE_TEST_CASE(ema_can_warm_up, Weights) {
  optim::EMA ema({a}, {.decay = 0.25, .warmup = true});
  ema.update();
  set(12);
  ema.update();  // decay 2 / 11
  BOOST_TEST(values(ema.average(0))[0] == 2.0 / 11 + 9.0 / 11 * 12, boost::test_tools::tolerance(1e-14));
  ema.update();  // decay 3 / 12
  ema.update();  // 0.25, not 4 / 13
  const double second = 2.0 / 11 + 9.0 / 11 * 12;
  BOOST_TEST(values(ema.average(0))[0] == 0.0625 * second + 0.9375 * 12, boost::test_tools::tolerance(1e-14));
}

BOOST_FIXTURE_TEST_CASE(swa_is_the_mean, Weights) {
  optim::SWA swa({a, b});
  for (const double x : {1.0, 3.0, 8.0}) {
    set(x);
    swa.update();
  }
  BOOST_TEST(values(swa.average(0))[0] == 4, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(values(swa.average(1))[0] == 12, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(large_weights_are_averaged_as_small_ones) {
  const Index n = 100'001;
  const Parameter large(Tensor::full({n}, 1.0)), small(Tensor::full({3}, 1.0));
  optim::EMA of_large({large}, {.decay = 0.9}), of_small({small}, {.decay = 0.9});
  for (int step = 0; step < 3; ++step) {
    const_cast<Parameter&>(large).set(Tensor::full({n}, 0.1 * step));
    const_cast<Parameter&>(small).set(Tensor::full({3}, 0.1 * step));
    of_large.update();
    of_small.update();
  }
  for (const double v : values(of_large.average(0))) BOOST_REQUIRE(v == values(of_small.average(0))[0]);
}

BOOST_FIXTURE_TEST_CASE(weights_and_averages_are_exchanged_and_back, Weights) {
  optim::EMA ema({a, b}, {.decay = 0.5});
  BOOST_CHECK_THROW(ema.exchange(), Error);
  ema.update();
  set(3);
  ema.update();
  ema.exchange();
  BOOST_TEST(ema.exchanged());
  BOOST_TEST(values(a.value()) == (std::vector<double>{2, 4}));
  BOOST_TEST(contains(message_of<Error>([&] { ema.update(); }), "EMA: the parameters have the averages now"));
  BOOST_CHECK_THROW((void)ema.state(), Error);
  ema.exchange();
  BOOST_TEST(values(a.value()) == (std::vector<double>{3, 6}));
  BOOST_TEST(values(ema.average(0)) == (std::vector<double>{2, 4}));
  ema.update();
  BOOST_TEST(values(ema.average(0)) == (std::vector<double>{2.5, 5}));
}

BOOST_FIXTURE_TEST_CASE(a_state_resumes_to_the_bit_and_refuses_what_does_not_fit, Weights) {
  optim::SWA first({a, b}), second({a, b});
  for (const double x : {1.0, 0.3}) {
    set(x);
    first.update();
  }
  second.load_state(first.state());
  set(0.7);
  first.update();
  second.update();
  BOOST_TEST(values(first.average(0)) == values(second.average(0)));
  BOOST_TEST(values(first.average(1)) == values(second.average(1)));
  optim::EMA ema({a, b});
  BOOST_TEST(contains(message_of<DataError>([&] { ema.load_state(first.state()); }), "not the state of EMA"));
  std::vector<NamedTensor> state = first.state();
  state.back().value = Tensor::zeros({2});
  BOOST_TEST(contains(message_of<DataError>([&] { second.load_state(state); }), "SWA.parameters.b.average is (2,) float32"));
  state.pop_back();
  BOOST_TEST(contains(message_of<DataError>([&] { second.load_state(state); }), "SWA.parameters.b.average is missing"));
  BOOST_TEST(values(first.average(1)) == values(second.average(1)));
}

BOOST_FIXTURE_TEST_CASE(wrong_parameters_and_options_are_errors, Weights) {
  BOOST_CHECK_THROW(optim::EMA({a}, {.decay = 1}), ValueError);
  BOOST_CHECK_THROW(optim::EMA({a}, {.decay = -0.5}), ValueError);
  BOOST_CHECK_THROW(optim::SWA{ParameterList()}, Error);
  BOOST_CHECK_THROW(optim::SWA({a, b, a}), Error);
  optim::EMA ema({a, b});
  ema.update();
  b.set(Tensor::zeros({2}));
  BOOST_TEST(contains(message_of<ShapeError>([&] { ema.update(); }), "EMA: parameter b is (2,) float32 and its average (1,) float32"));
  b.set(Tensor::zeros({1}, float64));
  BOOST_CHECK_THROW(ema.update(), DtypeError);
  BOOST_TEST(ema.updates() == 1);
}
