#include <autodiff/autodiff.h>
#include <autodiff/tensor/random.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/support/sanitizers.h"
#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element, boost::test_tools::tolerance;
using testing::contains, testing::message_of;

namespace {

using List = std::vector<double>;
List values(const Tensor& t) { return t.to_vector<double>(); }
Tensor doubles(std::initializer_list<double> values) { return Tensor::from(values, float64); }

const Tensor start = Tensor::from({{0.1, -0.2, 0.3}, {0.4, 0.5, -0.6}}, float64);
const Tensor weights = Tensor::from({{0.5, -0.1, 0.2}, {0.3, 0.6, -0.4}, {-0.2, 0.1, 0.7}}, float64);

Tensor steps(Tensor h, const Tensor& w, int n) {
  for (int t = 0; t < n; ++t) h = tanh(matmul(h, w) + 0.1 * h);
  return h;
}

// The additional memory in bytes that a run of n steps needs: recorded as a whole, or with checkpointed segments.
std::int64_t peak_of(int n, int segment) {
  const Tensor wide = Tensor::full({64, 64}, 0.01), first = Tensor::full({64, 64}, 0.1);
  Tape tape;
  const Tensor w = tape.variable(wide);
  const std::int64_t before = pool::statistics().in_use;
  pool::reset_peak();
  Tensor h = first;
  for (int t = 0; t < n; t += segment) {
    if (segment == n) {
      h = steps(h, w, n);
    } else {
      h = checkpoint([segment](const Tensor& h, const Tensor& w) { return steps(h, w, segment); })(h, w);
    }
  }
  tape.gradient(sum(h), w);
  return pool::statistics().peak_in_use - before;
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_are_the_same_bits) {
  const auto f = [](const Tensor& h, const Tensor& w) { return steps(h, w, 5); };
  Tape tape;
  const Tensor h = tape.variable(start), w = tape.variable(weights);
  const auto [h_plain, w_plain] = tape.gradient(sum(f(h, w)), h, w);
  const Tensor h2 = tape.variable(start), w2 = tape.variable(weights);
  const Tensor y = checkpoint(f)(h2, w2);
  BOOST_TEST(tape.nodes() == 1u);
  BOOST_TEST(values(y) == values(f(start, weights)), per_element());
  const auto [h_again, w_again] = tape.gradient(sum(y), h2, w2);
  BOOST_TEST(values(h_again) == values(h_plain), per_element());
  BOOST_TEST(values(w_again) == values(w_plain), per_element());
}

BOOST_AUTO_TEST_CASE(hundreds_of_results_and_of_parameters) {
  std::vector<Parameter> parameters;
  ParameterList list;
  for (int i = 0; i < 300; ++i) parameters.emplace_back(Tensor::full({}, i + 1, float64));
  for (const Parameter& p : parameters) list.add(p);
  const auto f = [&](const Tensor& x) {
    std::vector<Tensor> y;
    for (const Parameter& p : parameters) y.push_back(p * x);
    return y;
  };
  Tape tape;
  const Tensor x = tape.variable(Tensor::full({}, 2, float64));
  const std::vector<Tensor> y = checkpoint(f)(x);
  BOOST_TEST(y.size() == 300u);
  Tensor total = Tensor::zeros({}, float64);
  for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * static_cast<double>(i % 7);
  const Gradients g = tape.gradient(total, list, {.retain = true});
  double expected = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    BOOST_TEST(g[i].item() == 2.0 * static_cast<double>(i % 7));
    expected += static_cast<double>((i + 1) * (i % 7));
  }
  BOOST_TEST(tape.gradient(total, x).item() == expected);
}

BOOST_AUTO_TEST_CASE(outside_a_tape_and_for_constants_nothing_is_recorded) {
  const auto f = checkpoint([](const Tensor& h) { return tanh(h); });
  BOOST_TEST(f(start).number() == 0u);
  Tape tape;
  BOOST_TEST(f(start).number() == 0u);
  BOOST_TEST(tape.nodes() == 0u);
}

BOOST_AUTO_TEST_CASE(derivatives_in_both_modes_and_to_third_order) {
  const auto f = [](const Tensor& h, const Tensor& w) {
    return checkpoint([](const Tensor& h, const Tensor& w) { return steps(h, w, 2); })(h, w) * h;
  };
  const GradientCheck check = check_gradient(f, {start, weights});
  BOOST_TEST(check.passed(), check.to_string());
  const GradientCheck third =
      check_gradient([&](const Tensor& h) { return gradient([&](const Tensor& v) { return sum(f(v, weights) * v); }, h); }, {start});
  BOOST_TEST(third.passed(), third.to_string());
}

BOOST_AUTO_TEST_CASE(several_results_of_every_kind) {
  const auto check = [](auto f) {
    const GradientCheck result = check_gradient(f, {start});
    BOOST_TEST(result.passed(), result.to_string());
  };
  check([](const Tensor& h) {
    const auto [a, b] = checkpoint([](const Tensor& v) { return std::pair(sin(v), v * v); })(h);
    return a * b + b;
  });
  check([](const Tensor& h) {
    const std::array<Tensor, 2> y = checkpoint([](const Tensor& v) { return std::array{sin(v), sum(v)}; })(h);
    return y[1] * h;  // one result is not used
  });
  check([](const Tensor& h) {
    const std::vector<Tensor> y = checkpoint([](const Tensor& v) { return split(v * v, {1, 1}); })(h);
    return y[0] * y[1];
  });
  check([](const Tensor& h) {
    const auto [top, at] = checkpoint([](const Tensor& v) { return std::pair(sort(v).values * v, argmax(v, 1)); })(h);
    return top + sum(at).to(float64);
  });
}

BOOST_AUTO_TEST_CASE(parameters_read_inside_get_their_gradients) {
  const Parameter w(weights, "w"), unused(doubles({1}), "unused"), frozen = [] {
    Parameter p(doubles({2}), "frozen");
    p.freeze();
    return p;
  }();
  const auto f = [&](const Tensor& h) { return steps(h, w, 3) * frozen; };
  Tape tape;
  const ParameterList list{w.ref()};
  const Gradients plain = tape.gradient(sum(f(start) * w.value().element(0)), list);
  const Tensor y = checkpoint(f)(start);  // no input is tracked
  BOOST_TEST(y.number() != 0u);
  const Gradients again = tape.gradient(sum(y * w.value().element(0)), list);
  BOOST_TEST(values(again[w]) == values(plain[w]), per_element());
}

BOOST_AUTO_TEST_CASE(parameters_changed_since_are_what_they_were) {
  for (const bool nested : {false, true}) {
    Parameter w(weights, "w");
    const auto inner = [&](const Tensor& h) { return steps(h, w, 2); };
    const auto f = [&](const Tensor& h) { return nested ? checkpoint(inner)(inner(h)) * h : inner(h); };
    Tape tape;
    const Tensor plain = tape.gradient(sum(f(start)), ParameterList{w.ref()})[0];
    const Tensor y = sum(checkpoint(f)(start));
    w.set(2 * weights);
    BOOST_TEST(values(tape.gradient(y, ParameterList{w.ref()})[0]) == values(plain), per_element());
    BOOST_TEST(w.value().element(0) == 2 * weights.element(0));
  }
}

BOOST_AUTO_TEST_CASE(random_numbers_are_the_same_again) {
  Generator own(5);
  const auto noisy = [&](const Tensor& h) {
    const Tensor mask = default_generator().bernoulli(h.shape(), 0.5, float64), scale = own.normal(h.shape(), 0, 1, float64);
    return h * mask * scale * own.next_uniform(1, 2);
  };
  for (const bool nested : {false, true}) {
    Tape tape;
    const Tensor h = tape.variable(start);
    const auto twice = [&](const Tensor& v) { return noisy(checkpoint(noisy)(v)); };
    const Tensor y = nested ? checkpoint(twice)(h) : checkpoint(noisy)(h);
    const auto defaults = default_generator().counter(), owns = own.counter();
    const Tensor g = tape.gradient(sum(y), h);
    for (Index i = 0; i < y.size(); ++i) BOOST_TEST(g.element(i) * start.element(i) == y.element(i), tolerance(1e-14));  // linear in h
    BOOST_TEST(default_generator().counter() == defaults);
    BOOST_TEST(own.counter() == owns);
  }
  Tape tape;
  const Tensor h = tape.variable(start), y = checkpoint(noisy)(h);
  const Tensor g = tape.differentiable_gradient(sum(y * y), h);
  const Tensor second = tape.gradient(sum(g * start), wrt(h), {.retain = true});
  for (Index i = 0; i < y.size(); ++i)
    BOOST_TEST(second.element(i) * start.element(i) == 2 * y.element(i) * y.element(i), tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(checkpoints_nest) {
  const auto f = [](const Tensor& h) {
    return checkpoint([](const Tensor& a) {
      const Tensor b =
          checkpoint([](const Tensor& c) { return checkpoint([](const Tensor& d) { return steps(d, weights, 2); })(sin(c)); })(a);
      return b * a;
    })(h);
  };
  const GradientCheck check = check_gradient(f, {start});
  BOOST_TEST(check.passed(), check.to_string());
}

BOOST_AUTO_TEST_CASE(scalars_inside) {
  const auto f = [](const Tensor& h) {
    return checkpoint([](const Tensor& v) {
      const Scalar a = v(0, 0), b = a * v(1, 2) + exp(a);
      return stack({a * b, b}, float64);
    })(h);
  };
  const GradientCheck check = check_gradient(f, {start}, {.order = 1});
  BOOST_TEST(check.passed(), check.to_string());
  Tape tape({.higher_order = true});
  const Tensor h = tape.variable(start), g = tape.differentiable_gradient(sum(f(h)), h);
  BOOST_TEST(tape.gradient(sum(g), h).at({0, 0}) != 0);
}

BOOST_AUTO_TEST_CASE(what_is_captured_must_be_an_input) {
  Tape tape;
  const Tensor h = tape.variable(start), w = tape.variable(weights);
  const std::string message = message_of<TapeError>([&] { checkpoint([&](const Tensor& v) { return matmul(v, w); })(h); });
  BOOST_TEST(contains(message, "make it one of the inputs"));
  BOOST_TEST(tape.nodes() == 0u);
  BOOST_TEST(recording());
}

BOOST_AUTO_TEST_CASE(exceptions_leave_everything_whole) {
  int calls = 0, bad = 1;
  const auto moody = [&](const Tensor& h) {
    const Tensor y = h * default_generator().uniform(h.shape(), 0, 1, float64);
    if (++calls == bad) throw std::runtime_error("no more");
    return y * h;
  };
  Tape tape;
  const Tensor h = tape.variable(start);
  BOOST_CHECK_THROW(checkpoint(moody)(h), std::runtime_error);
  BOOST_TEST(tape.nodes() == 0u);
  BOOST_TEST(recording());
  calls = 0, bad = 2;
  Tensor y = sum(checkpoint(moody)(h));
  const auto counter = default_generator().counter();
  BOOST_CHECK_THROW(tape.gradient(y, wrt(h), {.retain = true}), std::runtime_error);
  BOOST_TEST(recording());
  BOOST_TEST(default_generator().counter() == counter);
  const Tensor g = tape.gradient(y, h);  // the third call is fine again
  BOOST_TEST(sum(g * start).item() == 2 * y.item(), tolerance(1e-12));
  const Tensor next = tape.variable(start);
  BOOST_TEST(tape.gradient(next * 2, wrt(next), {.seed = start}).element(0) == 0.2);
}

BOOST_AUTO_TEST_CASE(a_function_that_does_not_repeat_itself_is_told) {
  int calls = 0;
  Tape tape;
  const Tensor h = tape.variable(start);
  const auto other_shape = [&](const Tensor& v) { return ++calls > 1 ? sum(v) : v * v; };
  const auto more_numbers = [&](const Tensor& v) { return ++calls > 1 ? v * default_generator().next_uniform() : v * 1; };
  Tensor y = checkpoint(other_shape)(h);
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.gradient(y, wrt(h), {.seed = start}); }), "must do the same each time"));
  const Tensor again = tape.variable(start);
  calls = 0;
  y = checkpoint(more_numbers)(again);
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.gradient(y, wrt(again), {.seed = start}); }), "drew more random numbers"));
  const Tensor once_more = tape.variable(start);
  calls = 0;
  const auto fewer_numbers = [&](const Tensor& v) { return ++calls > 1 ? v * 1 : v * default_generator().next_uniform(); };
  y = checkpoint(fewer_numbers)(once_more);
  BOOST_TEST(contains(message_of<TapeError>([&] { tape.gradient(y, wrt(once_more), {.seed = start}); }), "drew fewer random numbers"));
}

BOOST_AUTO_TEST_CASE(memory_of_an_unrolled_loop_grows_with_the_root) {
  const std::int64_t all = peak_of(1024, 1024), checkpointed = peak_of(1024, 32), of_four_times = peak_of(4096, 64);
  BOOST_TEST(checkpointed * 10 < all);
  BOOST_TEST(of_four_times < checkpointed * 5 / 2);
}

BOOST_AUTO_TEST_CASE(a_steady_state_asks_nothing_of_the_heap, *boost::unit_test::enable_if<!testing::kSanitizer>()) {
  const auto step = [] {
    Tape tape;
    const Tensor h = tape.variable(start);
    const Tensor y = checkpoint([](const Tensor& v) { return steps(v, weights, 3); })(h);
    tape.gradient(sum(y), h);
  };
  for (int i = 0; i < 5; ++i) step();
  const auto before = pool::statistics();
  for (int i = 0; i < 20; ++i) step();
  BOOST_TEST(pool::statistics().heap_allocations == before.heap_allocations);
  BOOST_TEST(pool::statistics().in_use == before.in_use);
}
