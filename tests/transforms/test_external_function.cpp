// External functions: what a block keeps, when it is called, and what it cannot do.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;
namespace tt = boost::test_tools;

namespace {

// y = (x_0 x_1, sin x_0), with a trace of its life.
struct Calls {
  int forward = 0, vjp = 0, jvp = 0, destroyed = 0;
};
struct Block {
  static constexpr const char* name = "block";
  std::shared_ptr<Calls> calls;
  std::vector<double> kept = {};
  std::unique_ptr<int> handle = std::make_unique<int>(7);  // state that is no value and cannot be copied

  explicit Block(std::shared_ptr<Calls> c) : calls(std::move(c)) {}
  Block(Block&&) = default;
  ~Block() {
    if (calls) ++calls->destroyed;
  }
  std::vector<double> forward(std::span<const double> x) {
    ++calls->forward;
    kept.assign(x.begin(), x.end());
    return {x[0] * x[1], std::sin(x[0])};
  }
  void vjp(std::span<const double> y_bar, std::span<double> x_bar) {
    ++calls->vjp;
    x_bar[0] = y_bar[0] * kept[1] + y_bar[1] * std::cos(kept[0]);
    x_bar[1] = y_bar[0] * kept[0];
  }
  void jvp(std::span<const double> x_dot, std::span<double> y_dot) {
    ++calls->jvp;
    y_dot[0] = x_dot[0] * kept[1] + kept[0] * x_dot[1];
    y_dot[1] = std::cos(kept[0]) * x_dot[0];
  }
};

// Doubles its operands; no forward mode.
struct Twice {
  static constexpr const char* name = "twice";
  std::vector<double> forward(std::span<const double> x) {
    std::vector<double> y(x.begin(), x.end());
    for (double& e : y) e *= 2;
    return y;
  }
  void vjp(std::span<const double> y_bar, std::span<double> x_bar) {
    for (std::size_t i = 0; i < y_bar.size(); ++i) x_bar[i] = 2 * y_bar[i];
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_block_is_called_once_and_keeps_its_state_until_the_records_are_consumed) {
  const auto calls = std::make_shared<Calls>();
  Tape tape;
  const Scalar a = tape.variable(0.7), b = tape.variable(-1.3);
  const std::vector<Scalar> y = external_function(Block(calls), std::vector{a, b});
  BOOST_TEST(y[0].value() == 0.7 * -1.3);
  BOOST_TEST(y[1].value() == std::sin(0.7));
  const int moved_from = calls->destroyed;
  const auto [a_bar, b_bar] = tape.gradient(Scalar(3 * y[0] + y[1] * y[1]), wrt(a, b), {.retain = true});
  BOOST_TEST(a_bar == 3 * -1.3 + 2 * std::sin(0.7) * std::cos(0.7), tt::tolerance(1e-14));
  BOOST_TEST(b_bar == 3 * 0.7, tt::tolerance(1e-14));
  BOOST_TEST(calls->destroyed == moved_from);
  BOOST_TEST(tape.gradient(y[1], a) == std::cos(0.7), tt::tolerance(1e-14));
  BOOST_TEST(calls->destroyed == moved_from + 1);
  BOOST_TEST(calls->forward == 1);
  BOOST_TEST(calls->vjp == 2);
}

BOOST_AUTO_TEST_CASE(forward_mode) {
  const auto calls = std::make_shared<Calls>();
  Tape tape;
  const Scalar a = tape.variable(0.7), b = tape.variable(-1.3);
  const std::vector<Scalar> y = external_function(Block(calls), std::vector{a, b});
  const Tensor one = Tensor::full({}, 1, float64), two = Tensor::full({}, 2, float64);
  BOOST_TEST(tape.jvp(y[0], wrt(a, b), {one, two}) == -1.3 + 2 * 0.7, tt::tolerance(1e-14));
  BOOST_TEST(calls->jvp == 1);
  const Scalar z = external_function(Twice(), std::vector{a})[0];
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.jvp(z, wrt(a), {one}); }), "twice: forward mode needs a jvp"));
}

BOOST_AUTO_TEST_CASE(constants_are_not_recorded) {
  const auto calls = std::make_shared<Calls>();
  {
    Tape tape;
    const std::vector<Scalar> y = external_function(Block(calls), std::vector<Scalar>{0.7, -1.3});
    BOOST_TEST(tape.nodes() == 0u);
    BOOST_TEST(y[0].number() == 0u);
    const Scalar a = tape.variable(0.7);
    const NoRecord pause;
    BOOST_TEST(external_function(Block(calls), std::vector<Scalar>{a, -1.3})[0].number() == 0u);
  }
  BOOST_TEST(external_function(Block(calls), std::vector<Scalar>{0.7, -1.3})[1].value() == std::sin(0.7));
  BOOST_TEST(calls->vjp == 0);
}

BOOST_AUTO_TEST_CASE(some_operands_constant_and_one_twice) {
  Tape tape;
  const Scalar a = tape.variable(0.7);
  const auto calls = std::make_shared<Calls>();
  const std::vector<Scalar> square = external_function(Block(calls), std::vector<Scalar>{a, a}),
                            line = external_function(Block(calls), std::vector<Scalar>{a, 4.0});
  BOOST_TEST(tape.gradient(Scalar(square[0] + line[0]), a) == 2 * 0.7 + 4, tt::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(several_blocks_in_a_chain) {
  Tape tape;
  const Scalar a = tape.variable(1.5);
  std::vector<Scalar> x{a};
  for (int k = 0; k < 5; ++k) x = external_function(Twice(), x);
  BOOST_TEST(x[0].value() == 48);
  BOOST_TEST(tape.gradient(x[0], a) == 32);
}

BOOST_AUTO_TEST_CASE(second_derivatives_are_refused) {
  Tape tape({.higher_order = true});
  const Scalar a = tape.variable(1.5);
  const Scalar y = external_function(Twice(), std::vector{a})[0];
  BOOST_TEST(tape.gradient(Scalar(y * y), wrt(a), {.retain = true}) == 12, tt::tolerance(1e-14));
  BOOST_TEST(
      contains(message_of<TapeError>([&] { tape.differentiable_gradient(Scalar(y * y), a); }), "twice: there is no second derivative"));
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_block_leaves_the_tape_as_it_was) {
  struct Fails {
    const char* name = "fails";
    std::vector<double> forward(std::span<const double>) { throw std::runtime_error("no licence"); }
    void vjp(std::span<const double>, std::span<double>) {}
  };
  Tape tape;
  const Scalar a = tape.variable(1.5);
  BOOST_CHECK_THROW(external_function(Fails(), std::vector{a}), std::runtime_error);
  BOOST_TEST(tape.nodes() == 0u);
  const Scalar y = external_function(Twice(), std::vector{a})[0];
  BOOST_TEST(tape.gradient(y, a) == 2);
}

BOOST_AUTO_TEST_CASE(a_block_may_open_a_tape_of_its_own) {
  // y = x^2, whose reverse pass is a tape's.
  struct Inner {
    const char* name = "inner";
    double x = 0;
    std::vector<double> forward(std::span<const double> values) {
      x = values[0];
      return {x * x};
    }
    void vjp(std::span<const double> y_bar, std::span<double> x_bar) {
      Tape tape({.isolated = true});
      const Scalar v = tape.variable(x);
      x_bar[0] = tape.gradient(Scalar(y_bar[0] * v * v), v);
    }
  };
  Tape tape;
  const Scalar a = tape.variable(3);
  const Scalar y = external_function(Inner(), std::vector<Scalar>{a})[0];
  BOOST_TEST(tape.gradient(Scalar(y * a), a) == 27);
}

BOOST_AUTO_TEST_CASE(every_thread_has_its_own) {
  std::vector<double> slopes(4);
  std::vector<std::thread> threads;
  threads.reserve(slopes.size());
  for (std::size_t t = 0; t < slopes.size(); ++t)
    threads.emplace_back([&slopes, t] {
      for (int k = 0; k < 100; ++k) {
        Tape tape;
        const Scalar a = tape.variable(static_cast<double>(t));
        const Scalar y = external_function(Twice(), std::vector{a})[0];
        slopes[t] = tape.gradient(Scalar(y * y), a);
      }
    });
  for (std::thread& each : threads) each.join();
  for (std::size_t t = 0; t < slopes.size(); ++t) BOOST_TEST(slopes[t] == 8.0 * static_cast<double>(t));
}
