#include "optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "autodiff/error.h"

namespace wengert::optim {
namespace {

void require(const char* schedule, bool condition, const char* problem) {
  if (!condition) throw Error(fmt::format("{}: {}", schedule, problem));
}

// What every schedule needs.
void check(const char* schedule, double lr, Index steps, Index step) {
  require(schedule, lr >= 0 && std::isfinite(lr), "lr must be finite and not negative");
  require(schedule, steps > 0, "the number of steps must be positive");
  if (step < 0) throw Error(fmt::format("{}: there is no step {}; the first is 0", schedule, step));
}

double ratio(Index a, Index b) { return static_cast<double>(a) / static_cast<double>(b); }

double on_line(double from, double to, double share) { return from + (to - from) * share; }
double on_cosine(double from, double to, double share) { return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2; }

}  // namespace

double ConstantSchedule::operator()(Index step) const {
  check("ConstantSchedule", lr, steps, step);
  return step < steps ? lr * factor : lr;
}

double StepSchedule::operator()(Index step) const {
  check("StepSchedule", lr, every, step);
  const Index drops = step / every;
  return lr * std::pow(gamma, static_cast<double>(drops));
}

double MultiStepSchedule::operator()(Index step) const {
  check("MultiStepSchedule", lr, 1, step);
  const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](Index milestone) { return milestone <= step; });
  return lr * std::pow(gamma, static_cast<double>(passed));
}

double ExponentialSchedule::operator()(Index step) const {
  check("ExponentialSchedule", lr, 1, step);
  return lr * std::pow(gamma, static_cast<double>(step));
}

double LinearSchedule::operator()(Index step) const {
  check("LinearSchedule", lr, steps, step);
  return lr * on_line(start, end, ratio(std::min(step, steps), steps));
}

double PolynomialSchedule::operator()(Index step) const {
  check("PolynomialSchedule", lr, steps, step);
  return lr * std::pow(1 - ratio(std::min(step, steps), steps), power);
}

double CosineSchedule::operator()(Index step) const {
  check("CosineSchedule", lr, steps, step);
  return on_cosine(lr, least, ratio(step % (2 * steps), steps));
}

double CosineRestartsSchedule::operator()(Index step) const {
  check("CosineRestartsSchedule", lr, steps, step);
  require("CosineRestartsSchedule", times > 0, "times must be positive");
  Index period = steps;
  if (times == 1) step %= steps;
  while (step >= period) {
    step -= period;
    period *= times;
  }
  return on_cosine(lr, least, ratio(step, period));
}

double WarmUpCosineSchedule::operator()(Index step) const {
  check("WarmUpCosineSchedule", lr, steps, step);
  require("WarmUpCosineSchedule", warm_up >= 0, "warm_up must not be negative");
  if (step < warm_up) return lr * on_line(start, 1, ratio(step, warm_up));
  return CosineSchedule{.lr = lr, .steps = steps, .least = least}(step - warm_up);
}

// `low` at step 0, `high` after the share `rise` of the steps, `last` at the end.
double OneCycleSchedule::cycle(Index step, double low, double high, double last) const {
  check("OneCycleSchedule", lr, steps, step);
  require("OneCycleSchedule", rise < 1 && rise * static_cast<double>(steps) > 1, "rise must leave steps on both sides of the top");
  require("OneCycleSchedule", initial_divisor > 0 && final_divisor > 0, "the divisors must be positive");
  if (step >= steps) throw Error(fmt::format("OneCycleSchedule: there is no step {}; the last is {}", step, steps - 1));
  const auto between = curve == Curve::cosine ? on_cosine : on_line;
  const double t = static_cast<double>(step), top = rise * static_cast<double>(steps) - 1, end = static_cast<double>(steps - 1);
  return t <= top ? between(low, high, t / top) : between(high, last, (t - top) / (end - top));
}

double OneCycleSchedule::operator()(Index step) const {
  return cycle(step, lr / initial_divisor, lr, lr / initial_divisor / final_divisor);
}

double OneCycleSchedule::momentum(Index step) const { return cycle(step, high_momentum, low_momentum, high_momentum); }

PlateauSchedule::PlateauSchedule(double lr, const PlateauOptions& options) : options_(options), lr_(lr) {
  check("PlateauSchedule", lr, 1, 0);
  require("PlateauSchedule", options.factor > 0 && options.factor < 1, "factor must be in (0, 1)");
  require("PlateauSchedule", options.least >= 0, "least must not be negative");
  best_ = std::numeric_limits<double>::infinity();
  if (options.mode == PlateauOptions::Mode::largest) best_ = -best_;
}

bool PlateauSchedule::better(double result) const {
  const bool least = options_.mode == PlateauOptions::Mode::least;
  if (std::isinf(best_)) return least ? result < best_ : result > best_;
  const double margin = options_.threshold * (options_.relative_threshold ? best_ : 1);
  return least ? result < best_ - margin : result > best_ + margin;
}

double PlateauSchedule::operator()(double result) {
  if (better(result)) {
    best_ = result;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooling_ > 0) {
    --cooling_;
    bad_ = 0;
  }
  if (bad_ > options_.patience) {
    lr_ = std::max(lr_ * options_.factor, options_.least);
    cooling_ = options_.cooldown;
    bad_ = 0;
  }
  return lr_;
}

}  // namespace wengert::optim
