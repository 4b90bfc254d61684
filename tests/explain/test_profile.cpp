// Profiles: what is counted, that no time is counted twice, and that a Profile may come and go at any moment.
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;

namespace {

const ProfileRow* find(const std::vector<ProfileRow>& rows, const std::string& name) {
  for (const ProfileRow& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}
std::string place(std::uint32_t line) { return "test_profile.cpp:" + std::to_string(line); }

double all_seconds(const Profile& profile) {
  double sum = profile.between() + profile.sweeping() + profile.outside();
  for (const ProfileRow& row : profile.lines()) sum += row.seconds();
  return sum;
}

}  // namespace

BOOST_AUTO_TEST_CASE(lines_operations_and_modules_are_counted) {
  nn::Sequential model(nn::Linear(32, 16), nn::ReLU(), nn::Linear(16, 4));
  const ParameterList parameters = model.parameters();
  const Tensor x = Tensor::ones({8, 32});
  std::uint32_t line = 0;
  Profile profile;
  for (int step = 0; step < 3; ++step) {
    Tape tape;
    const Tensor y = model(x);
    line = __LINE__ + 1;
    const Tensor loss = mean(y * y);
    static_cast<void>(tape.gradient(loss, parameters));
  }
  BOOST_TEST(profile.sweeps() == 3u);

  const std::vector<ProfileRow> lines = profile.lines();
  const ProfileRow* row = find(lines, place(line));
  BOOST_REQUIRE(row);
  BOOST_TEST(row->operations == "multiply, mean");
  BOOST_TEST(row->calls == 6u);
  BOOST_TEST(row->forward > 0);
  BOOST_TEST(row->backward > 0);
  BOOST_TEST(row->flops == 0);
  BOOST_TEST(row->kept == 8 * 4 * sizeof(float));  // y, which both factors are
  for (std::size_t k = 1; k < lines.size(); ++k) BOOST_TEST(lines[k - 1].seconds() >= lines[k].seconds());

  const std::vector<ProfileRow> modules = profile.modules();
  BOOST_REQUIRE(modules.size() == 2u);
  const ProfileRow *first = find(modules, "0"), *last = find(modules, "2");
  BOOST_REQUIRE(first);
  BOOST_REQUIRE(last);
  BOOST_TEST(first->calls == 3u);
  // Forwards one product; backwards one for the weight, and for the second layer one for x.
  BOOST_TEST(first->flops == 3 * 2.0 * (2 * 8 * 32 * 16));
  BOOST_TEST(last->flops == 3 * 3.0 * (2 * 8 * 16 * 4));
  // x, and the result of relu, which it and the next layer keep; both are counted for whoever keeps them first.
  BOOST_TEST(first->kept >= 8 * 32 * sizeof(float));

  const std::string report = profile.report();
  BOOST_TEST(contains(report, "3 sweeps"));
  BOOST_TEST(contains(report, place(line)));
  BOOST_TEST(contains(report, "outside of tapes"));
}

BOOST_AUTO_TEST_CASE(convolutions_products_and_recurrence_count_their_products) {
  Tape tape;
  const Tensor image = tape.variable(Tensor::ones({2, 3, 8, 8})), kernel = tape.variable(Tensor::ones({4, 3, 3, 3}));
  const Tensor a = tape.variable(Tensor::ones({5, 6})), b = tape.variable(Tensor::ones({6, 7}));
  Profile profile;  // a tape that is open already is measured, too
  const Tensor y = conv2d(image, kernel), c = matmul(a, b);
  const double convolution = 2.0 * 2 * 4 * 6 * 6 * 27, product = 2.0 * 5 * 7 * 6;
  BOOST_TEST(find(profile.operations(), "conv2d")->flops == convolution);
  BOOST_TEST(find(profile.operations(), "matmul")->flops == product);
  static_cast<void>(tape.gradient(sum(y) + sum(c), image, kernel, a, b));
  BOOST_TEST(find(profile.operations(), "conv2d")->flops == 3 * convolution);
  BOOST_TEST(find(profile.operations(), "matmul")->flops == 3 * product);

  profile.reset();
  BOOST_TEST(profile.lines().empty());
  BOOST_TEST(profile.sweeps() == 0u);
}

BOOST_AUTO_TEST_CASE(no_time_is_counted_twice) {
  const auto begin = std::chrono::steady_clock::now();
  const Profile profile({.every_step = true});
  for (int step = 0; step < 20; ++step) {
    Tape tape;
    Tensor x = tape.variable(Tensor::ones({64, 64}, float64));
    const auto block = checkpoint([](const Tensor& v) { return tanh(matmul(v, v) * 0.01); });
    for (int k = 0; k < 3; ++k) x = block(x);
    Scalar s = tape.variable(1.0);
    for (int k = 0; k < 50; ++k) s = s * 0.5 + Scalar(sum(x)) * 1e-6;
    static_cast<void>(tape.gradient(s, s));
  }
  for (int step = 0; step < 20; ++step) {
    Tape tape;
    const Tensor v = tape.variable(Tensor::ones({3}, float64));
    const Tensor g = tape.differentiable_gradient(sum(v * v * v), v);  // a recorded sweep
    static_cast<void>(tape.gradient(sum(g), v));
  }
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  BOOST_TEST(all_seconds(profile) <= elapsed);
  for (const ProfileRow& row : profile.lines()) {
    BOOST_TEST(row.forward >= 0);
    BOOST_TEST(row.backward >= 0);
  }
  BOOST_TEST(profile.between() >= 0);
  BOOST_TEST(profile.sweeping() >= 0);
  BOOST_TEST(profile.outside() >= 0);
}

BOOST_AUTO_TEST_CASE(what_a_recorded_sweep_computes_is_backward_time) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({16}, float64));
  Profile profile;
  const Tensor y = sum(x * x * x);
  const double forward = find(profile.operations(), "multiply")->forward;
  static_cast<void>(tape.differentiable_gradient(y, x));
  const ProfileRow row = *find(profile.operations(), "multiply");
  BOOST_TEST(row.forward == forward);
  BOOST_TEST(row.calls > 2u);
  BOOST_TEST(row.backward > 0);
}

BOOST_AUTO_TEST_CASE(an_exception_from_a_rule_leaves_the_profile_usable) {
  Profile profile;
  for (const bool fails : {true, false}) {
    const auto twice = custom_operation(
        "twice", [](const Tensor& x) { return 2 * x; },
        [fails](const Tensor& y_bar, const Tensor&, const Tensor&) {
          if (fails) throw std::runtime_error("planted");
          return 2 * y_bar;
        });
    Tape tape;
    const Tensor x = tape.variable(Tensor::ones({4}, float64));
    const Tensor loss = sum(twice(x));
    if (fails) {
      BOOST_CHECK_THROW(static_cast<void>(tape.gradient(loss, x)), std::runtime_error);
    } else {
      BOOST_TEST(tape.gradient(loss, x).to_vector<double>() == std::vector<double>(4, 2.0), boost::test_tools::per_element());
    }
  }
  BOOST_TEST(profile.sweeps() == 2u);
  BOOST_TEST(find(profile.operations(), "twice")->calls == 2u);
  BOOST_TEST(find(profile.operations(), "twice")->backward > 0);
}

BOOST_AUTO_TEST_CASE(a_profile_may_begin_and_end_at_any_moment) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({4}, float64));
  const Tensor before = x * x;
  Tensor during;
  {
    const Profile profile;
    during = before * x;
    BOOST_TEST(profile.operations().size() == 1u);
  }
  const Tensor loss = sum(during * x);
  BOOST_TEST(tape.gradient(loss, wrt(x), {.retain = true}).to_vector<double>() == std::vector<double>(4, 4.0),
             boost::test_tools::per_element());
  const Profile profile;
  static_cast<void>(tape.gradient(loss, x));  // of records that it has not seen
  BOOST_TEST(find(profile.operations(), "multiply")->calls == 0u);
  BOOST_TEST(find(profile.operations(), "multiply")->backward > 0);
}

BOOST_AUTO_TEST_CASE(a_profile_belongs_to_its_thread) {
  const Profile profile;
  BOOST_TEST(contains(testing::message_of<Error>([] { const Profile second; }), "profile: this thread has a Profile already"));
  std::thread([] {
    const Profile of_thread;
    Tape tape;
    const Tensor x = tape.variable(Tensor::ones({4}));
    static_cast<void>(tape.gradient(sum(x * x), x));
    BOOST_TEST(of_thread.operations().size() == 2u);
  }).join();
  BOOST_TEST(profile.operations().empty());
}

BOOST_AUTO_TEST_CASE(a_trace_holds_every_call) {
  Profile profile({.events = true});
  for (int step = 0; step < 2; ++step) {
    Tape tape;
    const Tensor x = tape.variable(Tensor::ones({4}));
    static_cast<void>(tape.gradient(sum(exp(x)), x));
  }
  const nlohmann::json trace = nlohmann::json::parse(profile.trace_json());
  const nlohmann::json& events = trace.at("traceEvents");
  BOOST_REQUIRE(events.size() == 8u);  // exp, sum and their rules, twice
  double end = 0;
  for (const nlohmann::json& e : events) {
    BOOST_TEST(e.at("ph") == "X");
    BOOST_TEST(e.at("ts").get<double>() >= end);
    BOOST_TEST(e.at("dur").get<double>() >= 0);
    BOOST_TEST(contains(e.at("args").at("line").get<std::string>(), "test_profile.cpp:"));
    end = e.at("ts").get<double>();
  }
  BOOST_TEST(events[0].at("name") == "exp");
  BOOST_TEST(events[2].at("cat") == "backward");
}

namespace {

// One step of a program whose operations take less time than a look at the clock, as often as asked.
void many_short_steps(int steps, int operations) {
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    Tensor x = tape.variable(Tensor::ones({1}, float64));
    const Tensor x0 = x;
    for (int k = 0; k < operations; ++k) x = -x;
    static_cast<void>(tape.gradient(x, x0));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(steps_that_are_left_out_count_as_well) {
  constexpr int kSteps = 3000, kOperations = 40;
  const Profile profile;
  many_short_steps(kSteps, kOperations);
  BOOST_TEST(profile.measured() < 0.9);
  BOOST_TEST(profile.measured() >= 3.0 / kSteps);
  BOOST_TEST(profile.sweeps() == std::uint64_t(kSteps));
  const std::vector<ProfileRow> rows = profile.operations();
  const ProfileRow* const row = find(rows, "negative");
  BOOST_REQUIRE(row);
  BOOST_TEST(row->calls == std::uint64_t(kSteps * kOperations));
  BOOST_TEST(row->forward > 0);
  BOOST_TEST(row->backward > 0);
  BOOST_TEST(contains(profile.report(), "% of the steps were measured"));
}

BOOST_AUTO_TEST_CASE(each_line_that_opens_tapes_counts_for_itself) {
  const Profile profile;
  for (int step = 0; step < 1000; ++step) {
    many_short_steps(2, 40);
    Tape tape;
    const Tensor x = tape.variable(Tensor::ones({1}, float64));
    static_cast<void>(tape.gradient(exp(x), x));
  }
  BOOST_TEST(find(profile.operations(), "negative")->calls == 80'000u);
  BOOST_TEST(find(profile.operations(), "exp")->calls == 1000u);
}

BOOST_AUTO_TEST_CASE(a_tape_that_goes_on_after_its_gradients_has_steps_too) {
  Profile profile;
  Tape tape;
  std::uint64_t wrong = 0;
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    const Tensor x = tape.variable(Tensor::ones({1}, float64));
    Tensor y = x;
    for (int k = 0; k < 40; ++k) y = -y;
    static_cast<void>(tape.gradient(y, x));
    // A step that is left out counts as soon as it begins, which is at the end of the one before it.
    const std::uint64_t sweeps = profile.sweeps();
    wrong += sweeps != step && sweeps != step + 1;
  }
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(profile.measured() < 0.9);
  profile.reset();
  BOOST_TEST(profile.sweeps() == 0u);
  BOOST_TEST(profile.measured() == 1.0);
}

BOOST_AUTO_TEST_CASE(every_step_is_measured_where_that_is_asked_for) {
  for (const ProfileOptions& options : {ProfileOptions{.every_step = true}, ProfileOptions{.events = true}}) {
    const Profile profile(options);
    many_short_steps(200, 40);
    BOOST_TEST(profile.measured() == 1.0);
    BOOST_TEST(find(profile.operations(), "negative")->calls == 8000u);
    BOOST_TEST(!contains(profile.report(), "were measured"));
  }
}

BOOST_AUTO_TEST_CASE(a_trace_needs_events) {
  const Profile profile;
  BOOST_TEST(contains(testing::message_of<Error>([&] { static_cast<void>(profile.trace_json()); }), "pass {.events = true}"));
}
