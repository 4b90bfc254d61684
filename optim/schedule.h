#pragma once
// Learning-rate schedules.
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/shape.h"

namespace wengert::optim {

/// A schedule is a function that returns the learning rate of step 0, 1, 2, ... A step is whatever the program counts, a batch or an epoch.
///
///     const optim::CosineSchedule schedule{.lr = 0.1, .steps = epochs};
///     for (int epoch = 0; epoch < epochs; ++epoch) {
///       optimizer.set_learning_rate(schedule(epoch));
///       ...
///     }
///
/// It has no state, so a resumed training resumes its schedule. (PlateauSchedule depends on results and is the exception.) Below, t is the
/// step. Definitions are PyTorch's. A negative step and a field out of range are ValueErrors.
template <class S> concept Schedule = requires(const S& schedule, Index step) {
  { schedule(step) } -> std::convertible_to<double>;
};

/// lr factor before step `steps`, then lr.
struct ConstantSchedule {
  double lr = 0;
  double factor = 1.0 / 3;
  Index steps = 5;
  double operator()(Index step) const;
};

/// lr gamma^floor(t / step_size)
struct StepSchedule {
  double lr = 0;
  Index step_size = 1;
  double gamma = 0.1;
  double operator()(Index step) const;
};

/// lr gamma^n, where n is the number of milestones <= t; a milestone that is listed twice counts twice.
struct MultiStepSchedule {
  double lr = 0;
  std::vector<Index> milestones = {};
  double gamma = 0.1;
  double operator()(Index step) const;
};

/// lr gamma^t
struct ExponentialSchedule {
  double lr = 0;
  double gamma = 0.95;
  double operator()(Index step) const;
};

/// Linear from lr start_factor at step 0 to lr end_factor at step `steps`, then constant.
struct LinearSchedule {
  double lr = 0;
  double start_factor = 1.0 / 3, end_factor = 1;
  Index steps = 5;
  double operator()(Index step) const;
};

/// lr (1 - t / steps)^power, and 0 from step `steps` on.
struct PolynomialSchedule {
  double lr = 0;
  Index steps = 5;
  double power = 1;
  double operator()(Index step) const;
};

/// min_lr + (lr - min_lr) (1 + cos(pi t / steps)) / 2: half a cosine wave down to min_lr at step `steps`; beyond, the wave rises again.
/// (Loshchilov and Hutter 2017)
struct CosineSchedule {
  double lr = 0;
  Index steps = 1;
  double min_lr = 0;
  double operator()(Index step) const;
};

/// The same with restarts at lr: the first period has `steps` steps, and each later one `multiplier` times as many as the previous one.
struct CosineRestartsSchedule {
  double lr = 0;
  Index steps = 1;
  Index multiplier = 1;
  double min_lr = 0;
  double operator()(Index step) const;
};

/// Linear from lr start_factor up to lr over `warmup_steps` steps, then CosineSchedule over `steps` more.
struct WarmupCosineSchedule {
  double lr = 0;
  Index warmup_steps = 0, steps = 1;
  double start_factor = 0.1, min_lr = 0;
  double operator()(Index step) const;
};

/// One cycle over `steps` steps: from lr / initial_divisor up to lr during the fraction `warmup_fraction` of them, then down to
/// lr / initial_divisor / final_divisor. A step from `steps` on is a ValueError. (Smith and Topin 2019)
struct OneCycleSchedule {
  double lr = 0;  ///< maximum rate
  Index steps = 2;
  double warmup_fraction = 0.3, initial_divisor = 25, final_divisor = 1e4;
  /// The form of the rise and the fall.
  enum class Curve : std::uint8_t { cosine, linear } curve = Curve::cosine;
  double min_momentum = 0.85, max_momentum = 0.95;
  double operator()(Index step) const;
  /// The matching momentum, from max_momentum down to min_momentum and up again: for `SGD::set_momentum`, or as beta1 for `set_betas` of
  /// Adam and related optimizers.
  double momentum(Index step) const;

 private:
  double cycle(Index step, double start, double peak, double end) const;
};

struct PlateauOptions {
  /// Whether smaller or larger results are better.
  enum class Mode : std::uint8_t { min, max } mode = Mode::min;  ///< whether smaller or larger results are better
  double factor = 0.1;                                           ///< of each reduction, in (0, 1)
  Index patience = 10;                                           ///< results without improvement before the rate is reduced
  double threshold = 1e-4;                                       ///< how much better a result must be to count as an improvement
  bool relative_threshold = true;                                ///< whether the threshold is a fraction of the best result's size
  Index cooldown = 0;                                            ///< results that are ignored after a reduction
  double min_lr = 0;                                             ///< lower bound of the rate
};

/// A rate that is reduced when results stop improving: `optimizer.set_learning_rate(plateau(validation_loss))` after each epoch.
class PlateauSchedule {
 public:
  /// A ValueError for options that are out of range.
  explicit PlateauSchedule(double lr, PlateauOptions options = {});

  /// Takes the next result and returns the rate from now on. NaN is not an improvement.
  double operator()(double result);
  double learning_rate() const { return lr_; }

  /// As those of Optimizer: "PlateauSchedule.lr", "PlateauSchedule.best", ...; options are not part of it.
  std::vector<NamedTensor> state() const;
  void load_state(std::span<const NamedTensor> state, const std::string& source = "load_state");

 private:
  bool better(double result) const;

  PlateauOptions options_;
  double lr_, best_;
  Index bad_ = 0, cooling_ = 0;
};

}  // namespace wengert::optim
