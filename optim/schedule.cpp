#include "optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "autodiff/check_option.h"
#include "optim/state_reader.h"

namespace wengert::optim {
namespace {

using wengert::detail::check_not_negative, wengert::detail::check_positive, wengert::detail::option_error;

void check_at_least(const char* schedule, const char* option, Index value, Index min) {
  if (value < min) throw ValueError(fmt::format("{}: {} must be at least {}, but it is {}", schedule, option, min, value));
}

void check_step(const char* schedule, Index step) {
  if (step < 0) throw ValueError(fmt::format("{}: there is no step {}; the first is 0", schedule, step));
}

double ratio(Index a, Index b) { return static_cast<double>(a) / static_cast<double>(b); }

double on_line(double from, double to, double t) { return from + (to - from) * t; }
double on_cosine(double from, double to, double t) { return to + (from - to) * (1 + std::cos(std::numbers::pi * t)) / 2; }

}  // namespace

double ConstantSchedule::operator()(Index step) const {
  check_not_negative("ConstantSchedule", "lr", lr);
  check_not_negative("ConstantSchedule", "factor", factor);
  check_at_least("ConstantSchedule", "steps", steps, 1);
  check_step("ConstantSchedule", step);
  return step < steps ? lr * factor : lr;
}

double StepSchedule::operator()(Index step) const {
  check_not_negative("StepSchedule", "lr", lr);
  check_at_least("StepSchedule", "step_size", step_size, 1);
  check_not_negative("StepSchedule", "gamma", gamma);
  check_step("StepSchedule", step);
  const Index drops = step / step_size;
  return lr * std::pow(gamma, static_cast<double>(drops));
}

double MultiStepSchedule::operator()(Index step) const {
  check_not_negative("MultiStepSchedule", "lr", lr);
  check_not_negative("MultiStepSchedule", "gamma", gamma);
  check_step("MultiStepSchedule", step);
  const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](Index milestone) { return milestone <= step; });
  return lr * std::pow(gamma, static_cast<double>(passed));
}

double ExponentialSchedule::operator()(Index step) const {
  check_not_negative("ExponentialSchedule", "lr", lr);
  check_not_negative("ExponentialSchedule", "gamma", gamma);
  check_step("ExponentialSchedule", step);
  return lr * std::pow(gamma, static_cast<double>(step));
}

double LinearSchedule::operator()(Index step) const {
  check_not_negative("LinearSchedule", "lr", lr);
  check_not_negative("LinearSchedule", "start_factor", start_factor);
  check_not_negative("LinearSchedule", "end_factor", end_factor);
  check_at_least("LinearSchedule", "steps", steps, 1);
  check_step("LinearSchedule", step);
  return lr * on_line(start_factor, end_factor, ratio(std::min(step, steps), steps));
}

double PolynomialSchedule::operator()(Index step) const {
  check_not_negative("PolynomialSchedule", "lr", lr);
  check_at_least("PolynomialSchedule", "steps", steps, 1);
  check_not_negative("PolynomialSchedule", "power", power);
  check_step("PolynomialSchedule", step);
  return lr * std::pow(1 - ratio(std::min(step, steps), steps), power);
}

double CosineSchedule::operator()(Index step) const {
  check_not_negative("CosineSchedule", "lr", lr);
  check_not_negative("CosineSchedule", "min_lr", min_lr);
  check_at_least("CosineSchedule", "steps", steps, 1);
  check_step("CosineSchedule", step);
  if (steps <= std::numeric_limits<Index>::max() / 2) step %= 2 * steps;
  return on_cosine(lr, min_lr, ratio(step, steps));
}

double CosineRestartsSchedule::operator()(Index step) const {
  check_not_negative("CosineRestartsSchedule", "lr", lr);
  check_not_negative("CosineRestartsSchedule", "min_lr", min_lr);
  check_at_least("CosineRestartsSchedule", "steps", steps, 1);
  check_at_least("CosineRestartsSchedule", "multiplier", multiplier, 1);
  check_step("CosineRestartsSchedule", step);
  Index period = steps;
  if (multiplier == 1) step %= steps;
  while (step >= period) {
    step -= period;
    if (Index next = 0; !__builtin_mul_overflow(period, multiplier, &next)) {
      period = next;
    } else {  // no step lies beyond this period
      return on_cosine(lr, min_lr, static_cast<double>(step) / (static_cast<double>(period) * static_cast<double>(multiplier)));
    }
  }
  return on_cosine(lr, min_lr, ratio(step, period));
}

double WarmupCosineSchedule::operator()(Index step) const {
  check_not_negative("WarmupCosineSchedule", "lr", lr);
  check_not_negative("WarmupCosineSchedule", "start_factor", start_factor);
  check_not_negative("WarmupCosineSchedule", "min_lr", min_lr);
  check_at_least("WarmupCosineSchedule", "warmup_steps", warmup_steps, 0);
  check_at_least("WarmupCosineSchedule", "steps", steps, 1);
  check_step("WarmupCosineSchedule", step);
  if (step < warmup_steps) return lr * on_line(start_factor, 1, ratio(step, warmup_steps));
  return CosineSchedule{.lr = lr, .steps = steps, .min_lr = min_lr}(step - warmup_steps);
}

// `start` at step 0, `peak` after the warm-up, `end` at the last step.
double OneCycleSchedule::cycle(Index step, double start, double peak, double end) const {
  check_not_negative("OneCycleSchedule", "lr", lr);
  check_at_least("OneCycleSchedule", "steps", steps, 1);
  check_positive("OneCycleSchedule", "initial_divisor", initial_divisor);
  check_positive("OneCycleSchedule", "final_divisor", final_divisor);
  wengert::detail::check_decay("OneCycleSchedule", "min_momentum", min_momentum);
  wengert::detail::check_decay("OneCycleSchedule", "max_momentum", max_momentum);
  if (!(warmup_fraction < 1 && warmup_fraction * static_cast<double>(steps) > 1))
    option_error("OneCycleSchedule", "warmup_fraction", "more than one step and fewer than all", warmup_fraction);
  check_step("OneCycleSchedule", step);
  if (step >= steps) throw ValueError(fmt::format("OneCycleSchedule: there is no step {}; the last is {}", step, steps - 1));
  const auto between = curve == Curve::cosine ? on_cosine : on_line;
  const double t = static_cast<double>(step), top = warmup_fraction * static_cast<double>(steps) - 1, last = static_cast<double>(steps - 1);
  return t <= top ? between(start, peak, t / top) : between(peak, end, (t - top) / (last - top));
}

double OneCycleSchedule::operator()(Index step) const {
  return cycle(step, lr / initial_divisor, lr, lr / initial_divisor / final_divisor);
}

double OneCycleSchedule::momentum(Index step) const { return cycle(step, max_momentum, min_momentum, max_momentum); }

PlateauSchedule::PlateauSchedule(double lr, PlateauOptions options) : options_(options), lr_(lr) {
  check_not_negative("PlateauSchedule", "lr", lr);
  if (!(options.factor > 0 && options.factor < 1)) option_error("PlateauSchedule", "factor", "in (0, 1)", options.factor);
  check_at_least("PlateauSchedule", "patience", options.patience, 0);
  check_not_negative("PlateauSchedule", "threshold", options.threshold);
  check_at_least("PlateauSchedule", "cooldown", options.cooldown, 0);
  check_not_negative("PlateauSchedule", "min_lr", options.min_lr);
  best_ = std::numeric_limits<double>::infinity();
  if (options.mode == PlateauOptions::Mode::max) best_ = -best_;
}

bool PlateauSchedule::better(double result) const {
  const bool min = options_.mode == PlateauOptions::Mode::min;
  if (std::isinf(best_)) return min ? result < best_ : result > best_;
  const double margin = options_.threshold * (options_.relative_threshold ? std::abs(best_) : 1);
  return min ? result < best_ - margin : result > best_ + margin;
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
    lr_ = std::max(lr_ * options_.factor, options_.min_lr);
    cooling_ = options_.cooldown;
    bad_ = 0;
  }
  return lr_;
}

std::vector<NamedTensor> PlateauSchedule::state() const {
  return {named_number("PlateauSchedule.lr", lr_), named_number("PlateauSchedule.best", best_), named_integer("PlateauSchedule.bad", bad_),
          named_integer("PlateauSchedule.cooling", cooling_)};
}

void PlateauSchedule::load_state(std::span<const NamedTensor> state, const std::string& source) {
  StateReader reader("PlateauSchedule", source, state);
  const double lr = reader.number("lr"), best = reader.number("best");
  const Index bad = reader.integer("bad"), cooling = reader.integer("cooling");
  if (!(lr >= 0 && std::isfinite(lr))) reader.complain(fmt::format("PlateauSchedule.lr is {}", lr));
  reader.finish();
  lr_ = lr;
  best_ = best;
  bad_ = bad;
  cooling_ = cooling;
}

}  // namespace wengert::optim
