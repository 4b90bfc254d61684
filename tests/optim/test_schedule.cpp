#include "optim/schedule.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "autodiff/error.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;

namespace {

// The rates of the first steps.
template <optim::Schedule S> void check(const S& schedule, const std::vector<double>& expected) {
  for (std::size_t t = 0; t < expected.size(); ++t)
    BOOST_TEST(schedule(static_cast<Index>(t)) == expected[t], boost::test_tools::tolerance(1e-14));
}

const double kRoot = std::sqrt(0.5);

}  // namespace

BOOST_AUTO_TEST_CASE(rates_step_by_step) {
  check(optim::ConstantSchedule{.lr = 8, .factor = 0.25, .steps = 2}, {2, 2, 8, 8});
  check(optim::StepSchedule{.lr = 8, .step_size = 2, .gamma = 0.5}, {8, 8, 4, 4, 2});
  check(optim::MultiStepSchedule{.lr = 8, .milestones = {3, 1, 3}, .gamma = 0.5}, {8, 4, 4, 1, 1});
  check(optim::MultiStepSchedule{.lr = 8}, {8, 8});
  check(optim::ExponentialSchedule{.lr = 8, .gamma = 0.5}, {8, 4, 2, 1});
  check(optim::LinearSchedule{.lr = 8, .start_factor = 0.5, .end_factor = 1, .steps = 4}, {4, 5, 6, 7, 8, 8});
  check(optim::PolynomialSchedule{.lr = 8, .steps = 4, .power = 2}, {8, 4.5, 2, 0.5, 0, 0});
  check(optim::CosineSchedule{.lr = 3, .steps = 4, .min_lr = 1}, {3, 2 + kRoot, 2, 2 - kRoot, 1, 2 - kRoot, 2, 2 + kRoot, 3});
  check(optim::CosineRestartsSchedule{.lr = 2, .steps = 2, .multiplier = 2}, {2, 1, 2, 1 + kRoot, 1, 1 - kRoot, 2});
  check(optim::CosineRestartsSchedule{.lr = 2, .steps = 2}, {2, 1, 2, 1, 2});
  check(optim::WarmupCosineSchedule{.lr = 8, .warmup_steps = 2, .steps = 2, .start_factor = 0.5}, {4, 6, 8, 4});
  const optim::OneCycleSchedule cycle{.lr = 8,
                                      .steps = 5,
                                      .warmup_fraction = 0.6,
                                      .initial_divisor = 4,
                                      .final_divisor = 2,
                                      .curve = optim::OneCycleSchedule::Curve::linear,
                                      .min_momentum = 0.5,
                                      .max_momentum = 0.9};
  check(cycle, {2, 5, 8, 4.5, 1});
  for (const auto& [step, momentum] : {std::pair(0, 0.9), {1, 0.7}, {2, 0.5}, {4, 0.9}})
    BOOST_TEST(cycle.momentum(step) == momentum, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(far_steps_cost_nothing) {
  BOOST_TEST(optim::CosineRestartsSchedule({.lr = 2, .steps = 2})(Index{1} << 60) == 2);
  BOOST_TEST(optim::ExponentialSchedule({.lr = 2, .gamma = 0.5})(Index{1} << 60) == 0);
  constexpr Index kLargest = std::numeric_limits<Index>::max();
  BOOST_TEST(optim::CosineRestartsSchedule({.lr = 2, .steps = kLargest / 2, .multiplier = 3})(kLargest / 2) ==
             2);  // a period that overflows
  BOOST_TEST(optim::CosineRestartsSchedule({.lr = 2, .steps = 1, .multiplier = 2})(kLargest) > 0);
  // The second period is longer than the largest step, which is then a half of it: cos(pi / 2) = 0.
  BOOST_TEST(std::abs(optim::CosineRestartsSchedule({.lr = 2, .steps = Index{1} << 60, .multiplier = 14})(kLargest) - 1) < 1e-15);
  BOOST_TEST(optim::CosineSchedule({.lr = 2, .steps = kLargest})(kLargest) == 0);
}

BOOST_AUTO_TEST_CASE(a_plateau_reduces_the_rate) {
  optim::PlateauSchedule plateau(1, {.factor = 0.5, .patience = 1, .cooldown = 1, .min_lr = 0.3});
  const std::vector<double> results{5, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3}, rates{1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3};
  for (std::size_t i = 0; i < results.size(); ++i) BOOST_TEST(plateau(results[i]) == rates[i]);
  BOOST_TEST(plateau.learning_rate() == 0.3);
}

BOOST_AUTO_TEST_CASE(a_plateau_from_above_or_with_nan) {
  optim::PlateauSchedule highest(1, {.mode = optim::PlateauOptions::Mode::max, .patience = 0, .threshold = 0.1});
  BOOST_TEST(highest(10) == 1);
  BOOST_TEST(highest(12) == 1);
  BOOST_TEST(highest(13) == 0.1);  // less than a tenth better
  optim::PlateauSchedule never(1, {.patience = 0});
  BOOST_TEST(never(std::numeric_limits<double>::quiet_NaN()) == 0.1);
}

BOOST_AUTO_TEST_CASE(a_plateau_below_zero) {
  using Mode = optim::PlateauOptions::Mode;
  const auto rate_after = [](const optim::PlateauOptions& options, std::initializer_list<double> results) {
    optim::PlateauSchedule plateau(1, options);
    for (const double result : results) plateau(result);
    return plateau.learning_rate();
  };
  const optim::PlateauOptions smallest{.patience = 0, .threshold = 0.1}, largest{.mode = Mode::max, .patience = 0, .threshold = 0.1};
  BOOST_TEST(rate_after(smallest, {-10, -10}) == 0.1);
  BOOST_TEST(rate_after(smallest, {-10, -9.5}) == 0.1);   // worse, though by less than a tenth
  BOOST_TEST(rate_after(smallest, {-10, -10.5}) == 0.1);  // less than a tenth better
  BOOST_TEST(rate_after(smallest, {-10, -12}) == 1);
  BOOST_TEST(rate_after(largest, {-10, -10.5}) == 0.1);
  BOOST_TEST(rate_after(largest, {-10, -9.5}) == 0.1);
  BOOST_TEST(rate_after(largest, {-10, -8}) == 1);
  BOOST_TEST(rate_after(smallest, {0, -1e-9}) == 1);  // a tenth of 0
}

BOOST_AUTO_TEST_CASE(a_plateau_resumes_from_its_state) {
  const optim::PlateauOptions options{.factor = 0.5, .patience = 1, .cooldown = 1};
  optim::PlateauSchedule whole(1, options), resumed(7, options);
  for (const double result : {3.0, 4.0, 4.0, 4.0}) whole(result);
  resumed.load_state(whole.state());
  BOOST_TEST(resumed.learning_rate() == whole.learning_rate());
  for (const double result : {4.0, 4.0, 2.0, 2.5, 2.5, 2.5}) BOOST_TEST(resumed(result) == whole(result));

  std::vector<NamedTensor> state = whole.state();
  const double rate = resumed.learning_rate();
  state[0].value = Tensor::full({}, -1, float64);
  BOOST_TEST(contains(message_of<DataError>([&] { resumed.load_state(state, "file"); }), "file: PlateauSchedule.lr is -1"));
  state.pop_back();
  BOOST_CHECK_THROW(resumed.load_state(state), DataError);
  BOOST_TEST(resumed.learning_rate() == rate);
}

BOOST_AUTO_TEST_CASE(fields_out_of_range_are_errors) {
  BOOST_TEST(contains(message_of<Error>([] { optim::StepSchedule{.lr = 1}(-1); }), "StepSchedule: there is no step -1"));
  BOOST_CHECK_THROW(optim::StepSchedule({.lr = 1, .step_size = 0})(0), Error);
  BOOST_CHECK_THROW(optim::StepSchedule({.lr = -1})(0), Error);
  BOOST_CHECK_THROW(optim::ExponentialSchedule({.lr = std::nan("")})(0), Error);
  BOOST_CHECK_THROW(optim::CosineRestartsSchedule({.lr = 1, .multiplier = 0})(5), Error);
  BOOST_CHECK_THROW(optim::WarmupCosineSchedule({.lr = 1, .warmup_steps = -1})(5), Error);
  BOOST_TEST(contains(message_of<Error>([] { optim::OneCycleSchedule{.lr = 1, .steps = 10}(10); }), "the last is 9"));
  BOOST_CHECK_THROW(optim::OneCycleSchedule({.lr = 1, .steps = 3})(0), Error);  // 0.3 of 3 steps: no way up
  BOOST_CHECK_THROW(optim::PlateauSchedule(-1), Error);
  BOOST_CHECK_THROW(optim::PlateauSchedule(1, {.factor = 1}), Error);
  BOOST_CHECK_THROW(optim::PlateauSchedule(1, {.patience = -1}), Error);
  BOOST_CHECK_THROW(optim::PlateauSchedule(1, {.threshold = std::nan("")}), Error);
  BOOST_CHECK_THROW(optim::PlateauSchedule(1, {.cooldown = -1}), Error);
  BOOST_CHECK_THROW(optim::PlateauSchedule(1, {.min_lr = -1}), Error);
  BOOST_CHECK_THROW(optim::StepSchedule({.lr = 1, .gamma = -1})(0), Error);
  BOOST_CHECK_THROW(optim::MultiStepSchedule({.lr = 1, .gamma = std::nan("")})(0), Error);
  BOOST_CHECK_THROW(optim::ExponentialSchedule({.lr = 1, .gamma = -1})(0), Error);
  BOOST_CHECK_THROW(optim::ConstantSchedule({.lr = 1, .factor = -1})(0), Error);
  BOOST_CHECK_THROW(optim::LinearSchedule({.lr = 1, .end_factor = -1})(0), Error);
  BOOST_CHECK_THROW(optim::PolynomialSchedule({.lr = 1, .power = -1})(0), Error);
  BOOST_CHECK_THROW(optim::CosineSchedule({.lr = 1, .min_lr = -1})(0), Error);
  BOOST_CHECK_THROW(optim::OneCycleSchedule({.lr = 1, .steps = 10, .max_momentum = 1})(0), Error);
  BOOST_CHECK_THROW(optim::OneCycleSchedule({.lr = 1, .steps = 10, .warmup_fraction = 1})(0), Error);
  // The schedule, the field and its value are named.
  BOOST_TEST(message_of<Error>([] { optim::StepSchedule{.lr = 1, .step_size = 0}(0); }) ==
             "StepSchedule: step_size must be at least 1, but it is 0");
  BOOST_TEST(message_of<Error>([] { optim::CosineSchedule{.lr = -2}(0); }) ==
             "CosineSchedule: lr must be finite and not negative, but it is -2");
}
