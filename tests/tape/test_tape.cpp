#include "autodiff/tape/tape.h"

#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/tape/records.h"
#include "tests/support/child_process.h"
#include "tests/support/sanitizers.h"
#include "tests/support/throws.h"

using namespace wengert;
using boost::test_tools::per_element;
using boost::test_tools::tolerance;
using testing::contains, testing::message_of;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor doubles(std::initializer_list<double> values) { return Tensor::from(values, float64); }
std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }
using List = std::vector<double>;

#define CHECK_MESSAGE_OF(E, expression, part) BOOST_TEST(contains(message_of<E>([&] { static_cast<void>(expression); }), part))

}  // namespace

// ---- scopes -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(scopes)

BOOST_AUTO_TEST_CASE(nothing_is_recorded_outside_a_tape) {
  const Parameter p(doubles({1, 2}));
  BOOST_TEST(!recording());
  BOOST_TEST((Tensor(p) * 2).number() == 0u);
  {
    Tape tape;
    BOOST_TEST(recording());
    BOOST_TEST((p * 2).number() != 0u);
    BOOST_TEST((doubles({1}) * 2).number() == 0u);  // only constants
    BOOST_TEST(tape.nodes() == 1u);
  }
  BOOST_TEST(!recording());
  BOOST_TEST((p * 2).number() == 0u);
}

BOOST_AUTO_TEST_CASE(a_second_tape_is_an_error_that_names_differentiable) {
  Tape tape;
  const int line = __LINE__ - 1;
  CHECK_MESSAGE_OF(TapeError, Tape(), ".differentiable");
  CHECK_MESSAGE_OF(TapeError, Tape(), "isolated");
  CHECK_MESSAGE_OF(TapeError, Tape(), "test_tape.cpp:" + std::to_string(line));
  const Tensor x = tape.variable(doubles({3}));
  BOOST_TEST(tape.gradient(x * x, x).item() == 6);  // the tape goes on
  NoRecord pause;
  BOOST_CHECK_THROW(Tape(), TapeError);
}

BOOST_AUTO_TEST_CASE(an_isolated_tape_takes_outer_values_as_constants) {
  Tape outer;
  const Tensor x = outer.variable(doubles({3}));
  const Tensor y = x * x;
  {
    Tape inner({.isolated = true});
    const Tensor z = inner.variable(doubles({5}));
    BOOST_TEST(inner.gradient(y * z, z).item() == 9);
    BOOST_TEST((x * x).number() == 0u);
    CHECK_MESSAGE_OF(TapeError, inner.gradient(inner.variable(z.constant()) * 2, x), "is not on this tape");
  }
  BOOST_TEST(outer.gradient(y, x).item() == 6);
}

BOOST_AUTO_TEST_CASE(derivatives_inside_a_recorded_function_do_not_confuse_perturbations) {
  // d/dx (x * d/dy (x + y)) = 1
  Tape outer;
  const Tensor x = outer.variable(doubles({2}));
  const auto [value, slope] = value_and_gradient([&](const Tensor& y) { return x + y; }, doubles({7}));
  BOOST_TEST(slope.item() == 1);
  BOOST_TEST(outer.gradient(x * slope, x).item() == 1);
}

BOOST_AUTO_TEST_CASE(recording_can_be_paused_and_resumes_after_nesting_and_exceptions) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const std::size_t nodes = tape.nodes();
  {
    NoRecord outer;
    BOOST_TEST((x * x).number() == 0u);
    {
      NoRecord inner;
      BOOST_TEST((x + x).number() == 0u);
    }
    BOOST_TEST(!recording());
  }
  try {
    NoRecord pause;
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  BOOST_TEST(recording());
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST((x * x).number() != 0u);
}

BOOST_AUTO_TEST_CASE(a_pause_survives_the_tape_that_it_pauses) {
  auto tape = std::make_unique<Tape>();
  {
    NoRecord pause;
    tape.reset();
  }
  BOOST_TEST(!recording());
}

BOOST_AUTO_TEST_CASE(tapes_on_the_heap_may_end_out_of_turn) {
  auto a = std::make_unique<Tape>();
  const Tensor x = a->variable(doubles({2}));
  auto b = std::make_unique<Tape>(TapeOptions{.isolated = true});
  const Tensor y = b->variable(doubles({3}));
  auto c = std::make_unique<Tape>(TapeOptions{.isolated = true});
  const Tensor z = c->variable(doubles({4}));
  b.reset();
  BOOST_TEST(c->gradient(z * z * y, z).item() == 24);
  a.reset();
  const Tensor w = c->variable(x);
  BOOST_TEST(c->gradient(w * x, w).item() == 2);
  c.reset();
  BOOST_TEST(!recording());
  Tape again;
  BOOST_TEST((x * 2).number() == 0u);
}

BOOST_AUTO_TEST_CASE(a_function_that_records_sees_its_callers_tape) {
  Tape tape;
  const Tensor x = tape.variable(doubles({0.5}));
  const auto layer = [](const Tensor& v) { return tanh(v) * 2; };
  BOOST_TEST(tape.gradient(layer(layer(x)), x).item() > 0);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- ended and consumed values, and values of other tapes -------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(other_values)

BOOST_AUTO_TEST_CASE(a_value_of_an_ended_tape_is_a_constant) {
  Tensor hidden = doubles({0.5});
  const Parameter w(doubles({2}));
  List slopes;
  for (int chunk = 0; chunk < 3; ++chunk) {  // truncated back-propagation through time
    Tape tape;
    const double before = hidden.item();
    hidden = w * hidden;
    slopes.push_back(tape.gradient(hidden, w.ref().get() ? ParameterList{w} : ParameterList{})[0].item());
    BOOST_TEST(slopes.back() == before);
    hidden = hidden.constant();
  }
  Tensor kept;
  {
    Tape tape;
    kept = w * w;
  }
  BOOST_TEST(kept.item() == 4);
  BOOST_TEST((kept * 2).number() == 0u);
  Tape tape;
  const Tensor y = kept * w;
  BOOST_TEST(tape.gradient(y, w).item() == 4);
}

BOOST_AUTO_TEST_CASE(a_stale_number_never_indexes_into_a_later_tape) {
  std::vector<Tensor> stale;
  for (int round = 0; round < 50; ++round) {
    Tape tape;
    const Tensor x = tape.variable(doubles({1.0 * round}));
    Tensor y = x * x;
    for (const Tensor& old : stale) y = y + old;  // constants
    stale.push_back(x);
    stale.push_back(y.constant());
    stale.push_back(x * 3);
    BOOST_TEST(tape.gradient(y, x).item() == 2.0 * round);
  }
}

BOOST_AUTO_TEST_CASE(a_consumed_value_is_an_error) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const Tensor y = x * x;
  BOOST_TEST(tape.gradient(y, x).item() == 6);
  BOOST_TEST(y.item() == 9);  // still readable
  CHECK_MESSAGE_OF(TapeError, y + 1, "consumed");
  CHECK_MESSAGE_OF(TapeError, y + 1, ".retain");
  CHECK_MESSAGE_OF(TapeError, y + 1, "test_tape.cpp");
  CHECK_MESSAGE_OF(TapeError, tape.gradient(y, x), "consumed");
  CHECK_MESSAGE_OF(TapeError, y(0), "consumed");
  BOOST_TEST((y.constant() + 1).item() == 10);
  const Tensor again = tape.variable(doubles({2}));  // the tape records on
  BOOST_TEST(tape.gradient(again * again, again).item() == 4);
}

BOOST_AUTO_TEST_CASE(a_value_of_another_threads_live_tape_is_an_error_also_without_a_tape) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const Scalar s = tape.variable(2);
  std::string without, with, scalar, gradient;
  std::thread([&] {
    without = message_of<TapeError>([&] { x * 2; });
    scalar = message_of<TapeError>([&] { static_cast<void>(Scalar(s * 2)); });
    gradient = message_of<TapeError>([&] { tape.gradient(x, x); });
    BOOST_TEST((x.constant() * 2).item() == 6);
    Tape own;
    with = message_of<TapeError>([&] { x * 2; });
  }).join();
  for (const std::string& told : {without, with, scalar, gradient}) BOOST_TEST(contains(told, "another thread"));
  BOOST_TEST(tape.gradient(x * x, x).item() == 6);
}

BOOST_AUTO_TEST_CASE(default_moved_and_self_assigned_values_are_defined) {
  Tape tape;
  Tensor x = tape.variable(doubles({3}));
  Tensor& same = x;
  x = same;
  x = std::move(same);
  BOOST_TEST(x.item() == 3);
  Tensor moved = std::move(x);
  BOOST_TEST(!x.defined());  // NOLINT(bugprone-use-after-move)
  BOOST_TEST(tape.gradient(moved * moved, moved).item() == 6);
  const Tensor none;
  BOOST_TEST(!none.defined());
}

BOOST_AUTO_TEST_SUITE_END()

// ---- gradient and its options -----------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE(one_source_gives_a_value_several_give_a_tuple) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2}));
  const Scalar s = tape.variable(3);
  const Parameter p(doubles({5}));
  const Tensor y = x * s * p;
  const auto [gx, gs, gp] = tape.gradient(y, x, s, p);
  static_assert(std::is_same_v<decltype(gx), const Tensor> && std::is_same_v<decltype(gs), const double>);
  BOOST_TEST(gx.item() == 15);
  BOOST_TEST(gs == 10);
  BOOST_TEST(gp.item() == 6);
  BOOST_TEST(gx.number() == 0u);
}

BOOST_AUTO_TEST_CASE(a_target_of_several_elements_needs_a_seed) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2, 3}));
  const Tensor y = x * x;
  CHECK_MESSAGE_OF(ShapeError, tape.gradient(y, x), ".seed");
  CHECK_MESSAGE_OF(ShapeError, tape.gradient(y, wrt(x), {.seed = doubles({1})}), "shape of the target");
  CHECK_MESSAGE_OF(DtypeError, tape.gradient(y, wrt(x), {.seed = Tensor::ones({2})}), "dtype of the target");
  const Tensor seed = doubles({10, 100});
  BOOST_TEST(values(tape.gradient(y, wrt(x), {.seed = seed})) == (List{40, 600}), per_element());  // nothing was consumed before
  BOOST_TEST(values(seed) == (List{10, 100}), per_element());
}

BOOST_AUTO_TEST_CASE(a_target_that_depends_on_nothing_is_an_error) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2}));
  CHECK_MESSAGE_OF(TapeError, tape.gradient(doubles({1}) * 2, x), "was not recorded on this tape");
  CHECK_MESSAGE_OF(TapeError, tape.gradient(Scalar(2), x), "was not recorded on this tape");
  CHECK_MESSAGE_OF(TapeError, tape.gradient(Scalar(2), x), "open the tape first");
}

BOOST_AUTO_TEST_CASE(a_target_of_an_ended_tape_is_an_error_that_says_so) {
  Tensor y;
  Scalar s;
  {
    Tape ended;
    y = sum(ended.variable(doubles({2})));
    s = 2 * ended.variable(3);
  }
  Tape tape;
  const Tensor x = tape.variable(doubles({2}));
  CHECK_MESSAGE_OF(TapeError, tape.gradient(y, x), "it was recorded on one that has ended");
  CHECK_MESSAGE_OF(TapeError, tape.gradient(s, x), "it was recorded on one that has ended");
  BOOST_TEST(values(tape.gradient(y, wrt(x), {.unreached = Unreached::zero})) == List{0}, per_element());
}

BOOST_AUTO_TEST_CASE(retained_records_give_the_same_bits_again) {
  Tape tape;
  const Tensor x = tape.variable(doubles({0.3, 0.7}));
  const Tensor y = sum(exp(x) * sin(x) / (1 + x));
  const List first = values(tape.gradient(y, wrt(x), {.retain = true}));
  BOOST_TEST(values(tape.gradient(y, wrt(x), {.retain = true})) == first, per_element());
  const Tensor more = y * y;  // recorded on top of what was kept
  const List second = values(tape.gradient(more, wrt(x), {.retain = true}));
  BOOST_TEST(second[0] == 2 * y.item() * first[0], tolerance(1e-15));
  BOOST_TEST(values(tape.gradient(y, x)) == first, per_element());
}

BOOST_AUTO_TEST_CASE(intermediate_results_are_sources_too) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const Tensor h = x * x, y = h * h + h;
  const auto [gx, gh] = tape.gradient(y, wrt(x, h), {.retain = true});
  BOOST_TEST(gh.item() == 19);
  BOOST_TEST(gx.item() == 19 * 6);
  BOOST_TEST(tape.gradient(h, wrt(x), {.retain = true}).item() == 6);  // from an intermediate value, which leaves no trace
  BOOST_TEST(tape.gradient(y, x).item() == 19 * 6);
}

BOOST_AUTO_TEST_CASE(the_target_and_duplicates_are_sources_too) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3})), y = x * x;
  const auto [gy, gx, again] = tape.gradient(y, wrt(y, x, x), {.retain = true});
  BOOST_TEST(gy.item() == 1);
  BOOST_TEST(gx.item() == 6);
  BOOST_TEST(again.item() == 6);
  BOOST_TEST(tape.gradient(x, wrt(x), {.retain = true}).item() == 1);  // y = x
  const Scalar s = tape.variable(2), t = s * s;
  const auto [gt, gs] = tape.gradient(t, wrt(t, s));
  BOOST_TEST(gt == 1);
  BOOST_TEST(gs == 4);
}

BOOST_AUTO_TEST_CASE(forward_mode_agrees_with_reverse_for_intermediate_sources) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const Tensor h = x * x, y = h * h + x;
  const auto [gx, gh] = tape.gradient(y, wrt(x, h), {.retain = true});
  const double pushed = tape.jvp(y, wrt(x, h), {doubles({10}), doubles({0.5})}).item();
  BOOST_TEST(pushed == 10 * gx.item() + 0.5 * gh.item());
  const Scalar s = Scalar(sum(h)), t = s * s;
  const Tensor z = stack({t, s}, float64);
  const Tensor z_dot = tape.jvp(z, wrt(x, s, t), {doubles({1}), Tensor::full({}, 2, float64), Tensor::full({}, 4, float64)});
  BOOST_TEST(values(z_dot) == (List{18 * (6 + 2) + 4, 6 + 2}), per_element());
  CHECK_MESSAGE_OF(ShapeError, tape.jvp(y, wrt(x), {doubles({1, 2})}), "shape of its source");
  CHECK_MESSAGE_OF(DtypeError, tape.jvp(y, wrt(x), {Tensor::ones({1})}), "dtype of its source");
  CHECK_MESSAGE_OF(ShapeError, tape.jvp(y, wrt(x), {}), "0 tangents");
}

BOOST_AUTO_TEST_CASE(an_unreached_source_is_an_error_that_names_it_or_zero) {
  const Parameter w(doubles({2}), "layer.weight"), b(doubles({1, 2}), "layer.bias"), unread(Tensor::ones({3}), "unread");
  const auto record = [&](Tape&) {
    const Tensor used = b * 1;
    return w * w + 0 * sum(used * 0).item();
  };
  {
    Tape tape;
    const Tensor y = record(tape);
    CHECK_MESSAGE_OF(TapeError, tape.gradient(y, ParameterList{w, b}), "layer.bias");
  }
  {
    Tape tape;
    const Tensor y = record(tape);
    CHECK_MESSAGE_OF(TapeError, tape.gradient(y, ParameterList{w, unread}), "unread");
  }
  Tape tape;
  const Gradients g = tape.gradient(record(tape), ParameterList{w, b, unread}, {.unreached = Unreached::zero});
  BOOST_TEST(g[w].item() == 4);
  BOOST_TEST(values(g[b]) == (List{0, 0}), per_element());
  BOOST_TEST((g[unread].shape() == Shape{3}));
  BOOST_TEST((g[unread].dtype() == float32));
}

BOOST_AUTO_TEST_CASE(an_unreached_tensor_is_named_by_its_shape_and_line) {
  Tape tape;
  const Tensor x = tape.variable(doubles({1})), other = tape.variable(Tensor::zeros({2, 3}));
  CHECK_MESSAGE_OF(TapeError, tape.gradient(x * x, other), "(2, 3) float32 made at test_tape.cpp");
}

BOOST_AUTO_TEST_CASE(a_source_reached_with_an_exactly_zero_cotangent_is_not_unreached) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3, 4}));
  const Scalar s = x(0), t = x(1);
  const Scalar y = s * 0 + t;
  BOOST_TEST(values(tape.gradient(y, x)) == (List{0, 1}), per_element());
  const Tensor v = tape.variable(doubles({3}));
  const Scalar zero = v(0) * 0;
  BOOST_TEST(tape.gradient(zero, v).item() == 0);  // an exactly zero adjoint passes nothing on, but the dependence is there
}

BOOST_AUTO_TEST_CASE(zero_times_infinity_is_nan_in_tensors_and_dropped_between_statements) {
  Tape tape;
  const Tensor x = tape.variable(doubles({0}));
  BOOST_TEST(std::isnan(tape.gradient(sqrt(x) * 0, x).item()));
  const Scalar s = tape.variable(0);
  const Scalar root = sqrt(s);
  const Scalar y = root * 0;
  BOOST_TEST(tape.gradient(y, s) == 0);
}

BOOST_AUTO_TEST_CASE(nan_stays_where_it_belongs) {
  Tape tape;
  const Tensor x = tape.variable(doubles({-1, 0, 4}));
  const Tensor y = where(x > 0, sqrt(x), 0);
  BOOST_TEST(values(y) == (List{0, 0, 2}), per_element());
  const List naive = values(tape.gradient(sum(y), x));
  BOOST_TEST(std::isnan(naive[0]));
  BOOST_TEST(std::isnan(naive[1]));
  BOOST_TEST(naive[2] == 0.25);
  const Tensor v = tape.variable(doubles({-1, 0, 4}));
  const Tensor safe = where(v > 0, v, 1);
  BOOST_TEST(values(tape.gradient(sum(where(v > 0, sqrt(safe), 0)), v)) == (List{0, 0, 0.25}), per_element());
  const Tensor a = tape.variable(doubles({kNaN, 1})), b = tape.variable(doubles({2, 3}));
  const auto [ga, gb] = tape.gradient(sum(a * b), a, b);
  BOOST_TEST(values(ga) == (List{2, 3}), per_element());
  BOOST_TEST(std::isnan(gb.element(0)));
  BOOST_TEST(gb.element(1) == 1);
}

BOOST_AUTO_TEST_CASE(parts_that_nobody_uses_contribute_zero) {
  Tape tape;
  const Tensor x = tape.variable(doubles({1, 2, 3, 4}));
  const Tensor first = slice(x, 0, 0, 2), second = slice(x, 0, 2, 4);
  static_cast<void>(second * 2);
  BOOST_TEST(values(tape.gradient(sum(first * first), x)) == (List{2, 4, 0, 0}), per_element());
}

BOOST_AUTO_TEST_CASE(broadcasts_are_summed_away) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 2, 3}, {3, 1}, float64));
  BOOST_TEST(values(tape.gradient(sum(x + transpose(x)), x)) == (List{6, 6, 6}), per_element());
}

BOOST_AUTO_TEST_CASE(gradients_are_row_major_and_share_nothing_that_can_be_seen) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({{1, 2}, {3, 4}}, float64)), y = tape.variable(Tensor::zeros({2, 2}, float64));
  auto [gx, gy] = tape.gradient(sum(transpose(x) + y), x, y);
  BOOST_TEST(gx.data<double>()[0] == 1);
  BOOST_TEST(gy.is_row_major());
  gx.mutable_data<double>()[0] = 7;
  BOOST_TEST(gy.element(0) == 1);
  const Tensor a = tape.variable(doubles({1, 2})), b = tape.variable(doubles({1, 2})), seed = doubles({1, 1});
  auto [ga, gb] = tape.gradient(a + b, wrt(a, b), {.seed = seed});
  ga.mutable_data<double>()[0] = 7;
  BOOST_TEST(gb.element(0) == 1);
  BOOST_TEST(seed.element(0) == 1);
  const Tensor v = tape.variable(doubles({1, 2}));
  const Tensor g = tape.gradient(sum(v * v), v);
  BOOST_TEST(g.sole_owner());  // so that an optimizer may overwrite it
}

BOOST_AUTO_TEST_SUITE_END()

// ---- parameters -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(parameters)

BOOST_AUTO_TEST_CASE(a_parameter_is_one_leaf_a_tape) {
  const Parameter p(doubles({3}));
  for (int round = 0; round < 3; ++round) {
    Tape tape;
    const Tensor a = p, b = p;
    BOOST_TEST(a.number() == b.number());
    BOOST_TEST(a.number() != 0u);
    BOOST_TEST(tape.gradient(a * b * p, p).item() == 27);
  }
}

BOOST_AUTO_TEST_CASE(what_was_read_before_the_tape_is_a_constant) {
  const Parameter p(doubles({3}));
  const Tensor before = p;
  Tape tape;
  BOOST_TEST(tape.gradient(before * p, p).item() == 3);
}

BOOST_AUTO_TEST_CASE(a_frozen_parameter_is_a_constant) {
  Parameter p(doubles({3})), q(doubles({5}));
  p.freeze();
  Tape tape;
  const Tensor y = p * q;
  const Gradients g = tape.gradient(y, ParameterList{q, p});
  BOOST_TEST(g[q].item() == 3);
  BOOST_TEST(g[p].item() == 0);
  p.freeze(false);
  BOOST_TEST(tape.gradient(p * q, p).item() == 5);
}

BOOST_AUTO_TEST_CASE(a_value_set_under_a_tape_leaves_what_was_recorded) {
  Parameter p(doubles({3}));
  Tape tape;
  const Tensor y = p * p;
  p.set(doubles({100}));
  BOOST_TEST(y.item() == 9);
  BOOST_TEST(tape.gradient(y, p).item() == 6);
  BOOST_TEST(tape.gradient(p * p, p).item() == 200);
  const Tensor z = p * p;
  p.set(doubles({1, 2}));
  CHECK_MESSAGE_OF(TapeError, p * z, "new tape");
}

BOOST_AUTO_TEST_CASE(copies_are_copies_and_assignment_keeps_identity) {
  Parameter p(doubles({3}), "p");
  Parameter copy = p;
  BOOST_TEST((copy.ref() != p.ref()) == true);
  copy.set(doubles({4}));
  BOOST_TEST(p.value().item() == 3);
  const ParameterRef held = p.ref();
  p = copy;
  BOOST_TEST((held == p.ref()));
  BOOST_TEST(held->value.item() == 4);
  p = doubles({5});
  BOOST_TEST(held->value.item() == 5);
  Tape tape;
  BOOST_TEST(tape.gradient(p * p, ParameterList{held})[0].item() == 10);
}

BOOST_AUTO_TEST_CASE(many_parameters_are_found_again) {
  std::vector<Parameter> all;
  ParameterList list;
  for (int i = 0; i < 500; ++i) all.emplace_back(doubles({1.0 * i}));
  for (const Parameter& p : all) list.add(p);
  for (int round = 0; round < 3; ++round) {
    Tape tape;
    Tensor y = doubles({0});
    for (const Parameter& p : all) y += p * p;
    for (const Parameter& p : all) y += Tensor(p);
    const Gradients g = tape.gradient(y, list);
    for (std::size_t i = 0; i < all.size(); ++i) BOOST_REQUIRE(g[all[i]].item() == 2.0 * static_cast<double>(i) + 1);
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_a_value) {
  const Parameter a(doubles({3, 4})), b(Tensor::from({12}), "b"), other(doubles({1}), "other");
  const auto gradient = [&] {
    Tape tape;
    return tape.gradient(sum(a * a) / 2 + sum(b * b).to(float64) / 2, ParameterList{a, b});
  };
  Gradients g = gradient();
  BOOST_TEST(g.size() == 2u);
  BOOST_TEST(values(g[0]) == (List{3, 4}), per_element());
  BOOST_TEST(g[b].item() == 12);
  CHECK_MESSAGE_OF(TapeError, g[other], "other");
  BOOST_TEST(g.norm() == 13);
  BOOST_TEST(g.norm(1) == 19);
  BOOST_TEST(g.norm(std::numeric_limits<double>::infinity()) == 12);
  BOOST_TEST(g.norm(3) == std::cbrt(27 + 64 + 1728), tolerance(1e-14));
  CHECK_MESSAGE_OF(Error, g.norm(0.5), "p must be at least 1, but it is 0.5");
  const Gradients before = g;
  BOOST_TEST(g.clip_norm(26) == 13);
  BOOST_TEST(values(g[a]) == (List{3, 4}), per_element());
  BOOST_TEST(g.clip_norm(1.3) == 13);
  BOOST_TEST(g.norm() == 1.3, tolerance(1e-6));
  BOOST_TEST(values(before[a]) == (List{3, 4}), per_element());  // a copy is a copy
  g = before;
  g *= 2;
  g += before;
  BOOST_TEST(values(g[a]) == (List{9, 12}), per_element());
  g.clip_value(10);
  BOOST_TEST(values(g[a]) == (List{9, 10}), per_element());
  BOOST_TEST(g[b].item() == 10);
  double total = 0;
  for (const Tensor& t : g) total += static_cast<double>(t.size());
  BOOST_TEST(total == 3);
  Tape tape;
  const Gradients one = tape.gradient(sum(a * a), ParameterList{a});
  BOOST_CHECK_THROW(g += one, TapeError);
  BOOST_TEST(values(g[a]) == (List{9, 10}), per_element());
}

BOOST_AUTO_TEST_CASE(empty_gradients_are_zeros) {
  const Parameter a(doubles({3, 4}));
  Gradients total;
  BOOST_TEST(total.empty());
  BOOST_TEST(total.norm() == 0);
  total += Gradients();
  BOOST_TEST(total.empty());
  for (int batch = 0; batch < 3; ++batch) {
    Tape tape;
    total += tape.gradient(sum(a * a), ParameterList{a});
  }
  BOOST_TEST(values(total[a]) == (List{18, 24}), per_element());
  total += Gradients();
  BOOST_TEST(values(total[a]) == (List{18, 24}), per_element());
}

BOOST_AUTO_TEST_CASE(gradients_that_were_recorded_keep_their_derivatives) {
  const Parameter a(doubles({3, 4}));
  const ParameterList list{a};
  Tape tape;
  const auto gradient = [&] { return tape.gradient(sum(a * a * a), list, {.differentiable = true}); };
  Gradients g = gradient();
  g += gradient();  // 6 a^2
  BOOST_TEST(values(tape.gradient(sum(g[a]), list, {.retain = true})[a]) == (List{36, 48}), per_element());
  CHECK_MESSAGE_OF(TapeError, g *= 2, "recorded");
  CHECK_MESSAGE_OF(TapeError, g.clip_norm(1), "clip_norm");
  CHECK_MESSAGE_OF(TapeError, g.clip_value(1), "clip_value");
  BOOST_TEST(values(g[a]) == (List{54, 96}), per_element());
  {
    const NoRecord pause;
    Gradients numbers = g;
    numbers *= 0.5;
    BOOST_TEST(values(numbers[a]) == (List{27, 48}), per_element());
  }
  BOOST_TEST(values(tape.gradient(sum(g[a]), list)[a]) == (List{36, 48}), per_element());
}

BOOST_AUTO_TEST_SUITE_END()

// ---- saved values -----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(saved_values)

BOOST_AUTO_TEST_CASE(writing_never_changes_what_was_recorded) {
  Tape tape;
  const Tensor x = tape.variable(doubles({0, 1}));
  Tensor y = exp(x);
  const Tensor z = y * 2;
  const double e = values(y)[1];
  y.mutable_data<double>()[0] = 100;  // y was saved: it is copied first
  BOOST_TEST(values(y) == (List{100, e}), per_element());
  BOOST_TEST(y.number() == 0u);
  BOOST_TEST(values(tape.gradient(sum(z), x)) == (List{2, 2 * e}), per_element());
}

BOOST_AUTO_TEST_CASE(writing_through_a_view_never_changes_what_was_recorded) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2, 3}));
  Tensor y = x * 1;
  const Tensor z = y * y;
  Tensor part = slice(y, 0, 0, 1);
  part.mutable_data<double>()[0] = 100;
  BOOST_TEST(values(y) == (List{2, 3}), per_element());
  BOOST_TEST(values(tape.gradient(sum(z), x)) == (List{4, 6}), per_element());
}

BOOST_AUTO_TEST_CASE(writing_to_a_leaf_gives_a_constant_copy) {
  Parameter p(doubles({2}));
  Tape tape;
  Tensor leaf = p;
  const Tensor y = leaf * leaf;
  leaf.mutable_data<double>()[0] = 100;
  BOOST_TEST(p.value().item() == 2);
  BOOST_TEST(leaf.number() == 0u);
  BOOST_TEST(tape.gradient(y, p).item() == 4);
}

BOOST_AUTO_TEST_CASE(writing_to_what_nobody_saved_is_allowed) {
  Tensor x = doubles({1, 2});
  const double* before = x.data<double>();
  x.mutable_data<double>()[0] = 5;
  BOOST_TEST(x.data<double>() == before);
  Tape tape;
  const Tensor v = tape.variable(x);
  x.mutable_data<double>()[0] = 7;
  BOOST_TEST(v.element(0) == 5);
}

BOOST_AUTO_TEST_CASE(compound_assignment_is_the_ordinary_chain_rule) {
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  Tensor y = x;
  y *= y;
  y += y;
  BOOST_TEST(tape.gradient(y, x).item() == 12);
  const Scalar s = tape.variable(3);
  Scalar t = s;
  t = t * t;
  t += t;
  BOOST_TEST(tape.gradient(t, s) == 12);
}

BOOST_AUTO_TEST_CASE(borrowed_memory_is_read_and_never_written) {
  const std::vector<double> memory{1, 2, 3};
  Tensor x = Tensor::borrow(std::span<const double>(memory), {3});
  BOOST_TEST(x.data<double>() == memory.data());
  x.mutable_data<double>()[0] = 9;
  BOOST_TEST(memory[0] == 1);
  Tape tape;
  const Tensor v = tape.variable(Tensor::borrow(std::span<const double>(memory), {3}));
  BOOST_TEST(values(tape.gradient(sum(v * v), v)) == (List{2, 4, 6}), per_element());
}

BOOST_AUTO_TEST_SUITE_END()

// ---- exceptions -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(exceptions)

namespace {

// An operation whose rules throw while `armed`.
class Throwing : public Operation {
 public:
  explicit Throwing(const bool* armed) : armed_(armed) {}
  const char* name() const override { return "throwing"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (*armed_) throw std::runtime_error("thrown in a rule");
    x_bar[0] = y_bar[0] * s.x();
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    if (*armed_) throw std::runtime_error("thrown in a rule");
    y_dot[0] = x_dot[0];
  }

 private:
  const bool* armed_;
};
Tensor half_square(const Tensor& x, const bool& armed, Location site = Location::here()) {
  return record(Throwing(&armed), site, {&x}, x.constant() * x.constant() / 2);
}

}  // namespace

namespace {

// Declares that its rule reads an input or output that cannot be saved.
class ReadsTooMuch : public Operation {
 public:
  explicit ReadsTooMuch(int place, bool of_inputs) : place_(place), of_inputs_(of_inputs) {}
  const char* name() const override { return "reads_too_much"; }
  ValueSet saved_for(int) const override { return of_inputs_ ? input(place_) : output(place_); }
  void vjp(const Saved&, std::span<const Tensor>, Cotangents&) const override {}
  void jvp(const Saved&, std::span<const Tensor>, std::span<Tensor>) const override {}

 private:
  int place_;
  bool of_inputs_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(inputs_that_cannot_be_saved_are_not_taken_for_outputs) {
  ValueSet all = kNoValues;
  for (int i = 0; i < kMaxSavedInputs; ++i) {
    BOOST_TEST((all & input(i)) == 0u);
    all |= input(i);
  }
  for (int j = 0; j < kMaxSavedOutputs; ++j) {
    BOOST_TEST((all & output(j)) == 0u);
    all |= output(j);
  }
  CHECK_MESSAGE_OF(Error, input(kMaxSavedInputs), "input 24");
  CHECK_MESSAGE_OF(Error, input(-1), "input -1");
  CHECK_MESSAGE_OF(Error, output(kMaxSavedOutputs), "output 8");
  CHECK_MESSAGE_OF(Error, output(-1), "output -1");
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const std::size_t nodes = tape.nodes();
  for (const bool of_inputs : {true, false})
    BOOST_CHECK_THROW(record(ReadsTooMuch(30, of_inputs), Location::here(), {&x}, Tensor::ones({1}, float64)), Error);
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST(tape.gradient(x * x, x).item() == 6);
}

BOOST_AUTO_TEST_CASE(an_error_while_recording_leaves_the_tape_as_it_was) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({2, 3}, float64));
  const Tensor y = sum(x * x);
  const std::size_t nodes = tape.nodes(), statements = tape.statements();
  BOOST_CHECK_THROW(x + Tensor::ones({4}, float64), ShapeError);
  BOOST_CHECK_THROW(matmul(x, x), ShapeError);
  BOOST_CHECK_THROW(concat({x, Tensor::ones({1}, float64)}), ShapeError);
  BOOST_CHECK_THROW(x(5, 5), ShapeError);
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST(tape.statements() == statements);
  BOOST_TEST(values(tape.gradient(y, x)) == List(6, 2.0), per_element());
}

BOOST_AUTO_TEST_CASE(an_exception_in_a_sweep_leaves_a_tape_that_goes_on) {
  bool armed = true;
  Tape tape;
  {
    const Tensor x = tape.variable(doubles({3}));
    const Scalar s = tape.variable(2);
    const Tensor y = half_square(x * s, armed);
    const Scalar z = Scalar(sum(y)) * s;
    BOOST_CHECK_THROW(tape.jvp(z, wrt(s), {Tensor::ones({}, float64)}), std::runtime_error);
    BOOST_CHECK_THROW(tape.gradient(z, wrt(x, s), {.retain = true}), std::runtime_error);
    BOOST_TEST(recording());
    armed = false;  // retained: the same sweep now succeeds, with nothing left over from the failed one
    const auto [gx, gs] = tape.gradient(z, wrt(x, s), {.retain = true});
    BOOST_TEST(gx.item() == 2 * 6 * 2);  // d/dx s (xs)^2 / 2 = s^3 x
    BOOST_TEST(gs == 18 + 2 * 6 * 3);    // 3/2 s^2 x^2
    armed = true;
    BOOST_CHECK_THROW(tape.gradient(z, x, s), std::runtime_error);
    CHECK_MESSAGE_OF(TapeError, tape.gradient(z, x, s), "consumed");
  }
  armed = false;
  const Tensor x = tape.variable(doubles({3}));
  const Scalar s = tape.variable(2);
  const auto [gx, gs] = tape.gradient(sum(x * s), x, s);
  BOOST_TEST(gx.item() == 2);
  BOOST_TEST(gs == 3);
}

BOOST_AUTO_TEST_CASE(an_exception_in_a_recorded_sweep_leaves_a_tape_that_goes_on) {
  bool armed = true;
  Tape tape;
  const Tensor x = tape.variable(doubles({3}));
  const Tensor y = half_square(x, armed) * x;
  BOOST_CHECK_THROW(tape.differentiable_gradient(y, x), std::runtime_error);
  armed = false;
  const Tensor g = tape.differentiable_gradient(y, x);
  BOOST_TEST(g.item() == 13.5);  // x^3 / 2
  BOOST_TEST(tape.gradient(g, x).item() == 9);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- size and depth ---------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(size)

namespace {

constexpr int kMany = testing::kSanitizer ? 100'000 : 1'000'000;

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_long_chain_needs_no_stack) {
  Tape tape;
  const Tensor x = tape.variable(doubles({1}));
  Tensor y = x;
  const double factor = 1 + 1.0 / kMany;
  for (int i = 0; i < kMany; ++i) y *= factor;
  BOOST_TEST(y.item() == std::exp(1), tolerance(1e-5));
  BOOST_TEST(tape.gradient(y, x).item() == y.item(), tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(a_long_chain_of_views_is_destroyed_without_a_stack) {
  Tensor y = doubles({1, 2});
  for (int i = 0; i < kMany; ++i) y = slice(y, 0, 0, 2);
  BOOST_TEST(y.element(1) == 2);
  auto tape = std::make_unique<Tape>();
  Tensor x = tape->variable(doubles({1}));
  for (int i = 0; i < kMany; ++i) x = x + x * 0;
  tape.reset();  // without a sweep
  BOOST_TEST(x.item() == 1);
}

BOOST_AUTO_TEST_CASE(a_wide_fan_out_is_summed) {
  Tape tape;
  const Tensor x = tape.variable(doubles({1}));
  Tensor y = doubles({0});
  for (int i = 0; i < kMany; ++i) y += x * i;
  BOOST_TEST(tape.gradient(y, x).item() == 0.5 * kMany * (kMany - 1.0));
}

BOOST_AUTO_TEST_CASE(paths_are_not_walked_one_by_one) {
  Tape tape;
  const Tensor x = tape.variable(doubles({1}));
  Tensor y = x;
  for (int i = 0; i < 60; ++i) y = y + y;
  BOOST_TEST(tape.gradient(y, x).item() == 0x1p60);
  const Tensor s = tape.variable(doubles({1}));
  Tensor a = s, b = s;
  for (int i = 0; i < 69; ++i) {
    const Tensor next = a + b;
    a = b;
    b = next;
  }
  BOOST_TEST(tape.gradient(a, s).item() == 190392490709135 + 0.0);
}

BOOST_AUTO_TEST_CASE(a_small_operation_takes_at_most_400_bytes) {
  std::thread([] {  // a new thread has no memory for records left over from other tests
    const std::int64_t before = pool::statistics().in_use;
    constexpr int operations = 100'000;
    Tape tape;
    const Tensor x = tape.variable(Tensor::ones({4}));
    Tensor y = x;
    for (int i = 0; i < operations; ++i) y = y * x;
    const double each = static_cast<double>(pool::statistics().in_use - before) / operations;
    BOOST_TEST_MESSAGE("bytes a recorded operation on 4 elements: " << each << ", of which records "
                                                                    << static_cast<double>(tape.bytes()) / operations);
    BOOST_TEST(each <= 400);
    BOOST_TEST(tape.bytes() <= 400.0 * operations);
  })
      .join();
}

BOOST_AUTO_TEST_CASE(memory_stays_flat_over_many_steps) {
  const Parameter w(Tensor::ones({8, 8})), b(Tensor::zeros({8}));
  const Tensor x = Tensor::ones({4, 8}) / 8;
  const auto step = [&] {
    Tape tape;
    Scalar extra = 0;
    const Tensor h = tanh(matmul(x, w) + b);
    for (int i = 0; i < 4; ++i) extra += square(h(i, i));
    return tape.gradient(sum(h * h) * extra, ParameterList{w, b}).norm();
  };
  const double first = step();
  for (int i = 0; i < 100; ++i) step();
  const std::size_t asked = pool::statistics().heap_allocations;
  const std::int64_t used = pool::statistics().in_use;
  const long peak = peak_kilobytes();
  for (int i = 0; i < 10'000; ++i) BOOST_REQUIRE(step() == first);
  BOOST_TEST(pool::statistics().heap_allocations == asked);
  BOOST_TEST(pool::statistics().in_use == used);
  if (!testing::kSanitizer) BOOST_TEST(peak_kilobytes() - peak < 1000);
}

BOOST_AUTO_TEST_CASE(a_loop_over_the_elements_of_a_tensor_is_linear) {
  // If the cotangent of each element were a separate tensor, this would write 8 * 10^10 bytes.
  constexpr Index n = testing::kSanitizer ? 20'000 : 100'000;
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({n}, float64));
  Scalar s = 0;
  for (Index i = 0; i < n; ++i) s += x(i) * static_cast<double>(i);
  pool::reset_peak();
  const std::int64_t before = pool::statistics().in_use;
  const Tensor g = tape.gradient(s, wrt(x), {.retain = true});
  BOOST_TEST(g.element(n - 1) == n - 1.0);
  BOOST_TEST(pool::statistics().peak_in_use - before < 100 * n);
  Tensor total = Tensor::zeros({}, float64);
  for (Index i = 0; i < n; i += 10) total += select(x, 0, i) * static_cast<double>(i);
  BOOST_TEST(tape.gradient(total, x).element(n - 10) == n - 10.0);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- derivatives of derivatives ---------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(higher_orders)

BOOST_AUTO_TEST_CASE(tensors_to_fourth_order_on_any_tape) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2}));
  const Tensor y = x * x * x * x;
  const Tensor first = tape.differentiable_gradient(y, x);
  const Tensor second = tape.differentiable_gradient(first, x);
  const Tensor third = tape.differentiable_gradient(second, x);
  BOOST_TEST(first.item() == 32);
  BOOST_TEST(second.item() == 48);
  BOOST_TEST(third.item() == 48);
  BOOST_TEST(tape.gradient(third, x).item() == 24);
}

BOOST_AUTO_TEST_CASE(third_order_of_a_network_against_differences_of_the_second) {
  const Tensor x = Tensor::from({{0.3, -0.4}, {0.5, 0.2}}, float64), w = Tensor::from({{0.7, 0.1, -0.5}, {-0.2, 0.6, 0.3}}, float64);
  const Tensor labels = Tensor::from({0, 2}, int64);
  const auto loss = [&](const Tensor& v) { return cross_entropy(tanh(matmul(x, v)), labels); };
  Tape tape;
  const Tensor v = tape.variable(w);
  const Tensor g = tape.differentiable_gradient(loss(v), v);
  const Tensor h = tape.differentiable_gradient(sum(g * g), v);
  const Tensor third = tape.gradient(sum(h * h), v);
  for (Index i = 0; i < w.size(); ++i) {
    const auto squared_second = [&](double step) {
      Tensor moved = w;
      moved.mutable_data<double>()[i] += step;
      Tape inner({.isolated = true});
      const Tensor u = inner.variable(moved);
      const Tensor first = inner.differentiable_gradient(loss(u), u);
      const Tensor second = inner.gradient(sum(first * first), u);
      return sum(second * second).item();
    };
    BOOST_TEST(third.element(i) == (squared_second(1e-5) - squared_second(-1e-5)) / 2e-5, tolerance(1e-6));
  }
}

BOOST_AUTO_TEST_CASE(scalars_need_a_tape_for_higher_orders) {
  {
    Tape tape;
    const Scalar s = tape.variable(2), t = s * s * s;
    CHECK_MESSAGE_OF(TapeError, tape.differentiable_gradient(t, s), "higher_order");
    BOOST_TEST(tape.gradient(t, s) == 12);
  }
  Tape tape({.higher_order = true});
  const Scalar s = tape.variable(2);
  Scalar t = s * s * s;
  t += sin(s) / s;
  const Scalar first = tape.differentiable_gradient(t, s);
  const Scalar second = tape.differentiable_gradient(first, s);
  BOOST_TEST(first.value() == 12 + std::cos(2) / 2 - std::sin(2) / 4, tolerance(1e-14));
  BOOST_TEST(second.value() == 12 - std::sin(2) / 2 - std::cos(2) / 2 + std::sin(2) / 4, tolerance(1e-14));
  const double third = 6 + std::cos(2) / 4 + std::sin(2) * 3 / 8;
  BOOST_TEST(tape.gradient(second, s) == third, tolerance(1e-12));
}

// A double cannot be differentiated again: returning one from a recorded sweep would silently lose the second derivative.
BOOST_AUTO_TEST_CASE(recorded_gradients_by_scalars_are_scalars) {
  for (const bool higher_order : {false, true}) {
    Tape tape({.higher_order = higher_order});
    const Scalar s = tape.variable(2), t = s * s * s;
    const Tensor x = tape.variable(doubles({1, 2}));
    const Scalar both = Scalar(sum(x * x)) * s;
    double out[1];
    const auto refused = [&](auto&& ask) { CHECK_MESSAGE_OF(TapeError, ask(), "differentiable_gradient()"); };
    refused([&] { tape.gradient(t, wrt(s), {.differentiable = true}); });
    refused([&] { tape.gradient(both, wrt(x, s), {.differentiable = true}); });
    refused([&] { tape.gradient(sum(x * s), wrt(s, x), {.differentiable = true}); });
    refused([&] { tape.gradient(t, std::span(&s, 1), out, {.differentiable = true}); });
    BOOST_TEST(tape.gradient(t, wrt(s), {.retain = true}) == 12);  // nothing was consumed
    if (!higher_order) continue;
    const auto [gx, gs] = tape.differentiable_gradient(both, x, s);
    BOOST_TEST(tape.gradient(gs * gs, wrt(x), {.retain = true}).element(1) == 2 * 5 * 4);  // (x1^2 + x2^2)^2
    BOOST_TEST(tape.gradient(sum(gx), wrt(s)) == 6);                                       // 2 s (x1 + x2)
  }
}

BOOST_AUTO_TEST_CASE(a_recorded_sweep_needs_its_tape_to_record) {
  Tape tape;
  const Tensor x = tape.variable(doubles({2})), y = x * x;
  {
    NoRecord pause;
    CHECK_MESSAGE_OF(TapeError, tape.differentiable_gradient(y, x), "suspended");
  }
  BOOST_TEST(tape.gradient(tape.differentiable_gradient(y, x), x).item() == 2);
}

BOOST_AUTO_TEST_CASE(products_with_jacobians_and_hessians) {
  const Tensor x = doubles({1, 2, 3}), v = doubles({1, 0, -1});
  const auto cubes = [](const Tensor& x) { return x * x * x; };
  const auto sum_of_cubes = [](const Tensor& x) { return sum(x * x * x); };
  BOOST_TEST(values(jvp(cubes, x, v)) == (List{3, 0, -27}), per_element());
  BOOST_TEST(values(vjp(cubes, x, v)) == (List{3, 0, -27}), per_element());
  BOOST_TEST(values(hvp(sum_of_cubes, x, v)) == (List{6, 0, -18}), per_element());
  const auto [value, gradient] = value_and_gradient(sum_of_cubes, x);
  BOOST_TEST(value.item() == 36);
  BOOST_TEST(values(gradient) == (List{3, 12, 27}), per_element());
}

BOOST_AUTO_TEST_SUITE_END()

// ---- scalars and tensors ----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(scalars_and_tensors)

namespace {

// A random program on scalars and vectors of 3 that crosses between them in both directions; the same for the same seed.
Tensor random_program(std::uint64_t seed, const Tensor& x, int steps) {
  Generator random(seed);
  std::vector<Tensor> vectors{x, x * 0.5};
  std::vector<Scalar> scalars{x(0), x(1) * x(2)};
  const auto vector = [&]() -> Tensor& {
    return vectors[static_cast<std::size_t>(random.next_integer(0, static_cast<Index>(vectors.size())))];
  };
  const auto scalar = [&]() -> Scalar& {
    return scalars[static_cast<std::size_t>(random.next_integer(0, static_cast<Index>(scalars.size())))];
  };
  for (int k = 0; k < steps; ++k) {
    switch (random.next_integer(0, 12)) {
      case 0:
        vectors.push_back(tanh(vector() + vector()));
        break;
      case 1:
        vectors.push_back(sin(vector() * scalar()));
        break;
      case 2:
        vectors.push_back(tanh(stack({scalar(), scalar(), Scalar(0.5)}, float64)));
        break;
      case 3:
        scalars.push_back(tanh(vector()(random.next_integer(0, 3)) + scalar()));
        break;
      case 4:
        scalars.push_back(sin(scalar()) * scalar());
        break;
      case 5:
        scalar() += vector()(random.next_integer(0, 3)) * 0.25;
        break;
      case 6:
        scalars.push_back(tanh(Scalar(sum(vector() * vector()))));
        break;
      case 7: {
        Scalar& s = scalar();
        s += s * scalar() * 0.125;
        s = tanh(s);
        break;
      }
      case 8:
        vectors.push_back(slice(concat({vector(), vector()}), 0, 1, 6, 2));
        break;
      case 9:
        scalars.push_back(scalar());  // a second holder
        break;
      case 10:
        std::swap(scalar(), scalar());
        break;
      case 11:
        vector() = tanh(vector() - scalar());
        break;
    }
  }
  Scalar total = 0;
  for (const Scalar& s : scalars) total += tanh(s);
  Tensor y = stack({total, total * 0.5}, float64);
  for (const Tensor& v : vectors) y += tanh(sum(v));
  return y;
}

void check_random_programs(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Tensor x = Generator(seed).uniform({3}, -1, 1, float64);
    const int steps = 5 + static_cast<int>(seed % 40);
    const GradientCheck check = check_gradient([&](const Tensor& v) { return random_program(seed, v, steps); }, {x}, {.tolerance = 1e-7});
    BOOST_CHECK_MESSAGE(check.passed(), "seed " << seed << ": " << check.to_string());
  }
}

constexpr std::uint64_t kPrograms = testing::kSanitizer ? 40 : 400;

}  // namespace

BOOST_AUTO_TEST_CASE(random_programs_agree_with_differences_to_second_order) { check_random_programs(0, kPrograms); }

BOOST_AUTO_TEST_CASE(random_programs_on_tiny_chunks) {
  const detail::ChunkSizes usual = detail::chunk_sizes;
  detail::chunk_sizes = {.statements = 256, .nodes = 2};
  std::thread([] { check_random_programs(1000, kPrograms / 2); }).join();
  detail::chunk_sizes = usual;
}

BOOST_AUTO_TEST_CASE(long_programs_on_tiny_chunks) {
  const detail::ChunkSizes usual = detail::chunk_sizes;
  detail::chunk_sizes = {.statements = 256, .nodes = 4};
  std::thread([] {
    for (int round = 0; round < 3; ++round) {
      Tape tape;
      const Scalar w = tape.variable(0.999);
      Scalar s = 1;
      for (int i = 0; i < 3000; ++i) {
        s = s * w + 0.001;
        if (i % 100 == 0) s += Scalar(sum(stack({s, w}) * 0.0));
      }
      double value = 1, slope = 0;
      for (int i = 0; i < 3000; ++i) {
        slope = slope * 0.999 + value;
        value = value * 0.999 + 0.001;
      }
      BOOST_TEST(tape.gradient(s, w) == slope, tolerance(1e-12));
    }
  }).join();
  detail::chunk_sizes = usual;
}

BOOST_AUTO_TEST_SUITE_END()

// ---- threads ----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(threads)

BOOST_AUTO_TEST_CASE(undefined_sources_and_targets_are_errors) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({2.0})), y = x * x;
  BOOST_CHECK_THROW(tape.gradient(y, Tensor()), TapeError);
  BOOST_CHECK_THROW(tape.gradient(y, Parameter()), TapeError);
  BOOST_CHECK_THROW(tape.gradient(Tensor(), x), TapeError);
  BOOST_TEST(tape.gradient(y, x).item() == 4);
}

BOOST_AUTO_TEST_CASE(two_threads_on_two_tapes_share_parameters) {
  const Parameter w(Tensor::from({{0.1, 0.2}, {0.3, 0.4}}, float64)), b(doubles({0.5, -0.5}));
  const ParameterList list{w, b};
  const auto step = [&](int i) {
    Tape tape;
    const Tensor x = Tensor::full({3, 2}, 0.01 * i, float64);
    const Tensor h = tanh(matmul(x, w) + b);
    Scalar s = h(0, 0);
    s += square(h(1, 1));
    return tape.gradient(sum(h * h) + s, list).norm();
  };
  constexpr int steps = 300;
  List serial, parallel[2];
  for (int i = 0; i < steps; ++i) serial.push_back(step(i));
  const auto run = [&](List& results) {
    for (int i = 0; i < steps; ++i) results.push_back(step(i));
  };
  std::thread first(run, std::ref(parallel[0])), second(run, std::ref(parallel[1]));
  first.join();
  second.join();
  BOOST_TEST(parallel[0] == serial, per_element());
  BOOST_TEST(parallel[1] == serial, per_element());
}

BOOST_AUTO_TEST_CASE(values_may_be_destroyed_on_another_thread) {
  std::vector<Tensor> values_of_thread;
  std::thread([&] {
    Tape tape;
    const Tensor x = tape.variable(doubles({1, 2}));
    for (int i = 0; i < 1000; ++i) values_of_thread.push_back(x * i);
  }).join();
  BOOST_TEST(values_of_thread.back().element(1) == 1998);
  BOOST_TEST((values_of_thread.back() * 2).number() == 0u);  // its tape has ended
}

BOOST_AUTO_TEST_SUITE_END()

// ---- the ends of threads and of the process -----------------------------------------------------------------------------------------

namespace {

double slope_of_square() {
  Tape tape;
  const Tensor x = tape.variable(Tensor::full({3}, 2));
  const Scalar s = tape.variable(2.0);
  return tape.gradient(sum(x * x) + s * s, x).element(0);
}

// Its destructor opens a tape.
struct OpensATapeAtTheEnd {
  ~OpensATapeAtTheEnd() { *result = slope_of_square(); }
  double* result;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_tape_in_the_destructor_of_a_thread_local_object) {
  double at_end = 0, before = 0;
  std::thread([&] {
    thread_local OpensATapeAtTheEnd last{nullptr};  // made before the thread's first tape: destroyed after what that one leaves
    last.result = &at_end;
    before = slope_of_square();
  }).join();
  BOOST_TEST(before == 4);
  BOOST_TEST(at_end == 4);
}

BOOST_AUTO_TEST_CASE(static_tapes_at_exit) {
  if (!testing::is_child()) return;
  static double result = 0;
  static OpensATapeAtTheEnd last{&result};
  static Tape tape;
  static const Scalar x = tape.variable(2.0);
  BOOST_TEST(tape.gradient(x * x, x) == 4);
}
BOOST_AUTO_TEST_CASE(static_tapes_end_with_the_process) { BOOST_TEST(testing::run_in_child("static_tapes_at_exit", {}).status == 0); }

BOOST_AUTO_TEST_CASE(trimming_returns_the_memory_of_finished_tapes) {
  {
    Tape tape;
    Scalar y = tape.variable(1.0);
    for (int i = 0; i < 1'000'000; ++i) y = sin(y);
  }
  const std::size_t kept = pool::statistics().heap_bytes;
  pool::trim();
  BOOST_TEST(pool::statistics().heap_bytes + 10'000'000 < kept);
  BOOST_TEST(slope_of_square() == 4);
}
