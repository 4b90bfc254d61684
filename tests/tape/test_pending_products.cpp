#include "autodiff/tape/pending_products.h"

#include <boost/test/unit_test.hpp>
#include <functional>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/runtime.h"
#include "autodiff/tape/records.h"

using namespace wengert;

namespace {

constexpr Index kRows = 190, kColumns = 220;  // large enough to wait, and no multiple of a vector

// What uses weights (190, 220) once.
using Use = std::function<Tensor(const Tensor& w, int step)>;

Tensor numbers(const Shape& shape, int seed, Dtype dtype) {
  return Generator(static_cast<std::uint64_t>(seed)).uniform(shape, -1, 1, dtype);
}

// Uses whose rules add products: of several terms, of one, in all orders of the factors.
std::vector<Use> uses(Dtype dtype) {
  return {[=](const Tensor& w, int step) {
            return square(linear(numbers({3, kColumns}, step, dtype), w));
          },
          [=](const Tensor& w, int step) {
            return square(matmul(numbers({3, kRows}, step, dtype), w));
          },
          [=](const Tensor& w, int step) { return square(matmul(w, numbers({kColumns}, step, dtype))); },
          [=](const Tensor& w, int step) {
            return square(matmul(w, numbers({kColumns, 5}, step, dtype)));
          },
          [=](const Tensor& w, int step) { return square(matmul(numbers({kRows}, step, dtype), w)); }};
}

// The gradient of the sum of `steps` uses by the weights; `together` or one by one.
Tensor gradient(const Use& use, const Tensor& weights, int steps, bool together) {
  Tensor total;
  const auto add = [&](int first, int last) {
    Tape tape({.isolated = true});
    const Tensor w = tape.variable(weights);
    Tensor loss = sum(use(w, first));
    for (int step = first + 1; step < last; ++step) loss += sum(use(w, step));
    const Tensor g = tape.gradient(loss, w);
    total = total.defined() ? total + g : g;
  };
  if (together) {
    add(0, steps);
  } else {
    for (int step = 0; step < steps; ++step) add(step, step + 1);
  }
  return total;
}

bool rule_fails = false;
struct Passes : Operation {
  const char* name() const override { return "passes"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (rule_fails) throw Error("no rule");
    x_bar[0] = y_bar[0];
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = x_dot[0]; }
};

double difference(const Tensor& a, const Tensor& b) { return (max(abs(a - b)) / max(abs(b))).item(); }
double rounding(Dtype dtype) { return dtype == float32 ? 2e-6 : 4e-15; }

}  // namespace

BOOST_AUTO_TEST_CASE(waiting_products_add_up_to_the_gradient) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor w = numbers({kRows, kColumns}, 100, dtype);
    for (const Use& use : uses(dtype))
      for (const int steps : {1, 2, 3, 30, 100}) {  // 100: more terms than there is room for
        const Tensor found = gradient(use, w, steps, true), expected = gradient(use, w, steps, false);
        BOOST_TEST(max(abs(expected)).item() > 0);
        BOOST_TEST(difference(found, expected) < rounding(dtype), steps << " steps");
      }
  }
}

BOOST_AUTO_TEST_CASE(several_weights_and_several_uses_of_each) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor w = numbers({kRows, kColumns}, 100, dtype), v = numbers({kRows, kColumns}, 101, dtype);
    const auto all = uses(dtype);
    Tape tape;
    const Tensor a = tape.variable(w), b = tape.variable(v);
    Tensor loss = Tensor::zeros({}, dtype);
    for (int step = 0; step < 6; ++step)
      for (const Use& use : all) loss += sum(use(a, step)) + 2 * sum(use(b, step));
    const auto [found_a, found_b] = tape.gradient(loss, wrt(a, b));
    Tensor of_a = Tensor::zeros(w.shape(), dtype), of_b = of_a;
    for (const Use& use : all) {
      of_a += gradient(use, w, 6, false);
      of_b += 2 * gradient(use, v, 6, false);
    }
    BOOST_TEST(difference(found_a, of_a) < rounding(dtype));
    BOOST_TEST(difference(found_b, of_b) < rounding(dtype));
  }
}

// Other terms are added in between, and weights that are a result themselves pass their cotangent on.
BOOST_AUTO_TEST_CASE(reading_a_cotangent_adds_what_waits) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor v = numbers({kRows, kColumns}, 100, dtype);
    const auto all = uses(dtype);
    const auto loss_of = [&](const Tensor& x) {
      const Tensor w = tanh(x);
      Tensor loss = sum(w * x);
      for (int step = 0; step < 5; ++step) {
        for (const Use& use : all) loss += sum(use(w, step));
        const Scalar first = w(step, 3), second = w(2, step);
        loss += sum(square(w)) + sum(select(w, 0, step)) + sum(stack({first * second}, dtype));
      }
      return loss;
    };
    const auto slope = [&](bool recorded) {
      Tape tape({.higher_order = true});
      const Tensor x = tape.variable(v), loss = loss_of(x);
      return recorded ? tape.differentiable_gradient(loss, x).constant() : tape.gradient(loss, x);
    };
    BOOST_TEST(difference(slope(false), slope(true)) < rounding(dtype));  // a recorded sweep adds each product at once
  }
}

BOOST_AUTO_TEST_CASE(a_retained_tape_gives_the_same_again) {
  const Tensor weights = numbers({kRows, kColumns}, 100, float32);
  const Use use = uses(float32)[0];
  Tape tape;
  const Tensor w = tape.variable(weights);
  Tensor loss = sum(use(w, 0));
  for (int step = 1; step < 30; ++step) loss += sum(use(w, step));
  const std::vector<float> first = tape.gradient(loss, wrt(w), {.retain = true}).to_vector<float>();
  BOOST_TEST((tape.gradient(loss, wrt(w)).to_vector<float>() == first));
}

// Narrow matrices do not wait, whatever their size.
BOOST_AUTO_TEST_CASE(two_heads_of_a_large_batch) {
  const Tensor h = numbers({20000, 8}, 1, float32), a = numbers({1, 8}, 2, float32), b = numbers({3, 8}, 3, float32);
  Tape tape;
  const Tensor x = tape.variable(h);
  const Tensor found = tape.gradient(sum(linear(x, a)) + 2 * sum(linear(x, b)), x);
  BOOST_TEST(difference(found, expand(sum(a, {0}) + 2 * sum(b, {0}), h.shape())) < rounding(float32));
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor w = numbers({kRows, kColumns}, 100, dtype);
    for (const Use& use : uses(dtype)) {
      set_num_threads(1);
      const std::vector<double> expected = gradient(use, w, 40, true).to_vector<double>();
      for (const int threads : {2, 5}) {
        set_num_threads(threads);
        BOOST_TEST((gradient(use, w, 40, true).to_vector<double>() == expected), threads << " threads");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sweep_that_fails_leaves_nothing_behind) {
  const Tensor weights = numbers({kRows, kColumns}, 100, float32);
  const Use use = uses(float32)[0];
  Tape tape;
  const Tensor x = tape.variable(weights), w = record(Passes(), Location::here(), {&x}, weights.clone());
  Tensor loss = sum(use(w, 0));
  for (const int step : {1, 2}) loss += sum(use(w, step));
  rule_fails = true;
  BOOST_CHECK_THROW(tape.gradient(loss, wrt(x), {.retain = true}), Error);
  rule_fails = false;
  const Tensor found = tape.gradient(loss, x), expected = gradient(use, weights, 3, true);
  BOOST_TEST(difference(found, expected) == 0);
}
